//! GitHub's objects, with only the fields that decisions read.

use crate::api::DeploymentState;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// `owner/name` of a repository. Comparisons ignore case, as GitHub does.
#[derive(Clone, Debug, Eq)]
pub struct RepositoryName {
    /// The user or organization.
    pub owner: String,
    /// The repository.
    pub name: String,
}

impl PartialEq for RepositoryName {
    fn eq(&self, other: &Self) -> bool {
        self.owner.eq_ignore_ascii_case(&other.owner) && self.name.eq_ignore_ascii_case(&other.name)
    }
}

impl std::hash::Hash for RepositoryName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.owner.to_ascii_lowercase().hash(state);
        self.name.to_ascii_lowercase().hash(state);
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl FromStr for RepositoryName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((owner, name)) if !owner.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
            }
            _ => Err(format!("\"{text}\" is not a repository: write it as owner/name")),
        }
    }
}

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // each is a separate fact on GitHub
pub struct PullRequest {
    /// Number in its repository.
    pub number: i64,
    /// Whether it is open.
    pub open: bool,
    /// Head commit.
    pub head_sha: String,
    /// Head branch's name.
    pub head_branch: String,
    /// Id of the head's repository; `None` when that repository has been deleted.
    pub head_repository_id: Option<i64>,
    /// Id of the repository to merge into.
    pub base_repository_id: i64,
    /// Branch to merge into.
    pub base_branch: String,
    /// Whether it is a draft.
    pub draft: bool,
    /// Login of its author.
    pub author: String,
    /// Whether its author is a bot (`user.type` is `Bot`).
    pub bot: bool,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// The commit that merged it. While it is open, GitHub's trial merge commit.
    pub merge_commit_sha: Option<String>,
    /// When GitHub last changed it, in RFC 3339.
    pub updated_at: String,
}

impl PullRequest {
    /// Whether the head is in another repository. It compares ids, because somebody else can take
    /// over a name. A head in a deleted repository counts as a fork.
    pub fn is_fork(&self) -> bool {
        self.head_repository_id != Some(self.base_repository_id)
    }

    /// Identifies the state of the pull request: GitHub's time of the last change and a digest of
    /// the fields that matter here. GitHub's time is in whole seconds, so two changes can have the
    /// same time.
    pub fn version(&self) -> String {
        let mut labels: Vec<&str> = self.labels.iter().map(String::as_str).collect();
        labels.sort_unstable();
        let state = format!(
            "{} {} {} {}\n{}",
            self.open,
            self.draft,
            self.head_sha,
            self.base_branch,
            labels.join("\n")
        );
        format!("{} {}", self.updated_at, &hex::encode(Sha256::digest(state))[..8])
    }
}

/// A deployment. <https://docs.github.com/rest/deployments/deployments>
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// Its id; ids only increase.
    pub id: i64,
    /// The commit.
    pub sha: String,
    /// Name of the environment, as its creator wrote it.
    pub environment: String,
    /// The payload, parsed if it is a string with a JSON object or list.
    pub payload: Value,
    /// Login of who created it.
    pub creator: String,
    /// When it was created, in RFC 3339.
    pub created_at: String,
}

/// A status of a deployment. <https://docs.github.com/rest/deployments/statuses>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentStatus {
    /// Its id; ids only increase.
    pub id: i64,
    /// State that its creator gave it.
    pub state: StatusState,
    /// Description by its creator; may be empty.
    pub description: String,
    /// URL of the environment.
    pub environment_url: Option<String>,
    /// When it was created, in RFC 3339.
    pub created_at: String,
}

/// State of a deployment status. <https://docs.github.com/rest/deployments/statuses>
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusState {
    /// `queued`
    Queued,
    /// `pending`
    Pending,
    /// `in_progress`
    InProgress,
    /// `success`
    Success,
    /// `failure`
    Failure,
    /// `error`
    Error,
    /// `inactive`
    Inactive,
    /// A value that GitHub's API doesn't document yet.
    Other(String),
}

impl StatusState {
    /// Returns the value in GitHub's API.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Queued => "queued",
            Self::Pending => "pending",
            Self::InProgress => "in_progress",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
            Self::Inactive => "inactive",
            Self::Other(word) => word,
        }
    }

    /// Whether the deployment has neither succeeded nor failed yet.
    pub const fn is_under_way(&self) -> bool {
        matches!(self, Self::Queued | Self::Pending | Self::InProgress)
    }

    /// Whether the deployment failed.
    pub const fn is_failed(&self) -> bool {
        matches!(self, Self::Failure | Self::Error)
    }
}

