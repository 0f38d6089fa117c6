//! A webhook's body becomes an [`Event`], or is ignored with the reason.
//! Shapes: <https://docs.github.com/webhooks/webhook-events-and-payloads>.

use serde::de::DeserializeOwned;

use super::bodies::{
    ActionBody, CheckRunBody, CheckSuiteBody, CommentBody, CommitStatusBody, DeploymentBody,
    DeploymentStatusBody, EditedBody, PullRequestBody, PushBody, RefBody,
};
use crate::core::event::{Event, Parsed};

/// What a branch's full name begins with. <https://git-scm.com/docs/gitglossary#def_ref>
const BRANCHES: &str = "refs/heads/";

/// A body that can't be what its event says it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body of the {event} event can't be read at {field}: {problem}")]
pub struct ParseError {
    /// The event, as the header `X-GitHub-Event` names it.
    pub event: String,
    /// Path of the field; `.` is the whole body.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What a delivery means to Matinee. Events and actions it doesn't act on are [`Parsed::Ignored`] whatever their body holds, since GitHub
/// adds new ones at any time; only the body of an event and action that it does act on can be wrong.
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
        // The names of GitHub's events are short; what else comes in this header is not worth repeating in full.
        other => Ok(Parsed::Ignored(format!("Matinee does not act on {} events", shortened(other)))),
    }
}

/// Actions after which something about a preview may have to change. `edited` matters only when the base branch did.
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

/// A push has no action. Only branches are followed; one that was deleted leads to nothing.
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

/// Actions after which a check may stand otherwise: one that runs (again) takes back what it said.
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

/// A commit status (`status`), which has no action: it can't be changed, only followed by another.
fn commit_status(body: &[u8]) -> Result<Parsed, ParseError> {
    let CommitStatusBody { sha, repository } = read("status", body)?;
    Ok(Parsed::Event(Event::Checks { repository: repository.full_name, sha }))
}

/// A comment commands as it was written first. What was edited into it later isn't obeyed: somebody else than its author may have done so.
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
