//! Pull requests and their changes.

use serde_json::{Value, json};

use crate::control::types::TimelineEntry;
use crate::hooks::payload;
use crate::state::ids::Kind;
use crate::state::merge::Merge;
use crate::state::{Moment, Refusal, State, now};

/// Head or base of a pull request.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// The repository; `None` when it was deleted.
    pub(crate) repo: Option<u64>,
    /// The repository's owner.
    pub(crate) owner: String,
    pub(crate) branch: String,
    pub(crate) sha: String,
}

/// A pull request.
#[derive(Clone, Debug)]
pub(crate) struct Pull {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) author: String,
    pub(crate) open: bool,
    pub(crate) draft: bool,
    pub(crate) head: End,
    pub(crate) base: End,
    /// Names of its labels in the repository's spelling.
    pub(crate) labels: Vec<String>,
    pub(crate) created_at: Moment,
    pub(crate) updated_at: Moment,
    pub(crate) closed_at: Option<Moment>,
    pub(crate) closed_by: Option<String>,
    pub(crate) merged_at: Option<Moment>,
    pub(crate) merged_by: Option<String>,
    pub(crate) merge_commit: Option<String>,
    /// The head and base for which mergeability has been computed: GitHub starts the computation on
    /// the first read, and answers `null` until it has finished.
    pub(crate) mergeable_for: Option<(String, String)>,
    /// All commits that have ever been its head.
    pub(crate) heads: Vec<String>,
    pub(crate) maintainer_can_modify: bool,
}

/// A pull request to open.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) head: &'a str,
    pub(crate) base: &'a str,
    pub(crate) title: &'a str,
    pub(crate) body: Option<&'a str>,
    pub(crate) author: Option<&'a str>,
    pub(crate) draft: bool,
    pub(crate) maintainer_can_modify: bool,
}

impl State {
    /// Opens a pull request; `head` is `branch` or `owner:branch`.
    pub(crate) fn open_pull(&mut self, repo: u64, opening: &Opening<'_>) -> Result<u64, Refusal> {
        let found = self.repo(repo)?;
        let invalid = |field, message: &str| Refusal::invalid("PullRequest", field, message);
        let Some(base_sha) = found.branches.get(opening.base).cloned() else {
            return Err(invalid("base", "invalid"));
        };
        let (owner, branch) = opening.head.split_once(':').unwrap_or((&found.owner, opening.head));
        let source = if owner.eq_ignore_ascii_case(&found.owner) {
            Some(found)
        } else {
            self.repos
                .values()
                .find(|other| other.owner.eq_ignore_ascii_case(owner) && other.network == found.network)
        };
        let Some((source, head_sha)) =
            source.and_then(|source| Some((source, source.branches.get(branch)?.clone())))
        else {
            return Err(invalid("head", "invalid"));
        };
        if self.commits_between(&base_sha, &head_sha).is_empty() {
            return Err(Refusal::invalid(
                "PullRequest",
                "",
                format!("No commits between {} and {}", opening.base, opening.head),
            ));
        }
        let head = End {
            repo: Some(source.id),
            owner: source.owner.clone(),
            branch: branch.to_owned(),
            sha: head_sha.clone(),
        };
        let twin = found.pulls.values().any(|pull| {
            pull.open
                && pull.head.repo == head.repo
                && pull.head.branch == branch
                && pull.base.branch == opening.base
        });
        if twin {
            let message = format!("A pull request already exists for {}:{branch}.", head.owner);
            return Err(Refusal::invalid("PullRequest", "", message));
        }
        let base = End {
            repo: Some(repo),
            owner: found.owner.clone(),
            branch: opening.base.to_owned(),
            sha: base_sha,
        };
        let author = self.ensure_user(opening.author.unwrap_or(&head.owner.clone())).login;
        let id = self.ids.next(Kind::Pull);
        let found = self.repo_mut(repo)?;
        found.numbers += 1;
        let number = found.numbers;
        let pull = Pull {
            id,
            number,
            title: opening.title.to_owned(),
            body: opening.body.map(str::to_owned),
            author: author.clone(),
            open: true,
            draft: opening.draft,
            head,
            base,
            labels: Vec::new(),
            created_at: now(),
            updated_at: now(),
            closed_at: None,
            closed_by: None,
            merged_at: None,
            merged_by: None,
            merge_commit: None,
            mergeable_for: None,
            heads: vec![head_sha.clone()],
            maintainer_can_modify: opening.maintainer_can_modify,
        };
        found.pulls.insert(number, pull);
        self.note(repo, number, "opened", &author, Some(opening.title), Some(&head_sha));
        self.tell(repo, number, "opened", &author, json!({}));
        Ok(number)
    }

