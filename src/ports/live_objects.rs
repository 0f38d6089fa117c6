//! The cluster as the watches show it.

use std::sync::Arc;

use kube::api::{DynamicObject, GroupVersionKind};

use crate::core::environment::plan::jobs::JobEnd;

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
