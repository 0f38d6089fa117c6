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
    /// The repository, as `owner/name`. Case is ignored.
    #[schemars(length(min = 3, max = 140), regex(pattern = r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$"))]
    pub repository: String,
    /// Name of the PreviewClass whose trust and limits apply. Default: the class with the annotation `matinee.dev/is-default-class: "true"`; of
    /// several, the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
    /// The repository's environments.
    #[schemars(length(min = 1, max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub environments: Vec<RepositoryEnvironment>,
    /// Environments to which nothing new is deployed for now. `/lock` and `/unlock` write here, and so may you.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["environment"]))]
    pub locks: Vec<Lock>,
}

/// Nothing new is deployed to an environment until this is taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lock {
    /// Name of the environment in this PreviewRepository.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub environment: String,
    /// Who locked it: a GitHub login, or any name.
    #[schemars(length(min = 1, max = 100))]
    pub by: String,
    /// Why.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_time: Option<Time>,
}

/// One environment of a repository: what asks for its deployments and what is deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.trigger) || !has(self.trigger.pullRequest) || !has(self.githubEnvironment) || self.githubEnvironment.contains('{number}')")
        .message("githubEnvironment must contain {number} where the trigger is pullRequest: each pull request has an environment of its own"),
    validation = Rule::new("!has(self.lifetime) || (has(self.trigger) && has(self.trigger.pullRequest))")
        .message("lifetime is for environments of pull requests: set trigger.pullRequest or remove lifetime")
)]
pub struct RepositoryEnvironment {
    /// Name, unique in the repository.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// Name of the environment on GitHub, in which `{number}` stands for the pull request's number. Default: `<name>/pr-{number}` for
    /// environments of pull requests, else `<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub github_environment: Option<String>,
    /// What asks for deployments. None: somebody else does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
    /// What is deployed. None: another tool deploys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy: Option<Deploy>,
    /// What must hold before a deployment is created. Deployments that somebody else creates pass by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gates: Option<Gates>,
    /// Who may command it in comments and from Slack.
    #[serde(default)]
    pub commands: Commands,
    /// How long an environment lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<RepositoryLifetime>,
}

/// Who may command an environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Commands {
    /// Role in the repository on GitHub that whoever commands must have, or a higher one. Approving takes it too.
    pub role: CommandRole,
}

/// A role in a repository that lets somebody command.
/// <https://docs.github.com/organizations/managing-user-access-to-your-organizations-repositories/managing-repository-roles/repository-roles-for-an-organization>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum CommandRole {
    /// Whoever may push.
    #[default]
    Write,
    /// Maintainers.
    Maintain,
    /// Administrators.
    Admin,
}

/// What asks for deployments of an environment; exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.pullRequest), has(self.push), has(self.deploymentStatus)].filter(set, set).size() == 1").message("set exactly one of trigger.pullRequest, trigger.push and trigger.deploymentStatus, or leave trigger out where somebody else creates the deployments"))]
pub struct Trigger {
    /// Each matching pull request has an environment of its own, which follows its head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequestTrigger>,
    /// One environment follows the head of a branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushTrigger>,
    /// A commit that was deployed to another environment is deployed to this one: the links of a chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_status: Option<DeploymentStatusTrigger>,
}

/// Which branches are followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushTrigger {
    /// Branches, as filter patterns of GitHub Actions: `*` stands for any characters but `/`, `**` for any, `?` for zero or one of the character
    /// before it, `+` for one or more, `[a-z]` for one of these, `\` takes a special character's meaning, and `!` in front excludes. The last
    /// pattern that matches decides. Of several
    /// branches that are selected, the newest push is deployed.
    #[schemars(
        length(min = 1, max = 20),
        inner(length(min = 1, max = 255)),
        extend("x-kubernetes-validations" = [filter_patterns(), not_only_exclusions()])
    )]
    pub branches: Vec<String>,
}

/// Which deployments lead to one here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentStatusTrigger {
    /// Name of the environment in this PreviewRepository whose deployments are followed, whoever creates and carries them out.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub environment: String,
    /// State that the deployment has to reach.
    #[serde(default)]
    pub state: TriggerState,
    /// Time for which it has to have been in that state, and the newest of its environment, before this one is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Duration>,
}

/// A state of a deployment that leads to another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TriggerState {
    /// It is live.
    #[default]
    Success,
    /// It failed.
    Failure,
}

/// What to do with a kind of pull request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Reaction {
    /// No environment.
    #[default]
    Ignore,
    /// An environment, where the class allows it too.
    Deploy,
}

/// Which pull requests have an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PullRequestTrigger {
    /// Labels of which the pull request must bear one. Empty: no label is needed.
    #[schemars(length(max = 20), inner(length(min = 1, max = 50)))]
    pub labels: Vec<String>,
    /// Branches that the pull request may be based on, as filter patterns of GitHub Actions, like `trigger.push.branches`. Empty: any.
    #[schemars(
        length(max = 20),
        inner(length(min = 1, max = 255)),
        extend("x-kubernetes-validations" = [filter_patterns(), not_only_exclusions()])
    )]
    pub base_branches: Vec<String>,
    /// Files of which the pull request must change one, as filter patterns of GitHub Actions, like `trigger.push.branches`: each file that it
    /// changes goes through all of them, and one file that is selected is enough. Empty: any.
    #[schemars(
        length(max = 50),
        inner(length(min = 1, max = 255)),
        extend("x-kubernetes-validations" = [filter_patterns(), not_only_exclusions()])
    )]
    pub paths: Vec<String>,
    /// Drafts.
    pub drafts: Reaction,
    /// Pull requests opened by bots.
    pub bots: Reaction,
    /// Pull requests whose head is in another repository.
    pub forks: Reaction,
}

/// The rule that each item is a filter pattern. What no regular expression can tell, as `[z-a]`, a condition of the PreviewRepository does. A container's
/// `default` and `KubeSchema` don't go together, so it is written out.
fn filter_patterns() -> serde_json::Value {
    serde_json::json!({
        "rule": r"self.all(pattern, pattern != '!' && pattern.matches(r'^!?(\*+|([^*?+\[\\]|\\[^A-Za-z0-9]|\[([A-Za-z0-9](-[A-Za-z0-9])?)+\])[?+]?)+$'))",
        "message": "must have filter patterns of GitHub Actions only: ? and + follow a character, [ ] hold letters, digits and ranges of them, ! is \
                    followed by a pattern, and \\ takes a special character's meaning",
    })
}

/// The rule that something is selected.
fn not_only_exclusions() -> serde_json::Value {
    serde_json::json!({
        "rule": "size(self) == 0 || self.exists(pattern, !pattern.startsWith('!'))",
        "message": "must have a pattern without ! in front: put \"**\" first to select all but the others",
    })
}

/// What is deployed to an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deploy {
    /// What the environment consists of.
    pub template: TemplateSource,
    /// Values for the template's parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub parameters: Vec<Parameter>,
}

/// Where a template comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateSource {
    /// A PreviewTemplate in the same namespace.
    #[serde(rename = "ref")]
    pub reference: LocalReference,
}

/// How long environments of pull requests live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryLifetime {
    /// Time after the last revision at which the environment is deleted. The class bounds it.
    pub delete_after: Duration,
}

/// What the operator found when it last looked at the repository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewRepositoryStatus {
    /// Generation that the conditions are about; -1 before the first look.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// `Ready`, `Reconciling`, `Stalled`, `PromotionValid` (its environments' triggers lead to no loop), `Accepted` (no other PreviewRepository has its
    /// environments) and `Synced` (GitHub could be read).
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}
