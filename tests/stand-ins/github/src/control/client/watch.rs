//! Timelines, deployments and requests for tests to read; faults and limits for them to set.

use super::{Client, Result};
use crate::control::types::{Deployment, FaultEffect, Limits, NewFault, Request, TimelineEntry};

impl Client {
    /// Everything on a pull request's timeline, oldest first.
    pub async fn timeline(&self, repository: &str, number: u64) -> Result<Vec<TimelineEntry>> {
        self.get(&format!("/repos/{repository}/pulls/{number}/timeline")).await
    }

    /// Returns everything that happened in a repository, oldest first.
    pub async fn repository_timeline(&self, repository: &str) -> Result<Vec<TimelineEntry>> {
        self.get(&format!("/repos/{repository}/timeline")).await
    }

    /// Returns a repository's deployments with all their statuses, oldest first.
    pub async fn deployments(&self, repository: &str) -> Result<Vec<Deployment>> {
        self.get(&format!("/repos/{repository}/deployments")).await
    }

    /// Returns every REST request since the start or the last reset, oldest first.
    pub async fn requests(&self) -> Result<Vec<Request>> {
        self.get("/requests").await
    }

    /// Deletes the record of requests.
    pub async fn reset_requests(&self) -> Result<()> {
        self.delete("/requests").await
    }

    /// Applies a fault to the next request with this method and path; `*` in the path matches any
    /// text.
    pub async fn break_next(&self, method: &str, path: &str, effect: FaultEffect) -> Result<()> {
        let method = Some(method.to_owned());
        self.add_fault(NewFault { method, path: path.to_owned(), times: None, effect }).await
    }

    /// Adds a fault.
    pub async fn add_fault(&self, new: NewFault) -> Result<()> {
        self.post("/faults", &new).await
    }

    /// Removes all faults.
    pub async fn clear_faults(&self) -> Result<()> {
        self.delete("/faults").await
    }

    /// Returns the limits in force.
    pub async fn limits(&self) -> Result<Limits> {
        self.get("/limits").await
    }

    /// Sets the limits and resets the counters.
    pub async fn set_limits(&self, limits: Limits) -> Result<()> {
        self.put("/limits", &limits).await
    }
}
