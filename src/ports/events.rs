//! Kubernetes events.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::ObjectReference;

/// Type of a Kubernetes event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// Success or neutral information.
    Normal,
    /// A problem.
    Warning,
}

/// Publishes Kubernetes events.
#[async_trait]
pub trait Events: Send + Sync {
    /// Publishes an event about an object. Identical events become a series. A failure is only
    /// logged, because nothing depends on events.
    async fn publish(&self, about: &ObjectReference, kind: EventType, reason: &str, message: &str);
}
