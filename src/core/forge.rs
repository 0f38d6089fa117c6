//! GitHub's nouns as the decisions see them: only the fields that a decision reads, in tolerant form.

use crate::api::DeploymentState;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// `owner/name` of a repository. Compared without regard to case, as GitHub does.
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
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own on GitHub
pub struct PullRequest {
    /// Number in its repository.
    pub number: i64,
    /// Whether it is open.
    pub open: bool,
    /// Head commit.
    pub head_sha: String,
    /// Head branch's name.
    pub head_branch: String,
    /// Id of the head's repository; `None` when that repository is gone.
    pub head_repository_id: Option<i64>,
    /// Id of the repository it asks to merge into.
    pub base_repository_id: i64,
    /// Branch it asks to merge into.
    pub base_branch: String,
    /// Whether it is a draft.
    pub draft: bool,
    /// Login of who opened it.
    pub author: String,
    /// Whether a bot opened it (`user.type` is `Bot`).
    pub bot: bool,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// The commit that it was merged as; while it is open, one that GitHub makes to try the merge.
    pub merge_commit_sha: Option<String>,
    /// When GitHub last changed it, in RFC 3339.
    pub updated_at: String,
}

impl PullRequest {
    /// Whether the head is somebody else's repository. Told by id, since a name can be taken over; a head whose repository is
    /// gone counts as a fork.
    pub fn is_fork(&self) -> bool {
        self.head_repository_id != Some(self.base_repository_id)
    }

    /// Tells its state from others: GitHub's time of the last change, and, since that is in whole seconds and two changes may be in one, a digest of
    /// what counts here.
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
    /// Its id, which only grows.
    pub id: i64,
    /// The commit.
    pub sha: String,
    /// Name of the environment, as its creator wrote it.
    pub environment: String,
    /// The payload; a string that holds a JSON object or list has been parsed.
    pub payload: Value,
    /// Login of who created it.
    pub creator: String,
    /// When it was created, in RFC 3339.
    pub created_at: String,
}

/// A status of a deployment. <https://docs.github.com/rest/deployments/statuses>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentStatus {
    /// Its id, which only grows.
    pub id: i64,
    /// The state that its creator gave it.
    pub state: StatusState,
    /// What its creator says of it; empty when nothing.
    pub description: String,
    /// Where the environment is reached.
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
    /// A word that GitHub's API doesn't document yet.
    Other(String),
}

impl StatusState {
    /// The word that GitHub's API uses.
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

    /// Returns whether the deployment has neither succeeded nor failed yet.
    pub const fn is_under_way(&self) -> bool {
        matches!(self, Self::Queued | Self::Pending | Self::InProgress)
    }

    /// Returns whether the deployment failed.
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

/// How a check of a commit stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// It has not ended yet.
    Pending,
    /// It succeeded, or ended in a way that GitHub counts as passed (`success`, `neutral`, `skipped`).
    Passed,
    /// It ended otherwise; GitHub's word for how, as `failure` or `timed_out`.
    Failed(String),
}

/// A check of a commit: a check run (<https://docs.github.com/rest/checks/runs>), or a commit status
/// (<https://docs.github.com/rest/commits/statuses>), which are told apart by nothing but where they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Name of the check run, or context of the status.
    pub name: String,
    /// The newest of that name.
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
    /// Its id, which only grows.
    pub id: i64,
    /// Number of the issue or pull request.
    pub number: i64,
    /// Whether that is known to be a pull request: an issue's comments command nothing.
    pub on_pull_request: bool,
    /// Login of who wrote it; empty when the account is gone.
    pub author: String,
    /// Whether a bot or an App wrote it.
    pub bot: bool,
    /// Whether it was changed after it was written.
    pub edited: bool,
    /// The text, in Markdown.
    pub body: String,
    /// When it was written, in RFC 3339.
    pub created_at: String,
}

/// What somebody may do in a repository, from least to most.
/// <https://docs.github.com/rest/collaborators/collaborators#get-repository-permissions-for-a-user>
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RepositoryRole {
    /// Nothing, or nothing that GitHub told of.
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

/// The reactions that Matinee leaves on comments, in the words of the API.
/// <https://docs.github.com/rest/reactions/reactions#about-reactions>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emoji {
    /// 👀: the command was seen.
    Eyes,
    /// 👍: it was carried out.
    PlusOne,
    /// 👎: it was refused.
    MinusOne,
    /// 😕: it was not understood, or failed.
    Confused,
}

impl Emoji {
    /// The word that GitHub's API uses.
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
    /// Something is waited for.
    Pending,
    /// Done.
    Success,
    /// It may not be done.
    Failure,
    /// It can't be done.
    Error,
}

impl CommitState {
    /// The word that GitHub's API uses.
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
    /// What tells it from others of the commit; ignores case on GitHub.
    pub context: String,
    /// Its state.
    pub state: CommitState,
    /// At most 140 characters.
    pub description: String,
    /// Where details are.
    pub target_url: Option<String>,
}

/// A deployment to create. What is always the same (`auto_merge: false`, `required_contexts: []`) is the adapter's to add.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDeployment {
    /// The commit, given as `ref`.
    pub sha: String,
    /// Name of the environment.
    pub environment: String,
    /// At most 140 characters.
    pub description: String,
    /// What travels with it; a JSON object.
    pub payload: Value,
    /// Whether the environment goes away one day.
    pub transient: bool,
    /// Whether end users meet it.
    pub production: bool,
}

/// The same environment name to GitHub: case is ignored.
pub fn same_environment(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}
