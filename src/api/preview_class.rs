//! `PreviewClass`: trust and limits, set by the platform team.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{conditions_schema, never_observed};
use super::{ClassHealth, Duration};

/// Trust and limits of previews: the platform team's part of the configuration.
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
    doc = "Trust and limits of previews, set by the platform team.",
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
    /// Grants of the class. Each grant lets a PreviewRepository in one of its namespaces use one of
    /// its repositories. From 1 to 100.
    #[schemars(length(min = 1, max = 100))]
    pub grants: Vec<Grant>,
    /// Host of the repositories, and the credentials that Matinee uses there.
    pub forge: ForgeConnection,
    /// Host names and URLs of previews, and the Gateway or ingress controller that serves them.
    pub routing: Routing,
    /// Limits of a preview's namespace: pod security, resources and network.
    #[serde(default)]
    pub isolation: Isolation,
    /// Kinds of pull request that may have previews. A preview also needs the corresponding setting
    /// in `trigger.pullRequest` of the PreviewRepository.
    #[serde(default)]
    pub pull_requests: ClassPullRequests,
    /// Lifetime of previews of pull requests.
    #[serde(default)]
    pub lifetime: ClassLifetime,
    /// What happens to environments whose permission is withdrawn.
    #[serde(default)]
    pub on_revoked: OnRevoked,
    /// Deadlines of previews until they are ready.
    #[serde(default)]
    pub health: ClassHealth,
    /// Registries that Matinee may query for the gate `image`. Matinee never queries a registry
    /// that isn't in this list. At most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["host"]))]
    pub registries: Vec<Registry>,
    /// Slack workspace whose slash commands Matinee accepts. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<SlackConnection>,
}

/// GitHub repositories, and the namespaces whose PreviewRepository objects may use them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// Repositories on GitHub, as `owner/name` globs. `*` matches any characters except `/`. Case
    /// is ignored.
    #[schemars(
        length(min = 1, max = 100),
        inner(length(min = 3, max = 140), regex(pattern = r"^[A-Za-z0-9._*-]+/[A-Za-z0-9._*-]+$"))
    )]
    pub repositories: Vec<String>,
    /// Kubernetes namespaces of PreviewRepository objects, as globs. `*` matches any characters.
    #[schemars(
        length(min = 1, max = 100),
        inner(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9*-]+$"))
    )]
    pub namespaces: Vec<String>,
}

/// Host of the repositories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForgeConnection {
    /// Connection to GitHub.com or GitHub Enterprise Server.
    pub github: GithubConnection,
}

/// Image registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registry {
    /// Host of the registry as it appears in an image name, with `:port` if the port isn't the
    /// default one. `docker.io` is Docker Hub.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9.-]+(:[0-9]{1,5})?$"))]
    pub host: String,
    /// Name of a Secret of type `kubernetes.io/dockerconfigjson` in the operator's own namespace.
    /// Default: Matinee queries the registry anonymously.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: Option<String>,
    /// Whether Matinee uses plain HTTP, for a registry on the same machine. Default: `false`.
    #[serde(default)]
    pub insecure: bool,
}

/// Slack workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlackConnection {
    /// Name of a Secret in the operator's own namespace. It has the key `signingSecret` and,
    /// optionally, `botToken`.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
    /// Source of the mapping from Slack users to GitHub logins. Only users in the mapping may give
    /// commands.
    pub users_from: SlackUsers,
    /// ID of the channel to which Matinee posts results with the bot token. Default: Matinee posts
    /// to no channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50), regex(pattern = r"^[A-Z0-9]+$"))]
    pub channel: Option<String>,
}

/// Source of the mapping from Slack users to GitHub logins. Each key is the ID of a Slack user
/// (`U0123ABCD`), and each value is a GitHub login. Exactly one field is set.
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

/// URL of GitHub, and the credentials that Matinee uses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GithubConnection {
    /// Base URL of the REST API. For GitHub Enterprise Server the URL has a path:
    /// `https://ghe.example.com/api/v3`. Default: `https://api.github.com`.
    #[serde(default = "github_com")]
    #[schemars(length(max = 512), regex(pattern = r"^https?://[^\s?#]+$"))]
    pub url: String,
    /// Name of a Secret in the operator's own namespace. It has either the key `token`, or the keys
    /// `appId` and `privateKey` (PEM) and, optionally, `installationId`.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
}

fn github_com() -> String {
    "https://api.github.com".to_owned()
}

/// Scheme of a URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Scheme {
    /// Plain HTTP, for clusters on one machine.
    Http,
    /// HTTPS. The gateway or ingress controller terminates TLS.
    #[default]
    Https,
}

