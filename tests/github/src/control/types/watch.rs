//! What tests look at: deployments, timelines, requests, and the limits in force.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A deployment as the control API shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deployment {
    /// Its number.
    pub id: u64,
    /// The commit.
    pub sha: String,
    /// The ref it was asked for.
    pub r#ref: String,
    /// Where it was deployed.
    pub environment: String,
    /// The environment ends with the deployment.
    pub transient: bool,
    /// End users see the environment.
    pub production: bool,
    /// What came with it.
    pub payload: Value,
    /// Who made it.
    pub creator: String,
    /// The latest status's state; none before the first status.
    pub state: Option<String>,
    /// All statuses, oldest first.
    pub statuses: Vec<DeploymentStatus>,
}

/// One status of a deployment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeploymentStatus {
    /// Its number.
    pub id: u64,
    /// `queued`, `in_progress`, `success`, `failure`, `error`, `inactive` or `pending`.
    pub state: String,
    /// What it says.
    pub description: String,
    /// Where the environment answers.
    pub environment_url: String,
    /// Where its log is.
    pub log_url: String,
    /// Whether `auto_inactive` of another deployment's status made it.
    pub automatic: bool,
}

/// One event on the timeline of a pull request or a repository, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// Its place among all events, from 1.
    pub sequence: u64,
    /// When, RFC 3339.
    pub at: String,
    /// `opened`, `committed`, `labeled`, `unlabeled`, `commented`, `closed`, `merged`, `reopened`,
    /// `ready_for_review`, `convert_to_draft`, `edited`, `head_repository_deleted`, `deployment`,
    /// `deployment_status`, `deployment_deleted` or `pushed`.
    pub kind: String,
    /// Who did it.
    pub actor: String,
    /// The pull request it belongs to; none for events of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<u64>,
    /// The commit it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha: Option<String>,
    /// The label, the comment's or commit's text, or the new title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The comment's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<u64>,
    /// The deployment's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<u64>,
    /// The deployment's environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The deployment status's state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The deployment status's environment URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_url: Option<String>,
    /// The deployment status's log URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_url: Option<String>,
}

/// The limits in force. All are per installation or user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests in a window; 5,000 on GitHub.
    pub primary: u64,
    /// The window's length in seconds; 3,600 on GitHub.
    pub window_seconds: u64,
    /// Requests in a window without a token; 60 on GitHub.
    pub anonymous: u64,
    /// The status of an answer over the primary limit: 403 or 429.
    pub primary_status: u16,
    /// Content-creating requests a minute; 80 on GitHub.
    pub content_per_minute: u64,
    /// Content-creating requests an hour; 500 on GitHub.
    pub content_per_hour: u64,
    /// Points a minute, 1 for a read and 5 for a write; 900 on GitHub.
    pub points_per_minute: u64,
    /// Requests at the same time; 100 on GitHub.
    pub concurrent: u64,
    /// The status of an answer over a secondary limit: 403 or 429.
    pub secondary_status: u16,
    /// The `retry-after` of such an answer in seconds; what is left of the minute or hour when none.
    pub retry_after: Option<u64>,
    /// Leave `retry-after` out.
    pub omit_retry_after: bool,
    /// How long installation tokens live, in seconds; 3,600 on GitHub.
    pub token_lifetime_seconds: u64,
    /// How long the code of an App made from a manifest is good, in seconds; 3,600 on GitHub.
    pub manifest_code_lifetime_seconds: u64,
    /// How long installation tokens are, in characters, 40 to 520.
    pub token_length: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            primary: 5_000,
            window_seconds: 3_600,
            anonymous: 60,
            primary_status: 403,
            content_per_minute: 80,
            content_per_hour: 500,
            points_per_minute: 900,
            concurrent: 100,
            secondary_status: 403,
            retry_after: None,
            omit_retry_after: false,
            token_lifetime_seconds: 3_600,
            manifest_code_lifetime_seconds: 3_600,
            token_length: 520,
        }
    }
}

/// One request the REST API got.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Its place among all requests, from 1.
    pub sequence: u64,
    /// When it arrived, RFC 3339 with milliseconds.
    pub at: String,
    /// The method.
    pub method: String,
    /// Path below the base path, with the query.
    pub path: String,
    /// The answer's status; 0 when the connection was closed instead.
    pub status: u16,
    /// Whether it counted against the primary limit.
    pub counted: bool,
    /// Who asked: `installation 87000007`, `user octocat`, `app 1200007` or `anonymous`.
    pub who: String,
    /// The header `User-Agent`.
    pub user_agent: String,
}
