//! Reads the state of a class's connection to GitHub.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use super::REQUEST_TIMEOUT;
use super::reader::Reader;
use crate::adapters::github::doctor::app_permissions::Uses;
use crate::adapters::github::doctor::connection;
use crate::adapters::github::{GithubSettings, examine};
use crate::api::{GithubConnection, PreviewClass, PreviewRepository};
use crate::core::doctor::{Finding, Section, Subject, shown_url};

/// Returns the section of one connection, with the classes that use it and their
/// PreviewRepositories.
pub(super) async fn section(
    reader: &Reader,
    connection: &GithubConnection,
    classes: &[PreviewClass],
    served: &[PreviewRepository],
) -> Section {
    let title = format!(
        "GitHub at {} with Secret {}/{}, for PreviewClass {}",
        shown_url(&connection.url),
        reader.namespace,
        connection.secret_name,
        classes.iter().map(ResourceExt::name_any).collect::<Vec<_>>().join(", ")
    );
    let findings = check(reader, connection, served, &Uses::of(served, classes)).await;
    Section { title, findings: findings.unwrap_or_else(|unusable| vec![unusable]) }
}

async fn check(
    reader: &Reader,
    connection: &GithubConnection,
    served: &[PreviewRepository],
    uses: &Uses,
) -> Result<Vec<Finding>, Finding> {
    let (namespace, name) = (&reader.namespace, &connection.secret_name);
    let create = format!(
        "`kubectl -n {namespace} create secret generic {name} --from-literal=appId=… --from-file=privateKey=…`, or with a token: --from-literal=token=…"
    );
    let secret = reader.own::<Secret>(name).await;
    let missing = format!("Secret {namespace}/{name} not found");
    let secret = Subject::new("credentials").require(&secret, &missing, create)?;
    let data = secret.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())).collect();
    let settings = GithubSettings { timeout: REQUEST_TIMEOUT, ..GithubSettings::default() };
    Ok(connection::check(&examine(connection, &data, &settings).await, served, uses))
}