impl Scheme {
    /// Returns the scheme as it is written in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
    /// Returns the default port of the scheme.
    pub const fn default_port(self) -> i32 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Host names and URLs of previews, and the Gateway or ingress controller that serves them. Exactly
/// one of `gateway` and `ingress` is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.gateway) != has(self.ingress)").message("set exactly one of gateway and ingress: a preview is routed through one of them"))]
pub struct Routing {
    /// Domain of the previews' host names. Each host name is one label below it, so DNS has to
    /// resolve `*.<domain>` to the gateway or ingress controller.
    #[schemars(
        length(min = 1, max = 190),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$")
    )]
    pub domain: String,
    /// Scheme of a preview's URL: `Http` or `Https`. Default: `Https`.
    #[serde(default)]
    pub scheme: Scheme,
    /// Port of a preview's URL. Default: the default port of the scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// Address (`host:port`) that Matinee connects to when it checks a preview's URL. Set it in
    /// networks in which the operator can't reach the public host name. Default: the address that
    /// DNS returns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 260), regex(pattern = r"^[^\s/]+:[0-9]{1,5}$"))]
    pub probe_address: Option<String>,
    /// Gateway API: Matinee creates an HTTPRoute for each endpoint and attaches it to a shared
    /// Gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayRouting>,
    /// Ingress: Matinee creates an Ingress for each endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressRouting>,
}

/// Shared Gateway that each HTTPRoute attaches to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRouting {
    /// Name of the Gateway.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of the Gateway. A preview's NetworkPolicy allows traffic from this namespace.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Name of the Gateway's listener that each HTTPRoute attaches to. Default: all matching
    /// listeners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub section_name: Option<String>,
}

/// Ingress controller that serves previews.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngressRouting {
    /// Name of the `IngressClass`. Default: the cluster's default `IngressClass`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
    /// Namespace of the ingress controller. A preview's NetworkPolicy allows traffic from this
    /// namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// Annotations of each Ingress, for example a certificate issuer. At most 20.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 20), extend("additionalProperties" = {"type": "string", "maxLength": 4096}))]
    pub annotations: BTreeMap<String, String>,
    /// Name of the Secret with the TLS certificate, in the preview's namespace. If it is set, each
    /// Ingress has a `tls` section. Default: no `tls` section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub tls_secret_name: Option<String>,
}

/// Level of the Pod Security Standards. The API server enforces it in the preview's namespace.
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

/// Limits of a preview's namespace: pod security, resources and network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Isolation {
    /// Level of the Pod Security Standards that the API server enforces in the namespace:
    /// `Privileged`, `Baseline` or `Restricted`. Default: `Restricted`.
    pub pod_security: PodSecurityLevel,
    /// Hard limits of the namespace's ResourceQuota, by resource name. A resource that isn't named
    /// keeps its default: `pods` 20, `count/pods` 50, `count/jobs.batch` 50, `configmaps` 50,
    /// `secrets` 50, `services` 20, `services.loadbalancers` 0, `services.nodeports` 0,
    /// `persistentvolumeclaims` 5, `requests.storage` 20Gi, `requests.cpu` 2, `requests.memory` 4Gi,
    /// `requests.ephemeral-storage` 10Gi, `limits.cpu` 8, `limits.memory` 8Gi,
    /// `limits.ephemeral-storage` 40Gi.
    #[schemars(schema_with = "quantities")]
    pub quota: BTreeMap<String, Quantity>,
    /// Default resource requests of a container that sets none, by resource name. A resource that
    /// isn't named keeps its default: `cpu` 50m, `memory` 64Mi, `ephemeral-storage` 100Mi.
    #[schemars(schema_with = "quantities")]
    pub default_requests: BTreeMap<String, Quantity>,
    /// Default resource limits of a container that sets none, by resource name. A resource that
    /// isn't named keeps its default: `cpu` 1, `memory` 512Mi, `ephemeral-storage` 2Gi.
    #[schemars(schema_with = "quantities")]
    pub default_limits: BTreeMap<String, Quantity>,
    /// Kinds of Service that previews may have, besides those with a cluster IP. Default: none.
    /// `LoadBalancer` and `NodePort` also need a larger `quota` of `services.loadbalancers` and
    /// `services.nodeports`; a load balancer usually counts as both.
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "set"))]
    pub allowed_services: Vec<ServiceAccess>,
    /// Network traffic to and from previews.
    pub network: NetworkIsolation,
}

