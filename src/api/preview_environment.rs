//! `PreviewEnvironment`: one live environment.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::common::{conditions_schema, never_observed};
use super::{Duration, GithubConnection, LocalReference, Parameter, PullRequestReference};

/// One live environment: a revision of a repository, deployed to its own namespace.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "matinee.dev",
    version = "v1alpha1",
    kind = "PreviewEnvironment",
    plural = "previewenvironments",
    shortname = "preview",
    shortname = "previews",
    selectable = ".spec.repositoryRef.name",
    selectable = ".spec.environment",
    selectable = ".spec.githubEnvironment",
    category = "matinee",
    namespaced,
    status = "PreviewEnvironmentStatus",
    derive = "PartialEq",
    doc = "One live environment: a revision of a repository, deployed to its own namespace.",
    printcolumn(name = "PR", type_ = "integer", json_path = ".spec.pullRequest.number"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(name = "SHA", type_ = "string", json_path = ".status.shortSha"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.expirationTime"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.spec.repositoryRef == oldSelf.spec.repositoryRef && self.spec.environment == oldSelf.spec.environment && self.spec.githubEnvironment == oldSelf.spec.githubEnvironment").message("repositoryRef, environment and githubEnvironment are immutable: they say which environment this is; create another one")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(oldSelf.revision.deploymentId) || (has(self.revision.deploymentId) && self.revision.deploymentId >= oldSelf.revision.deploymentId)").message("revision.deploymentId never goes back: an older deployment can't take the place of a newer one; create a new deployment of the older commit"), validation = Rule::new("has(self.pullRequest) == has(oldSelf.pullRequest) && (!has(self.pullRequest) || self.pullRequest.number == oldSelf.pullRequest.number)").message("pullRequest.number is immutable: an environment belongs to one pull request"))]
pub struct PreviewEnvironmentSpec {
    /// PreviewRepository in the same namespace.
    pub repository_ref: LocalReference,
    /// Name of the environment in the PreviewRepository's `spec.environments`.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub environment: String,
    /// Name of the environment on GitHub.
    #[schemars(length(min = 1, max = 255))]
    pub github_environment: String,
    /// Pull request that the environment belongs to. Leave it out for an environment that doesn't
    /// belong to a pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequestReference>,
    /// Revision to deploy: commit, GitHub deployment and parameters.
    pub revision: Revision,
    /// Lifetime of the environment. It overrides the PreviewRepository's `lifetime`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Lifetime>,
}

/// Pull request as GitHub reported it. The author of the pull request controls these values, so
/// Matinee trusts none of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PullRequestSource {
    /// Number of the pull request.
    #[schemars(range(min = 1))]
    pub number: i64,
    /// Name of the head branch.
    #[serde(default)]
    #[schemars(length(max = 255))]
    pub branch: String,
    /// GitHub login of the author.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub author: String,
    /// Labels of the pull request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 100)))]
    pub labels: Vec<String>,
    /// Whether the pull request is from a fork: the head is in another repository (compared by ID),
    /// or the head's repository has been deleted.
    #[serde(default)]
    pub fork: bool,
    /// Whether the pull request is a draft.
    #[serde(default)]
    pub draft: bool,
    /// Whether a bot opened the pull request.
    #[serde(default)]
    pub bot: bool,
}

/// Revision to deploy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// Full SHA of the commit.
    #[schemars(regex(pattern = r"^[0-9a-f]{40,64}$"), length(max = 64))]
    pub sha: String,
    /// ID of the GitHub deployment. Leave it out for an environment that you create yourself:
    /// Matinee then reports nothing to GitHub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<i64>,
    /// Payload of the GitHub deployment without Matinee's own part. Everybody who may create
    /// deployments controls it. A template reads it as `payload`. If a template reads a payload
    /// that isn't an object, Matinee rejects the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_value")]
    pub payload: Option<Value>,
    /// Values of template parameters, from the request for the deployment. They override the values
    /// in the PreviewRepository. At most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub parameters: Vec<Parameter>,
}

fn any_value(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}

/// Lifetime of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lifetime {
    /// Time after which Matinee deletes the environment, counted from the first reconcile of its
    /// newest revision. The class's `lifetime.maxDeleteAfter` limits it.
    pub delete_after: Duration,
}

/// State of an environment as Matinee last observed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewEnvironmentStatus {
    /// Generation that the conditions describe; -1 before the first reconcile.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// Conditions: `Ready`, `Reconciling`, `Stalled`, and one for each stage: `Validated`,
    /// `Applied`, `Healthy`, `Reachable`, `Reported`.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// Last admission of the environment by its class. Absent if it never was admitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<Admission>,
    /// Result of the last check of the pull request on GitHub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verification>,
    /// URL of the first endpoint. Absent if the template has no endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Host name of the first endpoint. Absent if the template has no endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Host names of all endpoints. Matinee gives no other environment any of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// First seven characters of the commit that the status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_sha: Option<String>,
    /// Time at which Matinee deletes the environment, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_time: Option<String>,
    /// Namespace of the preview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<NamespaceReference>,
    /// Health of each applied object that has a health status.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// Objects that Matinee applied. Matinee prunes an object that a later revision no longer
    /// contains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inventory: Vec<InventoryEntry>,
    /// Attempts to deploy a revision, newest first. At most 5.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Attempt>,
    /// Deployment statuses that GitHub should show: the current deployment and the ones that it
    /// superseded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["deploymentId"]))]
    pub report: Vec<DeploymentReport>,
    /// Deployment statuses that GitHub last acknowledged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["deploymentId"]))]
    pub reported: Vec<DeploymentReport>,
}

