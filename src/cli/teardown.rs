//! `matinee teardown`: deletes all previews while the operator can still tear them down. `helm
//! uninstall` runs it first.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use crate::adapters::kubernetes::client;
use crate::api::{self, DeploymentRequest, LABEL_REPOSITORY, PreviewClass, PreviewEnvironment};
use crate::core;
use crate::core::deployment::triggers::is_request_of;
use crate::settings::{SERVICE_ACCOUNT_NAMESPACE, own_namespace};

/// Timeout of a request.
const REQUEST: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_secs(1);
/// Time until all replicas drain. Previews that they create until then are deleted too.
const SETTLED_AFTER: Duration = Duration::from_secs(3);
/// Time between two lines of output while nothing changes.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// Maximum number of passes that look for requests to delete.
const FORGET_TRIES: u32 = 10;
/// Maximum number of previews named in a line.
const NAMED: usize = 5;

/// Flags of `matinee teardown`.
#[derive(Args)]
pub(super) struct Flags {
    /// The operator's namespace. [default: the service account's, else matinee-system]
    #[arg(long, env = "MATINEE_NAMESPACE", value_name = "NAME")]
    namespace: Option<String>,
    /// The ConfigMap that the operator's --config-map names, to turn on drain mode. Without it, open pull requests may get new previews.
    #[arg(long, env = "MATINEE_CONFIG_MAP", value_name = "NAME")]
    config_map: Option<String>,
    /// Time limit. Previews that remain after it stay, and the exit code is 1.
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    timeout: api::Duration,
    /// The operator's Lease, to delete it too. Requires --config-map, because an operator that isn't drained recreates it.
    #[arg(long, value_name = "NAME", requires = "config_map")]
    lease_name: Option<String>,
    /// A PreviewClass, to delete it too.
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
}

/// Deletes all previews.
pub(super) async fn run(flags: &Flags) -> anyhow::Result<()> {
    let client = client().await.context("no Kubernetes cluster: set KUBECONFIG, or run in a pod")?;
    let namespace = own_namespace(flags.namespace.as_deref(), Path::new(SERVICE_ACCOUNT_NAMESPACE))
        .map_err(|problem| anyhow::anyhow!("--namespace: {problem}"))?;
    let Some(name) = &flags.config_map else { return tear_down(flags, &client, &namespace).await };
    drain(&client, &namespace, name).await?;
    println!(
        "drain mode is on (key drain of ConfigMap {namespace}/{name}): the operator creates nothing new"
    );
    tear_down(flags, &client, &namespace).await.with_context(|| {
        format!("drain mode stays on; to turn it off, remove the key drain from ConfigMap {namespace}/{name}")
    })
}

async fn tear_down(flags: &Flags, client: &Client, namespace: &str) -> anyhow::Result<()> {
    let Torn { gone, left } = remove(client, flags.timeout.as_std()).await?;
    forget(client, &gone).await?;
    if !left.is_empty() {
        bail!(
            "{} not deleted after {}: {}. Check that the operator is running, and see the conditions with `kubectl describe previewenvironment`. \
             `helm uninstall --no-hooks` uninstalls without deleting them",
            count(left.len()),
            flags.timeout,
            names(&left)
        );
    }
    if let Some(name) = &flags.lease_name {
        let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
        let deleted = bounded(leases.delete(name, &DeleteParams::default())).await;
        there(deleted).with_context(|| format!("--lease-name: Lease {namespace}/{name} can't be deleted"))?;
    }
    if let Some(name) = &flags.class {
        let classes: Api<PreviewClass> = Api::all(client.clone());
        let deleted = bounded(classes.delete(name, &DeleteParams::default())).await;
        if there(deleted).with_context(|| format!("--class: PreviewClass {name} can't be deleted"))?.is_some()
        {
            println!("deleted PreviewClass {name}");
        }
    }
    println!("deleted all previews");
    Ok(())
}

/// Tells the operator to drain.
async fn drain(client: &Client, namespace: &str, name: &str) -> anyhow::Result<()> {
    let config_maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let patch = Patch::Merge(json!({"data": {core::drain::KEY: "true"}}));
    let parameters =
        PatchParams { field_manager: Some("matinee-teardown".to_owned()), ..PatchParams::default() };
    let patched = bounded(config_maps.patch(name, &parameters, &patch)).await;
    patched.with_context(|| format!("--config-map: {namespace}/{name} can't be changed")).map(drop)
}

/// Result of a teardown.
struct Torn {
    /// Deleted previews.
    gone: Vec<PreviewEnvironment>,
    /// Remaining previews.
    left: Vec<String>,
}

