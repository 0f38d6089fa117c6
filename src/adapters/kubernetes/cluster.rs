//! Requests to the Kubernetes API. Each has a timeout and is never retried here; the reconcile that
//! sent it retries.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{anyhow, bail};
use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Uri};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GetParams, GroupVersionKind, ObjectMeta, Patch, PatchParams,
    PostParams, Preconditions,
};
use kube::core::request::Request;
use kube::{Api, Client, Resource as _, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::adapters::http::proxy::Proxies;
use crate::core::api_error::{self, Meaning, SentValues};
use crate::core::environment::plan::DEPLOYER;
use crate::ports::{Actor, Cluster, ClusterError, Secrets};

/// Timeout of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Creates a client from a kubeconfig or from the pod's service account.
///
/// kube's retries are disabled, since they hide minutes inside one call.
///
/// # Errors
/// There is no configuration, or it isn't usable.
pub async fn client() -> anyhow::Result<Client> {
    let proxies = Proxies::from_environment().map_err(|error| anyhow!(error))?;
    let mut config = kube::Config::infer().await?;
    config.proxy_url = proxy(&config, &proxies)?;
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    Ok(Client::try_from(config)?)
}

/// Returns the proxy for the API server: the kubeconfig's, else the environment's unless `NO_PROXY`
/// covers the server. In a pod there is none, since the server is in the cluster's own network.
/// kube itself would compare `NO_PROXY` with the proxy.
fn proxy(config: &kube::Config, proxies: &Proxies) -> anyhow::Result<Option<Uri>> {
    // Only a pod's service account sets this.
    if config.root_cert_file.is_some() {
        return Ok(None);
    }
    let Some(own) = config.proxy_url.as_ref().filter(|url| !proxies.names(url)) else {
        return Ok(proxies.url(&config.cluster_url));
    };
    // kube's error would repeat the URL, which may contain a password.
    if !matches!(own.scheme_str(), Some("http" | "https")) {
        bail!("the kubeconfig's proxy-url can't be used: write it like http://proxy.example.com:3128");
    }
    Ok(Some(own.clone()))
}

/// A Kubernetes cluster.
pub struct KubeCluster {
    client: Client,
    /// The operator's namespace; the operator may read Secrets only there.
    namespace: String,
    /// Plural names and scopes of kinds, from the API server.
    kinds: Mutex<HashMap<GroupVersionKind, (ApiResource, bool)>>,
}

impl KubeCluster {
    /// Creates the cluster of `client`. Secrets are read from `namespace`.
    pub fn new(client: Client, namespace: String) -> Self {
        Self { client, namespace, kinds: Mutex::default() }
    }

    /// Returns the plural name of a kind, and whether it is namespaced.
    ///
    /// # Errors
    /// [`ClusterError::Refused`] with code 404 when the API server doesn't serve the kind.
    pub async fn resource(&self, kind: &GroupVersionKind) -> Result<(ApiResource, bool), ClusterError> {
        if let Ok(known) = self.kinds.lock()
            && let Some(found) = known.get(kind)
        {
            return Ok(found.clone());
        }
        let (resource, capabilities) = match bounded(kube::discovery::pinned_kind(&self.client, kind)).await {
            Ok(found) => found,
            Err(NotServed::Unavailable(error)) => return Err(error),
            Err(NotServed::Missing) => {
                return Err(ClusterError::Refused {
                    code: 404,
                    message: format!(
                        "the cluster doesn't serve {} {}: install its CustomResourceDefinition, or correct apiVersion and kind",
                        kind.api_version(),
                        kind.kind
                    ),
                });
            }
        };
        let found = (resource, capabilities.scope == kube::discovery::Scope::Namespaced);
        if let Ok(mut known) = self.kinds.lock() {
            known.insert(kind.clone(), found.clone());
        }
        Ok(found)
    }

    async fn request(
        &self,
        kind: &GroupVersionKind,
        namespace: Option<&str>,
    ) -> Result<Request, ClusterError> {
        let (resource, namespaced) = self.resource(kind).await?;
        if namespaced != namespace.is_some() {
            let scope = if namespaced { "namespaced" } else { "cluster-scoped" };
            return Err(ClusterError::Refused { code: 403, message: format!("{} is {scope}", kind.kind) });
        }
        Ok(Request::new(DynamicObject::url_path(&resource, namespace)))
    }

    /// Sends a request. `sent` is the object in the request; errors must not repeat its values.
    async fn send<T: DeserializeOwned>(
        &self,
        actor: &Actor,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
        sent: Option<&DynamicObject>,
    ) -> Result<T, ClusterError> {
        let mut request = request.map_err(|error| unusable(&error))?;
        if let Actor::Deployer { namespace } = actor {
            let account = format!("system:serviceaccount:{namespace}:{DEPLOYER}");
            let account = HeaderValue::from_str(&account).map_err(|error| unusable(&error))?;
            request.headers_mut().insert(HeaderName::from_static("impersonate-user"), account);
        }
        match tokio::time::timeout(REQUEST_TIMEOUT, self.client.request(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(understood(error, &sent.map(SentValues::of_object).unwrap_or_default())),
            Err(_) => Err(no_answer()),
        }
    }
}

/// Converts every error of the Kubernetes API, and removes values from its message.
fn understood(error: kube::Error, sent: &SentValues) -> ClusterError {
    let kube::Error::Api(status) = error else {
        return ClusterError::Unavailable(api_error::text_about(&error.to_string(), sent));
    };
    let message = api_error::message(&status, sent);
    match api_error::meaning(&status) {
        Meaning::Rejected => ClusterError::Refused { code: status.code, message },
        Meaning::WebhookUnavailable { webhook, why } => {
            ClusterError::WebhookUnavailable { webhook, message: sent.removed_from(&why) }
        }
        Meaning::Conflict => ClusterError::Conflict(message),
        Meaning::Outage => ClusterError::Unavailable(message),
    }
}

fn no_answer() -> ClusterError {
    ClusterError::Unavailable(format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()))
}

fn unusable(error: &dyn std::fmt::Display) -> ClusterError {
    ClusterError::Refused { code: 400, message: api_error::text(&error.to_string()) }
}

/// The reason why a kind's plural name is unknown.
enum NotServed {
    Missing,
    Unavailable(ClusterError),
}

impl From<kube::Error> for NotServed {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Discovery(_) => Self::Missing,
            kube::Error::Api(status) if status.code == 404 => Self::Missing,
            other => Self::Unavailable(other.into()),
        }
    }
}

