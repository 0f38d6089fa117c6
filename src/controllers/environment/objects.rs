//! Reads, compares and, if necessary, writes one object of a plan. [`plan::change`] decides what to
//! do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{DynamicObject, GroupVersionKind};

use super::EnvironmentContext;
use crate::api::{
    ANNOTATION_DIGEST, FinishedJob, InventoryEntry, LABEL_ENVIRONMENT_UID, PreviewEnvironment, Revision,
};
use crate::core::environment::plan::drift::{self, Application};
use crate::core::environment::plan::{self, Autoscaled, Change, jobs, refusal};
use crate::core::environment::status;
use crate::core::mistake::Mistake;
use crate::ports::{Actor, ClusterError};
use crate::runtime::write;

/// Time between two reads of an object whose kind isn't watched, while the environment isn't ready.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// Like [`READ_AGAIN`], for a ready environment.
pub(super) const READ_AGAIN_WHEN_READY: Duration = Duration::from_mins(1);

/// Data shared by all objects of an environment.
pub(super) struct Placing<'a> {
    pub(super) environment_uid: &'a str,
    pub(super) revision: &'a Revision,
    /// The workloads that the template's autoscalers scale.
    pub(super) autoscaled: &'a Autoscaled,
    /// Time between two reads of an object whose kind isn't watched.
    pace: Duration,
    now: Timestamp,
    pub(super) context: &'a EnvironmentContext,
    /// Number of objects that this reconcile created or changed.
    written: AtomicUsize,
}

/// State of a planned object.
pub(super) enum Placed {
    /// The object exists as planned.
    There(DynamicObject),
    /// The object is a Job that ended for this revision and has been deleted since.
    Finished(FinishedJob),
    /// The Job of an earlier revision is still being deleted.
    Deleting,
    /// Matinee no longer restores the object, because another field manager keeps changing it; with
    /// an explanation for people.
    Left(Option<DynamicObject>, String),
}

impl<'a> Placing<'a> {
    pub(super) fn new(
        environment: &'a PreviewEnvironment,
        environment_uid: &'a str,
        autoscaled: &'a Autoscaled,
        context: &'a EnvironmentContext,
    ) -> Self {
        let ready = status::is_ready(environment.status.as_ref());
        Self {
            environment_uid,
            revision: &environment.spec.revision,
            autoscaled,
            pace: if ready { READ_AGAIN_WHEN_READY } else { READ_AGAIN },
            now: context.common.clock.now(),
            context,
            written: AtomicUsize::new(0),
        }
    }

    /// Returns the number of objects that this reconcile created or changed.
    pub(super) fn written(&self) -> usize {
        self.written.load(Ordering::Relaxed)
    }