impl From<&str> for StatusState {
    fn from(word: &str) -> Self {
        match word {
            "queued" => Self::Queued,
            "pending" => Self::Pending,
            "in_progress" => Self::InProgress,
            "success" => Self::Success,
            "failure" => Self::Failure,
            "error" => Self::Error,
            "inactive" => Self::Inactive,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl PartialEq<DeploymentState> for StatusState {
    fn eq(&self, state: &DeploymentState) -> bool {
        self.as_str() == state.as_github()
    }
}

/// State of a check of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// It has not completed yet.
    Pending,
    /// It succeeded, or ended in a way that GitHub counts as passed (`success`, `neutral`, `skipped`).
    Passed,
    /// It completed otherwise. Holds GitHub's conclusion, such as `failure` or `timed_out`.
    Failed(String),
}

/// A check of a commit: a check run (<https://docs.github.com/rest/checks/runs>) or a commit status
/// (<https://docs.github.com/rest/commits/statuses>). Gates treat both alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Name of the check run, or context of the status.
    pub name: String,
    /// State of the newest one with that name.
    pub state: CheckState,
}

/// A branch and its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Its name, without `refs/heads/`.
    pub name: String,
    /// The commit it points to.
    pub sha: String,
}

/// A comment on an issue or a pull request. <https://docs.github.com/rest/issues/comments>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Its id; ids only increase.
    pub id: i64,
    /// Number of the issue or pull request.
    pub number: i64,
    /// Whether it is known to be on a pull request. Matinee ignores commands in comments on issues.
    pub on_pull_request: bool,
    /// Login of its author; empty when the account has been deleted.
    pub author: String,
    /// Whether a bot or an App wrote it.
    pub bot: bool,
    /// Whether it was edited.
    pub edited: bool,
    /// The text, in Markdown.
    pub body: String,
    /// When it was written, in RFC 3339.
    pub created_at: String,
}

/// Permission of a user in a repository, from least to most.
/// <https://docs.github.com/rest/collaborators/collaborators#get-repository-permissions-for-a-user>
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RepositoryRole {
    /// No permission, or none that GitHub reported.
    None,
    /// Read.
    Read,
    /// Manage issues and pull requests.
    Triage,
    /// Push.
    Write,
    /// Manage the repository without access to sensitive actions.
    Maintain,
    /// Everything.
    Admin,
}

/// Reaction that Matinee adds to comments.
/// <https://docs.github.com/rest/reactions/reactions#about-reactions>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emoji {
    /// 👀: Matinee has read the command.
    Eyes,
    /// 👍: Matinee has executed the command.
    PlusOne,
    /// 👎: Matinee has rejected the command.
    MinusOne,
    /// 😕: Matinee didn't understand the command, or it failed.
    Confused,
}

impl Emoji {
    /// Returns the value in GitHub's API.
    pub const fn as_github(self) -> &'static str {
        match self {
            Self::Eyes => "eyes",
            Self::PlusOne => "+1",
            Self::MinusOne => "-1",
            Self::Confused => "confused",
        }
    }
}

/// State of a commit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitState {
    /// Matinee waits for something.
    Pending,
    /// Done.
    Success,
    /// The deployment isn't allowed.
    Failure,
    /// The deployment isn't possible.
    Error,
}

impl CommitState {
    /// Returns the value in GitHub's API.
    pub const fn as_github(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }
}

/// A commit status to create. <https://docs.github.com/rest/commits/statuses#create-a-commit-status>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCommitStatus {
    /// Name that is unique among the statuses of a commit. GitHub ignores its case.
    pub context: String,
    /// Its state.
    pub state: CommitState,
    /// At most 140 characters.
    pub description: String,
    /// URL with details.
    pub target_url: Option<String>,
}

/// A deployment to create. The GitHub client adds the constant fields (`auto_merge: false`,
/// `required_contexts: []`).
#[derive(Clone, Debug, PartialEq)]
pub struct NewDeployment {
    /// The commit, given as `ref`.
    pub sha: String,
    /// Name of the environment.
    pub environment: String,
    /// At most 140 characters.
    pub description: String,
    /// Payload: a JSON object.
    pub payload: Value,
    /// Whether the environment will be deleted one day.
    pub transient: bool,
    /// Whether end users use it.
    pub production: bool,
}

/// Whether two names are the same environment to GitHub, which ignores case.
pub fn same_environment(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}
