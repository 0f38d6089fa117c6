//! Deletes an environment: its namespace with all objects, its deployments on GitHub, and finally
//! its finalizer.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::SignedDuration;
use kube::ResourceExt as _;
use kube::api::{DynamicObject, GroupVersionKind};
use kube::runtime::controller::Action;

use super::dereference::References;
use super::status_writer::write_status;
use super::{EnvironmentContext, publish};
use crate::api::{
    DeploymentReport, DeploymentState, FINALIZER, LABEL_ENVIRONMENT_UID, PreviewEnvironment, find_condition,
};
use crate::core::environment::deletion_status::{self, Deletion};
use crate::core::environment::status::REPORTED;
use crate::core::forge::StatusState;
use crate::core::naming;
use crate::core::publish::deployment_status;
use crate::core::trouble::Trouble;
use crate::ports::{Actor, ClusterError, EventType, ForgeError};
use crate::runtime::failure::Failure;
use crate::runtime::publisher::{WriteError, WriteProgress};
use crate::runtime::write;

/// Maximum number of deployments made inactive at the same time. The end of each enqueues the
/// environment.
const AT_ONCE: usize = 10;
/// Time between two reconciles while no deployment becomes inactive and no watch reports the
/// deletion of the namespace.
const GO_ON: std::time::Duration = std::time::Duration::from_secs(30);
/// Time between two checks what blocks the deletion of a namespace.
const HELD_AGAIN: std::time::Duration = std::time::Duration::from_secs(10);
/// Time for which a GitHub outage may block the deletion of an environment whose namespace has been
/// deleted.
const PATIENCE: SignedDuration = SignedDuration::from_hours(1);

/// Deployments that are known to be inactive, by UID of their environment, while it is being
/// deleted. An environment may have more of them than its status can list.
#[derive(Default)]
pub struct Retired(Mutex<HashMap<String, Inactive>>);

#[derive(Default)]
struct Inactive {
    deployments: HashSet<i64>,
    /// Whether these are all.
    complete: bool,
}

impl Retired {
    fn with<T>(&self, environment: &PreviewEnvironment, act: impl FnOnce(&mut Inactive) -> T) -> T {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(known.entry(environment.uid().unwrap_or_default()).or_default())
    }

    pub(super) fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

pub(super) async fn teardown(
    environment: &PreviewEnvironment,
    context: &EnvironmentContext,
) -> Result<Action, Failure> {
    if !environment.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        forget(environment, context);
        return Ok(Action::await_change());
    }
    let namespace = remove_namespace(environment, context).await?;
    let namespace = namespace.as_ref();
    let progress = Deletion { namespace, ..Deletion::default() };
    if namespace.is_some() && !deletion_status::is_said(environment) {
        // Report this first: the calls to GitHub may take a while.
        say(environment, &progress, context).await?;
    }
    match retire(environment, context).await {
        Ok(true) => {
            if namespace.is_none() {
                release(environment, context).await?;
                return Ok(Action::await_change());
            }
            say(environment, &Deletion { reported: Some(Ok(())), ..progress }, context).await?;
        }
        Ok(false) if !is_out_of_patience(environment, context) => {
            // Usually this is over before anybody reads it, so report it only when it takes long.
            if namespace.is_none() || deletion_status::takes_long(environment, context.common.clock.now()) {
                let github = Some("its deployments are being reported as inactive to GitHub");
                say(environment, &Deletion { github, ..progress }, context).await?;
            }
            return Ok(Action::requeue(GO_ON));
        }
        Ok(false) => {
            leave(environment, &progress, "GitHub's rate limits allow no report in time", context).await;
        }
        Err(error)
            if is_hopeless(&error, context.common.leadership.drains())
                || is_out_of_patience(environment, context) =>
        {
            leave(environment, &progress, &error.to_string(), context).await;
        }
        Err(error) => {
            let github = error.to_string();
            say(environment, &Deletion { github: Some(&github), ..progress }, context).await?;
            return Err(Failure::from(error).reported());
        }
    }
    if namespace.is_some() {
        // The watch reports the deletion of the namespace, but not what blocks it.
        return Ok(Action::requeue(HELD_AGAIN));
    }
    release(environment, context).await?;
    Ok(Action::await_change())
}

/// Reports the progress of the deletion on the environment. Returns whether the status changed.
async fn say(
    environment: &PreviewEnvironment,
    deletion: &Deletion<'_>,
    context: &EnvironmentContext,
) -> Result<bool, ClusterError> {
    let environment = context.common.objects.environments.newest(Arc::new(environment.clone()));
    let status = deletion_status::status(&environment, deletion, context.common.clock.now());
    if environment.status.as_ref() == Some(&status) {
        return Ok(false);
    }
    write_status(&environment, &status, &context.common).await?;
    Ok(true)
}

/// Reports on the environment what prevents its deletion from completing.
pub(super) async fn explain(
    environment: &PreviewEnvironment,
    trouble: &Trouble,
    context: &EnvironmentContext,
) -> Result<bool, ClusterError> {
    say(environment, &Deletion { github: Some(&trouble.message), ..Deletion::default() }, context).await
}

