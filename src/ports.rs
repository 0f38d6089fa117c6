//! What the controllers need of the outside world. Each trait is fulfilled by one adapter.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{DynamicObject, GroupVersionKind};

use crate::api::{DeploymentReport, GithubConnection, PreviewTemplateSpec};
use crate::core::event::Event;
use crate::core::forge::{Deployment, NewDeployment, PullRequest, RepositoryName};
use crate::core::target::{Mistake, Target};

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
    #[error("GitHub rate limit until {until}")]
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
    /// The state of the newest status of a deployment, in GitHub's words; `None` when it has none.
    async fn deployment_state(
        &self,
        repository: &RepositoryName,
        deployment_id: i64,
    ) -> Result<Option<String>, ForgeError>;
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
}

/// Reads the Secrets of the operator's own namespace.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The data of a Secret; `None` when there is none of that name.
    async fn secret(&self, name: &str) -> Result<Option<BTreeMap<String, Vec<u8>>>, ClusterError>;
}

/// Why the Kubernetes API could not be asked, or what it refused.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ClusterError {
    /// Refused for good as long as the object or the rights stay as they are (400, 403, 404 of the kind, 422).
    #[error("{message}")]
    Refused {
        /// HTTP status code.
        code: u16,
        /// The API server's message.
        message: String,
    },
    /// Somebody else's change stands against it (409).
    #[error("conflict: {0}")]
    Conflict(String),
    /// No answer, too many requests or a server error: worth another try.
    #[error("Kubernetes API: {0}")]
    Unavailable(String),
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
    /// Reads one object from the API server; `None` when it isn't there.
    async fn get(
        &self,
        actor: &Actor,
        kind: &GroupVersionKind,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<DynamicObject>, ClusterError>;
}

/// Annotation that [`LiveObjects`] adds in memory: a digest of everything in the object that is neither status nor bookkeeping. When it changes
/// though nothing was applied, somebody else changed the object.
pub const ANNOTATION_FINGERPRINT: &str = "matinee.dev/live-fingerprint";

/// The cluster as the watches show it: what was applied for environments, and what came of it.
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
    /// Shows what a write just returned, until the watch catches up.
    fn record(&self, object: &DynamicObject);
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
    async fn accept(&self, event: Event) -> Result<String, IntakeError>;
}

/// Requests a preview's URL.
#[async_trait]
pub trait Prober: Send + Sync {
    /// The HTTP status with which `url` answers, or why it doesn't. `address` (`host:port`) is connected to in place of what the URL's
    /// host resolves to. Redirects aren't followed. Bounded in time.
    async fn probe(&self, url: &str, address: Option<&str>) -> Result<u16, String>;
}

/// The time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}
