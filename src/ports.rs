//! What the controllers need of the outside world. Each trait is fulfilled by one adapter.

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

/// Why GitHub could not be asked, or what it refused.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ForgeError {
    /// The credentials in the Secret can't be used, or GitHub refused them (401).
    #[error("GitHub credentials: {0}")]
    Credentials(String),
    /// Not allowed (403 that is no rate limit).
    #[error("GitHub refused: {0}")]
    Forbidden(String),
    /// Not there, or not visible with these credentials (404, 410).
    #[error("not found on GitHub: {0}")]
    NotFound(String),
    /// The request can't be fulfilled as it is (400, 422).
    #[error("GitHub refused the request: {0}")]
    Invalid(String),
    /// Something stands against it (409, or the 202 of a merge made in its place).
    #[error("conflict on GitHub: {0}")]
    Conflict(String),
    /// A primary or secondary rate limit; nothing may be sent before the time given.
    // Without the time, which differs from call to call: a condition that says it would be news each time.
    #[error("GitHub's rate limit is reached; it goes on when that is over")]
    RateLimited {
        /// When the next request may be sent.
        until: Timestamp,
    },
    /// No answer, or a server error: the request may have taken effect.
    #[error("GitHub did not answer: {0}")]
    Unknown(String),
    /// A newer write for the same thing took the place of this one before it was sent.
    #[error("superseded by a newer write")]
    Superseded,
    /// It had no effect, since nothing was sent; why.
    #[error("not sent to GitHub: {0}")]
    NotSent(String),
}

/// A listing, and a number that changes only when the listing does.
#[derive(Clone, Debug)]
pub struct Listing<T> {
    /// The items of all pages.
    pub items: Arc<Vec<T>>,
    /// Changes whenever GitHub answers something else than last time (never goes back to an earlier number).
    pub version: u64,
}