/// Reports once that deployments stay as they are on GitHub.
async fn leave(
    environment: &PreviewEnvironment,
    progress: &Deletion<'_>,
    why: &str,
    context: &EnvironmentContext,
) {
    let message =
        format!("deployments of {} keep their state on GitHub: {why}", environment.spec.github_environment);
    let known = environment.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let is_known = find_condition(known, REPORTED).is_some_and(|reported| reported.message == message);
    let said = say(environment, &Deletion { reported: Some(Err(&message)), ..*progress }, context).await;
    if let Err(error) = said {
        tracing::debug!(name = environment.name_any(), %error, "failed to write the status of a deletion");
    }
    if !is_known {
        let about = write::reference(environment);
        context.common.events.publish(&about, EventType::Warning, "NotReported", &message).await;
    }
}

/// Deletes the namespace if it belongs to the environment. Returns it while it exists.
async fn remove_namespace(
    environment: &PreviewEnvironment,
    context: &EnvironmentContext,
) -> Result<Option<DynamicObject>, Failure> {
    let kind = GroupVersionKind::gvk("", "v1", "Namespace");
    let uid = environment.uid().unwrap_or_default();
    let number = environment.spec.pull_request.as_ref().map(|reference| reference.number);
    let computed =
        naming::namespace(&environment.spec.repository_ref.name, &environment.spec.environment, number);
    // Read it from the API server: the watch may not show it yet.
    let known = environment
        .status
        .as_ref()
        .and_then(|status| status.namespace.as_ref())
        .map(|known| known.name.clone());
    let name = known.unwrap_or(computed);
    let Some(namespace) = context.common.cluster.get(&Actor::Operator, &kind, None, &name).await? else {
        return Ok(None);
    };
    if namespace.labels().get(LABEL_ENVIRONMENT_UID) != Some(&uid) {
        return Ok(None);
    }
    context.live.follow(&kind);
    context.live.record(&namespace);
    if namespace.metadata.deletion_timestamp.is_none() {
        context
            .common
            .cluster
            .delete(&Actor::Operator, &kind, None, &name, &namespace.uid().unwrap_or_default())
            .await?;
    }
    Ok(Some(namespace))
}

/// Makes all deployments of the environment inactive, because GitHub never does that for transient
/// ones. Returns whether all are inactive.
async fn retire(environment: &PreviewEnvironment, context: &EnvironmentContext) -> Result<bool, ForgeError> {
    let retired = &context.memory.retired;
    collect(environment, context)?;
    // Each object deleted in the namespace causes a reconcile, which needs no call to GitHub.
    if retired.with(environment, |inactive| inactive.complete) {
        return Ok(true);
    }
    let references = References::of(environment, &context.common).await;
    let references = references.map_err(|error| ForgeError::Unknown(error.to_string()))?;
    let admitted = references.authorize(environment);
    let writes = &context.publisher.deployment_statuses;
    for slot in writes.slots(environment) {
        if let WriteProgress::UnderWay { about } = writes.look_in(environment, slot)
            && about.state != DeploymentState::Inactive
        {
            writes.forget_in(environment, slot);
        }
    }
    let Some(newest) = environment.spec.revision.deployment_id else {
        retired.with(environment, |inactive| inactive.complete = true);
        return Ok(true);
    };
    let is_retiring = |id: i64| match writes.look_in(environment, id) {
        WriteProgress::UnderWay { about } => about.state == DeploymentState::Inactive,
        _ => false,
    };
    if is_retiring(newest) {
        return Ok(false);
    }
    let (forge, repository, deployments) = match &admitted {
        Ok(admitted) => {
            let (forge, repository) = context.common.forge(admitted).await?;
            let name = &environment.spec.github_environment;
            let deployments = forge.deployments(&repository, name, None).await?;
            // A deployment that was created after this environment was deleted belongs to the next
            // environment.
            let ids = deployments.into_iter().map(|deployment| deployment.id).filter(|id| *id <= newest);
            (forge, repository, ids.collect())
        }
        Err(mistake) => {
            let admission = environment.status.as_ref().and_then(|status| status.admission.as_ref());
            // An environment that was never admitted has no deployments to make inactive, and no
            // credentials for it.
            let admission = admission.ok_or_else(|| ForgeError::Invalid(mistake.message.clone()))?;
            let (forge, repository) =
                context.common.forge_of(&admission.github, &admission.repository).await?;
            // Somebody else may have the environment on GitHub by now.
            (forge, repository, deployment_status::reported_deployments(environment))
        }
    };
    let status = environment.status.as_ref();
    let reported = |id: i64| {
        status.and_then(|status| status.reported.iter().find(|reported| reported.deployment_id == id))
    };
    let mut under_way = 0;
    for id in deployments {
        if reported(id).is_some_and(|reported| reported.state == DeploymentState::Inactive)
            || retired.with(environment, |inactive| inactive.deployments.contains(&id))
        {
            continue;
        }
        if (reported(id).is_none() || context.memory.doubts.has(environment, id))
            && forge.deployment_state(&repository, id).await? == Some(StatusState::Inactive)
        {
            retired.with(environment, |inactive| inactive.deployments.insert(id));
            continue;
        }
        if under_way == AT_ONCE {
            break;
        }
        under_way += 1;
        if is_retiring(id) {
            continue;
        }
        let report = deployment_status::inactive(id, "The environment has been deleted", reported(id));
        let (forge, repository, wanted) = (Arc::clone(&forge), repository.clone(), report.clone());
        writes.start_in(environment, id, report, async move {
            Ok(forge.create_deployment_status(&repository, &wanted).await?)
        });
    }
    retired.with(environment, |inactive| inactive.complete = under_way == 0);
    Ok(under_way == 0)
}

