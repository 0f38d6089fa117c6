//! `DeploymentRequest`: a request for one GitHub deployment, and the write-ahead record of its
//! creation.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{conditions_schema, never_observed};
use super::{LocalReference, Parameter, PullRequestReference};

/// Request for one GitHub deployment. Matinee creates the deployment after all gates pass, and
/// follows it until it ends.
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
    doc = "Request for one GitHub deployment, and the record of its creation.",
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
    /// PreviewRepository in the same namespace.
    pub repository_ref: LocalReference,
    /// Name of the environment in the PreviewRepository's `spec.environments`.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub environment: String,
    /// Full SHA of the commit to deploy.
    #[schemars(regex(pattern = r"^[0-9a-f]{40,64}$"), length(max = 64))]
    pub sha: String,
    /// Pull request whose head is the commit. Leave it out for an environment that doesn't belong
    /// to a pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequestReference>,
    /// Origin of the request, and the person or event behind it. Default: `origin: Manual`.
    #[serde(default)]
    pub requested_by: RequestedBy,
    /// Values of template parameters. They override the values in the PreviewRepository. Matinee
    /// passes them on in the deployment's payload. At most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub parameters: Vec<Parameter>,
    /// Whether the request bypasses the gates `after` and `hours`. The gates `checks`, `image` and
    /// `approvals`, and locks, still apply. Default: `false`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force: bool,
    /// Earliest time at which Matinee creates the deployment. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
}

/// Origin of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Origin {
    /// A pull request matched a `pullRequest` trigger.
    PullRequest,
    /// A branch that a `push` trigger follows has a new head.
    Push,
    /// A deployment of another environment reached the state that a `deploymentStatus` trigger
    /// follows.
    DeploymentStatus,
    /// A person gave a command in a pull request comment.
    Comment,
    /// A person gave a command in Slack.
    Slack,
    /// A person or tool created the object directly.
    #[default]
    Manual,
}

/// Origin of a request, and the person or event behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestedBy {
    /// Origin of the request: `PullRequest`, `Push` and `DeploymentStatus` are triggers, `Comment`
    /// and `Slack` are commands, and `Manual` is a request that a person or tool created directly.
    /// Default: `Manual`.
    #[serde(default)]
    pub origin: Origin,
    /// GitHub login of the person who requested the deployment, if there is one. This person's own
    /// approval doesn't count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub login: Option<String>,
    /// Branch whose head was the commit. Only for `origin: Push`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub branch: Option<String>,
    /// ID of the other environment's GitHub deployment. Only for `origin: DeploymentStatus`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<i64>,
    /// Name of the DeploymentCommand in the same namespace. Only for `origin: Comment` and `origin:
    /// Slack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub command: Option<String>,
}

/// Progress of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentRequestStatus {
    /// Generation that the conditions describe; -1 before the first reconcile.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// Conditions: `Allowed`; one for each gate (`Unlocked`, `NotBeforeReached`, `WithinHours`,
    /// `PriorEnvironmentSucceeded`, `Approved`, `ChecksPassed`, `ImageFound`); `Created`;
    /// `Succeeded`; `Reported`, if the request has a commit status; and `Ready`, `Reconciling`,
    /// `Stalled`.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// Record that Matinee is about to create the deployment. Matinee writes it first. From then on
    /// the deployment may exist, so Matinee searches GitHub for it before each attempt to create
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// Value that the annotation `matinee.dev/pull-request-updated-at` had when Matinee last read
    /// the pull request. A different value makes Matinee read it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// Record of the push that made the commit the head of the branch, as of the last time Matinee
    /// processed it. Only for `origin: Push`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub pushed_at: Option<String>,
    /// Number of times Matinee deployed the commit again because it became the head again after
    /// another commit was deployed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reruns: i64,
    /// ID of the GitHub deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<i64>,
    /// Approvals of this deployment, one for each person. At most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["login"]))]
    pub approvals: Vec<Approval>,
    /// Content of the last commit status that Matinee wrote to GitHub, as `<state>: <description>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub commit_status: Option<String>,
}

/// Approval by one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// GitHub login of the person.
    #[schemars(length(min = 1, max = 100))]
    pub login: String,
    /// Time of the approval.
    pub time: Time,
}

/// Record that Matinee is about to create a GitHub deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// Time of the record.
    pub time: Time,
    /// Name of the environment on GitHub under which Matinee creates the deployment.
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
