//! Check runs, their suites, and commit statuses.

use crate::hooks::payload;
use crate::state::ids::Kind;
use crate::state::{Moment, Refusal, State, now};

/// A check run.
#[derive(Clone, Debug)]
pub(crate) struct CheckRun {
    pub(crate) id: u64,
    pub(crate) suite: u64,
    pub(crate) sha: String,
    pub(crate) name: String,
    pub(crate) external_id: String,
    pub(crate) details_url: Option<String>,
    pub(crate) status: String,
    pub(crate) conclusion: Option<String>,
    pub(crate) started_at: Moment,
    pub(crate) completed_at: Option<Moment>,
    pub(crate) title: Option<String>,
    pub(crate) summary: Option<String>,
    pub(crate) text: Option<String>,
    /// The App that created it; `None` for one set by the control API.
    pub(crate) app: Option<u64>,
}

/// The check runs of one App on one commit; for GitHub Actions, those of one workflow run.
#[derive(Clone, Debug)]
pub(crate) struct CheckSuite {
    pub(crate) id: u64,
    pub(crate) sha: String,
    pub(crate) app: Option<u64>,
    pub(crate) workflow: Option<String>,
    pub(crate) created_at: Moment,
}

/// A commit status.
#[derive(Clone, Debug)]
pub(crate) struct CommitStatus {
    pub(crate) id: u64,
    pub(crate) sha: String,
    pub(crate) context: String,
    pub(crate) state: String,
    pub(crate) description: Option<String>,
    pub(crate) target_url: Option<String>,
    pub(crate) creator: String,
    pub(crate) created_at: Moment,
}

/// Changes to a check run; `None` keeps a value.
#[derive(Clone, Debug, Default)]
pub(crate) struct CheckChange {
    pub(crate) name: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) conclusion: Option<String>,
    pub(crate) details_url: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) summary: Option<String>,
    pub(crate) text: Option<String>,
}

impl State {
    /// Creates a check run on a commit and returns its id.
    pub(crate) fn add_check(
        &mut self,
        repo: u64,
        sha: &str,
        change: CheckChange,
        (app, workflow): (Option<u64>, Option<&str>),
        actor: &str,
    ) -> Result<u64, Refusal> {
        let same = |suite: &&CheckSuite| {
            suite.sha == sha && suite.app == app && suite.workflow.as_deref() == workflow
        };
        let suite = match self.repo(repo)?.suites.values().find(same) {
            Some(suite) => suite.id,
            None => self.ids.next(Kind::CheckSuite),
        };
        let id = self.ids.next(Kind::CheckRun);
        let found = self.repo_mut(repo)?;
        found.suites.entry(suite).or_insert_with(|| CheckSuite {
            id: suite,
            sha: sha.to_owned(),
            app,
            workflow: workflow.map(str::to_owned),
            created_at: now(),
        });
        let run = CheckRun {
            id,
            suite,
            sha: sha.to_owned(),
            name: String::new(),
            external_id: String::new(),
            details_url: None,
            status: "queued".to_owned(),
            conclusion: None,
            started_at: now(),
            completed_at: None,
            title: None,
            summary: None,
            text: None,
            app,
        };
        found.checks.insert(id, run);
        self.apply_check(repo, id, change)?;
        let body = payload::check_run(self, repo, id);
        self.emit(repo, "check_run", Some("created"), body, actor);
        self.tell_completed(repo, id, false, actor)?;
        Ok(id)
    }

    /// Changes a check run.
    pub(crate) fn change_check(
        &mut self,
        repo: u64,
        id: u64,
        change: CheckChange,
        actor: &str,
    ) -> Result<(), Refusal> {
        let before = self.repo(repo)?.checks.get(&id).map(|run| run.status == "completed");
        let was_completed =
            before.ok_or_else(|| Refusal::Missing("there is no such check run".to_owned()))?;
        self.apply_check(repo, id, change)?;
        self.tell_completed(repo, id, was_completed, actor)
    }

    fn tell_completed(&mut self, repo: u64, id: u64, before: bool, actor: &str) -> Result<(), Refusal> {
        let completed = self.repo(repo)?.checks.get(&id).is_some_and(|run| run.status == "completed");
        if completed && !before {
            let body = payload::check_run(self, repo, id);
            self.emit(repo, "check_run", Some("completed"), body, actor);
        }
        Ok(())
    }

    fn apply_check(&mut self, repo: u64, id: u64, change: CheckChange) -> Result<(), Refusal> {
        let Some(run) = self.repo_mut(repo)?.checks.get_mut(&id) else { return Ok(()) };
        if let Some(name) = change.name {
            run.name = name;
        }
        if let Some(status) = change.status {
            run.status = status;
        }
        if let Some(conclusion) = change.conclusion {
            // A conclusion completes the run, whatever the given status.
            "completed".clone_into(&mut run.status);
            run.conclusion = Some(conclusion);
        }
        if run.status == "completed" {
            run.completed_at.get_or_insert_with(now);
        } else {
            run.conclusion = None;
            run.completed_at = None;
        }
        run.details_url = change.details_url.or(run.details_url.take());
        run.external_id = change.external_id.unwrap_or_else(|| std::mem::take(&mut run.external_id));
        run.title = change.title.or(run.title.take());
        run.summary = change.summary.or(run.summary.take());
        run.text = change.text.or(run.text.take());
        Ok(())
    }

    /// Adds a status to a commit and returns its id.
    pub(crate) fn add_commit_status(
        &mut self,
        repo: u64,
        sha: &str,
        context: &str,
        state: &str,
        (description, target_url): (Option<String>, Option<String>),
        creator: &str,
    ) -> Result<u64, Refusal> {
        let count = self
            .repo(repo)?
            .statuses
            .iter()
            .filter(|status| status.sha == sha && status.context.eq_ignore_ascii_case(context))
            .count();
        if count >= 1_000 {
            let message = "This SHA and context has reached the maximum number of statuses.";
            return Err(Refusal::invalid("Status", "", message));
        }
        let id = self.ids.next(Kind::CommitStatus);
        let status = CommitStatus {
            id,
            sha: sha.to_owned(),
            context: context.to_owned(),
            state: state.to_owned(),
            description,
            target_url,
            creator: creator.to_owned(),
            created_at: now(),
        };
        self.repo_mut(repo)?.statuses.push(status.clone());
        let body = payload::status(self, repo, &status);
        self.emit(repo, "status", None, body, creator);
        Ok(id)
    }
}

/// Returns the latest status of every context of a commit, newest first.
pub(crate) fn latest<'a>(statuses: &'a [CommitStatus], sha: &str) -> Vec<&'a CommitStatus> {
    let mut latest: Vec<&CommitStatus> = Vec::new();
    for status in statuses.iter().rev().filter(|status| status.sha == sha) {
        // A context is "case-insensitive".
        if !latest.iter().any(|known| known.context.eq_ignore_ascii_case(&status.context)) {
            latest.push(status);
        }
    }
    latest
}

/// Returns the combined state: `failure`, `pending` or `success`; `pending` when there are no
/// statuses.
pub(crate) fn combined(latest: &[&CommitStatus]) -> &'static str {
    if latest.iter().any(|status| matches!(status.state.as_str(), "failure" | "error")) {
        "failure"
    } else if latest.is_empty() || latest.iter().any(|status| status.state == "pending") {
        "pending"
    } else {
        "success"
    }
}
