//! Answers to commands. All text that users wrote is escaped.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::escape::{escape_markdown, escape_mrkdwn, is_unseen};
use super::{Channel, CommandError, WORDS};
use crate::api::Lock;
use crate::core::forge::RepositoryRole;
use crate::core::truncate::cut;

/// Most characters of a user's text that an answer repeats, and the limit in a table.
const LONGEST: usize = 500;
const LONGEST_IN_TABLE: usize = 80;
/// Most characters of an answer. With the marker it fits into a DeploymentCommand's
/// `status.answer`.
const MAX_ANSWER: usize = 4_000;
/// Characters of a SHA that are shown; GitHub shows as many.
const SHORT: usize = 7;

/// The content of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reply<'a> {
    /// A deployment was requested.
    Accepted {
        /// The environment.
        environment: &'a str,
        /// The commit.
        sha: &'a str,
    },
    /// The deployment waits for its gates.
    Waiting {
        /// The environment.
        environment: &'a str,
        /// The commit.
        sha: &'a str,
        /// Message of the gates' summary.
        what: &'a str,
    },
    /// The deployment is live.
    Deployed {
        /// The environment.
        environment: &'a str,
        /// The commit.
        sha: &'a str,
        /// URL of the environment.
        url: Option<&'a str>,
    },
    /// The deployment did not happen: a gate or GitHub refused it, it failed, or it was superseded.
    Failed {
        /// The environment.
        environment: &'a str,
        /// The commit.
        sha: &'a str,
        /// The reason.
        cause: &'a str,
    },
    /// The user's role doesn't permit the command.
    NotPermitted {
        /// The user's login.
        login: &'a str,
        /// The role that the command needs.
        needed: RepositoryRole,
    },
    /// The command wasn't understood, or it is rejected.
    NotUnderstood(&'a CommandError),
    /// The environment is locked.
    Locked {
        /// The environment.
        environment: &'a str,
        /// The lock.
        lock: &'a Lock,
    },
    /// The environment has been unlocked.
    Unlocked {
        /// The environment.
        environment: &'a str,
        /// Login of the user who unlocked it.
        by: &'a str,
    },
    /// A deployment was approved.
    Approved {
        /// The environment.
        environment: &'a str,
        /// The commit.
        sha: &'a str,
        /// Login of the user who approved it.
        by: &'a str,
    },
    /// The approval has no effect.
    NotApproved {
        /// The environment.
        environment: &'a str,
        /// The commit; empty when it is unknown.
        sha: &'a str,
        /// The reason.
        cause: &'a str,
    },
    /// What is deployed in each environment.
    Where(&'a [Row<'a>]),
    /// The commands and the names of the environments.
    Help(&'a [&'a str]),
}

/// One environment in the answer to `where`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    /// The environment.
    pub environment: &'a str,
    /// The commit that was deployed last.
    pub sha: Option<&'a str>,
    /// State of that deployment in one word, for example `live` or `failed`.
    pub state: &'a str,
    /// URL of the environment.
    pub url: Option<&'a str>,
    /// Since when the deployment has had that state.
    pub since: Option<Timestamp>,
    /// The lock.
    pub lock: Option<&'a Lock>,
    /// The deployment that waits, and what it waits for.
    pub waiting: Option<&'a str>,
}

/// Returns the hidden marker of the comment that answers a DeploymentCommand. Matinee finds the
/// comment by it and edits the comment when the state changes.
pub fn marker(uid: &str) -> String {
    let uid: String = uid.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    format!("<!-- matinee:command:{uid} -->")
}

/// Returns the answer to a command in the markup of its channel: Markdown that ends with the
/// [`marker`], or Slack's mrkdwn. `uid` is the DeploymentCommand's. It has at most 4096 characters.
pub fn reply(reply: &Reply<'_>, channel: Channel, uid: &str) -> String {
    let text = Writer { channel }.text(reply);
    match channel {
        Channel::Comment => format!("{text}\n\n{}\n", marker(uid)),
        Channel::Slack => text,
    }
}

#[derive(Clone, Copy)]
struct Writer {
    channel: Channel,
}

impl Writer {
    fn escape(self, text: &str, max: usize) -> String {
        let text = cut(text, max);
        match self.channel {
            Channel::Comment => escape_markdown(&text),
            Channel::Slack => escape_mrkdwn(&text),
        }
    }

    fn plain(self, text: &str) -> String {
        self.escape(text, LONGEST)
    }

    /// Formats a text as code that can be copied. Characters that would end the code or a table
    /// cell are removed.
    fn code(self, text: &str) -> String {
        let odd = |c: char| c.is_control() || is_unseen(c) || matches!(c, '`' | '|');
        let kept: String = text.chars().filter(|c| !odd(*c)).collect();
        if kept.trim().is_empty() {
            return String::new();
        }
        match self.channel {
            Channel::Comment => format!("`{kept}`"),
            Channel::Slack => format!("`{}`", entities(&kept)),
        }
    }

    fn commit(self, sha: &str) -> String {
        self.code(&sha.chars().take(SHORT).collect::<String>())
    }

    /// Formats a link if the URL is certainly an HTTP or HTTPS URL; anything else becomes plain
    /// text.
    fn link(self, url: &str) -> String {
        let web = url.starts_with("https://") || url.starts_with("http://");
        let odd = |c: char| c.is_control() || c.is_whitespace() || !c.is_ascii() || "<>|`\"\\".contains(c);
        if !web || url.contains(odd) || url.len() > LONGEST {
            return self.plain(url);
        }
        match self.channel {
            Channel::Comment => format!("<{url}>"),
            Channel::Slack => format!("<{}>", entities(url)),
        }
    }

