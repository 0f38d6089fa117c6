//! Commands that users give in pull request comments and in Slack. The modules find them, parse
//! them, check permissions, turn them into requests, and answer them.

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

/// The channel in which a command was given and is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// In a comment on a pull request.
    Comment,
    /// In Slack, after the slash command.
    Slack,
}

/// A parsed command. Names of environments are as the user wrote them until [`resolve()`] looks
/// them up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Deploy to an environment: the pull request's head, or in Slack the commit that the ref
    /// points to.
    Deploy {
        /// The environment.
        environment: String,
        /// Values for the template's parameters.
        parameters: Vec<Parameter>,
        /// Whether to bypass the gates `after` and `hours`.
        force: bool,
    },
    /// Deploy to an environment the commit that is live in the environment before it.
    Promote {
        /// The environment.
        environment: String,
    },
    /// Act on the pull request's preview.
    Preview {
        /// The action.
        action: PreviewAction,
    },
    /// Lock an environment, so that nothing new is deployed to it.
    Lock {
        /// The environment.
        environment: String,
        /// The reason, which others see.
        reason: String,
    },
    /// Remove the lock of an environment.
    Unlock {
        /// The environment.
        environment: String,
    },
    /// Approve the deployment that waits for approval.
    Approve {
        /// The environment.
        environment: String,
    },
    /// List what is deployed in each environment.
    Where,
    /// List the commands.
    Help,
}

/// An action on a preview.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreviewAction {
    /// Deploy the pull request's head to its preview.
    Start,
}

/// A command, with the repository and the ref when the channel doesn't imply them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The command.
    pub command: Command,
    /// The repository: always set in Slack, except for `help`; never set in a comment.
    pub repository: Option<RepositoryName>,
    /// The branch, tag or commit in the repository; `None` for the default branch.
    pub reference: Option<String>,
}

/// The reason why a command is rejected. It contains text that a user wrote, which [`reply`]
/// escapes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// Reason in CamelCase, as in a condition.
    pub reason: &'static str,
    /// The mistake and its remedy.
    pub message: String,
    /// The syntax of the command.
    pub usage: Option<&'static str>,
}

impl CommandError {
    fn invalid(usage: &'static str, message: String) -> Self {
        Self { reason: "CommandInvalid", message, usage: Some(usage) }
    }
}

/// A command word, with the syntax of its command in each channel.
struct Word {
    name: &'static str,
    comment: Option<&'static str>,
    slack: Option<&'static str>,
    does: &'static str,
}

impl Word {
    fn usage(&self, channel: Channel) -> Option<&'static str> {
        match channel {
            Channel::Comment => self.comment,
            Channel::Slack => self.slack,
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
    does: "deploys the commit that is live in the previous environment",
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
    does: "stops new deployments",
};
const UNLOCK: Word = Word {
    name: "unlock",
    comment: Some("/unlock <environment>"),
    slack: Some("unlock owner/repo <environment>"),
    does: "removes the lock",
};
const APPROVE: Word = Word {
    name: "approve",
    comment: Some("/approve <environment>"),
    slack: Some("approve owner/repo[@ref] <environment>"),
    does: "approves the waiting deployment",
};
const WHERE: Word = Word {
    name: "where",
    comment: Some("/where"),
    slack: Some("where owner/repo"),
    does: "lists the environments with their commits",
};
const HELP: Word =
    Word { name: "help", comment: Some("/help"), slack: Some("help"), does: "lists the commands" };
/// All command words, in the order in which help lists them.
const WORDS: [Word; 8] = [DEPLOY, PROMOTE, PREVIEW, LOCK, UNLOCK, APPROVE, WHERE, HELP];