/// Admission of an environment by its class. With it, Matinee can end the environment when its
/// PreviewRepository or class has been deleted or no longer admits it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Admission {
    /// Name of the class.
    #[schemars(length(max = 253))]
    pub class_name: String,
    /// Repository on GitHub, as `owner/name`.
    #[schemars(length(max = 140))]
    pub repository: String,
    /// The class's connection to GitHub.
    pub github: GithubConnection,
    /// The class's `onRevoked.deleteAfter`.
    pub delete_after: Duration,
    /// Time at which Matinee observed that the permission had been withdrawn. Absent while the
    /// environment has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_time: Option<Time>,
}

/// Result of a check of the pull request on GitHub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// Commit that was checked.
    pub sha: String,
    /// ID of the GitHub deployment that was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<i64>,
    /// Value that the annotation `matinee.dev/pull-request-updated-at` had at the check. A
    /// different value makes Matinee check again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// Generations of the PreviewRepository and the PreviewClass at the check.
    #[serde(default)]
    pub judged_by: String,
    /// Whether a trigger requested the deployment. If so, Matinee deletes the environment when the
    /// trigger no longer selects the pull request.
    #[serde(default)]
    pub triggered: bool,
    /// Reason why the pull request may not have the environment. Absent if it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// Pull request as GitHub reported it.
    pub pull_request: PullRequestSource,
}

/// Reason of a rejection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// Reason in CamelCase, as in a condition.
    pub reason: String,
    /// Message for people.
    pub message: String,
}

/// Namespace of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceReference {
    /// Name of the namespace.
    pub name: String,
    /// UID of the namespace. It tells the namespace from one that was created later under the same
    /// name.
    pub uid: String,
}

/// Health of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    /// Kind and name of the object, as `Deployment/web`.
    pub name: String,
    /// Whether the object is ready.
    pub ready: bool,
    /// Reason in CamelCase.
    pub reason: String,
    /// Message for people, with the cause if the object isn't ready.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// One applied object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryEntry {
    /// API version of the object, as `apps/v1`.
    pub api_version: String,
    /// Kind of the object.
    pub kind: String,
    /// Name of the object. Its namespace is the preview's namespace.
    pub name: String,
    /// UID of the object. Matinee checks it before it deletes the object.
    pub uid: String,
    /// Result of a finished Job. Matinee doesn't create the Job again for the same revision, even
    /// if its `ttlSecondsAfterFinished` deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<FinishedJob>,
}

/// Result of a finished Job, and the revision that it ran for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FinishedJob {
    /// Full SHA of the commit.
    pub sha: String,
    /// ID of the GitHub deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<i64>,
    /// Digest of the applied Job.
    pub digest: String,
    /// Reason of the Job's condition `Failed`. Absent if the Job completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// Result of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Outcome {
    /// The attempt is in progress.
    InProgress,
    /// The environment is ready and its URL responds.
    Succeeded,
    /// The workloads didn't become ready.
    Failed,
    /// The configuration is invalid.
    Invalid,
    /// A newer revision replaced this one.
    Superseded,
}

/// Attempt to deploy one revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Full SHA of the commit.
    pub sha: String,
    /// ID of the GitHub deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<i64>,
    /// Time at which Matinee first observed the revision.
    pub start_time: Time,
    /// Time at which the environment was ready with the revision for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_time: Option<Time>,
    /// Time at which the attempt ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Result of the attempt: `InProgress`, `Succeeded`, `Failed` (the workloads didn't become
    /// ready), `Invalid` (the configuration is invalid) or `Superseded` (a newer revision replaced
    /// this one).
    pub outcome: Outcome,
    /// Cause of a failure, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// State of a GitHub deployment status. <https://docs.github.com/rest/deployments/statuses>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DeploymentState {
    /// Matinee accepted the deployment and hasn't started it.
    Queued,
    /// Matinee is deploying.
    InProgress,
    /// The environment is live.
    Success,
    /// The workloads failed.
    Failure,
    /// The configuration is invalid.
    Error,
    /// The deployment is no longer live.
    Inactive,
}

impl DeploymentState {
    /// Returns the state as GitHub's API writes it.
    pub const fn as_github(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
            Self::Inactive => "inactive",
        }
    }
}

/// Status of one GitHub deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentReport {
    /// ID of the GitHub deployment.
    pub deployment_id: i64,
    /// State of the deployment: `Queued`, `InProgress`, `Success`, `Failure` (the workloads
    /// failed), `Error` (the configuration is invalid) or `Inactive` (no longer live).
    pub state: DeploymentState,
    /// Description that GitHub shows. At most 140 characters.
    #[serde(default)]
    pub description: String,
    /// URL of the "View deployment" button on GitHub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_url: Option<String>,
    /// URL with details of the deployment, which GitHub links to as its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_url: Option<String>,
}
