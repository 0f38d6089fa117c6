//! Branches, tags, and pushes.

use std::collections::BTreeMap;

use serde_json::json;

use crate::control::types::TimelineEntry;
use crate::hooks::payload;
use crate::state::merge::test_merge;
use crate::state::repos::Repo;
use crate::state::{Refusal, State, now};

/// The SHA that stands for "no commit" in events.
pub(crate) const ZERO: &str = "0000000000000000000000000000000000000000";

/// A branch that moved.
#[derive(Debug)]
pub(crate) struct Moved<'a> {
    pub(crate) branch: &'a str,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
    pub(crate) forced: bool,
}

impl State {
    /// Returns the commit of a branch, tag, full ref or SHA; a SHA may be abbreviated to seven
    /// digits or more.
    pub(crate) fn resolve(&self, repo: &Repo, name: &str) -> Option<String> {
        let branch = name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("heads/"));
        let tag = name.strip_prefix("refs/tags/").or_else(|| name.strip_prefix("tags/"));
        if let Some(sha) = branch.and_then(|name| repo.branches.get(name)) {
            return Some(sha.clone());
        }
        if let Some(sha) = tag.and_then(|name| repo.tags.get(name)) {
            return Some(sha.clone());
        }
        // A pull request with conflicts has no merge commit.
        if let Some(sha) = pull_ref(repo, name).filter(|sha| self.commits.contains_key(sha)) {
            return Some(sha);
        }
        if let Some(sha) = repo.branches.get(name).or_else(|| repo.tags.get(name)) {
            return Some(sha.clone());
        }
        if name == "HEAD" {
            return repo.branches.get(&repo.default_branch).cloned();
        }
        self.resolve_sha(repo, name)
    }

    fn resolve_sha(&self, repo: &Repo, name: &str) -> Option<String> {
        if !(7..=40).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let name = name.to_lowercase();
        let in_network = |sha: &&String| self.commits[*sha].network == repo.network;
        let mut found = self.commits.keys().filter(|sha| sha.starts_with(&name)).filter(in_network);
        let first = found.next()?;
        // An abbreviated SHA that fits two commits names neither.
        found.next().is_none().then(|| first.clone())
    }

    /// Adds a commit to a branch, which is created if missing, and notifies hooks and pull
    /// requests.
    pub(crate) fn push(
        &mut self,
        repo: u64,
        branch: &str,
        changes: &BTreeMap<String, Option<String>>,
        message: Option<&str>,
        author: &str,
        onto: Option<&str>,
    ) -> Result<String, Refusal> {
        if branch.is_empty() || branch.contains([' ', '~', '^', ':', '?', '*', '[', '\\']) {
            return Err(Refusal::invalid("Reference", "ref", format!("`{branch}` is no branch's name")));
        }
        let found = self.repo(repo)?;
        let before = found.branches.get(branch).cloned();
        let parent = match onto {
            Some(name) => Some(
                self.resolve(found, name)
                    .ok_or_else(|| Refusal::Missing(format!("no commit is named {name}")))?,
            ),
            None => before.clone().or_else(|| found.branches.get(&found.default_branch).cloned()),
        };
        let network = found.network;
        let mut files = parent.as_ref().map(|sha| self.commits[sha].files.clone()).unwrap_or_default();
        if changes.is_empty() {
            files.entry("CHANGES".to_owned()).or_default().push_str("another change\n");
        }
        for (path, text) in changes {
            match text {
                Some(text) => files.insert(path.clone(), text.clone()),
                None => files.remove(path),
            };
        }
        let message = message.map_or_else(|| format!("Change {branch}"), str::to_owned);
        let sha = self.commit(network, parent.into_iter().collect(), &message, author, files);
        self.move_branch(repo, branch, Some(&sha), author)?;
        Ok(sha)
    }

    /// Moves or deletes a branch, and notifies hooks and pull requests.
    pub(crate) fn move_branch(
        &mut self,
        repo: u64,
        branch: &str,
        to: Option<&str>,
        actor: &str,
    ) -> Result<(), Refusal> {
        if let Some(sha) = to
            && !self.commits.contains_key(sha)
        {
            return Err(Refusal::Missing(format!("no commit has the SHA {sha}")));
        }
        let found = self.repo_mut(repo)?;
        let before = match to {
            Some(sha) => found.branches.insert(branch.to_owned(), sha.to_owned()),
            None => found.branches.remove(branch),
        };
        found.pushed_at = now();
        if before.as_deref() == to {
            return Ok(());
        }
        let forced = match (&before, to) {
            (Some(before), Some(after)) => !self.ancestors(after).contains(before),
            _ => false,
        };
        let text = to.map(|sha| self.commits[sha].message.clone());
        self.record(
            repo,
            TimelineEntry {
                kind: "pushed".to_owned(),
                actor: actor.to_owned(),
                sha: to.map(str::to_owned),
                text: Some(text.map_or_else(|| branch.to_owned(), |message| format!("{branch}: {message}"))),
                ..TimelineEntry::default()
            },
        );
        let moved = Moved { branch, before: before.clone(), after: to.map(str::to_owned), forced };
        let body = payload::push(self, repo, &moved, actor);
        self.emit(repo, "push", None, body, actor);
        self.branch_moved(repo, branch, before.as_deref(), to, actor)
    }

    /// Renames a branch. Open pull requests into it follow.
    pub(crate) fn rename_branch(
        &mut self,
        repo: u64,
        from: &str,
        to: &str,
        actor: &str,
    ) -> Result<(), Refusal> {
        let found = self.repo_mut(repo)?;
        if found.branches.contains_key(to) {
            return Err(Refusal::Conflict(format!("there is a branch {to} already")));
        }
        let missing = || Refusal::Missing(format!("there is no branch {from}"));
        let sha = found.branches.get(from).cloned().ok_or_else(missing)?;
        found.branches.insert(to.to_owned(), sha);
        found.renamed.remove(to);
        found.renamed.insert(from.to_owned(), to.to_owned());
        if found.default_branch == from {
            to.clone_into(&mut found.default_branch);
        }
        let into: Vec<u64> = found
            .pulls
            .values()
            .filter(|pull| pull.open && pull.base.branch == from)
            .map(|pull| pull.number)
            .collect();
        for number in into {
            self.edit_pull(repo, number, (None, None, Some(to)), actor)?;
        }
        self.move_branch(repo, from, None, actor)
    }

    /// Sets a tag to a commit.
    pub(crate) fn set_tag(&mut self, repo: u64, tag: &str, sha: &str) -> Result<(), Refusal> {
        if !self.commits.contains_key(sha) {
            return Err(Refusal::Missing(format!("no commit has the SHA {sha}")));
        }
        self.repo_mut(repo)?.tags.insert(tag.to_owned(), sha.to_owned());
        Ok(())
    }

    /// Returns the JSON of the branches whose head is a commit, for `status` events.
    pub(crate) fn branches_at(&self, repo: &Repo, sha: &str) -> serde_json::Value {
        let url = format!("{}/repos/{}/commits/{sha}", self.urls.api, repo.full_name());
        repo.branches
            .iter()
            .filter(|(_, head)| *head == sha)
            .map(|(name, _)| json!({"name": name, "commit": {"sha": sha, "url": url}, "protected": false}))
            .collect()
    }
}

/// Returns the commit of `refs/pull/<number>/head` or `refs/pull/<number>/merge`.
fn pull_ref(repo: &Repo, name: &str) -> Option<String> {
    let name = name.strip_prefix("refs/").unwrap_or(name);
    let (number, end) = name.strip_prefix("pull/")?.split_once('/')?;
    let pull = repo.pulls.get(&number.parse().ok()?)?;
    match (end, &pull.mergeable_for) {
        ("head", _) => Some(pull.head.sha.clone()),
        ("merge", Some((head, base))) => Some(test_merge(head, base)),
        _ => None,
    }
}
