//! The newest event of each pull request, which says how old a cached pull request may be.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::newest_event;
use super::source::EventContext;
use crate::core::forge::RepositoryName;
use crate::core::freshness;

/// Maximum age of a cached pull request from GitHub.
const MAX_AGE: Duration = Duration::from_secs(30);

/// Number of pull requests from which on those whose newest event is older than [`MAX_AGE`] are
/// dropped.
const MANY_PULL_REQUESTS: usize = 4_096;

/// The newest event of each pull request. A cached pull request from before that event is stale.
#[derive(Default)]
pub struct PullRequestFreshness(Mutex<HashMap<(RepositoryName, i64), NewestEvent>>);

struct NewestEvent {
    received: Instant,
    record: String,
}

impl PullRequestFreshness {
    /// Records a new event, which makes the cached pull request stale.
    fn set(&self, repository: &RepositoryName, number: i64, record: &str) {
        let Ok(mut events) = self.0.lock() else { return };
        if events.len() >= MANY_PULL_REQUESTS {
            events.retain(|_, event| event.received.elapsed() < MAX_AGE);
        }
        let event = NewestEvent { received: Instant::now(), record: record.to_owned() };
        events.insert((repository.clone(), number), event);
    }

    /// Records the event that an object's annotation names. If it is new here, another replica
    /// received it.
    pub fn observe(&self, repository: &RepositoryName, number: i64, record: &str) {
        if freshness::is_newer(self.record(repository, number).as_deref(), record) {
            self.set(repository, number, record);
        }
    }

    /// Records that this replica received this version of the pull request.
    pub(super) fn receive(
        &self,
        repository: &RepositoryName,
        number: i64,
        context: &EventContext,
        version: &str,
    ) {
        if let Some(record) = context.record(self.record(repository, number).as_deref(), version) {
            self.set(repository, number, &record);
        }
    }

    fn record(&self, repository: &RepositoryName, number: i64) -> Option<String> {
        let events = self.0.lock().ok()?;
        events.get(&(repository.clone(), number)).map(|event| event.record.clone())
    }

    /// Returns the maximum age of a cached pull request: it must not be older than the newest
    /// event.
    pub fn max_age(&self, repository: &RepositoryName, number: i64) -> Duration {
        let events = self.0.lock().ok();
        let age =
            events.and_then(|events| Some(events.get(&(repository.clone(), number))?.received.elapsed()));
        age.unwrap_or(MAX_AGE).min(MAX_AGE)
    }

    /// Like [`Self::max_age`], for an object of the pull request. First takes the object's
    /// annotation into account, which may be newer here (from the answer to a write) than in the
    /// watch.
    pub fn max_age_for<K: kube::Resource>(
        &self,
        object: &K,
        repository: &RepositoryName,
        number: i64,
    ) -> Duration {
        if let Some(record) = newest_event(object) {
            self.observe(repository, number, record);
        }
        self.max_age(repository, number)
    }
}
