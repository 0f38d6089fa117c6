//! `PreviewRepository`: one GitHub repository and its environments, set by the product team.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{conditions_schema, never_observed};
use super::gates::Gates;
use super::{Duration, LocalReference, Parameter};

/// One GitHub repository and its environments.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "matinee.dev",
    version = "v1alpha1",
    kind = "PreviewRepository",
    plural = "previewrepositories",
    shortname = "prepo",
    selectable = ".spec.repository",
    selectable = ".spec.className",
    category = "matinee",
    namespaced,
    status = "PreviewRepositoryStatus",
    derive = "PartialEq",
    doc = "One GitHub repository and its environments.",
    printcolumn(name = "Repository", type_ = "string", json_path = ".spec.repository"),
    printcolumn(name = "Class", type_ = "string", json_path = ".spec.className"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Locked", type_ = "string", json_path = ".spec.locks[*].environment"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 40").message("metadata.name must have at most 40 characters: namespaces and host names are made from it")
)]
#[serde(rename_all = "camelCase")]
pub struct PreviewRepositorySpec {
    /// Repository on GitHub, as `owner/name`. Case is ignored.
    #[schemars(length(min = 3, max = 140), regex(pattern = r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$"))]
    pub repository: String,
    /// Name of the PreviewClass whose trust and limits apply. Default: the class with the
    /// annotation `matinee.dev/is-default-class: "true"`. If several classes have the annotation,
    /// Matinee uses the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
    /// Environments of the repository. From 1 to 20.
    #[schemars(length(min = 1, max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub environments: Vec<RepositoryEnvironment>,
    /// Locks. Matinee creates no deployment for a locked environment. The commands `/lock` and
    /// `/unlock` write here, and you can write here too. At most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["environment"]))]
    pub locks: Vec<Lock>,
}

/// Lock of one environment. Matinee creates no deployment for the environment until the lock is
/// removed. A running environment keeps running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lock {
    /// Name of the environment in this PreviewRepository.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub environment: String,
    /// Person who locked the environment: a GitHub login or any other name.
    #[schemars(length(min = 1, max = 100))]
    pub by: String,
    /// Reason for the lock, for people.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
    /// Time of the lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_time: Option<Time>,
}

/// One environment of a repository: the trigger of its deployments, their gates and their template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.trigger) || !has(self.trigger.pullRequest) || !has(self.githubEnvironment) || self.githubEnvironment.contains('{number}')")
        .message("githubEnvironment must contain {number} where the trigger is pullRequest: each pull request has an environment of its own"),
    validation = Rule::new("!has(self.lifetime) || (has(self.trigger) && has(self.trigger.pullRequest))")
        .message("lifetime is for environments of pull requests: set trigger.pullRequest or remove lifetime")
)]
pub struct RepositoryEnvironment {
    /// Name of the environment, unique in the PreviewRepository.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// Name of the environment on GitHub. `{number}` is a placeholder for the pull request's
    /// number, and is required if the trigger is `pullRequest`. Default: `<name>/pr-{number}` for
    /// environments of pull requests, otherwise `<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub github_environment: Option<String>,
    /// Event that makes Matinee request a deployment. Default: none, and then a deployment comes
    /// from a command, from a DeploymentRequest that you create, or from another tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
    /// Content that Matinee deploys. Default: none, and then another tool deploys and Matinee only
    /// creates the deployment on GitHub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy: Option<Deploy>,
    /// Requirements that have to be met before Matinee creates a deployment. Deployments that a
    /// person or another tool creates on GitHub bypass them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gates: Option<Gates>,
    /// Permissions for commands in comments and from Slack.
    #[serde(default)]
    pub commands: Commands,
    /// Lifetime of environments of pull requests. Only for environments with `trigger.pullRequest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<RepositoryLifetime>,
}

/// Permissions for commands that concern an environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Commands {
    /// Lowest role on GitHub that a person needs to give commands or to approve: `Write`,
    /// `Maintain` or `Admin`. Default: `Write`.
    pub role: CommandRole,
}

/// Role in a GitHub repository.
/// <https://docs.github.com/organizations/managing-user-access-to-your-organizations-repositories/managing-repository-roles/repository-roles-for-an-organization>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum CommandRole {
    /// People with write access.
    #[default]
    Write,
    /// Maintainers.
    Maintain,
    /// Administrators.
    Admin,
}

/// Event that makes Matinee request a deployment. Exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.pullRequest), has(self.push), has(self.deploymentStatus)].filter(set, set).size() == 1").message("set exactly one of trigger.pullRequest, trigger.push and trigger.deploymentStatus, or leave trigger out where somebody else creates the deployments"))]
pub struct Trigger {
    /// Pull requests: each selected pull request has its own environment, which follows the pull
    /// request's head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequestTrigger>,
    /// Branches: the environment follows the head of a branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushTrigger>,
    /// Promotion: Matinee deploys a commit to this environment after it was deployed to another
    /// environment of this PreviewRepository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_status: Option<DeploymentStatusTrigger>,
}

