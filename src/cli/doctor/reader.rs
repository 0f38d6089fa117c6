//! Reads from the cluster, with timeouts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use async_trait::async_trait;
use http::{Request, header};
use http_body_util::BodyExt as _;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use kube::api::ListParams;
use kube::client::Body;
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::REQUEST_TIMEOUT;
use crate::adapters::http::causes;
use crate::core::doctor::secrets::Keys;
use crate::core::doctor::{Looked, Unread};
use crate::ports::{ClusterError, Secrets};

/// The cluster, with the rights of the current account.
pub(super) struct Reader {
    pub client: Client,
    /// The operator's namespace.
    pub namespace: String,
}

impl Reader {
    /// Returns an object.
    pub async fn get<K: Clone + DeserializeOwned + Debug>(&self, objects: Api<K>, name: &str) -> Looked<K> {
        bounded(objects.get_opt(name)).await
    }

    /// Lists all objects.
    pub async fn list<K: Clone + DeserializeOwned + Debug>(&self, objects: Api<K>) -> Result<Vec<K>, Unread> {
        bounded(objects.list(&ListParams::default())).await.map(|list| list.items)
    }

    /// Creates a review object, which the API server answers and doesn't store, and returns its
    /// status.
    pub async fn review(&self, api_version: &str, kind: &str, spec: Value) -> Result<Value, Unread> {
        let review = json!({"apiVersion": api_version, "kind": kind, "spec": spec});
        let path = format!("/apis/{api_version}/{}s", kind.to_ascii_lowercase());
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(review.to_string().into_bytes())
            .map_err(|error| Unread::Failed(error.to_string()))?;
        bounded(self.client.request::<Value>(request)).await.map(|mut review| review["status"].take())
    }

    /// Lists the kinds that the API server serves at the path of a group and version.
    pub async fn kinds(&self, path: &str) -> Result<Vec<String>, Unread> {
        let request =
            Request::get(path).body(Vec::new()).map_err(|error| Unread::Failed(error.to_string()))?;
        match bounded(self.client.request::<APIResourceList>(request)).await {
            Ok(list) => Ok(list.resources.into_iter().map(|resource| resource.kind).collect()),
            Err(Unread::NotServed) => Ok(Vec::new()),
            Err(other) => Err(other),
        }
    }

    /// Returns the response at a path that isn't an object's, with its `Date`.
    pub async fn dated<T: DeserializeOwned>(&self, path: &str) -> Result<(T, Option<String>), String> {
        let request = Request::get(path).body(Body::empty()).map_err(|error| error.to_string())?;
        let asking = async {
            let answer = self.client.send(request).await.map_err(|error| causes(&error))?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            if !head.status.is_success() {
                return Err(format!("GET {path}: {}", head.status));
            }
            let found = serde_json::from_slice(&body).map_err(|error| format!("GET {path}: {error}"))?;
            let date = head.headers.get(header::DATE).and_then(|date| date.to_str().ok()).map(str::to_owned);
            Ok((found, date))
        };
        timeout(REQUEST_TIMEOUT, asking).await.unwrap_or_else(|_| Err(late()))
    }

    /// Returns the non-empty keys of one of the operator's Secrets.
    pub async fn secret_keys(&self, name: &str) -> Keys {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let secret = self.get(secrets, name).await?;
        Ok(secret.map(|secret| {
            let filled =
                secret.data.into_iter().flatten().filter(|(_, value)| !value.0.trim_ascii().is_empty());
            filled.map(|(key, _)| key).collect::<BTreeSet<String>>()
        }))
    }
}

fn late() -> String {
    format!("no answer within {} s", REQUEST_TIMEOUT.as_secs())
}

async fn bounded<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Unread> {
    match timeout(REQUEST_TIMEOUT, call).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(kube::Error::Api(status))) => Err(match status.code {
            403 => Unread::Forbidden,
            404 => Unread::NotServed,
            _ => Unread::Failed(status.message.clone()),
        }),
        Ok(Err(error)) => Err(Unread::Failed(causes(&error))),
        Err(_) => Err(Unread::Failed(late())),
    }
}

#[async_trait]
impl Secrets for Reader {
    async fn secret(&self, name: &str) -> Result<Option<BTreeMap<String, Vec<u8>>>, ClusterError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        match self.get(secrets, name).await {
            Ok(secret) => Ok(secret.map(|secret| {
                secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect()
            })),
            Err(Unread::Forbidden) => {
                Err(ClusterError::Refused { code: 403, message: "this account may not read it".into() })
            }
            Err(Unread::NotServed) => Ok(None),
            Err(Unread::Failed(why)) => Err(ClusterError::Unavailable(why)),
        }
    }
}
