//! The newest event of each pull request, which says how old a cached reading may be.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::last_word;
use super::source::Source;
use crate::core::forge::RepositoryName;
use crate::core::freshness;

/// Maximum age of a cached pull request from GitHub.
const READING_LASTS: Duration = Duration::from_secs(30);

/// Maximum number of hints. When it is reached, hints older than [`READING_LASTS`] are deleted.
const MANY_HINTS: usize = 4_096;

/// The newest event of each pull request. A cached pull request from before that event is stale.
#[derive(Default)]
pub struct Hints(Mutex<HashMap<(RepositoryName, i64), Heard>>);

struct Heard {
    when: Instant,
    word: String,
}

impl Hints {
    /// Records a new event, which makes the cached pull request stale.
    fn heard(&self, repository: &RepositoryName, number: i64, word: &str) {
        let Ok(mut hints) = self.0.lock() else { return };
        if hints.len() >= MANY_HINTS {
            hints.retain(|_, heard| heard.when.elapsed() < READING_LASTS);
        }
        let heard = Heard { when: Instant::now(), word: word.to_owned() };
        hints.insert((repository.clone(), number), heard);
    }

    /// Records the event that an object's annotation names. If it is new here, another replica
    /// received it.
    pub fn noticed(&self, repository: &RepositoryName, number: i64, word: &str) {
        if freshness::is_news(self.known(repository, number).as_deref(), word) {
            self.heard(repository, number, word);
        }
    }

    /// Records that this replica received this version of the pull request.
    pub(super) fn received(&self, repository: &RepositoryName, number: i64, source: &Source, version: &str) {
        if let Some(word) = source.record(self.known(repository, number).as_deref(), version) {
            self.heard(repository, number, &word);
        }
    }

    fn known(&self, repository: &RepositoryName, number: i64) -> Option<String> {
        let hints = self.0.lock().ok()?;
        hints.get(&(repository.clone(), number)).map(|known| known.word.clone())
    }

    /// Returns the maximum age of a cached pull request: it must not be older than the newest
    /// event.
    pub fn max_age(&self, repository: &RepositoryName, number: i64) -> Duration {
        let hints = self.0.lock().ok();
        let heard = hints.and_then(|hints| Some(hints.get(&(repository.clone(), number))?.when.elapsed()));
        heard.unwrap_or(READING_LASTS).min(READING_LASTS)
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
        if let Some(word) = last_word(object) {
            self.noticed(repository, number, word);
        }
        self.max_age(repository, number)
    }
}
