//! Reads the state of a class's connection to GitHub.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use super::REQUEST_TIMEOUT;
use super::reader::Reader;
use crate::adapters::github::{GithubSettings, diagnose};
use crate::api::{GithubConnection, PreviewClass, PreviewRepository};
use crate::core::doctor::{Section, Subject, shown_url};

/// Returns the section of one connection, with the classes that use it and their
/// PreviewRepositories.
pub(super) async fn section(
    reader: &Reader,
    connection: &GithubConnection,
    classes: &[PreviewClass],
    served: &[PreviewRepository],
) -> Section {
    let (namespace, name) = (&reader.namespace, &connection.secret_name);
    let names: Vec<String> = classes.iter().map(ResourceExt::name_any).collect();
    let title = format!(
        "GitHub at {} with Secret {namespace}/{name}, for PreviewClass {}",
        shown_url(&connection.url),
        names.join(", ")
    );
    let missing = format!("Secret {namespace}/{name} not found");
    let create = format!(
        "`kubectl -n {namespace} create secret generic {name} --from-literal=appId=… --from-file=privateKey=…`, or with a token: --from-literal=token=…"
    );
    let secret = reader.own::<Secret>(name).await;
    let findings = match Subject::new("credentials").require(&secret, &missing, create) {
        Ok(secret) => {
            let data = secret.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone()));
            let settings = GithubSettings { timeout: REQUEST_TIMEOUT, ..GithubSettings::default() };
            diagnose(connection, &data.collect(), &settings, classes, served).await
        }
        Err(finding) => vec![finding],
    };
    Section::new(title, findings)
}