/// One GitHub installation, or one token. All writes pass through its one paced queue.
#[async_trait]
pub trait Forge: Send + Sync {
    /// The pull request as it is; an answer at most `max_age` old may be used again.
    async fn pull_request(
        &self,
        repository: &RepositoryName,
        number: i64,
        max_age: Duration,
    ) -> Result<PullRequest, ForgeError>;
    /// Every open pull request, by conditional requests.
    async fn open_pull_requests(
        &self,
        repository: &RepositoryName,
    ) -> Result<Listing<PullRequest>, ForgeError>;
    /// The hundred newest deployments, by a conditional request.
    async fn recent_deployments(
        &self,
        repository: &RepositoryName,
    ) -> Result<Listing<Deployment>, ForgeError>;
    /// Every deployment of an environment, newest first, of one commit if given. All pages.
    async fn deployments(
        &self,
        repository: &RepositoryName,
        environment: &str,
        sha: Option<&str>,
    ) -> Result<Vec<Deployment>, ForgeError>;
    /// The statuses of a deployment, newest first, a hundred at most, by a conditional request.
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
    /// The checks of a commit, by conditional requests: of each App the newest check run of each name, and the newest commit status of
    /// each context, whose case GitHub ignores. A check run and a status of the same name are two checks, as they are to
    /// [GitHub](https://docs.github.com/pull-requests/collaborating-with-pull-requests/collaborating-on-repositories-with-code-quality-features/troubleshooting-required-status-checks).
    async fn checks(&self, repository: &RepositoryName, sha: &str) -> Result<Vec<Check>, ForgeError>;
    /// Every branch, by conditional requests.
    async fn branches(&self, repository: &RepositoryName) -> Result<Listing<Branch>, ForgeError>;
    /// A branch, by a conditional request; `None` when GitHub says that there is none of that very name, also when it was renamed.
    /// A repository that isn't there, or can't be seen, is [`ForgeError::NotFound`]: that says nothing about its branches.
    async fn branch(&self, repository: &RepositoryName, name: &str) -> Result<Option<Branch>, ForgeError>;
    /// The SHA of the commit that a branch, a tag or a SHA, which may be cut, names, by a conditional request; `None` when it names none.
    async fn commit(&self, repository: &RepositoryName, git_ref: &str) -> Result<Option<String>, ForgeError>;
    /// The names, and for renamed ones the previous names, of the files that a pull request changes, by conditional requests; each name
    /// once. Of a pull request that changes more than 3,000 files GitHub tells the first 3,000.
    async fn changed_files(
        &self,
        repository: &RepositoryName,
        number: i64,
    ) -> Result<Vec<String>, ForgeError>;
    /// The SHAs of a pull request's commits, by conditional requests. Of a pull request with more
    /// than 250 commits GitHub lists 250.
    async fn pull_request_commits(
        &self,
        repository: &RepositoryName,
        number: i64,
    ) -> Result<Vec<String>, ForgeError>;
    /// The hundred most recently updated comments on the repository's issues and pull requests, by a conditional request.
    async fn recent_comments(&self, repository: &RepositoryName) -> Result<Listing<Comment>, ForgeError>;
    /// Every comment on a pull request, oldest first, by conditional requests.
    async fn comments(&self, repository: &RepositoryName, number: i64) -> Result<Vec<Comment>, ForgeError>;
    /// What somebody may do in the repository; an answer at most a minute old is used again. Whom GitHub doesn't know, or whose
    /// role it words in a way that isn't known, has [`RepositoryRole::None`]. A custom role counts as the role it extends.
    async fn permission(
        &self,
        repository: &RepositoryName,
        login: &str,
    ) -> Result<RepositoryRole, ForgeError>;
    /// Creates a deployment. Never repeated by the adapter: after [`ForgeError::Unknown`] look before trying again.
    async fn create_deployment(
        &self,
        repository: &RepositoryName,
        deployment: &NewDeployment,
    ) -> Result<Deployment, ForgeError>;
    /// Creates a deployment status. Waits for its turn in the queue; of several waiting for one deployment, only the newest is sent and the
    /// others end as [`ForgeError::Superseded`]. `failure` and `error` go before `success` before the rest.
    async fn create_deployment_status(
        &self,
        repository: &RepositoryName,
        report: &DeploymentReport,
    ) -> Result<(), ForgeError>;
    /// Writes a comment, in Markdown, of at most 65,536 characters. Never repeated by the adapter: after [`ForgeError::Unknown`] look
    /// before trying again.
    async fn create_comment(
        &self,
        repository: &RepositoryName,
        number: i64,
        body: &str,
    ) -> Result<Comment, ForgeError>;
    /// Replaces the text of a comment. Of several edits waiting for one comment, only the newest is sent and the others end as
    /// [`ForgeError::Superseded`].
    async fn edit_comment(
        &self,
        repository: &RepositoryName,
        comment_id: i64,
        body: &str,
    ) -> Result<(), ForgeError>;
    /// Reacts to a comment; no error when the reaction is there already.
    async fn react(
        &self,
        repository: &RepositoryName,
        comment_id: i64,
        emoji: Emoji,
    ) -> Result<(), ForgeError>;
    /// Creates a commit status; its description is cut to 140 characters. `sha` is a whole SHA. Of several waiting for one commit and
    /// context, only the newest is sent and the others end as [`ForgeError::Superseded`].
    async fn create_commit_status(
        &self,
        repository: &RepositoryName,
        sha: &str,
        status: &NewCommitStatus,
    ) -> Result<(), ForgeError>;
}

/// Finds the installation for a repository.
#[async_trait]
pub trait Forges: Send + Sync {
    /// The forge that serves the repository through the class's connection. Clients are long-lived and shared.
    async fn forge(
        &self,
        connection: &GithubConnection,
        repository: &RepositoryName,
    ) -> Result<Arc<dyn Forge>, ForgeError>;
    /// Begins no write any more, with whatever forge: those that wait end as [`ForgeError::NotSent`]. What is being sent is sent to its end.
    fn close(&self);
}

