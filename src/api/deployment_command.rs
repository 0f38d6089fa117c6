//! `DeploymentCommand`: a command that a person gave in a comment or in Slack.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{conditions_schema, never_observed};
use super::{LocalReference, PullRequestReference};

/// Command that a person gave in a pull request comment or in Slack. Matinee executes it once and
/// answers in the same place.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "matinee.dev",
    version = "v1alpha1",
    kind = "DeploymentCommand",
    plural = "deploymentcommands",
    shortname = "dcmd",
    selectable = ".spec.repositoryRef.name",
    category = "matinee",
    namespaced,
    status = "DeploymentCommandStatus",
    derive = "PartialEq",
    doc = "Command that a person gave in a pull request comment or in Slack.",
    printcolumn(name = "Text", type_ = "string", json_path = ".spec.text"),
    printcolumn(name = "By", type_ = "string", json_path = ".spec.login"),
    printcolumn(name = "PR", type_ = "integer", json_path = ".spec.comment.pullRequest.number"),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new("self == oldSelf").message("spec is immutable: a command is executed once; create another one"),
    validation = Rule::new("has(self.comment) != has(self.slack)").message("set exactly one of comment and slack: where the command was given, and is answered")
)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentCommandSpec {
    /// PreviewRepository in the same namespace.
    pub repository_ref: LocalReference,
    /// Text of the command as the person wrote it, for example `/deploy staging`.
    #[schemars(length(min = 1, max = 1000))]
    pub text: String,
    /// GitHub login of the person who gave the command.
    #[schemars(length(min = 1, max = 100))]
    pub login: String,
    /// Comment that contains the command. Exactly one of `comment` and `slack` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<CommentReference>,
    /// Slack user and channel that the command came from. Exactly one of `comment` and `slack` is
    /// set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<SlackReference>,
}

/// Comment on a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommentReference {
    /// ID of the comment on GitHub.
    pub id: i64,
    /// Pull request that the comment belongs to.
    pub pull_request: PullRequestReference,
}

/// Slack user and channel that a command came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlackReference {
    /// ID of the Slack user who gave the command.
    #[schemars(length(min = 1, max = 50))]
    pub user: String,
    /// ID of the Slack channel in which the user gave the command.
    #[schemars(length(min = 1, max = 50))]
    pub channel: String,
}

/// Progress of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentCommandStatus {
    /// Generation that the conditions describe; -1 before the first reconcile.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// Conditions: one for each step (`Understood`, `Authorized`, `Executed`, `Answered`), and
    /// `Ready`, `Reconciling`, `Stalled`.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// DeploymentRequest that Matinee created for the command, in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_ref: Option<LocalReference>,
    /// ID of the comment with the answer, or timestamp of the message in the Slack channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50))]
    pub reply: Option<String>,
    /// Current text of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub answer: Option<String>,
}
