//! GitHub's nouns as the decisions see them: only the fields that a decision reads, in tolerant form.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

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
    /// When GitHub last changed it, in RFC 3339.
    pub updated_at: String,
}

impl PullRequest {
    /// Whether the head is somebody else's repository. Told by id, since a name can be taken over; a head whose repository is
    /// gone counts as a fork.
    pub fn is_fork(&self) -> bool {
        self.head_repository_id != Some(self.base_repository_id)
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
    /// The payload; a string that holds JSON has been parsed.
    pub payload: Value,
    /// Login of who created it.
    pub creator: String,
    /// When it was created, in RFC 3339.
    pub created_at: String,
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