/// Branches that an environment follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushTrigger {
    /// Branches that the environment follows, as filter patterns of GitHub Actions. `*` matches any
    /// characters except `/`, and `**` matches any characters. `?` matches zero or one of the
    /// preceding character, and `+` matches one or more. `[a-z]` matches one character of the
    /// range, and `\` escapes a special character. A pattern that begins with `!` excludes
    /// branches. The last matching pattern decides. If several branches are selected, Matinee
    /// deploys the newest push. From 1 to 20.
    #[schemars(
        length(min = 1, max = 20),
        inner(length(min = 1, max = 255)),
        extend("x-kubernetes-validations" = [filter_patterns(), not_only_exclusions()])
    )]
    pub branches: Vec<String>,
}

/// Deployments of another environment that cause a deployment to this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentStatusTrigger {
    /// Name of the environment in this PreviewRepository whose deployments Matinee follows.
    /// Deployments that other tools create or deploy count too.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub environment: String,
    /// State that the other environment's deployment has to reach: `Success` or `Failure`. Default:
    /// `Success`.
    #[serde(default)]
    pub state: TriggerState,
    /// Time that the other environment's deployment has to stay in that state, and stay the newest
    /// of its environment, before Matinee creates a deployment here. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Duration>,
}

/// State of a deployment that causes another deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TriggerState {
    /// The deployment is live.
    #[default]
    Success,
    /// The deployment failed.
    Failure,
}

/// Handling of a kind of pull request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Reaction {
    /// Create no environment.
    #[default]
    Ignore,
    /// Create an environment if the class allows it too.
    Deploy,
}

/// Pull requests that have an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PullRequestTrigger {
    /// Labels that select a pull request: it needs at least one of them. Case is ignored. Default:
    /// an empty list, which selects every pull request. At most 20.
    #[schemars(length(max = 20), inner(length(min = 1, max = 50)))]
    pub labels: Vec<String>,
    /// Base branches that select a pull request, as filter patterns like those of
    /// `trigger.push.branches`. Default: an empty list, which selects every pull request. At most
    /// 20.
    #[schemars(
        length(max = 20),
        inner(length(min = 1, max = 255)),
        extend("x-kubernetes-validations" = [filter_patterns(), not_only_exclusions()])
    )]
    pub base_branches: Vec<String>,
    /// Changed files that select a pull request, as filter patterns like those of
    /// `trigger.push.branches`. Matinee applies the whole list to each changed file, and one
    /// selected file is enough. Default: an empty list, which selects every pull request. At most
    /// 50.
    #[schemars(
        length(max = 50),
        inner(length(min = 1, max = 255)),
        extend("x-kubernetes-validations" = [filter_patterns(), not_only_exclusions()])
    )]
    pub paths: Vec<String>,
    /// Draft pull requests: `Ignore` creates no environment, and `Deploy` creates one if the class
    /// allows it too. Default: `Ignore`.
    pub drafts: Reaction,
    /// Pull requests that a bot opened: `Ignore` or `Deploy`, as for `drafts`. Default: `Ignore`.
    pub bots: Reaction,
    /// Pull requests from forks, whose head is in another repository: `Ignore` or `Deploy`, as for
    /// `drafts`. Default: `Ignore`.
    pub forks: Reaction,
}

/// Returns the CEL rule that each item is a filter pattern. A regular expression can't detect every
/// mistake, for example `[z-a]`. Matinee reports the remaining mistakes in a condition of the
/// PreviewRepository. The rule is written by hand because `KubeSchema` doesn't support a
/// container's `default`.
fn filter_patterns() -> serde_json::Value {
    serde_json::json!({
        "rule": r"self.all(pattern, pattern != '!' && pattern.matches(r'^!?(\*+|([^*?+\[\\]|\\[^A-Za-z0-9]|\[([A-Za-z0-9](-[A-Za-z0-9])?)+\])[?+]?)+$'))",
        "message": "must have filter patterns of GitHub Actions only: ? and + follow a character, [ ] hold letters, digits and ranges of them, ! is \
                    followed by a pattern, and \\ takes a special character's meaning",
    })
}

/// Returns the CEL rule that a list of filter patterns has one that selects something.
fn not_only_exclusions() -> serde_json::Value {
    serde_json::json!({
        "rule": "size(self) == 0 || self.exists(pattern, !pattern.startsWith('!'))",
        "message": "must have a pattern without ! in front: put \"**\" first to select all but the others",
    })
}

/// Content that Matinee deploys to an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deploy {
    /// Template with the objects of the environment.
    pub template: TemplateSource,
    /// Values of template parameters. At most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub parameters: Vec<Parameter>,
}

/// Source of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateSource {
    /// PreviewTemplate in the same namespace.
    #[serde(rename = "ref")]
    pub reference: LocalReference,
}

/// Lifetime of environments of pull requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryLifetime {
    /// Time after which Matinee deletes the environment, counted from the first reconcile of its
    /// newest revision. The class's `lifetime.maxDeleteAfter` limits it. Default: the class's
    /// `lifetime.deleteAfter`.
    pub delete_after: Duration,
}

/// Result of the last reconcile of the PreviewRepository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewRepositoryStatus {
    /// Generation that the conditions describe; -1 before the first reconcile.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// Conditions: `Ready`, `Reconciling`, `Stalled`; `PromotionValid`, whether the environments
    /// that its triggers and gates name exist and form no loop; `Accepted`, whether no other
    /// PreviewRepository holds its environments; and `Synced`, whether Matinee could read the
    /// repository on GitHub.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}