impl From<ClusterError> for NotServed {
    fn from(error: ClusterError) -> Self {
        Self::Unavailable(error)
    }
}

impl From<kube::Error> for ClusterError {
    fn from(error: kube::Error) -> Self {
        understood(error, &SentValues::default())
    }
}

/// Runs a request with the timeout.
pub(super) async fn bounded<T, E: From<kube::Error> + From<ClusterError>>(
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, E> {
    match tokio::time::timeout(REQUEST_TIMEOUT, call).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(no_answer().into()),
    }
}

fn kind_of(object: &DynamicObject) -> Result<GroupVersionKind, ClusterError> {
    let types = object.types.as_ref().ok_or_else(|| unusable(&"the object has no apiVersion and kind"))?;
    GroupVersionKind::try_from(types).map_err(|error| unusable(&error))
}

#[async_trait]
impl Cluster for KubeCluster {
    async fn create(&self, manager: &str, object: &DynamicObject) -> Result<DynamicObject, ClusterError> {
        let request = self.request(&kind_of(object)?, object.namespace().as_deref()).await?;
        let parameters = PostParams { field_manager: Some(manager.to_owned()), ..PostParams::default() };
        let body = serde_json::to_vec(object).map_err(|error| unusable(&error))?;
        self.send(&Actor::Operator, request.create(&parameters, body), Some(object)).await
    }

    async fn apply(
        &self,
        actor: &Actor,
        manager: &str,
        object: &DynamicObject,
    ) -> Result<DynamicObject, ClusterError> {
        let request = self.request(&kind_of(object)?, object.namespace().as_deref()).await?;
        let parameters = PatchParams::apply(manager).force();
        let patch = request.patch(&object.name_any(), &parameters, &Patch::Apply(object));
        self.send(actor, patch, Some(object)).await
    }

    async fn try_apply(
        &self,
        actor: &Actor,
        manager: &str,
        object: &DynamicObject,
    ) -> Result<(), ClusterError> {
        let request = self.request(&kind_of(object)?, object.namespace().as_deref()).await?;
        let parameters = PatchParams::apply(manager).force().dry_run();
        let request = request.patch(&object.name_any(), &parameters, &Patch::Apply(object));
        self.send::<serde_json::Value>(actor, request, Some(object)).await.map(drop)
    }

