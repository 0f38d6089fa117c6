//! Three-way merges of whole files.

use std::collections::BTreeSet;

use crate::state::git::{Commit, Files};
use crate::state::ids::sha;
use crate::state::{Refusal, State};

/// Result of merging one commit into another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Merge {
    /// The target already has everything.
    UpToDate,
    /// The files of the merge commit.
    Clean(Files),
    /// Both sides changed the same file in different ways.
    Conflict(String),
}

/// Returns the SHA of the test merge of a head into a base.
pub(crate) fn test_merge(head: &str, base: &str) -> String {
    sha(&format!("test merge {head} {base}"))
}

impl State {
    /// Merges `theirs` into `ours` without recording anything.
    pub(crate) fn try_merge(&self, ours: &str, theirs: &str) -> Merge {
        if self.ancestors(ours).contains(theirs) {
            return Merge::UpToDate;
        }
        let nothing = Files::new();
        let base = self.merge_base(ours, theirs).map_or(&nothing, |commit| &commit.files);
        let (ours, theirs) = (&self.commits[ours].files, &self.commits[theirs].files);
        let mut merged = ours.clone();
        let paths: BTreeSet<&String> = base.keys().chain(theirs.keys()).collect();
        for path in paths {
            let (before, mine, other) = (base.get(path), ours.get(path), theirs.get(path));
            if before == other || mine == other {
                continue;
            }
            if before != mine {
                return Merge::Conflict(path.clone());
            }
            match other {
                Some(text) => merged.insert(path.clone(), text.clone()),
                None => merged.remove(path),
            };
        }
        Merge::Clean(merged)
    }

    /// Computes whether a pull request can be merged, and creates the test merge
    /// `refs/pull/<number>/merge`, which stays when head or base move later.
    pub(crate) fn try_to_merge(&mut self, repo: u64, number: u64) -> Result<(), Refusal> {
        let pull = self.pull(repo, number)?;
        let (head, base, author) = (pull.head.sha.clone(), pull.base.sha.clone(), pull.author.clone());
        let network = self.repo(repo)?.network;
        let sha = test_merge(&head, &base);
        if let Merge::Clean(files) = self.try_merge(&base, &head)
            && !self.commits.contains_key(&sha)
        {
            let message = format!("Merge {head} into {base}");
            let made = self.commit(network, vec![base.clone(), head.clone()], &message, &author, files);
            if let Some(commit) = self.commits.remove(&made) {
                self.commits.insert(sha.clone(), Commit { sha, ..commit });
            }
        }
        if let Some(pull) = self.repo_mut(repo)?.pulls.get_mut(&number) {
            pull.mergeable_for = Some((head, base));
        }
        Ok(())
    }

    /// Merges a commit into a branch. Returns the merge commit.
    pub(crate) fn merge_into(
        &mut self,
        repo: u64,
        branch: &str,
        theirs: &str,
        message: &str,
        actor: &str,
    ) -> Result<String, Refusal> {
        let found = self.repo(repo)?;
        let network = found.network;
        let ours = found
            .branches
            .get(branch)
            .cloned()
            .ok_or_else(|| Refusal::Missing(format!("there is no branch {branch}")))?;
        let files = match self.try_merge(&ours, theirs) {
            Merge::UpToDate => return Ok(ours),
            Merge::Clean(files) => files,
            Merge::Conflict(path) => return Err(Refusal::Conflict(format!("both changed {path}"))),
        };
        let sha = self.commit(network, vec![ours, theirs.to_owned()], message, actor, files);
        self.move_branch(repo, branch, Some(&sha), actor)?;
        Ok(sha)
    }
}
