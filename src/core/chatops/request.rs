//! The deployment request that a command creates.

use kube::ResourceExt as _;

use super::{Command, CommandError, Resolved};
use crate::api::{self, DeploymentRequestSpec, Origin, RequestedBy};
use crate::core::mistake::Reason;
use crate::core::naming;

/// Characters of the DeploymentCommand's UID in the request's name. The same command always leads
/// to the same request; another command for the same commit leads to another request.
const UID: usize = 8;

/// Returns name and spec of the request for a command; `None` when the command requests no
/// deployment. `given` is the command's object. `sha` is the commit to deploy: the pull request's
/// head, the one that the ref points to, or the one to promote.
///
/// # Errors
/// `WrongPlace` when each pull request has its own environment of that name, and the command was
/// given outside of a pull request.
pub fn request(
    given: &api::DeploymentCommand,
    resolved: &Resolved<'_>,
    sha: &str,
) -> Result<Option<(String, DeploymentRequestSpec)>, CommandError> {
    let (parameters, force) = match &resolved.command {
        Command::Deploy { parameters, force, .. } => (parameters.clone(), *force),
        Command::Promote { .. } | Command::Preview { .. } => (Vec::new(), false),
        Command::Lock { .. }
        | Command::Unlock { .. }
        | Command::Approve { .. }
        | Command::Where
        | Command::Help => {
            return Ok(None);
        }
    };
    let Some(entry) = resolved.entry else { return Ok(None) };
    let comment = given.spec.comment.as_ref();
    // An environment that isn't per pull request has none, even if the command was given on one.
    let pull_request = comment
        .map(|comment| comment.pull_request.clone())
        .filter(|reference| naming::github_environment(entry, Some(reference.number)).is_some());
    let number = pull_request.as_ref().map(|reference| reference.number);
    if naming::github_environment(entry, number).is_none() {
        return Err(CommandError {
            reason: Reason::WrongPlace.as_str(),
            message: format!(
                "environment {} is one for each pull request: give the command in a comment on the pull request",
                entry.name
            ),
            usage: None,
        });
    }
    let repository = &given.spec.repository_ref.name;
    let uid: String = given.uid().unwrap_or_default().chars().take(UID).collect();
    let name = format!("{}-{uid}", naming::deployment_request(repository, &entry.name, number, sha));
    let spec = DeploymentRequestSpec {
        repository_ref: given.spec.repository_ref.clone(),
        environment: entry.name.clone(),
        sha: sha.to_owned(),
        pull_request,
        requested_by: RequestedBy {
            origin: if comment.is_some() { Origin::Comment } else { Origin::Slack },
            login: Some(given.spec.login.clone()),
            command: Some(given.name_any()),
            ..RequestedBy::default()
        },
        parameters,
        force,
        not_before: None,
    };
    Ok(Some((name, spec)))
}
