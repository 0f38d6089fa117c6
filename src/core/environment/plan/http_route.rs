//! The fields of an HTTPRoute (`gateway.networking.k8s.io/v1`) that a preview's route uses.
//! <https://gateway-api.sigs.k8s.io/reference/spec/#httproute>

use kube::CustomResource;
use serde::{Deserialize, Serialize};

/// Route from host names at a Gateway to a Service.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "gateway.networking.k8s.io",
    version = "v1",
    kind = "HTTPRoute",
    plural = "httproutes",
    namespaced,
    schema = "disabled"
)]
#[serde(rename_all = "camelCase")]
pub struct HttpRouteSpec {
    /// The Gateways that serve the route.
    pub parent_refs: Vec<ParentReference>,
    /// The host names.
    pub hostnames: Vec<String>,
    /// Rules for requests. A preview's route has one rule without conditions.
    pub rules: Vec<HttpRouteRule>,
}

/// Reference to a Gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentReference {
    /// `gateway.networking.k8s.io`.
    pub group: String,
    /// `Gateway`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Name of one of its listeners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}

/// Rule for requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRouteRule {
    /// Backends that receive the requests.
    pub backend_refs: Vec<BackendReference>,
}

/// Port of a Service in the route's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendReference {
    /// Name of the Service.
    pub name: String,
    /// Its port.
    pub port: i32,
}