/// Deletes all previews, until none is left or the time is over.
async fn remove(client: &Client, within: Duration) -> anyhow::Result<Torn> {
    let began = Instant::now();
    let everywhere: Api<PreviewEnvironment> = Api::all(client.clone());
    let mut gone: BTreeMap<String, PreviewEnvironment> = BTreeMap::new();
    let mut said: Option<(usize, Instant)> = None;
    loop {
        let list = bounded(everywhere.list(&ListParams::default())).await;
        let items = match there(list) {
            Ok(Some(list)) => list.items,
            // Without the definition there are no objects.
            Ok(None) => Vec::new(),
            Err(error) if may_pass(&error) && began.elapsed() < within => {
                println!("can't list PreviewEnvironments, trying again: {error}");
                sleep(PAUSE).await;
                continue;
            }
            Err(error) => return Err(error).context("PreviewEnvironments can't be listed"),
        };
        for one in items.iter().filter(|one| one.meta().deletion_timestamp.is_none()) {
            delete(client, one).await?;
        }
        let left: Vec<_> = items.iter().map(shown).collect();
        gone.extend(items.into_iter().map(|one| (shown(&one), one)));
        if (left.is_empty() && began.elapsed() >= SETTLED_AFTER) || began.elapsed() >= within {
            gone.retain(|name, _| !left.contains(name));
            return Ok(Torn { gone: gone.into_values().collect(), left });
        }
        let changed = said.is_none_or(|(count, at)| count != left.len() || at.elapsed() >= SIGN_OF_LIFE);
        if changed && !left.is_empty() {
            println!("waiting for the deletion of {}: {}", count(left.len()), names(&left));
            said = Some((left.len(), Instant::now()));
        }
        sleep(PAUSE).await;
    }
}

/// Deletes the requests for the deleted previews. A request runs once, so a later installation
/// would take them for complete, and not recreate a pull request's preview before its next push.
/// Requests that somebody wrote by hand stay.
async fn forget(client: &Client, gone: &[PreviewEnvironment]) -> anyhow::Result<()> {
    let everywhere: Api<DeploymentRequest> = Api::all(client.clone());
    let ours = ListParams::default().labels(LABEL_REPOSITORY);
    for _ in 0..FORGET_TRIES {
        let list =
            there(bounded(everywhere.list(&ours)).await).context("DeploymentRequests can't be listed")?;
        let of_gone = |request: &DeploymentRequest| {
            gone.iter()
                .any(|one| one.namespace() == request.namespace() && is_request_of(&request.spec, &one.spec))
        };
        let left: Vec<_> = list.into_iter().flat_map(|list| list.items).filter(of_gone).collect();
        if left.is_empty() {
            return Ok(());
        }
        for request in &left {
            delete(client, request).await?;
        }
        sleep(PAUSE).await;
    }
    bail!(
        "DeploymentRequests of deleted previews can't be deleted: they still exist after {FORGET_TRIES} attempts"
    )
}

async fn delete<K>(client: &Client, one: &K) -> anyhow::Result<()>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let objects: Api<K> = Api::namespaced(client.clone(), &one.namespace().unwrap_or_default());
    let same = Preconditions { uid: one.uid(), resource_version: None };
    match bounded(objects.delete(&one.name_any(), &DeleteParams::background().preconditions(same))).await {
        // The object was recreated. The next pass finds it.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) if may_pass(&error) => Ok(()),
        result => {
            let failed = || format!("{} {} can't be deleted", K::kind(&()), shown(one));
            there(result).with_context(failed).map(drop)
        }
    }
}

/// Whether a retry may succeed.
fn may_pass(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 429 | 500..),
        _ => true,
    }
}

/// Sends a request with a timeout.
async fn bounded<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    let late = || kube::Error::Service(format!("no response within {} s", REQUEST.as_secs()).into());
    timeout(REQUEST, request).await.unwrap_or_else(|_| Err(late()))
}

/// Returns `None` for an object that doesn't exist.
fn there<T>(result: Result<T, kube::Error>) -> Result<Option<T>, kube::Error> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

fn shown<K: Resource>(one: &K) -> String {
    format!("{}/{}", one.namespace().unwrap_or_default(), one.name_any())
}

fn count(number: usize) -> String {
    if number == 1 { "1 preview".to_owned() } else { format!("{number} previews") }
}

fn names(all: &[String]) -> String {
    let named = all.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match all.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!("{named} and {more} more"),
        _ => named,
    }
}