    /// Forgets all other objects of the environment.
    pub(super) fn forget_all_but<'o>(&self, objects: impl Iterator<Item = &'o DynamicObject>) {
        let places = objects.map(place).collect();
        self.context.memory.applications.keep_only(self.environment_uid, &places);
    }

    /// Creates or updates the object as planned. `entry` is its inventory entry.
    pub(super) async fn place(
        &self,
        actor: &Actor,
        planned: &DynamicObject,
        entry: Option<&InventoryEntry>,
    ) -> Result<Placed, ClusterError> {
        let live = self.find(actor, planned).await?;
        let finished = entry.filter(|_| live.is_none()).and_then(|entry| self.end_of(planned, entry));
        let kept =
            live.as_ref().is_none_or(|live| !plan::unchanged(planned, live) || is_kept(live, self.context));
        match (plan::change(planned, live.as_ref(), kept, finished.is_some()), live, finished) {
            (Change::Nothing, Some(live), _) => Ok(Placed::There(live)),
            (Change::Finished, _, Some(finished)) => Ok(Placed::Finished(finished)),
            (Change::Await, ..) => Ok(Placed::Deleting),
            (Change::Replace, Some(live), _) => {
                let (digest, place) = (digest(planned), place(planned));
                if self.context.memory.applications.allows(self.environment_uid, &place, &digest, self.now) {
                    self.replace(actor, planned, &live).await
                } else {
                    Ok(self.leave(planned, &place, Some(live)))
                }
            }
            (_, live, _) => self.apply(actor, planned, live).await,
        }
    }

    async fn apply(
        &self,
        actor: &Actor,
        planned: &DynamicObject,
        live: Option<DynamicObject>,
    ) -> Result<Placed, ClusterError> {
        let (applications, digest, place) =
            (&self.context.memory.applications, digest(planned), place(planned));
        if !applications.allows(self.environment_uid, &place, &digest, self.now) {
            return Ok(self.leave(planned, &place, live));
        }
        let corrected = live.as_ref().is_some_and(|live| plan::unchanged(planned, live));
        let object = plan::leave_to_scaler(planned, live.as_ref(), self.autoscaled);
        match (self.context.common.cluster.apply(actor, write::ENVIRONMENT, &object).await, live) {
            (Ok(applied), _) => {
                remember(&applied, self.context);
                self.written.fetch_add(1, Ordering::Relaxed);
                applications.wrote(self.environment_uid, &place, &digest, self.now);
                if corrected {
                    self.context.common.metrics.drift(true);
                }
                Ok(Placed::There(applied))
            }
            (Err(ClusterError::Refused { message, .. }), Some(live))
                if refusal::is_immutable(&message) && jobs::may_be_replaced(planned, &live) =>
            {
                self.replace(actor, planned, &live).await
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Deletes the Job of an earlier revision with its pods, and creates the Job of this revision.
    async fn replace(
        &self,
        actor: &Actor,
        planned: &DynamicObject,
        live: &DynamicObject,
    ) -> Result<Placed, ClusterError> {
        let (context, uid) = (self.context, live.uid().unwrap_or_default());
        let (kind, namespace, name) = (kind_of(planned), planned.namespace(), planned.name_any());
        context.common.cluster.delete(actor, &kind, namespace.as_deref(), &name, &uid).await?;
        context.memory.applications.drop_object(&uid);
        tracing::info!(namespace, name, sha = self.revision.sha, "job of an earlier revision replaced");
        match context.common.cluster.apply(actor, write::ENVIRONMENT, planned).await {
            Ok(applied) => {
                remember(&applied, context);
                self.written.fetch_add(1, Ordering::Relaxed);
                let (place, digest) = (place(planned), digest(planned));
                context.memory.applications.wrote(self.environment_uid, &place, &digest, self.now);
                Ok(Placed::There(applied))
            }
            // The Job has a finalizer.
            Err(ClusterError::Conflict(_)) => Ok(Placed::Deleting),
            Err(ClusterError::Refused { message, .. }) if refusal::is_immutable(&message) => {
                Ok(Placed::Deleting)
            }
            Err(error) => Err(error),
        }
    }

    fn leave(&self, planned: &DynamicObject, place: &str, live: Option<DynamicObject>) -> Placed {
        let (kind, name) = (kind_of(planned).kind, planned.name_any());
        let by = live.as_ref().and_then(drift::changed_by);
        if self.context.memory.applications.left(self.environment_uid, place) {
            self.context.common.metrics.drift(false);
            let namespace = planned.namespace();
            tracing::warn!(namespace, kind, name, manager = by, "object left to another field manager");
        }
        Placed::Left(live, plan::contested(&kind, &name, by.as_deref()))
    }

    /// Applies the object as a dry run. Returns the mistake if the API server would reject it;
    /// `None` if the object exists as planned, can be applied, or couldn't be checked.
    pub(super) async fn try_object(&self, actor: &Actor, planned: &DynamicObject) -> Option<Mistake> {
        let (context, digest, place) = (self.context, digest(planned), place(planned));
        if let Some(known) = context.memory.applications.tried(self.environment_uid, &place, &digest) {
            return known.mistake;
        }
        let kind = kind_of(planned);
        let live = context.live.find(&kind, planned.namespace().as_deref(), &planned.name_any());
        if live
            .as_deref()
            .is_some_and(|live| plan::unchanged(planned, live) || jobs::may_be_replaced(planned, live))
        {
            return None;
        }
        let mistake = match context.common.cluster.try_apply(actor, write::ENVIRONMENT, planned).await {
            Err(ClusterError::Refused { message, .. }) if refusal::is_about_dry_run(&message) => None,
            Err(ClusterError::Refused { code: 403, message })
                if self.is_settling(actor) && !refusal::is_final(&message) =>
            {
                return None;
            }
            Err(ClusterError::Refused { code, message }) => Some(refusal::refusal(planned, code, &message)),
            Ok(()) => None,
            Err(_) => return None,
        };
        context.memory.applications.remember_trial(self.environment_uid, &place, digest, mistake.clone());
        mistake
    }

    /// Whether a rejection may only mean that the API server hasn't observed the deployer account's
    /// RoleBinding yet.
    pub(super) fn is_settling(&self, actor: &Actor) -> bool {
        match actor {
            Actor::Operator => false,
            Actor::Deployer { namespace } => self.context.memory.is_binding_settling(namespace),
        }
    }

    /// Returns the object as the watch shows it. If its kind isn't watched, reads it as its owner
    /// (the operator or the deployer account) from time to time; a Secret only once after a
    /// restart.
    async fn find(
        &self,
        actor: &Actor,
        planned: &DynamicObject,
    ) -> Result<Option<DynamicObject>, ClusterError> {
        let (context, kind) = (self.context, kind_of(planned));
        let pace = if kind.kind == "Secret" { Duration::MAX } else { self.pace };
        let (namespace, name) = (planned.namespace(), planned.name_any());
        context.live.follow(&kind);
        let known = context.live.find(&kind, namespace.as_deref(), &name);
        let known = known.map(|known| (*known).clone());
        if context.live.follows(&kind)
            || known.is_some()
                && context.memory.applications.was_read(self.environment_uid, &place(planned), pace)
        {
            return Ok(known);
        }
        match context.common.cluster.get(actor, &kind, namespace.as_deref(), &name).await {
            Ok(found) => {
                if let Some(found) = &found
                    && found.labels().get(LABEL_ENVIRONMENT_UID).map(String::as_str)
                        == Some(self.environment_uid)
                {
                    // Health reads it from here.
                    context.live.record(found);
                }
                Ok(found)
            }
            // The account may write this object and not read it.
            Err(ClusterError::Refused { code: 403, .. }) if known.is_some() => Ok(known),
            Err(error) => Err(error),
        }
    }

    /// Returns how a deleted Job ended, if it ran for this revision.
    fn end_of(&self, planned: &DynamicObject, entry: &InventoryEntry) -> Option<FinishedJob> {
        if entry.finished.is_some() {
            let finished = entry.finished.as_ref();
            return finished.filter(|_| jobs::is_finished(finished, planned, self.revision)).cloned();
        }
        // The Job was deleted before its end was recorded.
        let end = self.context.live.end_of_removed_job(&entry.uid)?;
        let applied = self.context.memory.applications.get(&entry.uid)?;
        let finished = jobs::finished(end, &applied.digest, self.revision);
        jobs::is_finished(Some(&finished), planned, self.revision).then_some(finished)
    }
}

/// Applies a guard rail unless it exists as applied. Returns it, and whether it was written.
/// Matinee restores guard rails after every change.
pub(super) async fn ensure(
    actor: &Actor,
    planned: &DynamicObject,
    context: &EnvironmentContext,
) -> Result<(DynamicObject, bool), ClusterError> {
    let kind = kind_of(planned);
    let namespace = planned.namespace();
    context.live.follow(&kind);
    let live = match context.live.find(&kind, namespace.as_deref(), &planned.name_any()) {
        Some(live) => Some((*live).clone()),
        None if !context.live.follows(&kind) => {
            context.common.cluster.get(actor, &kind, namespace.as_deref(), &planned.name_any()).await?
        }
        None => None,
    };
    if let Some(live) = live
        && plan::unchanged(planned, &live)
        && is_kept(&live, context)
    {
        return Ok((live, false));
    }
    let applied = context.common.cluster.apply(actor, write::ENVIRONMENT, planned).await?;
    remember(&applied, context);
    Ok((applied, true))
}

/// Whether nobody else changed the object since Matinee applied it. An object that an earlier
/// process applied counts as unchanged, so that a restart writes nothing.
fn is_kept(live: &DynamicObject, context: &EnvironmentContext) -> bool {
    let uid = live.uid().unwrap_or_default();
    match context.memory.applications.get(&uid) {
        Some(known) if known.digest == digest(live) => known.is_kept(live),
        _ => {
            context.memory.applications.remember(uid, Application::of(live));
            true
        }
    }
}

pub(super) fn remember(applied: &DynamicObject, context: &EnvironmentContext) {
    // Remember the response, not the watched object: the watch may be newer, and would show
    // somebody else's change as applied by Matinee.
    context.live.record(applied);
    context.memory.applications.remember(applied.uid().unwrap_or_default(), Application::of(applied));
}

fn digest(object: &DynamicObject) -> String {
    object.annotations().get(ANNOTATION_DIGEST).cloned().unwrap_or_default()
}

/// Returns the key of an object, which doesn't depend on its UID.
fn place(object: &DynamicObject) -> String {
    let kind = kind_of(object);
    format!("{}/{}/{}", kind.group, kind.kind, object.name_any())
}

pub(super) fn kind_of(object: &DynamicObject) -> GroupVersionKind {
    let types = object.types.clone().unwrap_or_default();
    GroupVersionKind::try_from(&types).unwrap_or_else(|_| GroupVersionKind::gvk("", "", &types.kind))
}
