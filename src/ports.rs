//! Interfaces to the outside world that the controllers use. One adapter implements each trait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{DynamicObject, GroupVersionKind, ObjectMeta};
use secrecy::SecretString;

use crate::api::{DeploymentReport, GithubConnection, PreviewTemplateSpec};
use crate::core::election;
use crate::core::environment::plan::jobs::JobEnd;
use crate::core::environment::resolved::{About, Mistake, Target};
use crate::core::event::Event;
use crate::core::forge::{
    Branch, Check, Comment, Deployment, DeploymentStatus, Emoji, NewCommitStatus, NewDeployment, PullRequest,
    RepositoryName, RepositoryRole, StatusState,
};
use crate::core::freshness::Delivery;
use crate::core::image::{Credentials, ImageReference};
use crate::core::slack::{ChatMessage, SlackSignature};

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
    #[error("GitHub's rate limit is reached; it goes on when that is over")]
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

/// Reads Secrets in the operator's own namespace.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// Returns the data of a Secret; `None` when it doesn't exist.
    async fn secret(&self, name: &str) -> Result<Option<BTreeMap<String, Vec<u8>>>, ClusterError>;
}

/// The Lease that determines which replica leads.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Returns its record and version; `None` when it doesn't exist.
    async fn read(&self) -> Result<Option<(election::Record, String)>, ClusterError>;
    /// Writes the Lease if its version is still `seen`, or if it doesn't exist and `seen` is
    /// `None`. Returns the new version. [`ClusterError::Conflict`] means that another replica wrote
    /// first.
    async fn write(&self, record: &election::Record, seen: Option<&str>) -> Result<String, ClusterError>;
}

/// Why a request to the Kubernetes API failed. No message repeats a value of an object.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ClusterError {
    /// Rejected, and a retry fails as long as the object and the rights stay the same (400, 403,
    /// 404 of the kind, 422, and 500 where server-side apply can't convert the object to the types
    /// of its schema).
    #[error("{message}")]
    Refused {
        /// HTTP status code.
        code: u16,
        /// The API server's message.
        message: String,
    },
    /// The API server can't reach a webhook for admission or conversion. The platform team has to
    /// fix the webhook. Matinee retries the request.
    #[error("webhook {webhook} can't be reached: {message}")]
    WebhookUnavailable {
        /// The webhook's name, or what it converts.
        webhook: String,
        /// Why the API server can't reach it.
        message: String,
    },
    /// The write conflicts with another change (409).
    #[error("conflict: {0}")]
    Conflict(String),
    /// No response, too many requests, or a server error. A retry may succeed.
    #[error("Kubernetes API: {0}")]
    Unavailable(String),
    /// The Kubernetes API works, but another operation of Matinee has to complete first.
    #[error("{message}")]
    NotYet {
        /// Reason of the condition, in CamelCase.
        reason: &'static str,
        /// What Matinee waits for.
        message: String,
    },
}

/// The account that makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The operator.
    Operator,
    /// The deployer account of a preview namespace, by impersonation. The API server confines it to
    /// the namespace.
    Deployer {
        /// The preview namespace.
        namespace: String,
    },
}

/// The Kubernetes API.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Creates an object. [`ClusterError::Conflict`] when it exists already. Used where two writers
    /// could claim the same name.
    async fn create(&self, manager: &str, object: &DynamicObject) -> Result<DynamicObject, ClusterError>;
    /// Applies an object (server-side apply, forced) under the manager's name. The object has its
    /// `apiVersion`, `kind`, name and namespace.
    async fn apply(
        &self,
        actor: &Actor,
        manager: &str,
        object: &DynamicObject,
    ) -> Result<DynamicObject, ClusterError>;
    /// Like [`Self::apply`], as a dry run.
    async fn try_apply(
        &self,
        actor: &Actor,
        manager: &str,
        object: &DynamicObject,
    ) -> Result<(), ClusterError>;
    /// Applies the status subresource of an object (server-side apply).
    async fn apply_status(
        &self,
        manager: &str,
        object: &DynamicObject,
    ) -> Result<DynamicObject, ClusterError>;
    /// Deletes the object with that UID. An object that has been deleted or recreated counts as
    /// deleted.
    async fn delete(
        &self,
        actor: &Actor,
        kind: &GroupVersionKind,
        namespace: Option<&str>,
        name: &str,
        uid: &str,
    ) -> Result<(), ClusterError>;
    /// Removes a finalizer from the object with that UID, whichever field manager added it. An
    /// object that has been deleted or recreated counts as done.
    async fn remove_finalizer(
        &self,
        kind: &GroupVersionKind,
        object: &ObjectMeta,
        finalizer: &str,
    ) -> Result<(), ClusterError>;
    /// Reads an object from the API server; `None` when it doesn't exist.
    async fn get(
        &self,
        actor: &Actor,
        kind: &GroupVersionKind,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<DynamicObject>, ClusterError>;
}

