//! Applies YAML to the cluster, and checks whether objects are ready.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Api, Client, Config, ResourceExt as _, discovery};
use serde_json::Value;

/// The field manager of everything the playground applies.
const MANAGER: &str = "playground";

/// Returns a client with the identity of a kubeconfig. It doesn't retry, and no call but a watch
/// takes longer than 30 seconds.
///
/// # Errors
/// When the file can't be read.
pub async fn client(kubeconfig: &Path) -> Result<Client> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    Ok(Client::try_from(config)?)
}

/// Applies every object of a YAML text in its order (server-side, taking over fields that others
/// own).
///
/// # Errors
/// When the text is no YAML, or an object is rejected; the message names it.
pub async fn apply(client: &Client, yaml: &str) -> Result<()> {
    let objects: Vec<Option<Value>> = serde_saphyr::from_multiple(yaml).context("not YAML")?;
    for object in objects.into_iter().flatten() {
        apply_object(client, object).await?;
    }
    Ok(())
}

/// Applies one object.
pub(crate) async fn apply_object(client: &Client, object: Value) -> Result<()> {
    let object: DynamicObject = serde_json::from_value(object).context("not a Kubernetes object")?;
    let name = object.name_any();
    let types = object.types.clone().unwrap_or_default();
    let what = format!("{} {name}", types.kind);
    let (resource, capabilities) = discovery::pinned_kind(client, &GroupVersionKind::try_from(&types)?)
        .await
        .with_context(|| format!("{what}: its kind is not known to the cluster"))?;
    let api: Api<DynamicObject> = match (&capabilities.scope, object.namespace()) {
        (discovery::Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
        (discovery::Scope::Namespaced, Some(namespace)) => {
            Api::namespaced_with(client.clone(), &namespace, &resource)
        }
        (discovery::Scope::Namespaced, None) => Api::default_namespaced_with(client.clone(), &resource),
    };
    api.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&object))
        .await
        .with_context(|| format!("{what} is refused"))?;
    Ok(())
}

/// Succeeds when an object has a condition with status `True`.
///
/// # Errors
/// When the object doesn't exist or the condition has another status; the message has its reason.
pub(crate) async fn has_condition(
    client: &Client,
    kind: &Kind<'_>,
    name: &str,
    condition: &str,
) -> Result<()> {
    let Kind { version, name: kind, namespace } = *kind;
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let resource = kube::core::ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let object = api.get(name).await?;
    let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    match conditions.iter().find(|found| found["type"] == condition) {
        Some(found) if found["status"] == "True" => Ok(()),
        found => bail!("{kind} {name} has {condition}: {}", found.unwrap_or(&Value::Null)),
    }
}

/// Succeeds when the API server is ready to serve.
pub(crate) async fn server_ready(client: &Client) -> Result<()> {
    client.request_text(http::Request::get("/readyz").body(Vec::new())?).await?;
    Ok(())
}

/// A kind of object, and its namespace.
pub(crate) struct Kind<'a> {
    pub(crate) version: &'a str,
    pub(crate) name: &'a str,
    pub(crate) namespace: Option<&'a str>,
}
