//! Parses a webhook body into an [`Event`], or ignores it with a reason. Schemas:
//! <https://docs.github.com/webhooks/webhook-events-and-payloads>.

use serde::de::DeserializeOwned;

use super::bodies::{
    ActionBody, CheckRunBody, CheckSuiteBody, CommentBody, CommitStatusBody, DeploymentBody,
    DeploymentStatusBody, EditedBody, PullRequestBody, PushBody, RefBody,
};
use crate::core::event::{Event, Parsed};

/// Prefix of a branch's full name. <https://git-scm.com/docs/gitglossary#def_ref>
const BRANCHES: &str = "refs/heads/";

/// A body that doesn't fit its event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body of the {event} event can't be read at {field}: {problem}")]
pub struct ParseError {
    /// Name of the event, from the header `X-GitHub-Event`.
    pub event: String,
    /// Path of the field; `.` is the whole body.
    pub field: String,
    /// The mistake in the field.
    pub problem: String,
}

/// Parses a delivery. Events and actions that Matinee doesn't act on are [`Parsed::Ignored`] with
/// any body, since GitHub adds new ones at any time. Only the body of an event and action that
/// Matinee acts on can be an error.
pub fn parse(event: &str, body: &[u8]) -> Result<Parsed, ParseError> {
    match event {
        "ping" => Ok(Parsed::Event(Event::Ping)),
        "pull_request" => pull_request(body),
        "deployment" => deployment(body),
        "deployment_status" => deployment_status(body),
        "push" => push(body),
        "check_run" => check_run(body),
        "check_suite" => check_suite(body),
        "status" => commit_status(body),
        "issue_comment" => comment(body),
        // GitHub's event names are short. Any other value of the header is shortened.
        other => Ok(Parsed::Ignored(format!("Matinee does not act on {} events", shortened(other)))),
    }
}

/// Parses the actions after which a preview may have to change. `edited` matters only if the base
/// branch changed.
fn pull_request(body: &[u8]) -> Result<Parsed, ParseError> {
    const EVENT: &str = "pull_request";
    let ActionBody { action } = read(EVENT, body)?;
    match action.as_str() {
        "opened" | "reopened" | "synchronize" | "closed" | "labeled" | "unlabeled" | "ready_for_review"
        | "converted_to_draft" => {}
        "edited" if read::<EditedBody>(EVENT, body)?.changes.base.is_some() => {}
        "edited" => {
            return Ok(Parsed::Ignored("the pull request was edited but keeps its base branch".to_owned()));
        }
        _ => return Ok(ignored(EVENT, &action)),
    }
    let PullRequestBody { pull_request, repository } = read(EVENT, body)?;
    Ok(Parsed::Event(Event::PullRequest {
        repository: repository.full_name,
        pull_request: pull_request.into(),
    }))
}

fn deployment(body: &[u8]) -> Result<Parsed, ParseError> {
    const EVENT: &str = "deployment";
    let ActionBody { action } = read(EVENT, body)?;
    if action != "created" {
        return Ok(ignored(EVENT, &action));
    }
    let DeploymentBody { deployment, repository } = read(EVENT, body)?;
    Ok(Parsed::Event(Event::Deployment { repository: repository.full_name, deployment: deployment.into() }))
}

fn deployment_status(body: &[u8]) -> Result<Parsed, ParseError> {
    const EVENT: &str = "deployment_status";
    let ActionBody { action } = read(EVENT, body)?;
    if action != "created" {
        return Ok(ignored(EVENT, &action));
    }
    let DeploymentStatusBody { deployment, deployment_status, repository } = read(EVENT, body)?;
    Ok(Parsed::Event(Event::DeploymentStatus {
        repository: repository.full_name,
        deployment: deployment.into(),
        status: deployment_status.into(),
    }))
}

/// Parses a push, which has no action. Only branches matter, and a deleted branch is ignored.
fn push(body: &[u8]) -> Result<Parsed, ParseError> {
    const EVENT: &str = "push";
    let RefBody { full_name, deleted } = read(EVENT, body)?;
    let Some(branch) = full_name.strip_prefix(BRANCHES) else {
        return Ok(Parsed::Ignored(format!(
            "Matinee does not act on push events for {}, which is no branch",
            shortened(&full_name)
        )));
    };
    if deleted {
        return Ok(Parsed::Ignored(format!(
            "Matinee does not act on push events that delete a branch, here {}",
            shortened(branch)
        )));
    }
    let PushBody { after, repository } = read(EVENT, body)?;
    Ok(Parsed::Event(Event::Push {
        repository: repository.full_name,
        branch: branch.to_owned(),
        sha: after,
        pushed_at: super::happened_at(EVENT, body),
    }))
}

/// Parses the actions after which the state of a check may differ. A check that starts again loses
/// its previous result.
fn check_run(body: &[u8]) -> Result<Parsed, ParseError> {
    const EVENT: &str = "check_run";
    let ActionBody { action } = read(EVENT, body)?;
    if !matches!(action.as_str(), "created" | "completed" | "rerequested") {
        return Ok(ignored(EVENT, &action));
    }
    let CheckRunBody { check_run, repository } = read(EVENT, body)?;
    Ok(Parsed::Event(Event::Checks { repository: repository.full_name, sha: check_run.head_sha }))
}

fn check_suite(body: &[u8]) -> Result<Parsed, ParseError> {
    const EVENT: &str = "check_suite";
    let ActionBody { action } = read(EVENT, body)?;
    if action != "completed" {
        return Ok(ignored(EVENT, &action));
    }
    let CheckSuiteBody { check_suite, repository } = read(EVENT, body)?;
    Ok(Parsed::Event(Event::Checks { repository: repository.full_name, sha: check_suite.head_sha }))
}

/// Parses a commit status (`status`). It has no action, since statuses can only be added.
fn commit_status(body: &[u8]) -> Result<Parsed, ParseError> {
    let CommitStatusBody { sha, repository } = read("status", body)?;
    Ok(Parsed::Event(Event::Checks { repository: repository.full_name, sha }))
}

/// Parses a comment. Only its first version is read for commands, since somebody other than the
/// author may have edited it later.
fn comment(body: &[u8]) -> Result<Parsed, ParseError> {
    const EVENT: &str = "issue_comment";
    let ActionBody { action } = read(EVENT, body)?;
    if action != "created" {
        return Ok(ignored(EVENT, &action));
    }
    let CommentBody { comment, issue, repository, sender } = read(EVENT, body)?;
    if issue.pull_request.is_none() {
        return Ok(Parsed::Ignored(format!(
            "Matinee does not act on issue_comment events for issues, and {} is no pull request",
            issue.number
        )));
    }
    let mut comment = comment.on(issue.number, true);
    comment.bot |= sender.is_some_and(|sender| sender.is_bot());
    Ok(Parsed::Event(Event::Comment { repository: repository.full_name, comment }))
}

fn ignored(event: &str, action: &str) -> Parsed {
    Parsed::Ignored(format!("Matinee does not act on {event} events with action {}", shortened(action)))
}

fn shortened(word: &str) -> String {
    const LONGEST: usize = 60;
    match word.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("\"{}…\"", word[..end].escape_debug()),
        None => format!("\"{}\"", word.escape_debug()),
    }
}

fn read<T: DeserializeOwned>(event: &str, body: &[u8]) -> Result<T, ParseError> {
    let wrong = |field: String, problem: String| ParseError { event: event.to_owned(), field, problem };
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| wrong(error.path().to_string(), error.inner().to_string()))?;
    json.end().map_err(|error| wrong(".".to_owned(), error.to_string()))?;
    Ok(value)
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
