//! Webhooks, and faults in their delivery.

use std::time::Duration;

use super::{Client, Result};
use crate::control::types::{Delivery, DeliveryMode, Made, NewHook, Settle};

impl Client {
    /// Creates a webhook of a repository. Returns its id.
    pub async fn create_hook(&self, repository: &str, new: NewHook) -> Result<u64> {
        let made: Made = self.post(&format!("/repos/{repository}/hooks"), &new).await?;
        Ok(made.id)
    }

    /// Sets the faults in a hook's deliveries; the default mode has none.
    pub async fn set_delivery_mode(&self, hook: u64, mode: DeliveryMode) -> Result<()> {
        self.put(&format!("/hooks/{hook}/mode"), &mode).await
    }

    /// Sends the deliveries that a shuffle holds back.
    pub async fn flush_deliveries(&self, hook: u64) -> Result<()> {
        self.post(&format!("/hooks/{hook}/flush"), &()).await
    }

    /// Returns all attempts to deliver to a hook, oldest first.
    pub async fn deliveries(&self, hook: u64) -> Result<Vec<Delivery>> {
        self.get(&format!("/hooks/{hook}/deliveries")).await
    }

    /// Sends a delivery again with the same id.
    pub async fn redeliver(&self, hook: u64, delivery: u64) -> Result<()> {
        self.post(&format!("/hooks/{hook}/deliveries/{delivery}/attempts"), &()).await
    }

    /// Waits until every due delivery has been attempted, with any outcome.
    pub async fn settle(&self, timeout: Duration) -> Result<()> {
        self.settled(None, timeout).await
    }

    /// Waits until every due delivery of one hook has been attempted, regardless of other hooks.
    pub async fn settle_hook(&self, hook: u64, timeout: Duration) -> Result<()> {
        self.settled(Some(hook), timeout).await
    }

    async fn settled(&self, hook: Option<u64>, timeout: Duration) -> Result<()> {
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.post("/settle", &Settle { timeout_ms, hook }).await
    }
}
