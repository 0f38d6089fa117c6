//! Reads from the cluster, with timeouts.

use std::collections::BTreeSet;
use std::fmt::Debug;

use http::{Request, header};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::version::Info;
use kube::api::{ListParams, PostParams};
use kube::client::Body;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::REQUEST_TIMEOUT;
use crate::adapters::http::causes;
use crate::core::doctor::secrets::Keys;
use crate::core::doctor::{Looked, Unread};

/// The cluster, with the rights of the current account.
pub(super) struct Reader {
    pub client: Client,
    /// The operator's namespace.
    pub namespace: String,
}

impl Reader {
    /// Returns the API server's version.
    pub async fn version(&self) -> Result<Info, String> {
        let answer = timeout(REQUEST_TIMEOUT, self.client.apiserver_version()).await;
        answer.map_err(|_| late())?.map_err(|error| causes(&error))
    }

    /// Returns the API server's time.
    pub async fn time(&self) -> Option<Timestamp> {
        let request = Request::get("/version").body(Body::empty()).ok()?;
        let answer = timeout(REQUEST_TIMEOUT, self.client.send(request)).await.ok()?.ok()?;
        let date = answer.headers().get(header::DATE)?.to_str().ok()?;
        Some(jiff::fmt::rfc2822::parse(date).ok()?.timestamp())
    }

    /// Returns an object.
    pub async fn get<K: Clone + DeserializeOwned + Debug>(&self, objects: Api<K>, name: &str) -> Looked<K> {
        bounded(objects.get(name)).await
    }

    /// Returns an object in the operator's namespace.
    pub async fn own<K>(&self, name: &str) -> Looked<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        self.get(Api::namespaced(self.client.clone(), &self.namespace), name).await
    }

    /// Lists all objects of a kind; none if the API server doesn't serve it.
    pub async fn list<K>(&self) -> Result<Vec<K>, Unread>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let list = bounded(Api::all(self.client.clone()).list(&ListParams::default())).await?;
        Ok(list.map(|list| list.items).unwrap_or_default())
    }

    /// Creates a review, which the API server answers and doesn't store.
    pub async fn review<K>(&self, review: &K) -> Looked<K>
    where
        K: Resource<DynamicType = ()> + Clone + Serialize + DeserializeOwned + Debug,
    {
        bounded(Api::all(self.client.clone()).create(&PostParams::default(), review)).await
    }

    /// Returns the non-empty keys of one of the operator's Secrets.
    pub async fn secret_keys(&self, name: &str) -> Keys {
        let secret = self.own::<Secret>(name).await?;
        Ok(secret.map(|secret| {
            let data = secret.data.into_iter().flatten();
            let filled = data.filter(|(_, value)| !value.0.trim_ascii().is_empty());
            filled.map(|(key, _)| key).collect::<BTreeSet<String>>()
        }))
    }
}

fn late() -> String {
    format!("no answer within {} s", REQUEST_TIMEOUT.as_secs())
}

/// Returns the answer of the API server; `None` for 404.
async fn bounded<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Looked<T> {
    match timeout(REQUEST_TIMEOUT, call).await {
        Ok(Ok(found)) => Ok(Some(found)),
        Ok(Err(kube::Error::Api(status))) => match status.code {
            403 => Err(Unread::Forbidden),
            404 => Ok(None),
            _ => Err(Unread::Failed(status.message.clone())),
        },
        Ok(Err(error)) => Err(Unread::Failed(causes(&error))),
        Err(_) => Err(Unread::Failed(late())),
    }
}
