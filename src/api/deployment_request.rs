//! `DeploymentRequest`: one wanted GitHub deployment, and the write-ahead record of creating it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{conditions_schema, never_observed};
use super::{LocalReference, PullRequestReference};

/// One wanted GitHub deployment. It runs once; its conditions tell how far it came.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "matinee.dev",
    version = "v1alpha1",
    kind = "DeploymentRequest",
    plural = "deploymentrequests",
    shortname = "dr",
    category = "matinee",
    namespaced,
    status = "DeploymentRequestStatus",
    derive = "PartialEq",
    doc = "One wanted GitHub deployment, and the record of creating it.",
    printcolumn(name = "Environment", type_ = "string", json_path = ".spec.githubEnvironment"),
    printcolumn(name = "PR", type_ = "integer", json_path = ".spec.pullRequest.number"),
    printcolumn(name = "SHA", type_ = "string", json_path = ".spec.sha", priority = 1),
    printcolumn(
        name = "Created",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Created\")].status"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Deployment", type_ = "integer", json_path = ".status.deploymentId"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = Rule::new("self == oldSelf").message("spec is immutable: a request runs once; create another one"))]
#[serde(rename_all = "camelCase")]
pub struct DeploymentRequestSpec {
    /// The Repository, in the same namespace.
    pub repository_ref: LocalReference,
    /// Name of the environment in the Repository.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub environment: String,
    /// Name of the environment on GitHub.
    #[schemars(length(min = 1, max = 255))]
    pub github_environment: String,
    /// The commit to deploy.
    #[schemars(regex(pattern = r"^[0-9a-f]{40,64}$"), length(max = 64))]
    pub sha: String,
    /// The pull request that the commit is the head of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequestReference>,
    /// Who asked, and how.
    pub requested_by: RequestedBy,
}

/// How a request came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Origin {
    /// A pull request matched a trigger.
    PullRequest,
    /// Somebody created the object by hand.
    Manual,
}

/// Who asked for a deployment, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestedBy {
    /// How the request came about.
    pub origin: Origin,
    /// GitHub login of who asked, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub login: Option<String>,
}

/// How far a request came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentRequestStatus {
    /// Generation that the conditions are about; -1 before the first look.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// `Allowed`, `Created`, and `Ready`, `Reconciling`, `Stalled`.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// Written before the deployment is created: from here on it may exist, and is looked for before any further try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// Value of the annotation `matinee.dev/pull-request-updated-at` that the pull request was last read because of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// How often the request was run again because its commit became the head again after another one was deployed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reruns: i64,
    /// Id of the GitHub deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<i64>,
}

/// The record that a deployment is about to be created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// When it was recorded.
    pub time: Time,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(number: &i64) -> bool {
    *number == 0
}