/// Reads the Secrets of the operator's own namespace.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The data of a Secret; `None` when there is none of that name.
    async fn secret(&self, name: &str) -> Result<Option<BTreeMap<String, Vec<u8>>>, ClusterError>;
}

/// The Lease that tells which replica leads.
#[async_trait]
pub trait Leases: Send + Sync {
    /// What it says, and its version; `None` when there is none yet.
    async fn read(&self) -> Result<Option<(election::Record, String)>, ClusterError>;
    /// Writes it if it is still of the version that was seen, or not there when none was; its version then. [`ClusterError::Conflict`] when
    /// somebody else was faster.
    async fn write(&self, record: &election::Record, seen: Option<&str>) -> Result<String, ClusterError>;
}

/// Why the Kubernetes API could not be asked, or what it rejected. No message repeats a value of an object.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ClusterError {
    /// Rejected for as long as the object or the rights stay as they are (400, 403, 404 of the kind, 422, and 500 where
    /// server-side apply can't give the object the types of its schema).
    #[error("{message}")]
    Refused {
        /// HTTP status code.
        code: u16,
        /// The API server's message.
        message: String,
    },
    /// The API server has to ask a webhook for admission or conversion, and can't reach it. The platform team has to
    /// repair the webhook; the request is tried again.
    #[error("webhook {webhook} can't be reached: {message}")]
    WebhookUnavailable {
        /// The webhook's name, or what it converts.
        webhook: String,
        /// Why the API server can't reach it.
        message: String,
    },
    /// Somebody else's change stands against it (409).
    #[error("conflict: {0}")]
    Conflict(String),
    /// No answer, too many requests or a server error: worth another try.
    #[error("Kubernetes API: {0}")]
    Unavailable(String),
    /// The Kubernetes API isn't to blame: something of Matinee's has to end first.
    #[error("{message}")]
    NotYet {
        /// CamelCase, as a condition's reason.
        reason: &'static str,
        /// What is waited for.
        message: String,
    },
}

/// On whose behalf a write is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The operator itself.
    Operator,
    /// The deployer account of that preview namespace, impersonated: the API server confines it to the namespace.
    Deployer {
        /// The preview namespace.
        namespace: String,
    },
}

/// The Kubernetes API.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Creates an object that must not be there yet; [`ClusterError::Conflict`] when it is. For what two could claim at once.
    async fn create(&self, manager: &str, object: &DynamicObject) -> Result<DynamicObject, ClusterError>;
    /// Server-side apply, forced, under the manager's name. The object carries its `apiVersion`, `kind`, name and namespace.
    async fn apply(
        &self,
        actor: &Actor,
        manager: &str,
        object: &DynamicObject,
    ) -> Result<DynamicObject, ClusterError>;
    /// Asks what a server-side apply as by [`Self::apply`] would be answered, without any effect.
    async fn try_apply(
        &self,
        actor: &Actor,
        manager: &str,
        object: &DynamicObject,
    ) -> Result<(), ClusterError>;
    /// Server-side apply of the status subresource.
    async fn apply_status(
        &self,
        manager: &str,
        object: &DynamicObject,
    ) -> Result<DynamicObject, ClusterError>;
    /// Deletes the object if it still has that UID; an object that is gone, or was made again, counts as deleted.
    async fn delete(
        &self,
        actor: &Actor,
        kind: &GroupVersionKind,
        namespace: Option<&str>,
        name: &str,
        uid: &str,
    ) -> Result<(), ClusterError>;
    /// Takes a finalizer off an object with that UID, whoever put it there; an object that has been deleted, or was
    /// created again, counts as done.
    async fn remove_finalizer(
        &self,
        kind: &GroupVersionKind,
        object: &ObjectMeta,
        finalizer: &str,
    ) -> Result<(), ClusterError>;
    /// Reads one object from the API server; `None` when it isn't there.
    async fn get(
        &self,
        actor: &Actor,
        kind: &GroupVersionKind,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<DynamicObject>, ClusterError>;
}

