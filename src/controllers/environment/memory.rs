//! State of environments beyond their status. A restart loses it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::applications::Applications;
use super::blocking_pods::DeletedPods;
use super::publish::Doubts;
use super::skipped_deployments::Lookups;
use super::teardown::Retired;
use crate::core::environment::status::Findings;

/// Time after the deployer account was bound in which a rejection may only mean that the API server
/// hasn't observed the RoleBinding yet.
const BINDING_SETTLES: Duration = Duration::from_secs(10);

/// State of environments beyond their status.
#[derive(Default)]
pub struct Memory {
    pub(super) applications: Applications,
    /// Bindings of the deployer account, by preview namespace.
    bindings: Times,
    /// Status writes, by UID of the environment.
    pub(super) status_writes: Times,
    pub(super) interrupted: Interrupted,
    pub(super) deleted_pods: DeletedPods,
    pub(super) skipped_deployments: Lookups,
    pub(super) doubts: Doubts,
    pub(super) retired: Retired,
}

impl Memory {
    /// Records that the deployer account of a namespace was bound.
    pub(super) fn was_bound(&self, namespace: &str) {
        self.bindings.record(namespace);
    }

    /// Whether a rejection may only mean that the API server hasn't observed the account's
    /// RoleBinding yet.
    pub(super) fn is_binding_settling(&self, namespace: &str) -> bool {
        self.bindings.left_of(BINDING_SETTLES, namespace).is_some()
    }

    /// Forgets an environment that has been deleted, its namespace, and its objects with these UIDs.
    pub(super) fn forget<'a>(&self, uid: &str, namespace: &str, objects: impl IntoIterator<Item = &'a str>) {
        self.applications.forget(uid, objects);
        self.bindings.forget(namespace);
        self.status_writes.forget(uid);
        self.interrupted.take(uid);
        self.skipped_deployments.forget(uid);
        self.doubts.forget(uid);
        self.retired.forget(uid);
    }
}

/// The last time of an event, by key.
#[derive(Default)]
pub struct Times(Mutex<HashMap<String, Instant>>);

impl Times {
    /// Records the event as of now.
    pub(super) fn record(&self, key: &str) {
        if let Ok(mut times) = self.0.lock() {
            times.insert(key.to_owned(), Instant::now());
        }
    }

    /// Returns the part of `pause` that remains since the last event; `None` if it is over.
    pub(super) fn left_of(&self, pause: Duration, key: &str) -> Option<Duration> {
        let times = self.0.lock().ok()?;
        pause.checked_sub(times.get(key)?.elapsed()).filter(|left| !left.is_zero())
    }

    fn forget(&self, key: &str) {
        if let Ok(mut times) = self.0.lock() {
            times.remove(key);
        }
    }
}

/// Findings of interrupted reconciles that haven't been reported yet, by UID of the environment.
#[derive(Default)]
pub struct Interrupted(Mutex<HashMap<String, Findings>>);

impl Interrupted {
    /// Keeps the findings of a reconcile.
    pub(super) fn keep(&self, uid: String, findings: Findings) {
        if let Ok(mut kept) = self.0.lock() {
            kept.insert(uid, findings);
        }
    }

    /// Takes the findings of the last reconcile, if it was interrupted.
    pub(super) fn take(&self, uid: &str) -> Option<Findings> {
        self.0.lock().ok()?.remove(uid)
    }
}
