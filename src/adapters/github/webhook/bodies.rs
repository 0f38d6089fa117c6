//! Webhook bodies, with the fields that Matinee reads.

use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};

use crate::adapters::github::json::comments::CommentJson;
use crate::adapters::github::json::{
    DeploymentJson, DeploymentStatusJson, PullRequestJson, UserJson, or_default,
};
use crate::core::forge::RepositoryName;

#[derive(Deserialize)]
pub(super) struct ActionBody {
    pub action: String,
}

#[derive(Deserialize)]
pub(super) struct PullRequestBody {
    pub pull_request: PullRequestJson,
    pub repository: RepositoryJson,
}

/// Only the keys of `changes` are used.
#[derive(Deserialize)]
pub(super) struct EditedBody {
    pub changes: ChangesJson,
}

#[derive(Deserialize)]
pub(super) struct ChangesJson {
    pub base: Option<IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct DeploymentBody {
    pub deployment: DeploymentJson,
    pub repository: RepositoryJson,
}

#[derive(Deserialize)]
pub(super) struct DeploymentStatusBody {
    pub deployment: DeploymentJson,
    pub deployment_status: DeploymentStatusJson,
    pub repository: RepositoryJson,
}

/// The ref of a push. It is parsed first, since the other fields of an ignored push may be
/// anything.
#[derive(Deserialize)]
pub(super) struct RefBody {
    #[serde(rename = "ref")]
    pub full_name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub deleted: bool,
}

#[derive(Deserialize)]
pub(super) struct PushBody {
    pub after: String,
    pub repository: RepositoryJson,
}

#[derive(Deserialize)]
pub(super) struct CheckRunBody {
    pub check_run: HeadJson,
    pub repository: RepositoryJson,
}

#[derive(Deserialize)]
pub(super) struct CheckSuiteBody {
    pub check_suite: HeadJson,
    pub repository: RepositoryJson,
}

#[derive(Deserialize)]
pub(super) struct HeadJson {
    pub head_sha: String,
}

#[derive(Deserialize)]
pub(super) struct CommitStatusBody {
    pub sha: String,
    pub repository: RepositoryJson,
}

#[derive(Deserialize)]
pub(super) struct CommentBody {
    pub comment: CommentJson,
    pub issue: IssueJson,
    pub repository: RepositoryJson,
    #[serde(default)]
    pub sender: Option<UserJson>,
}

/// An issue. `pull_request` is set if it is a pull request.
#[derive(Deserialize)]
pub(super) struct IssueJson {
    pub number: i64,
    #[serde(default)]
    pub pull_request: Option<IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct RepositoryJson {
    #[serde(deserialize_with = "repository_name")]
    pub full_name: RepositoryName,
}

fn repository_name<'de, D: Deserializer<'de>>(from: D) -> Result<RepositoryName, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}
