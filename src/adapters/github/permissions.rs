//! The permissions and webhook events that a GitHub App needs, and the features that need them.
//! This table is the source for `matinee github connect`, for `matinee doctor` and for the guide to
//! the App.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// An optional part of Matinee that needs more permissions and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Commands in comments.
    Commands,
    /// Gates and locks.
    Gates,
    /// Deployments of pushed branches, and of refs that users name in Slack.
    Pushes,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 3] = [Self::Commands, Self::Gates, Self::Pushes];

    /// Returns the part's name in the command line flag.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Gates => "gates",
            Self::Pushes => "pushes",
        }
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|part| part.word() == text).ok_or_else(|| {
            let words = Self::ALL.map(Self::word).join(", ");
            format!("\"{text}\" is not what an App can go without: write some of {words}")
        })
    }
}

/// The level of a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Read access.
    Read,
    /// Read and write access.
    Write,
}

impl Level {
    /// Parses GitHub's word for a level.
    pub fn of(text: &str) -> Option<Self> {
        match text {
            "read" => Some(Self::Read),
            "write" | "admin" => Some(Self::Write),
            _ => None,
        }
    }

    /// Returns GitHub's word for the level.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A feature that needs permissions or events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Every use of Matinee.
    Everything,
    /// Previews of pull requests.
    Previews,
    /// Deployments of pushes.
    Push,
    /// Commands in Slack.
    Slack,
    /// The gate `checks`.
    Checks,
    /// The gate `image`.
    Image,
    /// Commit statuses of requests that wait.
    Gates,
    /// Deployments that follow those of other environments.
    Chain,
    /// Commands in comments.
    Commands,
}

impl Feature {
    /// Returns the feature's name for users: a field of a PreviewRepository or a class, if there is
    /// one.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Previews => "trigger.pullRequest",
            Self::Push => "trigger.push",
            Self::Slack => "spec.slack",
            Self::Checks => "gates.checks",
            Self::Image => "gates.image",
            Self::Gates => "gates and locks",
            Self::Chain => "what follows other environments",
            Self::Commands => "commands in comments",
        }
    }
}

/// A permission of an App.
#[derive(Clone, Copy, Debug)]
pub struct Permission {
    /// GitHub's key of the permission.
    pub word: &'static str,
    /// Its name in GitHub's settings.
    pub title: &'static str,
    /// The required level.
    pub level: Level,
    /// The part that needs the permission; `None` if every App needs it.
    pub part: Option<Part>,
    /// The features that need the permission.
    pub features: &'static [Feature],
}

/// A webhook event that an App subscribes to.
#[derive(Clone, Copy, Debug)]
pub struct Subscription {
    /// GitHub's key of the event.
    pub word: &'static str,
    /// Its name in GitHub's settings.
    pub title: &'static str,
    /// The part that needs the event; `None` if every App needs it. GitHub rejects an event without
    /// its permission, so both belong to the same part.
    pub part: Option<Part>,
    /// The features that need the event.
    pub features: &'static [Feature],
}

const fn permission(
    word: &'static str,
    title: &'static str,
    level: Level,
    part: Option<Part>,
    features: &'static [Feature],
) -> Permission {
    Permission { word, title, level, part, features }
}

/// All permissions that Matinee uses. If a permission has two rows, the one with the higher level
/// is the later one.
pub const PERMISSIONS: [Permission; 8] = [
    permission("metadata", "Metadata", Level::Read, None, &[Feature::Everything]),
    permission("deployments", "Deployments", Level::Write, None, &[Feature::Everything]),
    permission("pull_requests", "Pull requests", Level::Read, None, &[Feature::Previews]),
    permission("pull_requests", "Pull requests", Level::Write, Some(Part::Commands), &[Feature::Commands]),
    permission("issues", "Issues", Level::Write, Some(Part::Commands), &[Feature::Commands]),
    permission("contents", "Contents", Level::Read, Some(Part::Pushes), &[Feature::Push, Feature::Slack]),
    permission("checks", "Checks", Level::Read, Some(Part::Gates), &[Feature::Checks]),
    permission("statuses", "Commit statuses", Level::Write, Some(Part::Gates), &[Feature::Gates]),
];

const fn event(
    word: &'static str,
    title: &'static str,
    part: Option<Part>,
    features: &'static [Feature],
) -> Subscription {
    Subscription { word, title, part, features }
}

/// All events that Matinee uses. `check_suite` isn't among them, since `check_run` reports the
/// same.
pub const EVENTS: [Subscription; 7] = [
    event("deployment", "Deployments", None, &[Feature::Everything]),
    event("pull_request", "Pull requests", None, &[Feature::Previews]),
    event("deployment_status", "Deployment statuses", None, &[Feature::Chain]),
    event("push", "Pushes", Some(Part::Pushes), &[Feature::Push]),
    event("check_run", "Check runs", Some(Part::Gates), &[Feature::Checks, Feature::Image]),
    event("status", "Statuses", Some(Part::Gates), &[Feature::Checks, Feature::Image]),
    event("issue_comment", "Issue comments", Some(Part::Commands), &[Feature::Commands]),
];

fn is_in(part: Option<Part>, parts: &BTreeSet<Part>) -> bool {
    part.is_none_or(|part| parts.contains(&part))
}

/// Returns the repository permissions of an App with these parts. Without any part, the App can do
/// previews of pull requests.
pub fn permissions(parts: &BTreeSet<Part>) -> BTreeMap<&'static str, &'static str> {
    let rows = PERMISSIONS.iter().filter(|row| is_in(row.part, parts));
    rows.map(|row| (row.word, row.level.as_str())).collect()
}

/// Returns the webhook events of an App with these parts.
pub fn events(parts: &BTreeSet<Part>) -> BTreeSet<&'static str> {
    EVENTS.iter().filter(|row| is_in(row.part, parts)).map(|row| row.word).collect()
}