    /// Returns the pull request of that number.
    pub(crate) fn pull(&self, repo: u64, number: u64) -> Result<&Pull, Refusal> {
        self.repo(repo)?.pulls.get(&number).ok_or_else(|| missing(number))
    }

    /// Returns the pull request of that number for a change, and sets its `updated_at` to now.
    pub(crate) fn pull_mut(&mut self, repo: u64, number: u64) -> Result<&mut Pull, Refusal> {
        let pull = self.repo_mut(repo)?.pulls.get_mut(&number).ok_or_else(|| missing(number))?;
        pull.updated_at = now();
        Ok(pull)
    }

    /// Closes an open pull request; a closed one stays as it is.
    pub(crate) fn close_pull(&mut self, repo: u64, number: u64, actor: &str) -> Result<(), Refusal> {
        let pull = self.pull_mut(repo, number)?;
        if !pull.open {
            return Ok(());
        }
        pull.open = false;
        pull.closed_at = Some(now());
        pull.closed_by = Some(actor.to_owned());
        self.note(repo, number, "closed", actor, None, None);
        self.tell(repo, number, "closed", actor, json!({}));
        Ok(())
    }

    /// Reopens a closed pull request at its branch's present head.
    pub(crate) fn reopen_pull(&mut self, repo: u64, number: u64, actor: &str) -> Result<(), Refusal> {
        let pull = self.pull(repo, number)?;
        if pull.open {
            return Ok(());
        }
        let refuse = |message: &str| Err(Refusal::invalid("PullRequest", "state", message));
        if pull.merged_at.is_some() {
            return refuse("state cannot be changed. The pull request cannot be reopened.");
        }
        let (head, branch) = (pull.head.repo, pull.head.branch.clone());
        let Some(sha) = head.and_then(|id| self.repos.get(&id)?.branches.get(&branch).cloned()) else {
            return refuse(&format!("state cannot be changed. The {branch} branch has been deleted."));
        };
        let pull = self.pull_mut(repo, number)?;
        pull.open = true;
        pull.closed_at = None;
        pull.closed_by = None;
        if pull.head.sha != sha {
            pull.heads.push(sha.clone());
            pull.head.sha = sha;
        }
        self.note(repo, number, "reopened", actor, None, None);
        self.tell(repo, number, "reopened", actor, json!({}));
        Ok(())
    }

    /// Converts a pull request to a draft, or marks it as ready for review.
    pub(crate) fn set_draft(
        &mut self,
        repo: u64,
        number: u64,
        draft: bool,
        actor: &str,
    ) -> Result<(), Refusal> {
        let pull = self.pull_mut(repo, number)?;
        if pull.draft == draft {
            return Ok(());
        }
        pull.draft = draft;
        let (kind, action) = if draft {
            ("convert_to_draft", "converted_to_draft")
        } else {
            ("ready_for_review", "ready_for_review")
        };
        self.note(repo, number, kind, actor, None, None);
        self.tell(repo, number, action, actor, json!({}));
        Ok(())
    }

