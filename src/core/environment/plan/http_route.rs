//! The part of an HTTPRoute (`gateway.networking.k8s.io/v1`) that a preview's route consists of.
//! <https://gateway-api.sigs.k8s.io/reference/spec/#httproute>

use kube::CustomResource;
use serde::{Deserialize, Serialize};

/// Requests for host names that come in at a Gateway, and the Service they go to.
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
    /// What happens to a request; one rule without conditions here.
    pub rules: Vec<HttpRouteRule>,
}

/// A Gateway.
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
    /// One listener of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRouteRule {
    /// Where it goes.
    pub backend_refs: Vec<BackendReference>,
}

/// A port of a Service in the route's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendReference {
    /// Name of the Service.
    pub name: String,
    /// Its port.
    pub port: i32,
}
