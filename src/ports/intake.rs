//! The entrances: events of GitHub, and slash commands of Slack.

use async_trait::async_trait;

use super::ClusterError;
use crate::core::event::Event;
use crate::core::freshness::Delivery;
use crate::core::slack::{ChatMessage, SlackSignature};

/// Why an event could not be applied.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum IntakeError {
    /// A temporary problem in the cluster: GitHub should deliver the event again. The text appears
    /// in GitHub's delivery log.
    #[error("{0}")]
    Unavailable(String),
    /// A permanent problem: delivering the same event again doesn't help. The text appears in
    /// GitHub's delivery log.
    #[error("{0}")]
    Refused(String),
}

/// Receives GitHub's events.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Applies an event, and returns once its effect is in the Kubernetes API. The returned
    /// sentence says what was done, for GitHub's delivery log. The same event may arrive several
    /// times, late and in any order, and the call may be cancelled at any point. `delivery` is the
    /// webhook delivery that reported it.
    async fn accept(&self, event: Event, delivery: Option<Delivery>) -> Result<String, IntakeError>;
}

/// Why a slash command was not accepted.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeskError {
    /// No known signing secret matches the signature.
    #[error("{0}")]
    NotSigned(String),
    /// The request is no slash command.
    #[error("{0}")]
    Invalid(String),
    /// A temporary problem in the cluster.
    #[error("{0}")]
    Unavailable(String),
}

impl From<ClusterError> for DeskError {
    fn from(error: ClusterError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Receives slash commands from Slack.
#[async_trait]
pub trait Desk: Send + Sync {
    /// Checks the signature of the raw body and creates the DeploymentCommand. Returns the message
    /// that Slack shows at once; `None` for Slack's certificate check. Slack's timeout is 3
    /// seconds.
    async fn accept(
        &self,
        signature: SlackSignature,
        body: Vec<u8>,
    ) -> Result<Option<ChatMessage>, DeskError>;
}