    /// Changes title, body or base; `None` keeps a value.
    pub(crate) fn edit_pull(
        &mut self,
        repo: u64,
        number: u64,
        (title, body, base): (Option<&str>, Option<&str>, Option<&str>),
        actor: &str,
    ) -> Result<(), Refusal> {
        let base_sha = match base {
            Some(base) => Some(
                self.repo(repo)?
                    .branches
                    .get(base)
                    .cloned()
                    .ok_or_else(|| Refusal::invalid("PullRequest", "base", "invalid"))?,
            ),
            None => None,
        };
        let pull = self.pull_mut(repo, number)?;
        let mut changes = serde_json::Map::new();
        if let Some(title) = title.filter(|title| *title != pull.title) {
            changes.insert("title".to_owned(), json!({"from": pull.title}));
            title.clone_into(&mut pull.title);
        }
        if let Some(body) = body.filter(|body| Some(*body) != pull.body.as_deref()) {
            changes.insert("body".to_owned(), json!({"from": pull.body.clone().unwrap_or_default()}));
            pull.body = Some(body.to_owned());
        }
        if let (Some(base), Some(sha)) = (base.filter(|base| *base != pull.base.branch), base_sha) {
            changes.insert(
                "base".to_owned(),
                json!({"ref": {"from": pull.base.branch}, "sha": {"from": pull.base.sha}}),
            );
            base.clone_into(&mut pull.base.branch);
            pull.base.sha = sha;
        }
        if changes.is_empty() {
            return Ok(());
        }
        let text = changes.keys().cloned().collect::<Vec<_>>().join(", ");
        self.note(repo, number, "edited", actor, Some(&text), None);
        self.tell(repo, number, "edited", actor, json!({"changes": changes}));
        Ok(())
    }

    /// Merges a pull request into its base and returns the merge commit.
    pub(crate) fn merge_pull(
        &mut self,
        repo: u64,
        number: u64,
        message: Option<&str>,
        actor: &str,
    ) -> Result<String, Refusal> {
        let pull = self.pull(repo, number)?.clone();
        if !pull.open || pull.draft || !self.mergeable(&pull) {
            return Err(Refusal::Conflict("Pull Request is not mergeable".to_owned()));
        }
        let fallback = format!(
            "Merge pull request #{number} from {}/{}\n\n{}",
            pull.head.owner, pull.head.branch, pull.title
        );
        let message = message.unwrap_or(&fallback);
        let files = match self.try_merge(&pull.base.sha, &pull.head.sha) {
            Merge::Clean(files) => files,
            Merge::UpToDate => self.commits[&pull.base.sha].files.clone(),
            Merge::Conflict(_) => {
                return Err(Refusal::Conflict("Pull Request is not mergeable".to_owned()));
            }
        };
        let network = self.repo(repo)?.network;
        let parents = vec![pull.base.sha.clone(), pull.head.sha.clone()];
        let sha = self.commit(network, parents, message, actor, files);
        self.set_merged(repo, number, &sha, actor)?;
        self.move_branch(repo, &pull.base.branch, Some(&sha), actor)?;
        Ok(sha)
    }

    /// Returns whether a pull request can be merged without a conflict.
    pub(crate) fn mergeable(&self, pull: &Pull) -> bool {
        !matches!(self.try_merge(&pull.base.sha, &pull.head.sha), Merge::Conflict(_))
    }

    /// Adds an event to a pull request's timeline.
    pub(crate) fn note(
        &mut self,
        repo: u64,
        number: u64,
        kind: &str,
        actor: &str,
        text: Option<&str>,
        sha: Option<&str>,
    ) {
        let entry = TimelineEntry {
            kind: kind.to_owned(),
            actor: actor.to_owned(),
            pull: Some(number),
            text: text.map(str::to_owned),
            sha: sha.map(str::to_owned),
            ..TimelineEntry::default()
        };
        self.record(repo, entry);
    }

    /// Sends a `pull_request` event.
    pub(crate) fn tell(&mut self, repo: u64, number: u64, action: &str, actor: &str, more: Value) {
        let body = payload::pull_request(self, repo, number, action, more);
        self.emit(repo, "pull_request", Some(action), body, actor);
    }
}

fn missing(number: u64) -> Refusal {
    Refusal::Missing(format!("there is no pull request {number}"))
}
