//! Receives GitHub's webhook deliveries: checks the signature and reads the event.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::adapters::github::webhook::{happened_at, parse, verify};
use crate::core::event::Parsed;
use crate::core::signature::WebhookSecret;
use crate::ports::{Body, GithubAnswer, GithubDelivery, Ingest, IngestError, Receiver};

/// Receives webhook deliveries.
pub struct WebhookReceiver {
    secrets: watch::Receiver<Arc<[WebhookSecret]>>,
    ingest: Arc<dyn Ingest>,
}

impl WebhookReceiver {
    /// Creates a receiver of deliveries that are signed with one of the current secrets.
    pub fn new(secrets: watch::Receiver<Arc<[WebhookSecret]>>, ingest: Arc<dyn Ingest>) -> Self {
        Self { secrets, ingest }
    }
}

#[async_trait]
impl Receiver<GithubDelivery> for WebhookReceiver {
    type Answer = GithubAnswer;

    async fn accept(&self, delivery: GithubDelivery, body: Body) -> Result<GithubAnswer, IngestError> {
        let secrets = Arc::clone(&self.secrets.borrow());
        let id = delivery.delivery.clone();
        // Hashing and parsing 25 MB takes tens of milliseconds, so don't block a thread that other
        // requests need.
        let read = tokio::task::spawn_blocking(move || open(&secrets, &delivery, &body.bytes)).await;
        let read = read.map_err(|error| {
            tracing::error!(%error, "failed to read a webhook delivery");
            IngestError::Refused("the event could not be read".to_owned())
        })?;
        match read? {
            (Parsed::Event(event), happened_at) => {
                let done = self.ingest.accept(event, id).await?;
                Ok(GithubAnswer::Applied { done, happened_at })
            }
            (Parsed::Ignored(reason), _) => Ok(GithubAnswer::Ignored(reason)),
        }
    }
}

/// Checks the signature before it parses the body. Returns the event and its time.
fn open(
    secrets: &[WebhookSecret],
    delivery: &GithubDelivery,
    body: &[u8],
) -> Result<(Parsed, Option<Timestamp>), IngestError> {
    verify(secrets, &delivery.signature, body).map_err(|error| IngestError::NotSigned(error.to_string()))?;
    let parsed = parse(&delivery.event, body).map_err(|error| IngestError::Invalid(error.to_string()))?;
    Ok((parsed, happened_at(&delivery.event, body)))
}
