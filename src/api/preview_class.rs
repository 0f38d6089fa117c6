//! `PreviewClass`: trust and limits, set by the platform team.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{conditions_schema, never_observed};
use super::{ClassHealth, Duration};

/// Who may have previews, and within which limits: the platform team's half of the configuration.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "matinee.dev",
    version = "v1alpha1",
    kind = "PreviewClass",
    plural = "previewclasses",
    shortname = "pclass",
    category = "matinee",
    status = "PreviewClassStatus",
    derive = "PartialEq",
    doc = "Who may have previews, where they are reached and within which limits.",
    printcolumn(name = "Domain", type_ = "string", json_path = ".spec.routing.domain"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct PreviewClassSpec {
    /// Who may use the class: each grant admits its repositories in its namespaces.
    #[schemars(length(min = 1, max = 100))]
    pub grants: Vec<Grant>,
    /// Where the repositories are hosted, and as whom Matinee works there.
    pub forge: ForgeConnection,
    /// Under which names and through what previews are reached.
    pub routing: Routing,
    /// What a preview may do and use.
    #[serde(default)]
    pub isolation: Isolation,
    /// Which kinds of pull request may have previews at all. A PreviewRepository has to ask for them too.
    #[serde(default)]
    pub pull_requests: ClassPullRequests,
    /// How long previews live.
    #[serde(default)]
    pub lifetime: ClassLifetime,
    /// How long previews may take to become ready.
    #[serde(default)]
    pub health: ClassHealth,
    /// Registries that the operator may ask for images, for the gate `image`. A PreviewRepository can't have it ask any other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["host"]))]
    pub registries: Vec<Registry>,
    /// The Slack workspace whose slash commands are listened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<SlackConnection>,
}

/// PreviewRepositories, and the namespaces in which PreviewRepository objects may name them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// Repositories: `owner/name` globs, where `*` stands for any characters but `/`. Case is ignored.
    #[schemars(
        length(min = 1, max = 100),
        inner(length(min = 3, max = 140), regex(pattern = r"^[A-Za-z0-9._*-]+/[A-Za-z0-9._*-]+$"))
    )]
    pub repositories: Vec<String>,
    /// Namespaces: globs.
    #[schemars(
        length(min = 1, max = 100),
        inner(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9*-]+$"))
    )]
    pub namespaces: Vec<String>,
}

/// The host of the repositories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForgeConnection {
    /// GitHub, or GitHub Enterprise Server.
    pub github: GithubConnection,
}

/// An image registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registry {
    /// Its host, and port if it isn't the usual one, as it stands in an image's name; `docker.io` for Docker Hub.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9.-]+(:[0-9]{1,5})?$"))]
    pub host: String,
    /// Name of a Secret of type `kubernetes.io/dockerconfigjson` in the operator's own namespace. None: it is asked anonymously.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: Option<String>,
    /// Whether it is spoken to by plain HTTP: for registries on one machine.
    #[serde(default)]
    pub insecure: bool,
}

/// A Slack workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlackConnection {
    /// Name of a Secret in the operator's own namespace, with `signingSecret` and, optionally, `botToken`.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
    /// Who in Slack is who on GitHub. Nobody else may command.
    pub users_from: SlackUsers,
    /// Id of the channel that results are posted to, with the bot token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50), regex(pattern = r"^[A-Z0-9]+$"))]
    pub channel: Option<String>,
}

/// Where it stands who in Slack is who on GitHub: each key is the id of a Slack user (`U0123ABCD`), each value a GitHub login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.configMapName) != has(self.secretName)").message("set exactly one of usersFrom.configMapName and usersFrom.secretName"))]
pub struct SlackUsers {
    /// Name of a ConfigMap in the operator's own namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub config_map_name: Option<String>,
    /// Name of a Secret in the operator's own namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: Option<String>,
}

/// How GitHub is reached, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GithubConnection {
    /// Base URL of the REST API, with a path for GitHub Enterprise Server (`https://ghe.example.com/api/v3`).
    #[serde(default = "github_com")]
    #[schemars(length(max = 512), regex(pattern = r"^https?://[^\s?#]+$"))]
    pub url: String,
    /// Name of a Secret in the operator's own namespace, with either `token`, or `appId` and `privateKey` (PEM) and, optionally,
    /// `installationId`.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
}

fn github_com() -> String {
    "https://api.github.com".to_owned()
}

/// `http` or `https`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Scheme {
    /// Plain HTTP, for clusters on one machine.
    Http,
    /// HTTPS, ended at the gateway or ingress.
    #[default]
    Https,
}

impl Scheme {
    /// The scheme as it stands in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
    /// The port that a URL of the scheme need not name.
    pub const fn default_port(self) -> i32 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Under which names and through what previews are reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.gateway) != has(self.ingress)").message("set exactly one of gateway and ingress: a preview is routed through one of them"))]
pub struct Routing {
    /// Domain whose names, one label deep (`*.<domain>`), lead to the gateway or ingress.
    #[schemars(
        length(min = 1, max = 190),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$")
    )]
    pub domain: String,
    /// Scheme of the preview's URL.
    #[serde(default)]
    pub scheme: Scheme,
    /// Port of the preview's URL, where it isn't the scheme's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// `host:port` the operator connects to when it checks that a URL answers, in place of what name resolution gives. For
    /// networks in which the operator can't reach the public name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 260), regex(pattern = r"^[^\s/]+:[0-9]{1,5}$"))]
    pub probe_address: Option<String>,
    /// Route through a Gateway with an HTTPRoute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayRouting>,
    /// Route through an Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressRouting>,
}

