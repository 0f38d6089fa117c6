//! Resolves a parsed command in a PreviewRepository, and checks who may give it.

use super::{Command, CommandError, DEPLOY, PREVIEW, PROMOTE};
use crate::api::{CommandRole, PreviewRepositorySpec, RepositoryEnvironment};
use crate::core::forge::RepositoryRole;
use crate::core::mistake::Reason;
use crate::core::naming;

/// A command with its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved<'a> {
    /// The command, with the names of environments as the PreviewRepository spells them.
    pub command: Command,
    /// The environment; `None` for `where` and `help`, which concern all environments.
    pub entry: Option<&'a RepositoryEnvironment>,
}

/// Looks up the environment that a command names. Case is ignored.
///
/// # Errors
/// `EnvironmentUnknown`, with the names that exist; `WrongPlace` for a preview when pull requests
/// have no environment of their own; `NothingToPromote`.
pub fn resolve<'a>(
    command: &Command,
    repository: &'a PreviewRepositorySpec,
) -> Result<Resolved<'a>, CommandError> {
    let mut command = command.clone();
    let entry = match &mut command {
        Command::Where | Command::Help => None,
        Command::Preview { .. } => Some(preview(repository)?),
        Command::Deploy { environment, .. }
        | Command::Promote { environment }
        | Command::Lock { environment, .. }
        | Command::Unlock { environment }
        | Command::Approve { environment } => {
            let entry = find(environment, repository)?;
            environment.clone_from(&entry.name);
            Some(entry)
        }
    };
    if let (Command::Promote { .. }, Some(entry)) = (&command, entry) {
        promoted_from(entry)?;
    }
    Ok(Resolved { command, entry })
}

fn find<'a>(
    name: &str,
    repository: &'a PreviewRepositorySpec,
) -> Result<&'a RepositoryEnvironment, CommandError> {
    repository.environments.iter().find(|entry| entry.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let names: Vec<&str> = repository.environments.iter().map(|entry| entry.name.as_str()).collect();
        let are = if names.len() == 1 { "there is" } else { "there are" };
        CommandError {
            reason: Reason::EnvironmentUnknown.as_str(),
            message: format!("there is no environment {name}; {are} {}", names.join(", ")),
            usage: None,
        }
    })
}

/// Returns the environment that each pull request has. Of several, it is the one called `preview`.
fn preview(repository: &PreviewRepositorySpec) -> Result<&RepositoryEnvironment, CommandError> {
    let of_pull_requests: Vec<&RepositoryEnvironment> = repository
        .environments
        .iter()
        .filter(|entry| naming::github_environment(entry, Some(1)).is_some())
        .collect();
    match of_pull_requests.as_slice() {
        [] => Err(CommandError {
            reason: Reason::WrongPlace.as_str(),
            message: "pull requests have no environment of their own here: name the one to deploy to"
                .to_owned(),
            usage: DEPLOY.comment,
        }),
        [one] => Ok(one),
        several => several.iter().copied().find(|entry| entry.name == PREVIEW.name).ok_or_else(|| {
            let names: Vec<&str> = several.iter().map(|entry| entry.name.as_str()).collect();
            CommandError::invalid(
                DEPLOY.comment.unwrap_or_default(),
                format!("pull requests have several environments, {}: name one", names.join(", ")),
            )
        }),
    }
}

/// Returns the name of the environment whose live commit is promoted to this one: the environment
/// in its trigger `deploymentStatus`, else the only environment in its gate `after`.
///
/// # Errors
/// `NothingToPromote`.
pub fn promoted_from(entry: &RepositoryEnvironment) -> Result<&str, CommandError> {
    let followed = entry.trigger.as_ref().and_then(|trigger| trigger.deployment_status.as_ref());
    let after = entry.gates.as_ref().map_or(&[][..], |gates| &gates.after);
    match (followed, after) {
        (Some(followed), _) => Ok(&followed.environment),
        (None, [only]) => Ok(only),
        (None, _) => Err(CommandError {
            reason: "NothingToPromote",
            message: format!(
                "{} follows no one environment: set its trigger.deploymentStatus, or one environment in its gates.after, or use {}",
                entry.name, DEPLOY.name
            ),
            usage: PROMOTE.comment,
        }),
    }
}

/// Returns the role that a command needs: the one that its environment sets, or `Read` for a
/// command that changes nothing.
pub fn needed(resolved: &Resolved<'_>) -> RepositoryRole {
    match resolved.entry.map(|entry| entry.commands.role) {
        None => RepositoryRole::Read,
        Some(CommandRole::Write) => RepositoryRole::Write,
        Some(CommandRole::Maintain) => RepositoryRole::Maintain,
        Some(CommandRole::Admin) => RepositoryRole::Admin,
    }
}

/// Returns whether a role includes the needed role.
pub fn permits(role: RepositoryRole, needed: RepositoryRole) -> bool {
    role != RepositoryRole::None && role >= needed
}
