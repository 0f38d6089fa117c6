//! Repositories, what is pushed to them, and checks of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A repository to make.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRepository {
    /// `owner/name`; the owner's account is made when missing.
    pub full_name: String,
    /// Whether only those with access see it.
    #[serde(default)]
    pub private: bool,
    /// `main` when left out.
    #[serde(default)]
    pub default_branch: Option<String>,
    /// The files of its first commit; a `README.md` when empty.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// A fork to make.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFork {
    /// The account that gets it; made when missing.
    pub owner: String,
    /// Its name; the parent's when left out.
    #[serde(default)]
    pub name: Option<String>,
}

/// A repository that was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RepositoryMade {
    /// Its number.
    pub id: u64,
    /// `owner/name`.
    pub full_name: String,
    /// The first commit of its default branch.
    pub sha: String,
}

/// A collaborator's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// No role at all.
    None,
    /// May read.
    Read,
    /// May read and manage issues and pull requests.
    Triage,
    /// May push.
    Write,
    /// May push and manage the repository, short of what destroys it.
    Maintain,
    /// May do everything.
    Admin,
}

/// A collaborator's role to set.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCollaborator {
    /// The role; `none` removes the collaborator.
    pub role: Role,
}

/// A commit to push.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPush {
    /// The branch, which is made from the default branch when it does not exist.
    pub branch: String,
    /// What to change: path to text, or to nothing to remove the file. With no changes at all one line is
    /// added to a file, so that every push is a new commit.
    #[serde(default)]
    pub files: BTreeMap<String, Option<String>>,
    /// The commit's message.
    #[serde(default)]
    pub message: Option<String>,
    /// Who pushes; the repository's owner when left out.
    #[serde(default)]
    pub author: Option<String>,
    /// The commit to start from instead of the branch's head: a force push.
    #[serde(default)]
    pub onto: Option<String>,
}

/// A commit that was pushed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pushed {
    /// The branch's new head.
    pub sha: String,
}

/// A branch or tag to set without a commit of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRef {
    /// `refs/heads/<branch>` or `refs/tags/<tag>`.
    pub name: String,
    /// The commit it points to.
    pub sha: String,
}

/// Another name for a branch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBranchName {
    /// What it is called.
    pub from: String,
    /// What it is to be called.
    pub to: String,
}

/// A check run to make, or to change when one of that name exists on the commit in the same
/// workflow.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCheckRun {
    /// A branch, tag or SHA.
    pub r#ref: String,
    /// Its name, such as `build-image`.
    pub name: String,
    /// `queued`, `in_progress` or `completed`; `completed` when there is a conclusion.
    #[serde(default)]
    pub status: Option<String>,
    /// How it ended: `success`, `failure`, `neutral`, `cancelled`, `skipped`, `timed_out`, `action_required`.
    #[serde(default)]
    pub conclusion: Option<String>,
    /// The workflow of which it is a job: each has a check suite of its own on a commit, as with
    /// GitHub Actions.
    #[serde(default)]
    pub workflow: Option<String>,
}

/// A commit status to make.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCommitStatus {
    /// A branch, tag or SHA.
    pub r#ref: String,
    /// Its context, such as `ci/build`.
    pub context: String,
    /// `error`, `failure`, `pending` or `success`.
    pub state: String,
}
