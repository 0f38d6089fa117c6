//! The controller of Jobs. It doesn't show their pods, and deletes finished Jobs whose time is over.

use std::time::Duration;

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::json;

use super::super::api_server::{Part, Place};
use super::{CONTROLLERS, Machinery};

/// A Job whose template contains this fails.
pub const FAILING: &str = "exit 1";

impl Machinery {
    /// Runs a Job.
    pub(super) async fn run_job(&self, place: &Place, job: &DynamicObject) {
        let is_it = |found: &DynamicObject| found.metadata.uid == job.metadata.uid;
        let write = |status: serde_json::Value| {
            if self.server.get(place).is_some_and(|found| is_it(&found)) {
                let written =
                    self.server.update(CONTROLLERS, Part::Status, place, |object| object["status"] = status);
                written.ok();
            }
        };
        tokio::time::sleep(self.random.time(10..=400)).await;
        let started = self.now();
        write(json!({"active": 1, "startTime": started}));
        tokio::time::sleep(self.random.time(500..=20_000)).await;
        let (kind, reason, succeeded) = if job.data["spec"]["template"].to_string().contains(FAILING) {
            ("Failed", "BackoffLimitExceeded", 0)
        } else {
            ("Complete", "CompletionsReached", 1)
        };
        let condition = json!({
            "type": kind, "status": "True", "reason": reason, "message": "", "lastTransitionTime": self.now(),
        });
        write(json!({
            "startTime": started, "completionTime": self.now(), "succeeded": succeeded,
            "failed": 1 - succeeded, "conditions": [condition],
        }));
        let Some(seconds) =
            job.data.pointer("/spec/ttlSecondsAfterFinished").and_then(serde_json::Value::as_u64)
        else {
            return;
        };
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        // Somebody else may have deleted it since.
        self.server.delete(CONTROLLERS, place, job.uid().as_deref()).ok();
    }
}