    async fn apply_status(
        &self,
        manager: &str,
        object: &DynamicObject,
    ) -> Result<DynamicObject, ClusterError> {
        let request = self.request(&kind_of(object)?, object.namespace().as_deref()).await?;
        let parameters = PatchParams::apply(manager).force();
        let patch = Patch::Apply(object);
        self.send(
            &Actor::Operator,
            request.patch_subresource("status", &object.name_any(), &parameters, &patch),
            Some(object),
        )
        .await
    }

    async fn delete(
        &self,
        actor: &Actor,
        kind: &GroupVersionKind,
        namespace: Option<&str>,
        name: &str,
        uid: &str,
    ) -> Result<(), ClusterError> {
        let request = match self.request(kind, namespace).await {
            // A kind that isn't served has no objects.
            Err(ClusterError::Refused { code: 404, .. }) => return Ok(()),
            other => other?,
        };
        let same = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        let parameters = DeleteParams::background().preconditions(same);
        match self.send::<serde_json::Value>(actor, request.delete(name, &parameters), None).await {
            // 404: the object has been deleted. Conflict: another object has its name by now. In
            // both cases the object with this UID no longer exists.
            Ok(_) | Err(ClusterError::Refused { code: 404, .. } | ClusterError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn remove_finalizer(
        &self,
        kind: &GroupVersionKind,
        object: &ObjectMeta,
        finalizer: &str,
    ) -> Result<(), ClusterError> {
        let request = self.request(kind, object.namespace.as_deref()).await?;
        // A patch is needed, since an apply removes only finalizers of its own field manager. The
        // API server accepts no new finalizers on an object that is being deleted, so none are
        // lost.
        let left: Vec<_> = object.finalizers.iter().flatten().filter(|known| *known != finalizer).collect();
        let patch = Patch::Merge(json!({"metadata": {"uid": object.uid, "finalizers": left}}));
        let name = object.name.as_deref().unwrap_or_default();
        let patched = request.patch(name, &PatchParams::default(), &patch);
        match self.send::<DynamicObject>(&Actor::Operator, patched, None).await {
            Ok(_) | Err(ClusterError::Refused { code: 404, .. } | ClusterError::Conflict(_)) => Ok(()),
            // Another object has that name now.
            Err(ClusterError::Refused { code: 422, message }) if message.contains("metadata.uid") => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn get(
        &self,
        actor: &Actor,
        kind: &GroupVersionKind,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<DynamicObject>, ClusterError> {
        let request = self.request(kind, namespace).await?;
        match self.send(actor, request.get(name, &GetParams::default()), None).await {
            Ok(object) => Ok(Some(object)),
            Err(ClusterError::Refused { code: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Secrets for KubeCluster {
    async fn secret(&self, name: &str) -> Result<Option<BTreeMap<String, Vec<u8>>>, ClusterError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let secret = bounded::<_, ClusterError>(secrets.get_opt(name)).await?;
        Ok(secret.map(|secret| {
            secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // tests/adapters/proxy covers the proxy from the environment and the kubeconfig, since it runs outside
    // of a pod.
    #[test]
    fn a_pod_takes_no_proxy_to_the_api_server() {
        let variables = |name: &str| (name == "HTTPS_PROXY").then(|| "http://proxy:3128".to_owned());
        let proxies = Proxies::new(variables).unwrap();
        let mut config = kube::Config::new(Uri::from_static("https://10.96.0.1"));
        assert_eq!(proxy(&config, &proxies).unwrap().unwrap(), "http://proxy:3128");
        config.root_cert_file = Some("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt".into());
        assert_eq!(proxy(&config, &proxies).unwrap(), None);
    }

    #[test]
    fn the_kubeconfigs_proxy_is_told_without_its_password() {
        let mut config = kube::Config::new(Uri::from_static("https://api.example.com"));
        config.proxy_url = Some(Uri::from_static("socks5://mona:s3cret@proxy:1080"));
        let error = proxy(&config, &Proxies::new(|_| None).unwrap()).unwrap_err().to_string();
        assert!(error.contains("proxy-url") && !error.contains("s3cret"), "{error}");
    }
}
