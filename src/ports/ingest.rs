//! The entrances: receivers of deliveries from GitHub and Slack, and the ingest of events.

use async_trait::async_trait;
use jiff::Timestamp;

use super::ClusterError;
use crate::core::event::Event;
use crate::core::freshness::Delivery;
use crate::core::signature::Signature;

/// Why a delivery or an event was not accepted. The texts appear in the sender's log.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum IngestError {
    /// No known secret matches the signature.
    #[error("{0}")]
    NotSigned(String),
    /// The delivery can't be read.
    #[error("{0}")]
    Invalid(String),
    /// A permanent problem: delivering the same again doesn't help.
    #[error("{0}")]
    Refused(String),
    /// A temporary problem in the cluster: the sender should deliver it again.
    #[error("{0}")]
    Unavailable(String),
}

impl From<ClusterError> for IngestError {
    fn from(error: ClusterError) -> Self {
        match error {
            ClusterError::Refused { message, .. } => Self::Refused(message),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

/// Body of a delivery. It occupies a part of the memory for bodies until it is dropped.
pub struct Body {
    /// The content.
    pub bytes: Vec<u8>,
    _share: Box<dyn Send + Sync>,
}

impl Body {
    /// Creates a body with its share of the memory for bodies.
    pub fn new(bytes: Vec<u8>, share: impl Send + Sync + 'static) -> Self {
        Self { bytes, _share: Box::new(share) }
    }
}

/// Receives the deliveries of one outside system. `D` is what the headers of a delivery say,
/// with its signature. The sender may deliver the same several times, late and in any order, and
/// the call may be cancelled at any point.
#[async_trait]
pub trait Receiver<D: Send>: Send + Sync {
    /// Answer to the sender.
    type Answer: Send;

    /// Checks the signature of the raw body, and applies the delivery. Returns once its effect is
    /// in the Kubernetes API.
    async fn accept(&self, delivery: D, body: Body) -> Result<Self::Answer, IngestError>;
}

/// What the headers of a webhook delivery by GitHub say.
#[derive(Clone, Debug)]
pub struct GithubDelivery {
    /// Name of the event.
    pub event: String,
    /// Signature of the body.
    pub signature: Signature,
    /// Id of the delivery, which a repetition has too; `None` when there is none.
    pub delivery: Option<Delivery>,
}

/// Answer to GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GithubAnswer {
    /// The event was applied.
    Applied {
        /// A sentence about what was done.
        done: String,
        /// Time of the event according to GitHub, if the event has one.
        happened_at: Option<Timestamp>,
    },
    /// Matinee doesn't act on such events; with the cause.
    Ignored(String),
}

/// Receives GitHub's events, after their delivery was checked.
#[async_trait]
pub trait Ingest: Send + Sync {
    /// Applies an event, and returns once its effect is in the Kubernetes API. The returned
    /// sentence says what was done, for GitHub's delivery log. `delivery` is the webhook delivery
    /// that reported it.
    async fn accept(&self, event: Event, delivery: Option<Delivery>) -> Result<String, IngestError>;
}
