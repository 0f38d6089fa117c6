//! Commands that people give, in comments on pull requests and from Slack: found, understood, allowed, turned into requests, answered.

mod approval;
mod escape;
mod lines;
mod parse;
mod quotes;
mod reply;
mod request;
mod resolve;
#[cfg(test)]
mod tests;

pub use self::approval::approvable;
pub use self::escape::{escape_markdown, escape_mrkdwn};
pub use self::lines::{MAX_LINES, lines};
pub use self::parse::parse;
pub use self::reply::{Reply, Row, marker, reply};
pub use self::request::request;
pub use self::resolve::{Resolved, needed, permits, promoted_from, resolve};

use super::forge::RepositoryName;
use crate::api::Parameter;

/// Where a command was given, and is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a comment on a pull request.
    Comment,
    /// In Slack, after the slash command.
    Slack,
}

/// What somebody wants done. Environments are as they were written until they are [resolved](resolve).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Deploy to an environment: the pull request's head, or what the ref in Slack leads to.
    Deploy {
        /// The environment.
        environment: String,
        /// Values for the template's parameters.
        parameters: Vec<Parameter>,
        /// Pass by the gates `after` and `hours`.
        force: bool,
    },
    /// Deploy to an environment what is live in the one that it follows.
    Promote {
        /// The environment.
        environment: String,
    },
    /// Something about the pull request's preview.
    Preview {
        /// What.
        action: PreviewAction,
    },
    /// Let nothing new be deployed to an environment.
    Lock {
        /// The environment.
        environment: String,
        /// Why.
        reason: String,
    },
    /// Take the lock away.
    Unlock {
        /// The environment.
        environment: String,
    },
    /// Approve the deployment that waits for it.
    Approve {
        /// The environment.
        environment: String,
    },
    /// Tell what is where.
    Where,
    /// Tell which commands there are.
    Help,
}

/// What to do with a preview.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreviewAction {
    /// Deploy the pull request's head to its preview.
    Start,
}

/// A command, and what it is about where the place doesn't say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What is wanted.
    pub command: Command,
    /// The repository: always from Slack, save for help; never from a comment.
    pub repository: Option<RepositoryName>,
    /// The branch, tag or commit in it. None: the default branch.
    pub reference: Option<String>,
}

/// Why a command can't be carried out. It holds text that somebody wrote, which [`reply`] escapes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// CamelCase, as a condition's reason.
    pub reason: &'static str,
    /// What is wrong, and the remedy.
    pub message: String,
    /// How the command is written.
    pub usage: Option<&'static str>,
}

impl CommandError {
    fn invalid(usage: &'static str, message: String) -> Self {
        Self { reason: "CommandInvalid", message, usage: Some(usage) }
    }
}

/// A command word, and how its command is written in each place.
struct Word {
    name: &'static str,
    comment: Option<&'static str>,
    slack: Option<&'static str>,
    does: &'static str,
}

impl Word {
    fn usage(&self, place: Place) -> Option<&'static str> {
        match place {
            Place::Comment => self.comment,
            Place::Slack => self.slack,
        }
    }
}

const DEPLOY: Word = Word {
    name: "deploy",
    comment: Some("/deploy <environment> [name=value …] [--force]"),
    slack: Some("owner/repo[@ref] to <environment> [name=value …] [--force]"),
    does: "deploys the commit",
};
const PROMOTE: Word = Word {
    name: "promote",
    comment: Some("/promote <environment>"),
    slack: None,
    does: "deploys what is live in the environment before it",
};
const PREVIEW: Word = Word {
    name: "preview",
    comment: Some("/preview"),
    slack: None,
    does: "deploys the pull request's preview",
};
const LOCK: Word = Word {
    name: "lock",
    comment: Some("/lock <environment> <reason>"),
    slack: Some("lock owner/repo <environment> <reason>"),
    does: "lets nothing new be deployed",
};
const UNLOCK: Word = Word {
    name: "unlock",
    comment: Some("/unlock <environment>"),
    slack: Some("unlock owner/repo <environment>"),
    does: "takes the lock away",
};
const APPROVE: Word = Word {
    name: "approve",
    comment: Some("/approve <environment>"),
    slack: Some("approve owner/repo[@ref] <environment>"),
    does: "approves the deployment that waits",
};
const WHERE: Word = Word {
    name: "where",
    comment: Some("/where"),
    slack: Some("where owner/repo"),
    does: "tells what is where",
};
const HELP: Word = Word { name: "help", comment: Some("/help"), slack: Some("help"), does: "tells this" };
/// All of them, in the order in which help tells them.
const WORDS: [Word; 8] = [DEPLOY, PROMOTE, PREVIEW, LOCK, UNLOCK, APPROVE, WHERE, HELP];