    fn lock(self, lock: &Lock, max: usize) -> String {
        let since =
            lock.lock_time.as_ref().map(|since| format!(" since {}", time(since.0))).unwrap_or_default();
        format!("locked by {}{since}: {}", self.escape(&lock.by, max), self.escape(&lock.reason, max))
    }

    fn text(self, reply: &Reply<'_>) -> String {
        match *reply {
            Reply::Accepted { environment, sha } => {
                format!("{} is requested for {}.", self.commit(sha), self.code(environment))
            }
            Reply::Waiting { environment, sha, what } => {
                format!("{} is not in {} yet: {}", self.commit(sha), self.code(environment), self.plain(what))
            }
            Reply::Deployed { environment, sha, url } => {
                let at = url.map(|url| format!(": {}", self.link(url))).unwrap_or_default();
                format!("{} is live in {}{at}", self.commit(sha), self.code(environment))
            }
            Reply::Failed { environment, sha, cause } => {
                format!(
                    "{} was not deployed to {}: {}",
                    self.commit(sha),
                    self.code(environment),
                    self.plain(cause)
                )
            }
            Reply::NotPermitted { login, needed } => {
                format!(
                    "{} may not give this command: it requires the role {} or a higher one.",
                    self.plain(login),
                    role(needed)
                )
            }
            Reply::NotUnderstood(error) => {
                let usage = error.usage.map(|usage| format!("\n\n{}", self.code(usage))).unwrap_or_default();
                format!("{}{usage}", self.plain(&error.message))
            }
            Reply::Locked { environment, lock } => {
                format!("{} is {}", self.code(environment), self.lock(lock, LONGEST))
            }
            Reply::Unlocked { environment, by } => {
                format!("{} was unlocked by {}.", self.code(environment), self.plain(by))
            }
            Reply::Approved { environment, sha, by } => {
                format!("{} approved {} for {}.", self.plain(by), self.commit(sha), self.code(environment))
            }
            Reply::NotApproved { environment, sha, cause } => {
                let what = if sha.is_empty() {
                    "Nothing was".to_owned()
                } else {
                    format!("{} was not", self.commit(sha))
                };
                format!("{what} approved for {}: {}", self.code(environment), self.plain(cause))
            }
            Reply::Where(rows) => self.table(rows),
            Reply::Help(environments) => self.help(environments),
        }
    }

    fn table(self, rows: &[Row<'_>]) -> String {
        let mut text = match self.channel {
            Channel::Comment => {
                "| environment | commit | state | since | waiting |\n|---|---|---|---|---|\n".to_owned()
            }
            Channel::Slack => String::new(),
        };
        for (index, row) in rows.iter().enumerate() {
            let line = self.row(row);
            // The answer must fit; users with that many environments can look at the cluster.
            if text.chars().count() + line.chars().count() > MAX_ANSWER - 100 {
                let _ = write!(text, "\n… and {} more", rows.len() - index);
                break;
            }
            text.push_str(&line);
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn row(self, row: &Row<'_>) -> String {
        let environment = self.code(row.environment);
        let commit = row.sha.map(|sha| self.commit(sha)).unwrap_or_default();
        let url = row.url.map(|url| format!(" {}", self.link(url))).unwrap_or_default();
        let state = format!("{}{url}", self.escape(row.state, LONGEST_IN_TABLE));
        let since = row.since.map(time).unwrap_or_default();
        let mut waits: Vec<String> =
            row.lock.map(|lock| self.lock(lock, LONGEST_IN_TABLE)).into_iter().collect();
        waits.extend(row.waiting.map(|waiting| self.escape(waiting, LONGEST_IN_TABLE)));
        let waits = waits.join("; ");
        match self.channel {
            Channel::Comment => format!("| {environment} | {commit} | {state} | {since} | {waits} |\n"),
            Channel::Slack => {
                let since = if since.is_empty() { since } else { format!("since {since}") };
                let parts = [commit, state, since, waits];
                let parts: Vec<&str> =
                    parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
                format!("{environment}: {}\n", parts.join(", "))
            }
        }
    }

    fn help(self, environments: &[&str]) -> String {
        let mut text = String::new();
        for word in &WORDS {
            if let Some(usage) = word.usage(self.channel) {
                let bullet = if self.channel == Channel::Comment { '-' } else { '•' };
                let _ = writeln!(text, "{bullet} {} {}", self.code(usage), word.does);
            }
        }
        let names: Vec<String> = environments.iter().map(|name| self.code(name)).collect();
        if !names.is_empty() {
            let _ = write!(text, "\nEnvironments: {}", names.join(", "));
        }
        text.truncate(text.trim_end().len());
        text
    }
}

fn entities(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn time(time: Timestamp) -> String {
    time.strftime("%F %H:%M UTC").to_string()
}

const fn role(role: RepositoryRole) -> &'static str {
    match role {
        RepositoryRole::None | RepositoryRole::Read => "read",
        RepositoryRole::Triage => "triage",
        RepositoryRole::Write => "write",
        RepositoryRole::Maintain => "maintain",
        RepositoryRole::Admin => "admin",
    }
}