/// The cluster as the watches show it: the objects that Matinee applied for environments, and the
/// objects that those led to. Objects bear the [marks](crate::core::environment::plan::drift::mark)
/// that show whether another field manager changed them.
pub trait LiveObjects: Send + Sync {
    /// Returns all objects with the environment's UID, by kind, namespace and name. They are pruned
    /// to metadata, status, and the parts of the spec on which health depends.
    fn of_environment(&self, uid: &str) -> Vec<Arc<DynamicObject>>;
    /// Returns an object; `None` when it doesn't exist, has no environment's UID, or its kind isn't
    /// watched.
    fn find(
        &self,
        kind: &GroupVersionKind,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<Arc<DynamicObject>>;
    /// Whether the kind is watched and was listed completely, so that an object that isn't found
    /// doesn't exist.
    fn follows(&self, kind: &GroupVersionKind) -> bool;
    /// Starts to watch a kind, if that is permitted and it isn't watched yet.
    fn follow(&self, kind: &GroupVersionKind);
    /// Shows the result of a write or read until the watch catches up; if the kind isn't watched,
    /// until the next call.
    fn record(&self, object: &DynamicObject);
    /// Returns how the Job with that UID ended, if the watch showed both its end and its deletion.
    fn end_of_removed_job(&self, uid: &str) -> Option<JobEnd>;
}

/// Type of a Kubernetes event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// Success or neutral information.
    Normal,
    /// A problem.
    Warning,
}

/// Publishes Kubernetes events.
#[async_trait]
pub trait Events: Send + Sync {
    /// Publishes an event about an object. Identical events become a series. A failure is only
    /// logged, because nothing depends on events.
    async fn publish(&self, about: &ObjectReference, kind: EventType, reason: &str, message: &str);
}

/// Evaluates the expressions in templates.
pub trait Renderer: Send + Sync {
    /// Renders the template's objects: one for each of `target.template.resources`, in their order.
    /// Evaluation is limited in steps and size, and has no side effects. The value of an expression
    /// is never evaluated itself.
    ///
    /// Errors: reason `TemplateInvalid`; the message begins with the path of the field, as
    /// `resources[1].spec.replicas`.
    fn render(&self, target: &Target) -> Result<Vec<serde_json::Value>, Mistake>;
    /// Finds the mistakes that don't depend on values: invalid expressions, unknown names,
    /// undeclared parameters.
    ///
    /// Errors: those of [`Self::render`].
    fn check(&self, template: &PreviewTemplateSpec) -> Result<(), Mistake>;
    /// Renders a text outside of a template, such as the name of an image. `field` is its path, for
    /// errors. Names that need a running environment (`host`, `url`, `namespace`, `payload`) are
    /// undefined.
    ///
    /// Errors: reason `TemplateInvalid`; the message begins with `field`.
    fn text(&self, field: &str, text: &str, about: &About) -> Result<String, Mistake>;
}

/// Why an event could not be applied.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum IntakeError {
    /// A temporary problem in the cluster: GitHub should deliver the event again. The text appears
    /// in GitHub's delivery log.
    #[error("{0}")]
    Unavailable(String),
    /// A permanent problem: delivering the same event again doesn't help. The text appears in
    /// GitHub's delivery log.
    #[error("{0}")]
    Refused(String),
}

/// Receives GitHub's events.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Applies an event, and returns once its effect is in the Kubernetes API. The returned
    /// sentence says what was done, for GitHub's delivery log. The same event may arrive several
    /// times, late and in any order, and the call may be cancelled at any point. `delivery` is the
    /// webhook delivery that reported it.
    async fn accept(&self, event: Event, delivery: Option<Delivery>) -> Result<String, IntakeError>;
}

