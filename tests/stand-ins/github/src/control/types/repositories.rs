//! Repositories, pushes, and checks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A repository to create.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRepository {
    /// `owner/name`; the owner's account is created if missing.
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

/// A fork to create.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFork {
    /// The account that gets it; created if missing.
    pub owner: String,
    /// Its name; the parent's when left out.
    #[serde(default)]
    pub name: Option<String>,
}

/// A repository that was created.
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
    /// The branch, which is created from the default branch if missing.
    pub branch: String,
    /// The changes: path to text, or to nothing to remove the file. Without changes, the push adds
    /// a line to a file, so that every push is a new commit.
    #[serde(default)]
    pub files: BTreeMap<String, Option<String>>,
    /// The commit's message.
    #[serde(default)]
    pub message: Option<String>,
    /// The login that pushes; the repository's owner when left out.
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

/// A new name for a branch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBranchName {
    /// The present name.
    pub from: String,
    /// The new name.
    pub to: String,
}

/// A check run to create, or to change when the commit has one of that name in the same workflow.
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
    /// The conclusion: `success`, `failure`, `neutral`, `cancelled`, `skipped`, `timed_out`,
    /// `action_required`.
    #[serde(default)]
    pub conclusion: Option<String>,
    /// The workflow whose job it is: each workflow has a check suite of its own on a commit, as
    /// with GitHub Actions.
    #[serde(default)]
    pub workflow: Option<String>,
}

/// A commit status to create.
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
