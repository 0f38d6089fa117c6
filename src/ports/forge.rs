//! The forge that hosts the repositories, and the clients of its installations.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::api::{DeploymentReport, GithubConnection};
use crate::core::forge::{
    Branch, Check, Comment, Deployment, DeploymentStatus, Emoji, NewCommitStatus, NewDeployment, PullRequest,
    RepositoryName, RepositoryRole, StatusState,
};

/// Why a request to GitHub failed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ForgeError {
    /// The credentials in the Secret are invalid, or GitHub rejected them (401).
    #[error("GitHub credentials: {0}")]
    Credentials(String),
    /// Forbidden (403 that is no rate limit).
    #[error("GitHub refused: {0}")]
    Forbidden(String),
    /// Not found, or not visible with these credentials (404, 410).
    #[error("not found on GitHub: {0}")]
    NotFound(String),
    /// GitHub can't process the request as it is (400, 422).
    #[error("GitHub refused the request: {0}")]
    Invalid(String),
    /// A conflict (409, or the 202 that GitHub returns when it merges instead of creating a
    /// deployment).
    #[error("conflict on GitHub: {0}")]
    Conflict(String),
    /// A primary or secondary rate limit; nothing may be sent before the time given.
    // The message doesn't contain the time, which differs from call to call: a condition with it
    // would change each time.
    #[error("GitHub's rate limit is reached: Matinee retries after its reset")]
    RateLimited {
        /// When the next request may be sent.
        until: Timestamp,
    },
    /// No response, or a server error: the request may have had an effect.
    #[error("GitHub did not answer: {0}")]
    Unknown(String),
    /// A newer write for the same object replaced this one before it was sent.
    #[error("superseded by a newer write")]
    Superseded,
    /// Nothing was sent, so it had no effect; with the cause.
    #[error("not sent to GitHub: {0}")]
    NotSent(String),
}

/// A list, and a number that changes only when the list does.
#[derive(Clone, Debug)]
pub struct Listing<T> {
    /// The items of all pages.
    pub items: Arc<Vec<T>>,
    /// Changes whenever GitHub's response differs from the last one. It never returns to an earlier
    /// value.
    pub version: u64,
}

