//! Pull requests and comments.

use serde::{Deserialize, Serialize};

/// A pull request to open.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPullRequest {
    /// The head: `branch`, or `owner:branch` for a fork's.
    pub head: String,
    /// The base branch; the default branch when left out.
    #[serde(default)]
    pub base: Option<String>,
    /// Its title; the head's name when left out.
    #[serde(default)]
    pub title: Option<String>,
    /// Its description.
    #[serde(default)]
    pub body: Option<String>,
    /// Its author; the head's owner when left out.
    #[serde(default)]
    pub author: Option<String>,
    /// Whether it is a draft.
    #[serde(default)]
    pub draft: bool,
    /// Labels it has from the start, each with an event of its own.
    #[serde(default)]
    pub labels: Vec<String>,
}

/// A pull request as the control API shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PullRequest {
    /// Its number in the repository.
    pub number: u64,
    /// `open` or `closed`.
    pub state: String,
    /// Whether it was merged.
    pub merged: bool,
    /// Whether it is a draft.
    pub draft: bool,
    /// Its title.
    pub title: String,
    /// The head's commit.
    pub head_sha: String,
    /// The head's branch.
    pub head_ref: String,
    /// The id of the head's repository; `None` when that fork was deleted.
    pub head_repository: Option<u64>,
    /// The base branch.
    pub base_ref: String,
    /// The names of its labels.
    pub labels: Vec<String>,
}

/// A change to a pull request; omitted fields stay as they are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullChange {
    /// `open` or `closed`.
    #[serde(default)]
    pub state: Option<String>,
    /// A new title.
    #[serde(default)]
    pub title: Option<String>,
    /// A new description.
    #[serde(default)]
    pub body: Option<String>,
    /// Another base branch.
    #[serde(default)]
    pub base: Option<String>,
    /// Whether it is a draft.
    #[serde(default)]
    pub draft: Option<bool>,
    /// Labels to add.
    #[serde(default)]
    pub add_labels: Vec<String>,
    /// Labels to remove.
    #[serde(default)]
    pub remove_labels: Vec<String>,
    /// Whether to merge it.
    #[serde(default)]
    pub merge: bool,
    /// The login that changes it; the pull request's author when left out.
    #[serde(default)]
    pub actor: Option<String>,
}

/// A comment to write.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewComment {
    /// Its author.
    pub author: String,
    /// Its text, Markdown.
    pub body: String,
}

/// A comment on a pull request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comment {
    /// Its number.
    pub id: u64,
    /// Its author.
    pub author: String,
    /// Its text, Markdown.
    pub body: String,
    /// Reactions to it, as `content login`.
    pub reactions: Vec<String>,
}
