//! Types for reading deployments, timelines, requests, and the limits in force.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A deployment as the control API shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deployment {
    /// Its number.
    pub id: u64,
    /// The commit.
    pub sha: String,
    /// The ref in the request that created it.
    pub r#ref: String,
    /// The environment's name.
    pub environment: String,
    /// Whether the environment ends with the deployment.
    pub transient: bool,
    /// Whether end users see the environment.
    pub production: bool,
    /// The payload of the request that created it.
    pub payload: Value,
    /// The login that created it.
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
    /// Its description.
    pub description: String,
    /// The URL of the environment.
    pub environment_url: String,
    /// The URL of the log.
    pub log_url: String,
    /// Whether `auto_inactive` of another deployment's status created it.
    pub automatic: bool,
}

/// One event on the timeline of a pull request or a repository, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// Its position among all events, from 1.
    pub sequence: u64,
    /// Its time, RFC 3339.
    pub at: String,
    /// `opened`, `committed`, `labeled`, `unlabeled`, `commented`, `closed`, `merged`, `reopened`,
    /// `ready_for_review`, `convert_to_draft`, `edited`, `head_repository_deleted`, `deployment`,
    /// `deployment_status`, `deployment_deleted` or `pushed`.
    pub kind: String,
    /// The login that caused it.
    pub actor: String,
    /// The pull request it belongs to; none for events of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<u64>,
    /// The commit concerned.
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
    /// The HTTP status when the primary limit is exceeded: 403 or 429.
    pub primary_status: u16,
    /// Content-creating requests a minute; 80 on GitHub.
    pub content_per_minute: u64,
    /// Content-creating requests an hour; 500 on GitHub.
    pub content_per_hour: u64,
    /// Points a minute, 1 for a read and 5 for a write; 900 on GitHub.
    pub points_per_minute: u64,
    /// Requests at the same time; 100 on GitHub.
    pub concurrent: u64,
    /// The HTTP status when a secondary limit is exceeded: 403 or 429.
    pub secondary_status: u16,
    /// The `retry-after` of such an answer in seconds; the rest of the minute or hour when left
    /// out.
    pub retry_after: Option<u64>,
    /// Whether to leave `retry-after` out.
    pub omit_retry_after: bool,
    /// The lifetime of installation tokens in seconds; 3,600 on GitHub.
    pub token_lifetime_seconds: u64,
    /// The lifetime of the code of an App created from a manifest, in seconds; 3,600 on GitHub.
    pub manifest_code_lifetime_seconds: u64,
    /// The length of installation tokens in characters, 40 to 520.
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

/// A request to the REST API.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Its position among all requests, from 1.
    pub sequence: u64,
    /// Its arrival, RFC 3339 with milliseconds.
    pub at: String,
    /// The method.
    pub method: String,
    /// The path below the base path, with the query.
    pub path: String,
    /// The answer's status; 0 when the connection was closed instead.
    pub status: u16,
    /// Whether it counted against the primary limit.
    pub counted: bool,
    /// The caller: `installation 87000007`, `user octocat`, `app 1200007` or `anonymous`.
    pub who: String,
    /// The header `User-Agent`.
    pub user_agent: String,
}
