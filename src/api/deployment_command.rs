//! `DeploymentCommand`: something that somebody told Matinee to do, in a comment or from Slack.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{conditions_schema, never_observed};
use super::{LocalReference, PullRequestReference};

/// Something that somebody told Matinee to do. It is carried out once, and answered where it was said.
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
    doc = "Something that somebody told Matinee to do, in a comment or from Slack.",
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
    validation = Rule::new("self == oldSelf").message("spec is immutable: a command is carried out once; give another one"),
    validation = Rule::new("has(self.comment) != has(self.slack)").message("set exactly one of comment and slack: where the command was given, and is answered")
)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentCommandSpec {
    /// The PreviewRepository, in the same namespace.
    pub repository_ref: LocalReference,
    /// The command, as it was written: `/deploy staging`.
    #[schemars(length(min = 1, max = 1000))]
    pub text: String,
    /// GitHub login of who gave it.
    #[schemars(length(min = 1, max = 100))]
    pub login: String,
    /// The comment it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<CommentReference>,
    /// Where in Slack it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<SlackReference>,
}

/// A comment on a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommentReference {
    /// Its id.
    pub id: i64,
    /// The pull request.
    pub pull_request: PullRequestReference,
}

/// Where in Slack a command was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlackReference {
    /// Id of the user.
    #[schemars(length(min = 1, max = 50))]
    pub user: String,
    /// Id of the channel.
    #[schemars(length(min = 1, max = 50))]
    pub channel: String,
}

/// How far a command came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentCommandStatus {
    /// Generation that the conditions are about; -1 before the first look.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// `Understood`, `Authorized`, `CarriedOut`, `Answered`, and `Ready`, `Reconciling`, `Stalled`.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// The request that came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_ref: Option<LocalReference>,
    /// Id of the comment that answers it, or timestamp of the message in Slack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50))]
    pub reply: Option<String>,
    /// What the answer says now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub answer: Option<String>,
}