/// The cluster as the watches show it: what was applied for environments, and what came of it.
/// Objects bear the [marks](crate::core::environment::plan::drift::mark) that tell whether somebody else changed
/// them.
pub trait LiveObjects: Send + Sync {
    /// Everything that bears the environment's UID, by kind, namespace and name. Pruned: metadata, status, and the parts of the
    /// spec that health depends on.
    fn of_environment(&self, uid: &str) -> Vec<Arc<DynamicObject>>;
    /// One object; `None` when it isn't there, bears no environment's UID, or its kind isn't followed.
    fn find(
        &self,
        kind: &GroupVersionKind,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<Arc<DynamicObject>>;
    /// Whether objects of the kind are watched and were listed, so that an object that isn't found isn't there.
    fn follows(&self, kind: &GroupVersionKind) -> bool;
    /// Starts watching a kind, if it isn't watched yet and may be.
    fn follow(&self, kind: &GroupVersionKind);
    /// Shows what a write or a read just returned, until the watch catches up. Of a kind that isn't
    /// watched it is shown until the next one.
    fn record(&self, object: &DynamicObject);
    /// How the Job with that UID ended, if the watch saw both its end and its deletion.
    fn end_of_removed_job(&self, uid: &str) -> Option<JobEnd>;
}

/// Whether a Kubernetes event tells of something good or of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// Something good, or neutral.
    Normal,
    /// Trouble.
    Warning,
}

/// Publishes Kubernetes events.
#[async_trait]
pub trait Events: Send + Sync {
    /// Publishes an event about an object; like events become a series. Events are a courtesy: what can't be published is logged.
    async fn publish(&self, about: &ObjectReference, kind: EventType, reason: &str, message: &str);
}

/// Fills the holes of templates.
pub trait Renderer: Send + Sync {
    /// The template's objects with their holes filled: one for each of `target.template.resources`, in their order. Bounded in steps and
    /// size, and without any effect. Nothing that fills a hole becomes a template itself.
    ///
    /// Errors: reason `TemplateInvalid`; the message begins with the path of the field, as `resources[1].spec.replicas`.
    fn render(&self, target: &Target) -> Result<Vec<serde_json::Value>, Mistake>;
    /// Finds what can be told before there is anything to fill holes with: expressions that are none, unknown names, undeclared parameters.
    ///
    /// Errors: as those of [`Self::render`].
    fn check(&self, template: &PreviewTemplateSpec) -> Result<(), Mistake>;
    /// Fills the holes of one text that stands outside of a template, as the name of an image. `field` is its path, for errors. Names that only a
    /// running environment has (`host`, `url`, `namespace`, `payload`) aren't there.
    ///
    /// Errors: reason `TemplateInvalid`; the message begins with `field`.
    fn text(&self, field: &str, text: &str, about: &About) -> Result<String, Mistake>;
}

/// Why an event's effect could not be applied.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum IntakeError {
    /// For a reason on this side that will pass: the event is worth delivering again. The text goes into GitHub's delivery log.
    #[error("{0}")]
    Unavailable(String),
    /// For a reason that delivering the same event again won't change. The text goes into GitHub's delivery log.
    #[error("{0}")]
    Refused(String),
}

/// Takes in what happened on GitHub.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Applies the effect of an event, and returns once it is in the Kubernetes API. Says in a sentence what was done, for GitHub's delivery
    /// log. The same event may come several times, late and in any order; the call may be dropped half-way.
    /// `delivery`: the webhook delivery that reported it.
    async fn accept(&self, event: Event, delivery: Option<Delivery>) -> Result<String, IntakeError>;
}

/// Why a slash command was not taken.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeskError {
    /// Nobody whose signing secret is known here sent it.
    #[error("{0}")]
    NotSigned(String),
    /// It is no slash command.
    #[error("{0}")]
    Invalid(String),
    /// For a reason on this side that will pass.
    #[error("{0}")]
    Unavailable(String),
}

