//! Effects on pull requests when branches move or repositories are deleted.

use serde_json::json;

use crate::state::pulls::End;
use crate::state::{Refusal, State, now};

impl State {
    /// Updates pull requests whose head or base is a branch that moved.
    pub(crate) fn branch_moved(
        &mut self,
        repo: u64,
        branch: &str,
        before: Option<&str>,
        after: Option<&str>,
        actor: &str,
    ) -> Result<(), Refusal> {
        let touched: Vec<(u64, u64, bool)> = self
            .repos
            .values()
            .flat_map(|holder| holder.pulls.values().map(|pull| (holder.id, pull)))
            .filter(|(_, pull)| pull.open)
            .filter_map(|(holder, pull)| {
                let fits = |end: &End| end.repo == Some(repo) && end.branch == branch;
                let head = fits(&pull.head);
                (head || fits(&pull.base)).then_some((holder, pull.number, head))
            })
            .collect();
        for (holder, number, is_head) in touched {
            match (is_head, after) {
                (true, Some(sha)) => self.synchronize(holder, number, before, sha, actor)?,
                (false, Some(sha)) => self.base_moved(holder, number, sha, actor)?,
                (_, None) => self.close_pull(holder, number, actor)?,
            }
        }
        Ok(())
    }

    /// Updates a pull request whose base got new commits. It is merged if its head is among them.
    fn base_moved(&mut self, repo: u64, number: u64, after: &str, actor: &str) -> Result<(), Refusal> {
        let head = self.pull(repo, number)?.head.sha.clone();
        if self.ancestors(after).contains(&head) {
            return self.set_merged(repo, number, after, actor);
        }
        // The pull request itself doesn't change, so `updated_at` stays.
        if let Some(pull) = self.repo_mut(repo)?.pulls.get_mut(&number) {
            after.clone_into(&mut pull.base.sha);
        }
        Ok(())
    }

    /// Closes a pull request as merged by a commit, and sends an event.
    pub(crate) fn set_merged(
        &mut self,
        repo: u64,
        number: u64,
        commit: &str,
        actor: &str,
    ) -> Result<(), Refusal> {
        let pull = self.pull_mut(repo, number)?;
        pull.open = false;
        pull.closed_at = Some(now());
        pull.closed_by = Some(actor.to_owned());
        pull.merged_at = Some(now());
        pull.merged_by = Some(actor.to_owned());
        pull.merge_commit = Some(commit.to_owned());
        self.note(repo, number, "merged", actor, None, Some(commit));
        self.note(repo, number, "closed", actor, None, None);
        self.tell(repo, number, "closed", actor, json!({}));
        Ok(())
    }

    fn synchronize(
        &mut self,
        repo: u64,
        number: u64,
        before: Option<&str>,
        after: &str,
        actor: &str,
    ) -> Result<(), Refusal> {
        let pull = self.pull_mut(repo, number)?;
        let old = before.map_or_else(|| pull.head.sha.clone(), str::to_owned);
        after.clone_into(&mut pull.head.sha);
        pull.heads.push(after.to_owned());
        let message = self.commits.get(after).map(|commit| commit.message.clone());
        self.note(repo, number, "committed", actor, message.as_deref(), Some(after));
        self.tell(repo, number, "synchronize", actor, json!({"before": old, "after": after}));
        Ok(())
    }

    /// Updates a pull request whose head's repository has been deleted.
    pub(crate) fn head_repo_deleted(&mut self, repo: u64, number: u64) -> Result<(), Refusal> {
        let pull = self.pull_mut(repo, number)?;
        pull.head.repo = None;
        let owner = pull.head.owner.clone();
        self.note(repo, number, "head_repository_deleted", &owner, None, None);
        self.close_pull(repo, number, &owner)
    }
}
