//! The Kubernetes API.

use async_trait::async_trait;
use kube::api::{DynamicObject, GroupVersionKind, ObjectMeta};

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