/// Client for one GitHub installation or token. One paced queue sends all its writes.
#[async_trait]
pub trait Forge: Send + Sync {
    /// Returns the pull request. A response that is at most `max_age` old may be reused.
    async fn pull_request(
        &self,
        repository: &RepositoryName,
        number: i64,
        max_age: Duration,
    ) -> Result<PullRequest, ForgeError>;
    /// Lists all open pull requests, by conditional requests.
    async fn open_pull_requests(
        &self,
        repository: &RepositoryName,
    ) -> Result<Listing<PullRequest>, ForgeError>;
    /// Lists the hundred newest deployments, by a conditional request.
    async fn recent_deployments(
        &self,
        repository: &RepositoryName,
    ) -> Result<Listing<Deployment>, ForgeError>;
    /// Lists all deployments of an environment, or only those of one commit; newest first, all
    /// pages.
    async fn deployments(
        &self,
        repository: &RepositoryName,
        environment: &str,
        sha: Option<&str>,
    ) -> Result<Vec<Deployment>, ForgeError>;
    /// Lists the statuses of a deployment, newest first, at most a hundred, by a conditional
    /// request.
    async fn deployment_statuses(
        &self,
        repository: &RepositoryName,
        deployment_id: i64,
    ) -> Result<Listing<DeploymentStatus>, ForgeError>;
    /// The state of the newest status of a deployment; `None` when it has none.
    async fn deployment_state(
        &self,
        repository: &RepositoryName,
        deployment_id: i64,
    ) -> Result<Option<StatusState>, ForgeError> {
        let statuses = self.deployment_statuses(repository, deployment_id).await?;
        Ok(statuses.items.first().map(|status| status.state.clone()))
    }
    /// Returns the checks of a commit, by conditional requests: of each App the newest check run of
    /// each name, and the newest commit status of each context. GitHub ignores the case of
    /// contexts. A check run and a status of the same name are two checks, as they are to
    /// [GitHub](https://docs.github.com/pull-requests/collaborating-with-pull-requests/collaborating-on-repositories-with-code-quality-features/troubleshooting-required-status-checks).
    async fn checks(&self, repository: &RepositoryName, sha: &str) -> Result<Vec<Check>, ForgeError>;
    /// Lists all branches, by conditional requests.
    async fn branches(&self, repository: &RepositoryName) -> Result<Listing<Branch>, ForgeError>;
    /// Returns a branch, by a conditional request; `None` when GitHub reports that no branch has
    /// exactly this name, also when it was renamed. [`ForgeError::NotFound`] means that the
    /// repository doesn't exist or isn't visible, and says nothing about its branches.
    async fn branch(&self, repository: &RepositoryName, name: &str) -> Result<Option<Branch>, ForgeError>;
    /// Resolves a branch, tag, or full or abbreviated SHA to the SHA of its commit, by a
    /// conditional request; `None` when there is no such commit.
    async fn commit(&self, repository: &RepositoryName, git_ref: &str) -> Result<Option<String>, ForgeError>;
    /// Lists the files that a pull request changes, each once and including the previous names of
    /// renamed files, by conditional requests. GitHub lists at most 3,000 files of a pull request.
    async fn changed_files(
        &self,
        repository: &RepositoryName,
        number: i64,
    ) -> Result<Vec<String>, ForgeError>;
    /// Lists the SHAs of a pull request's commits, by conditional requests. GitHub lists at most
    /// 250 commits of a pull request.
    async fn pull_request_commits(
        &self,
        repository: &RepositoryName,
        number: i64,
    ) -> Result<Vec<String>, ForgeError>;
    /// Lists the hundred most recently updated comments on the repository's issues and pull
    /// requests, by a conditional request.
    async fn recent_comments(&self, repository: &RepositoryName) -> Result<Listing<Comment>, ForgeError>;
    /// Lists all comments on a pull request, oldest first, by conditional requests.
    async fn comments(&self, repository: &RepositoryName, number: i64) -> Result<Vec<Comment>, ForgeError>;
    /// Returns a user's role in the repository. A response at most a minute old is reused. An
    /// unknown user or role is [`RepositoryRole::None`]. A custom role counts as the role it
    /// extends.
    async fn permission(
        &self,
        repository: &RepositoryName,
        login: &str,
    ) -> Result<RepositoryRole, ForgeError>;
    /// Creates a deployment. The adapter never repeats this: after [`ForgeError::Unknown`], look
    /// for the deployment before you retry.
    async fn create_deployment(
        &self,
        repository: &RepositoryName,
        deployment: &NewDeployment,
    ) -> Result<Deployment, ForgeError>;
    /// Creates a deployment status, through the queue. Of several waiting for one deployment, only
    /// the newest is sent, and the others return [`ForgeError::Superseded`]. The queue sends
    /// `failure` and `error` first, then `success`, then the rest.
    async fn create_deployment_status(
        &self,
        repository: &RepositoryName,
        report: &DeploymentReport,
    ) -> Result<(), ForgeError>;
    /// Creates a comment in Markdown, of at most 65,536 characters. The adapter never repeats this:
    /// after [`ForgeError::Unknown`], look for the comment before you retry.
    async fn create_comment(
        &self,
        repository: &RepositoryName,
        number: i64,
        body: &str,
    ) -> Result<Comment, ForgeError>;
    /// Replaces the text of a comment. Of several edits waiting for one comment, only the newest is
    /// sent, and the others return [`ForgeError::Superseded`].
    async fn edit_comment(
        &self,
        repository: &RepositoryName,
        comment_id: i64,
        body: &str,
    ) -> Result<(), ForgeError>;
    /// Adds a reaction to a comment. An existing reaction is no error.
    async fn react(
        &self,
        repository: &RepositoryName,
        comment_id: i64,
        emoji: Emoji,
    ) -> Result<(), ForgeError>;
    /// Creates a commit status; its description is cut to 140 characters. `sha` is a full SHA. Of
    /// several waiting for one commit and context, only the newest is sent, and the others return
    /// [`ForgeError::Superseded`].
    async fn create_commit_status(
        &self,
        repository: &RepositoryName,
        sha: &str,
        status: &NewCommitStatus,
    ) -> Result<(), ForgeError>;
}

/// Provides the client for a repository.
#[async_trait]
pub trait Forges: Send + Sync {
    /// Returns the client that serves the repository through the class's connection. Clients are
    /// long-lived and shared.
    async fn forge(
        &self,
        connection: &GithubConnection,
        repository: &RepositoryName,
    ) -> Result<Arc<dyn Forge>, ForgeError>;
    /// Starts no more writes on any client: waiting ones return [`ForgeError::NotSent`]. Writes
    /// being sent are completed.
    fn close(&self);
}