/// Why a slash command was not accepted.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeskError {
    /// No known signing secret matches the signature.
    #[error("{0}")]
    NotSigned(String),
    /// The request is no slash command.
    #[error("{0}")]
    Invalid(String),
    /// A temporary problem in the cluster.
    #[error("{0}")]
    Unavailable(String),
}

impl From<ClusterError> for DeskError {
    fn from(error: ClusterError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Receives slash commands from Slack.
#[async_trait]
pub trait Desk: Send + Sync {
    /// Checks the signature of the raw body and creates the DeploymentCommand. Returns the message
    /// that Slack shows at once; `None` for Slack's certificate check. Slack's timeout is 3
    /// seconds.
    async fn accept(
        &self,
        signature: SlackSignature,
        body: Vec<u8>,
    ) -> Result<Option<ChatMessage>, DeskError>;
}

/// Requests a preview's URL.
#[async_trait]
pub trait Prober: Send + Sync {
    /// Returns the HTTP status of `url`, or why there is none. Connects to `address` (`host:port`),
    /// if given, instead of resolving the URL's host. Doesn't follow redirects. Has a timeout.
    async fn probe(&self, url: &str, address: Option<&str>) -> Result<u16, String>;
}

/// Why a message could not be sent to Slack. The text never contains a `response_url` or a token.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ChatError {
    /// A rate limit: nothing was shown, and the same message may be sent again at the given time.
    #[error("Slack's rate limit is reached; it goes on when that is over")]
    RateLimited {
        /// When the next message may be sent.
        until: Timestamp,
    },
    /// No response, or a server error. The message may have been shown, and a retry may succeed.
    #[error("Slack did not answer: {0}")]
    Unknown(String),
    /// Rejected. A retry fails as long as message, channel and rights stay the same.
    #[error("Slack refused: {word}{}", .remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default())]
    Refused {
        /// Slack's error code, such as `channel_not_found` or `expired_url`; `HTTP 403` and the
        /// like when there was none.
        word: String,
        /// Remedy, for known error codes.
        remedy: Option<&'static str>,
    },
    /// Not sent: the URL isn't one of Slack's, or the token has a wrong format.
    #[error("nothing was sent to Slack: {0}")]
    NotSent(String),
}

impl ChatError {
    /// Whether a retry may succeed.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unknown(_))
    }
}

/// Sends messages to Slack.
#[async_trait]
pub trait Chat: Send + Sync {
    /// Answers a slash command through its `response_url`, which accepts five answers within 30
    /// minutes. A foreign URL is rejected, because the URL comes from the body of a request. The
    /// adapter never repeats this.
    async fn respond(&self, response_url: &str, message: &ChatMessage) -> Result<(), ChatError>;
    /// Posts into a channel, or updates the message whose `ts` is `update`. Returns the message's
    /// `ts`. The adapter never repeats this: after [`ChatError::Unknown`], a retry may post the
    /// message twice.
    async fn post(
        &self,
        token: &SecretString,
        channel: &str,
        message: &ChatMessage,
        update: Option<&str>,
    ) -> Result<String, ChatError>;
}

/// Why a request to a registry failed. The texts name the registry and the image.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RegistryError {
    /// The credentials are missing, wrong, or insufficient for this image (401, 403). Many
    /// registries respond like this for images that don't exist.
    #[error("{0}")]
    Refused(String),
    /// Too many requests (429). Nothing is sent to this registry with these credentials before the
    /// given time.
    #[error("the registry's rate limit is reached; it goes on when that is over")]
    RateLimited {
        /// When the next request may be sent.
        until: Timestamp,
    },
    /// No response, or a server error. A retry may succeed.
    #[error("{0}")]
    NotAnswered(String),
    /// The server is no registry, or requires something that isn't supported. A retry fails.
    #[error("{0}")]
    Invalid(String),
}

/// Reads images from registries.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Whether the image's manifest exists. `insecure` means plain HTTP. Has a timeout.
    async fn exists(
        &self,
        image: &ImageReference,
        credentials: Option<&Credentials>,
        insecure: bool,
    ) -> Result<bool, RegistryError>;
}

/// Provides the time.
pub trait Clock: Send + Sync {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}