/// Records the results of the writes that have ended.
///
/// # Errors
/// The first failure. The write is started again by the next reconcile.
fn collect(environment: &PreviewEnvironment, context: &EnvironmentContext) -> Result<(), ForgeError> {
    let writes = &context.publisher.deployment_statuses;
    let mut failure = None;
    for ended in writes.results(environment) {
        let id = ended.about.deployment_id;
        writes.done(environment, &ended);
        if ended.result.is_ok() {
            publish::log_reported(environment, &ended.about);
        }
        match ended.result {
            // The deployment has been deleted on GitHub.
            Ok(()) | Err(WriteError::Forge(ForgeError::NotFound(_))) => {
                if ended.about.state == DeploymentState::Inactive {
                    context.memory.retired.with(environment, |inactive| inactive.deployments.insert(id));
                }
            }
            Err(WriteError::Forge(ForgeError::Superseded)) => {}
            Err(WriteError::Forge(error)) => {
                if matches!(error, ForgeError::Unknown(_)) {
                    context.memory.doubts.set(environment, id, true);
                }
                // An error that may pass says more than one that never will.
                failure = failure.filter(|known| !is_hopeless(known, true)).or(Some(error));
            }
            Err(error) => failure = failure.or(Some(ForgeError::Unknown(error.to_string()))),
        }
    }
    failure.map_or(Ok(()), Err)
}

/// Whether a retry can't succeed until somebody changes something. Such an error doesn't block the
/// deletion. Missing credentials and rights may be restored soon, for example when a Secret is
/// replaced, so they block the deletion as long as an outage does; but not while the operator
/// drains.
const fn is_hopeless(error: &ForgeError, draining: bool) -> bool {
    match error {
        ForgeError::Credentials(_) | ForgeError::Forbidden(_) => draining,
        ForgeError::NotFound(_) | ForgeError::Invalid(_) | ForgeError::Conflict(_) => true,
        ForgeError::RateLimited { .. }
        | ForgeError::Unknown(_)
        | ForgeError::Superseded
        | ForgeError::NotSent(_) => false,
    }
}

fn is_out_of_patience(environment: &PreviewEnvironment, context: &EnvironmentContext) -> bool {
    let deleted = environment.metadata.deletion_timestamp.as_ref();
    deleted.is_some_and(|deleted| context.common.clock.now().duration_since(deleted.0) > PATIENCE)
}

/// Removes the finalizer, whichever field manager added it: the ingest, the controller, or a user.
async fn release(environment: &PreviewEnvironment, context: &EnvironmentContext) -> Result<(), Failure> {
    let kind = write::kind::<PreviewEnvironment>();
    context.common.cluster.remove_finalizer(&kind, &environment.metadata, FINALIZER).await?;
    tracing::info!(
        namespace = environment.namespace(),
        name = environment.name_any(),
        pull_request = environment.spec.pull_request.as_ref().map(|reference| reference.number),
        "environment deleted"
    );
    // What is known of it is forgotten when the watch shows its end: until then it may be reconciled
    // again.
    Ok(())
}

pub(super) fn forget(environment: &PreviewEnvironment, context: &EnvironmentContext) {
    let status = environment.status.as_ref();
    let inventory = status.map(|status| status.inventory.as_slice()).unwrap_or_default();
    let namespace = status.and_then(|status| status.namespace.as_ref());
    let namespace_name = namespace.map(|namespace| namespace.name.as_str()).unwrap_or_default();
    let uid = environment.uid().unwrap_or_default();
    let objects = inventory.iter().map(|entry| entry.uid.as_str());
    let objects = objects.chain(namespace.map(|namespace| namespace.uid.as_str()));
    context.memory.forget(&uid, namespace_name, objects);
    // Deployments that can't become inactive in time become so later.
    let is_inactive = |about: &DeploymentReport| about.state == DeploymentState::Inactive;
    context.publisher.deployment_statuses.forget_unless(environment, is_inactive);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_credentials_block_deletion_unless_draining() {
        for error in [
            ForgeError::Credentials("Secret \"github\" isn't there".into()),
            ForgeError::Forbidden("This installation has been suspended".into()),
        ] {
            assert!(!is_hopeless(&error, false), "{error}");
            assert!(is_hopeless(&error, true), "{error}");
        }
        assert!(is_hopeless(&ForgeError::NotFound("the repository".into()), false));
        assert!(!is_hopeless(&ForgeError::Unknown("no answer".into()), true));
    }
}
