//! Events in a repository, in order.

use std::collections::BTreeSet;

use chrono::SecondsFormat;

use crate::control::types::TimelineEntry;
use crate::state::{Refusal, State, now};

/// One event.
pub(crate) type Entry = TimelineEntry;

impl State {
    /// Appends an event to a repository's timeline; ignores a repository that has been deleted.
    pub(crate) fn record(&mut self, repo: u64, mut entry: Entry) {
        if let Some(repo) = self.repos.get_mut(&repo) {
            entry.sequence = repo.timeline.last().map_or(1, |last| last.sequence + 1);
            entry.at = now().to_rfc3339_opts(SecondsFormat::Secs, true);
            repo.timeline.push(entry);
        }
    }

    /// Returns the timeline of a pull request: its own events and the deployments of its commits.
    pub(crate) fn pull_timeline(&self, repo: u64, number: u64) -> Result<Vec<Entry>, Refusal> {
        let pull = self.pull(repo, number)?;
        let found = self.repo(repo)?;
        let mut commits: BTreeSet<&str> = pull.heads.iter().map(String::as_str).collect();
        for head in &pull.heads {
            commits
                .extend(self.commits_between(&pull.base.sha, head).iter().map(|commit| commit.sha.as_str()));
        }
        let belongs = |entry: &&Entry| {
            entry.pull == Some(number)
                || entry.deployment.is_some() && entry.sha.as_deref().is_some_and(|sha| commits.contains(sha))
        };
        Ok(found.timeline.iter().filter(belongs).cloned().collect())
    }
}
