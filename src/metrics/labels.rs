//! Values of labels. Their number is limited, so that no sender can create series.

use prometheus_client::encoding::EncodeLabelSet;

/// Result of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookResult {
    /// Its effect is in the cluster.
    Applied,
    /// Matinee doesn't handle this event.
    Ignored,
    /// The request is invalid, or its signature is.
    Refused,
    /// It could not be applied. GitHub shows the delivery as failed.
    Failed,
}

impl WebhookResult {
    pub(super) const ALL: [Self; 4] = [Self::Applied, Self::Ignored, Self::Refused, Self::Failed];

    /// Returns the label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Ignored => "ignored",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// A controller, named after the kind that it reconciles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Controller {
    /// Of [`PreviewClass`](crate::api::PreviewClass).
    PreviewClass,
    /// Of [`PreviewTemplate`](crate::api::PreviewTemplate).
    PreviewTemplate,
    /// Of [`PreviewRepository`](crate::api::PreviewRepository).
    PreviewRepository,
    /// Of [`DeploymentRequest`](crate::api::DeploymentRequest).
    DeploymentRequest,
    /// Of [`DeploymentCommand`](crate::api::DeploymentCommand).
    DeploymentCommand,
    /// Of [`PreviewEnvironment`](crate::api::PreviewEnvironment).
    PreviewEnvironment,
}

impl Controller {
    pub(super) const ALL: [Self; 6] = [
        Self::PreviewClass,
        Self::PreviewTemplate,
        Self::PreviewRepository,
        Self::DeploymentRequest,
        Self::DeploymentCommand,
        Self::PreviewEnvironment,
    ];

    /// Returns the label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreviewClass => "previewclass",
            Self::PreviewTemplate => "previewtemplate",
            Self::PreviewRepository => "previewrepository",
            Self::DeploymentRequest => "deploymentrequest",
            Self::DeploymentCommand => "deploymentcommand",
            Self::PreviewEnvironment => "previewenvironment",
        }
    }
}

/// Events with their own series. `slack` stands for commands from Slack.
pub(super) const EVENTS: [&str; 11] = [
    "check_run",
    "check_suite",
    "deployment",
    "deployment_status",
    "issue_comment",
    "ping",
    "pull_request",
    "push",
    "slack",
    "status",
    "other",
];

/// Returns the event if it has its own series, else `other`.
pub(super) fn event(name: &str) -> &'static str {
    EVENTS.into_iter().find(|known| *known == name).unwrap_or("other")
}

/// Returns the method of a request if it has its own series, else `other`.
pub(super) fn method(name: &str) -> &'static str {
    ["GET", "POST", "PATCH", "PUT", "DELETE"].into_iter().find(|known| *known == name).unwrap_or("other")
}

pub(super) const fn outcome(ok: bool) -> &'static str {
    if ok { "ok" } else { "error" }
}

pub(super) const fn drift(corrected: bool) -> &'static str {
    if corrected { "corrected" } else { "left" }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct None {}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Version {
    pub version: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Preview {
    pub namespace: String,
    pub name: String,
    pub repository: String,
    pub environment: String,
    pub pull_request: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct State {
    pub state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Webhook {
    pub event: &'static str,
    pub result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Request {
    pub method: &'static str,
    pub code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Method {
    pub method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Credentials {
    pub credentials: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Reconcile {
    pub controller: &'static str,
    pub result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Of {
    pub controller: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Outcome {
    pub result: &'static str,
}
