//! Reads the state of a class's connection to GitHub.

use std::sync::Arc;

use futures::FutureExt as _;

use super::reader::Reader;
use super::{Looking, REQUEST_TIMEOUT};
use crate::adapters::github::doctor::app_permissions::Uses;
use crate::adapters::github::doctor::connection::{self, Observed};
use crate::adapters::github::{GithubSettings, examine};
use crate::api::{GithubConnection, PreviewClass, PreviewRepository};
use crate::core::doctor::{Verdict, secrets, shown_url};

/// Returns the section of one connection, with the classes that use it and their
/// PreviewRepositories.
pub(super) fn section<'a>(
    reader: &Arc<Reader>,
    connection: GithubConnection,
    classes: Vec<PreviewClass>,
    served: Vec<PreviewRepository>,
) -> Looking<'a> {
    let names: Vec<String> = classes.iter().map(kube::ResourceExt::name_any).collect();
    let title = format!(
        "GitHub at {} with Secret {}/{}, for PreviewClass {}",
        shown_url(&connection.url),
        reader.namespace,
        connection.secret_name,
        names.join(", ")
    );
    let reader = Arc::clone(reader);
    let looking = async move {
        let uses = Uses::of(&served, &classes);
        let keys = reader.secret_keys(&connection.secret_name).await;
        // The section of the class reports errors in the Secret.
        let usable = secrets::github(&reader.namespace, &connection, &keys).verdict == Verdict::Ok;
        let observed = if usable {
            let settings = GithubSettings { timeout: REQUEST_TIMEOUT, ..GithubSettings::default() };
            examine(&connection, reader, settings).await
        } else {
            Observed::default()
        };
        connection::check(&observed, &served, &uses)
    };
    (title, looking.boxed())
}
