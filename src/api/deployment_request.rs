//! `DeploymentRequest`: one wanted GitHub deployment, and the write-ahead record of creating it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{conditions_schema, never_observed};
use super::{LocalReference, Parameter, PullRequestReference};

/// One wanted GitHub deployment. It runs once; its conditions tell how far it came.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "matinee.dev",
    version = "v1alpha1",
    kind = "DeploymentRequest",
    plural = "deploymentrequests",
    shortname = "dreq",
    selectable = ".spec.repositoryRef.name",
    selectable = ".spec.environment",
    selectable = ".spec.sha",
    category = "matinee",
    namespaced,
    status = "DeploymentRequestStatus",
    derive = "PartialEq",
    doc = "One wanted GitHub deployment, and the record of creating it.",
    printcolumn(name = "Environment", type_ = "string", json_path = ".spec.environment"),
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
    /// The PreviewRepository, in the same namespace.
    pub repository_ref: LocalReference,
    /// Name of the environment in the PreviewRepository.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub environment: String,
    /// The commit to deploy.
    #[schemars(regex(pattern = r"^[0-9a-f]{40,64}$"), length(max = 64))]
    pub sha: String,
    /// The pull request that the commit is the head of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequestReference>,
    /// Who asked, and how. Default: by hand.
    #[serde(default)]
    pub requested_by: RequestedBy,
    /// Values for the template's parameters, over those of the PreviewRepository. They travel in the deployment's payload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub parameters: Vec<Parameter>,
    /// Passes by the gates `after` and `hours`. Checks, image, approvals and locks hold all the same.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force: bool,
    /// The deployment isn't created before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
}

/// How a request came about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Origin {
    /// A pull request matched a trigger.
    PullRequest,
    /// A branch that a trigger follows has a new head.
    Push,
    /// Another environment's deployment reached the state that a trigger follows.
    DeploymentStatus,
    /// A command in a comment.
    Comment,
    /// A command from Slack.
    Slack,
    /// Somebody created the object by hand.
    #[default]
    Manual,
}

/// Who asked for a deployment, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestedBy {
    /// How the request came about.
    #[serde(default)]
    pub origin: Origin,
    /// GitHub login of who asked, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub login: Option<String>,
    /// Branch whose head the commit was, for [`Origin::Push`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub branch: Option<String>,
    /// Id of the other environment's deployment, for [`Origin::DeploymentStatus`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<i64>,
    /// Name of the DeploymentCommand, for [`Origin::Comment`] and [`Origin::Slack`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub command: Option<String>,
}

/// How far a request came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentRequestStatus {
    /// Generation that the conditions are about; -1 before the first look.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// `Allowed`, one for each gate (`Unlocked`, `NotBeforeReached`, `WithinHours`, `PriorEnvironmentSucceeded`, `Approved`, `ChecksPassed`, `ImageFound`), `Created`,
    /// `Succeeded`, `Reported` (once it has a commit status), and `Ready`, `Reconciling`, `Stalled`.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// Written before the deployment is created: from here on it may exist, and is looked for before any further try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// Value of the annotation `matinee.dev/pull-request-updated-at` that the pull request was last read because of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// For [`Origin::Push`]: when the branch came to this commit, as it was known when the request last dealt with that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub pushed_at: Option<String>,
    /// How often the request was run again because its commit became the head again after another one was deployed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reruns: i64,
    /// Id of the GitHub deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<i64>,
    /// Who approved this commit's deployment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["login"]))]
    pub approvals: Vec<Approval>,
    /// What the commit status on GitHub was last made to say, as `<state>: <description>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub told: Option<String>,
}

/// Somebody approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// GitHub login.
    #[schemars(length(min = 1, max = 100))]
    pub login: String,
    /// When.
    pub time: Time,
}

/// The record that a deployment is about to be created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// When it was recorded.
    pub time: Time,
    /// Name of the environment on GitHub.
    #[serde(default)]
    pub environment: String,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_false(flag: &bool) -> bool {
    !flag
}