impl From<ClusterError> for DeskError {
    fn from(error: ClusterError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Takes slash commands from Slack.
#[async_trait]
pub trait Desk: Send + Sync {
    /// Checks the signature over the raw body, writes what is asked for into the cluster, and returns what Slack shows at once; nothing for Slack's
    /// own look at the certificate. Slack gives up after 3 seconds.
    async fn accept(
        &self,
        signature: SlackSignature,
        body: Vec<u8>,
    ) -> Result<Option<ChatMessage>, DeskError>;
}

/// Requests a preview's URL.
#[async_trait]
pub trait Prober: Send + Sync {
    /// The HTTP status with which `url` answers, or why it doesn't. `address` (`host:port`) is connected to in place of what the URL's
    /// host resolves to. Redirects aren't followed. Bounded in time.
    async fn probe(&self, url: &str, address: Option<&str>) -> Result<u16, String>;
}

/// Why a message could not be brought to Slack. Never says a `response_url` or a token.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ChatError {
    /// A rate limit: nothing was shown, and the same message may be sent again at the time given.
    #[error("Slack's rate limit is reached; it goes on when that is over")]
    RateLimited {
        /// When the next message may be sent.
        until: Timestamp,
    },
    /// No answer, or a server error: trying again may help, and the message may have been shown.
    #[error("Slack did not answer: {0}")]
    Unknown(String),
    /// Refused, for good as long as message, channel and rights stay as they are.
    #[error("Slack refused: {word}{}", .remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default())]
    Refused {
        /// Slack's own word, as `channel_not_found` or `expired_url`; `HTTP 403` and the like when it said none.
        word: String,
        /// What to do about it, for the words that are known.
        remedy: Option<&'static str>,
    },
    /// Not sent: the URL is not where Slack takes answers, or the token can't be one.
    #[error("nothing was sent to Slack: {0}")]
    NotSent(String),
}

impl ChatError {
    /// Whether the same message, sent again later, may arrive.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unknown(_))
    }
}

/// Slack.
#[async_trait]
pub trait Chat: Send + Sync {
    /// Answers a slash command through its `response_url`, which takes five answers within 30 minutes. A URL that isn't Slack's is
    /// refused: it comes from the body of a request. Sent once, never repeated by the adapter.
    async fn respond(&self, response_url: &str, message: &ChatMessage) -> Result<(), ChatError>;
    /// Posts into a channel, or changes the message whose `ts` is `update`; returns the message's `ts`. Sent once, never repeated by the
    /// adapter: after [`ChatError::Unknown`] a message posted again may be there twice.
    async fn post(
        &self,
        token: &SecretString,
        channel: &str,
        message: &ChatMessage,
        update: Option<&str>,
    ) -> Result<String, ChatError>;
}

/// Why a registry could not be asked for an image, or what it refused. The texts name the registry and the image.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RegistryError {
    /// The credentials are missing, wrong, or not good for this image (401, 403). Many registries say so, too, of what isn't there.
    #[error("{0}")]
    Refused(String),
    /// Too many requests (429); nothing is sent to this registry with these credentials before the time given.
    #[error("the registry's rate limit is reached; it goes on when that is over")]
    RateLimited {
        /// When the next request may be sent.
        until: Timestamp,
    },
    /// No answer, or a server error: worth another try.
    #[error("{0}")]
    NotAnswered(String),
    /// What answers is no registry, or asks for something that isn't done for it. Another try won't help.
    #[error("{0}")]
    Invalid(String),
}

/// Asks registries for images.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Whether the image is there, by its manifest. `insecure` means plain HTTP. Bounded in time.
    async fn exists(
        &self,
        image: &ImageReference,
        credentials: Option<&Credentials>,
        insecure: bool,
    ) -> Result<bool, RegistryError>;
}

/// The time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}