/// The shared Gateway that `HTTPRoutes` attach to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRouting {
    /// Name of the Gateway.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of the Gateway. Traffic from this namespace is let into previews.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Name of one listener; default: every listener that fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub section_name: Option<String>,
}

/// The ingress controller that serves previews.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngressRouting {
    /// Name of the `IngressClass`; default: the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
    /// Namespace of the ingress controller. Traffic from this namespace is let into previews.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// Annotations for each Ingress, such as a certificate issuer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 20), extend("additionalProperties" = {"type": "string", "maxLength": 4096}))]
    pub annotations: BTreeMap<String, String>,
    /// Ask for TLS, with the certificate in a Secret of this name in the preview's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub tls_secret_name: Option<String>,
}

/// A level of the Pod Security Standards, enforced by the API server on the preview's namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PodSecurityLevel {
    /// No restriction.
    Privileged,
    /// Prevents known privilege escalations.
    Baseline,
    /// Current hardening practice.
    #[default]
    Restricted,
}

impl PodSecurityLevel {
    /// The value of the namespace label `pod-security.kubernetes.io/enforce`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// What a preview may do and use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Isolation {
    /// Pod Security Standard of the namespace.
    pub pod_security: PodSecurityLevel,
    /// Hard limits of the namespace's ResourceQuota, by resource name.
    #[schemars(schema_with = "quantities")]
    pub quota: BTreeMap<String, Quantity>,
    /// Requests that a container without its own gets.
    #[schemars(schema_with = "quantities")]
    pub default_requests: BTreeMap<String, Quantity>,
    /// Limits that a container without its own gets.
    #[schemars(schema_with = "quantities")]
    pub default_limits: BTreeMap<String, Quantity>,
    /// What previews may reach and be reached from.
    pub network: NetworkIsolation,
}

impl Default for Isolation {
    fn default() -> Self {
        let quantities = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), Quantity((*value).to_owned()))).collect()
        };
        Self {
            pod_security: PodSecurityLevel::default(),
            quota: quantities(&[
                ("pods", "20"),
                ("requests.cpu", "2"),
                ("requests.memory", "4Gi"),
                ("limits.cpu", "8"),
                ("limits.memory", "8Gi"),
                ("persistentvolumeclaims", "5"),
                ("requests.storage", "20Gi"),
                ("services.loadbalancers", "0"),
                ("services.nodeports", "0"),
            ]),
            default_requests: quantities(&[("cpu", "50m"), ("memory", "64Mi")]),
            default_limits: quantities(&[("cpu", "1"), ("memory", "512Mi")]),
            network: NetworkIsolation::default(),
        }
    }
}

/// Amounts by the name of a resource, as Kubernetes writes them and none negative.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>
fn quantities(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 50,
        "additionalProperties": {
            "x-kubernetes-int-or-string": true,
            "maxLength": 30,
            "pattern": r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$",
        },
    })
}

/// Whether a NetworkPolicy closes the namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NetworkPolicyMode {
    /// Deny all, then allow: the preview's own pods, DNS, the gateway, and what the class lists.
    #[default]
    DefaultDeny,
    /// No NetworkPolicy.
    None,
}

/// What previews may reach and be reached from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkIsolation {
    /// Whether a NetworkPolicy closes the namespace.
    pub policy: NetworkPolicyMode,
    /// Address ranges (CIDR) that may reach previews besides the gateway's namespace, for gateways on the host network.
    #[schemars(length(max = 50), inner(length(max = 50)), extend("x-kubernetes-validations" = [address_ranges()]))]
    pub ingress_from: Vec<String>,
    /// Address ranges (CIDR) that previews may reach, such as `0.0.0.0/0` for the Internet.
    #[schemars(length(max = 50), inner(length(max = 50)), extend("x-kubernetes-validations" = [address_ranges()]))]
    pub egress_to: Vec<String>,
}

/// The rule of a list of address ranges. A container's `default` and `KubeSchema` don't go together, so it is written out.
fn address_ranges() -> serde_json::Value {
    serde_json::json!({
        "rule": "self.all(range, isCIDR(range))",
        "message": "must have address ranges only: write them like 192.0.2.0/24",
    })
}

/// Allow or deny.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Permission {
    /// Not allowed, whatever a PreviewRepository says.
    #[default]
    Deny,
    /// Allowed where a PreviewRepository asks for it.
    Allow,
}

/// Which kinds of pull request may have previews.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClassPullRequests {
    /// Pull requests whose head is in another repository: code by people without write permission.
    pub forks: Permission,
    /// Drafts.
    pub drafts: Permission,
    /// Pull requests opened by bots.
    pub bots: Permission,
}

/// How long previews live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClassLifetime {
    /// Time after the last revision at which a preview of a pull request is deleted, where its PreviewRepository says nothing.
    pub delete_after: Duration,
    /// The longest time a PreviewRepository may ask for.
    pub max_delete_after: Duration,
}

impl Default for ClassLifetime {
    fn default() -> Self {
        Self { delete_after: Duration::from_hours(7 * 24), max_delete_after: Duration::from_hours(30 * 24) }
    }
}

/// What the operator found when it last looked at the class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewClassStatus {
    /// Generation that the conditions are about; -1 before the first look.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// `Ready`, `Reconciling`, `Stalled`.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}
