//! Publishes Kubernetes events.

use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType as Kind, Recorder, Reporter};

use crate::core::api_error;
use crate::ports::{EventType, Events};

/// Most bytes of an event's note.
/// <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>
const NOTE_LIMIT: usize = 1_024;

/// Publishes events as the reporting controller `matinee`.
pub struct KubeEvents(Recorder);

impl KubeEvents {
    /// Creates a publisher.
    pub fn new(client: Client) -> Self {
        Self(Recorder::new(client, Reporter { controller: "matinee".to_owned(), instance: None }))
    }
}

/// Returns whether an error means that the event's namespace is being deleted or has been deleted.
fn goes(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    status.code == 404 || causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
}

#[async_trait]
impl Events for KubeEvents {
    async fn publish(&self, about: &ObjectReference, kind: EventType, reason: &str, message: &str) {
        let mut note = message.to_owned();
        note.truncate(note.floor_char_boundary(NOTE_LIMIT));
        let event = Event {
            type_: match kind {
                EventType::Normal => Kind::Normal,
                EventType::Warning => Kind::Warning,
            },
            reason: reason.to_owned(),
            note: Some(note),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        match tokio::time::timeout(Duration::from_secs(5), self.0.publish(&event, about)).await {
            Ok(Ok(())) => {}
            // Events in a namespace that is being deleted aren't needed.
            Ok(Err(error)) if goes(&error) => {
                tracing::debug!(reason, "event not published, its namespace is being deleted");
            }
            Ok(Err(error)) => {
                let error = api_error::text(&error.to_string());
                tracing::warn!(reason, error, "failed to publish event");
            }
            Err(_) => tracing::warn!(reason, "publishing event timed out"),
        }
    }
}
