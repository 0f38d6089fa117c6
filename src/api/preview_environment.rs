//! `PreviewEnvironment`: one live environment.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::common::{conditions_schema, never_observed};
use super::{Duration, LocalReference, Parameter, PullRequestReference};

/// One live environment: a revision of a repository, carried out in a namespace of its own.
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
    doc = "One live environment: a revision of a repository, in a namespace of its own.",
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
    /// The PreviewRepository, in the same namespace.
    pub repository_ref: LocalReference,
    /// Name of the environment in the PreviewRepository.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub environment: String,
    /// Name of the environment on GitHub.
    #[schemars(length(min = 1, max = 255))]
    pub github_environment: String,
    /// The pull request, if the environment is one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequestReference>,
    /// What is deployed.
    pub revision: Revision,
    /// How long the environment lives; overrides the PreviewRepository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Lifetime>,
}

/// What is known of the pull request. Written by whoever opened it, so trusted nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PullRequestSource {
    /// Its number.
    #[schemars(range(min = 1))]
    pub number: i64,
    /// Name of the head branch.
    #[serde(default)]
    #[schemars(length(max = 255))]
    pub branch: String,
    /// Login of the author.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub author: String,
    /// Labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 100)))]
    pub labels: Vec<String>,
    /// Whether the head is in another repository (by id), or its repository is gone.
    #[serde(default)]
    pub fork: bool,
    /// Whether it is a draft.
    #[serde(default)]
    pub draft: bool,
    /// Whether a bot opened it.
    #[serde(default)]
    pub bot: bool,
}

/// What is deployed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// The commit.
    #[schemars(regex(pattern = r"^[0-9a-f]{40,64}$"), length(max = 64))]
    pub sha: String,
    /// Id of the GitHub deployment that is carried out; none for an environment made by hand, which is reported nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<i64>,
    /// The deployment's payload without Matinee's own part: whoever may create deployments may set it. Templates read it as `payload`, if it is an
    /// object; any other is a mistake where a template reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_value")]
    pub payload: Option<Value>,
    /// Values for the template's parameters, over those of the PreviewRepository: whoever asked for the deployment gave them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub parameters: Vec<Parameter>,
}

fn any_value(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}

/// How long an environment lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lifetime {
    /// Time after the last revision at which the environment is deleted. The class bounds it.
    pub delete_after: Duration,
}

/// What the operator made of an environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewEnvironmentStatus {
    /// Generation that the conditions are about; -1 before the first look.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// `Ready`, `Reconciling`, `Stalled`, and one per stage: `Validated`, `Applied`, `Healthy`, `Reachable`, `Reported`.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// What GitHub said of the pull request when it was last asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verification>,
    /// Where the environment is reached; none for a template without endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Host name of the environment; none for a template without endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The host name of each endpoint. No other environment can have any of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// First seven characters of the commit that the status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_sha: Option<String>,
    /// When the environment is deleted, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_time: Option<String>,
    /// The preview's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<NamespaceReference>,
    /// Health of each applied object that has any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// Everything applied, so that what a later revision no longer has can be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inventory: Vec<InventoryEntry>,
    /// The last five attempts, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Attempt>,
    /// What GitHub should show: the current deployment, and those it superseded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["deploymentId"]))]
    pub report: Vec<DeploymentReport>,
    /// What GitHub was last told, and acknowledged. Written by the reporter alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["deploymentId"]))]
    pub reported: Vec<DeploymentReport>,
}

/// What GitHub said of the pull request, and about which revision it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// The commit it was asked about.
    pub sha: String,
    /// The deployment it was asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<i64>,
    /// Value of the annotation `matinee.dev/pull-request-updated-at` it was asked because of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// Generations of the PreviewRepository and the `PreviewClass` that the answer was judged by.
    #[serde(default)]
    pub judged_by: String,
    /// Whether a trigger of Matinee's asked for the deployment, so that the environment ends when the trigger no longer selects the pull request.
    #[serde(default)]
    pub triggered: bool,
    /// Why the pull request may not have the environment; none when it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// The pull request.
    pub pull_request: PullRequestSource,
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// `CamelCase`, as a condition's reason.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// The namespace of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceReference {
    /// Its name.
    pub name: String,
    /// Its UID, so that a namespace made again under the same name isn't taken for it.
    pub uid: String,
}

/// Health of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    /// Kind and name, as `Deployment/web`.
    pub name: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Why it is as it is: CamelCase.
    pub reason: String,
    /// The same for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// One applied object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryEntry {
    /// API version, as `apps/v1`.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name; the namespace is the environment's.
    pub name: String,
    /// UID, checked before the object is removed.
    pub uid: String,
    /// How a Job ended. One that is deleted later, as its `ttlSecondsAfterFinished` does, isn't
    /// created again for the same revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<FinishedJob>,
}

/// How a Job ended, and what it ran for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FinishedJob {
    /// The commit.
    pub sha: String,
    /// The GitHub deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<i64>,
    /// Digest of what was applied.
    pub digest: String,
    /// Why it failed, as the reason of its condition `Failed`; none when it completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Outcome {
    /// It is going on.
    InProgress,
    /// The environment answers.
    Succeeded,
    /// The workloads didn't become ready.
    Failed,
    /// The configuration doesn't work.
    Invalid,
    /// A newer revision came.
    Superseded,
}

/// One revision's attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The commit.
    pub sha: String,
    /// The GitHub deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<i64>,
    /// When it was first seen.
    pub start_time: Time,
    /// When the environment was ready with it for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_time: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// How it ended.
    pub outcome: Outcome,
    /// The cause of a failure.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// State of a GitHub deployment status. <https://docs.github.com/rest/deployments/statuses>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DeploymentState {
    /// Accepted, not begun.
    Queued,
    /// Being carried out.
    InProgress,
    /// Live.
    Success,
    /// The workloads failed.
    Failure,
    /// It can't be carried out as configured.
    Error,
    /// No longer live.
    Inactive,
}

impl DeploymentState {
    /// The word that GitHub's API uses.
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

/// What one GitHub deployment should show, or shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentReport {
    /// The deployment.
    pub deployment_id: i64,
    /// Its state.
    pub state: DeploymentState,
    /// At most 140 characters.
    #[serde(default)]
    pub description: String,
    /// The URL behind "View deployment".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_url: Option<String>,
    /// The URL behind the details.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_url: Option<String>,
}