/// Kind of Service with effects outside of its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceAccess {
    /// Type `LoadBalancer`: an address outside of the cluster leads to the preview.
    LoadBalancer,
    /// Type `NodePort`: a port of every node leads to the preview.
    NodePort,
    /// Type `ExternalName`: the gateway may forward requests to any host.
    ExternalName,
    /// Field `externalIPs`: the Service takes over traffic of the whole cluster to these addresses
    /// (CVE-2020-8554).
    ExternalIPs,
}

/// Returns the schema of a map from resource names to Kubernetes quantities that aren't negative.
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

/// Mode of a preview's NetworkPolicy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NetworkPolicyMode {
    /// Deny all traffic except traffic among the preview's own pods, DNS, traffic from the gateway
    /// or ingress controller, and the address ranges of the class.
    #[default]
    DefaultDeny,
    /// Create no NetworkPolicy.
    None,
}

/// Network traffic to and from previews.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkIsolation {
    /// Mode of the NetworkPolicy in a preview's namespace. `DefaultDeny` allows only traffic among
    /// the preview's own pods, DNS, traffic from the gateway or ingress controller, and the address
    /// ranges below. `None` creates no NetworkPolicy. Default: `DefaultDeny`.
    pub policy: NetworkPolicyMode,
    /// Address ranges (CIDR) that may connect to previews, in addition to the namespace of the
    /// gateway or ingress controller. Set it for a gateway on the host network. At most 50.
    #[schemars(length(max = 50), inner(length(max = 50)), extend("x-kubernetes-validations" = [address_ranges()]))]
    pub ingress_from: Vec<String>,
    /// Whether previews may connect to the Internet: to every address except private and link-local
    /// ones, and those at which clouds serve an instance's credentials. Default: `false`.
    pub internet: bool,
    /// Address ranges (CIDR) that previews may connect to. A range that is wider than a private range, such as `10.0.0.0/8`, does not include
    /// it: list the private addresses that previews need. At most 50.
    #[schemars(length(max = 50), inner(length(max = 50)), extend("x-kubernetes-validations" = [address_ranges()]))]
    pub egress_to: Vec<String>,
}

/// Returns the CEL rule that a list has address ranges only. The rule is written by hand because
/// `KubeSchema` doesn't support a container's `default`.
fn address_ranges() -> serde_json::Value {
    serde_json::json!({
        "rule": "self.all(range, isCIDR(range))",
        "message": "must have address ranges only: write them like 192.0.2.0/24",
    })
}

/// Permission of the platform team.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Permission {
    /// Not allowed, even if a PreviewRepository requests it.
    #[default]
    Deny,
    /// Allowed if a PreviewRepository requests it.
    Allow,
}

/// Kinds of pull request that may have previews. `Deny` forbids the kind. `Allow` lets a
/// PreviewRepository enable it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClassPullRequests {
    /// Pull requests from forks: the head is in another repository, so people without write
    /// permission can change the code. `Deny` or `Allow`. Default: `Deny`.
    pub forks: Permission,
    /// Draft pull requests. `Deny` or `Allow`. Default: `Deny`.
    pub drafts: Permission,
    /// Pull requests that a bot opened. `Deny` or `Allow`. Default: `Deny`.
    pub bots: Permission,
}

/// Lifetime of previews of pull requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClassLifetime {
    /// Time after which Matinee deletes a preview, counted from the first reconcile of its newest
    /// revision. It applies if neither the PreviewRepository nor the PreviewEnvironment sets
    /// `lifetime`. Default: `7d`.
    pub delete_after: Duration,
    /// Longest `deleteAfter` of a PreviewRepository or PreviewEnvironment. Matinee shortens a
    /// longer one to this value. Default: `30d`.
    pub max_delete_after: Duration,
}

impl Default for ClassLifetime {
    fn default() -> Self {
        Self { delete_after: Duration::from_hours(7 * 24), max_delete_after: Duration::from_hours(30 * 24) }
    }
}

/// End of environments whose permission is withdrawn: the class no longer admits their repository,
/// their entry or class was deleted, or the class or PreviewRepository no longer allows forks or
/// bots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OnRevoked {
    /// Time after which Matinee deletes such an environment, counted from when it observes the
    /// withdrawal; at least 30 seconds. Nothing happens if the permission is restored before.
    /// Default: `1d`.
    pub delete_after: Duration,
}

impl Default for OnRevoked {
    fn default() -> Self {
        Self { delete_after: Duration::from_hours(24) }
    }
}

/// Result of the last reconcile of the class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewClassStatus {
    /// Generation that the conditions describe; -1 before the first reconcile.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// Conditions: `Ready`, `Reconciling`, `Stalled`.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}
