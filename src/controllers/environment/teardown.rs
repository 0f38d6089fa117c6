//! Deletes an environment: its namespace with all objects, its deployments on GitHub, and finally
//! its finalizer.

use std::sync::Arc;

use jiff::SignedDuration;
use kube::ResourceExt as _;
use kube::api::{DynamicObject, GroupVersionKind};
use kube::runtime::controller::Action;

use crate::api::{DeploymentState, FINALIZER, LABEL_ENVIRONMENT_UID, PreviewEnvironment};
use crate::controllers::environment::dereference::Observed;
use crate::controllers::runner::Failure;
use crate::controllers::{Context, reporter, write};
use crate::core::environment::deletion::{self, Deletion};
use crate::core::forge::StatusState;
use crate::core::naming;
use crate::core::publish::deployment_status;
use crate::core::trouble::Trouble;
use crate::ports::{Actor, ClusterError, EventType, ForgeError};

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

pub(super) async fn teardown(environment: &PreviewEnvironment, context: &Context) -> Result<Action, Failure> {
    if !environment.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        forget(environment, context);
        return Ok(Action::await_change());
    }
    let namespace = remove_namespace(environment, context).await?;
    let namespace = namespace.as_ref();
    if namespace.is_some() && !deletion::is_said(environment) {
        // Report this first: the calls to GitHub may take a while.
        say(environment, &Deletion { namespace, github: None }, context).await?;
    }
    let uid = environment.uid().unwrap_or_default();
    // Each object deleted in the namespace causes a reconcile. Report the deployments to GitHub
    // only once.
    let retired = if context.reporter.has_retired(&uid) {
        Ok(true)
    } else {
        let observed = Observed::of(environment, context).await?;
        retire(environment, &observed, context).await
    };
    match retired {
        Ok(true) => {
            if namespace.is_some() && !context.reporter.has_retired(&uid) {
                reporter::ended(context, environment, None).await?;
            }
            context.reporter.retired_all(uid);
        }
        Ok(false) if !out_of_patience(environment, context) => {
            // Usually this is over before anybody reads it, so report it only when it takes long.
            if namespace.is_none() || deletion::takes_long(environment, context.clock.now()) {
                let github = Some("its deployments are being reported as inactive to GitHub");
                say(environment, &Deletion { namespace, github }, context).await?;
            }
            return Ok(Action::requeue(GO_ON));
        }
        Ok(false) => leave(environment, "too much else is being told to GitHub", context).await,
        Err(error)
            if is_hopeless(&error, context.standing.drains()) || out_of_patience(environment, context) =>
        {
            leave(environment, &error.to_string(), context).await;
        }
        Err(error) => {
            let github = error.to_string();
            say(environment, &Deletion { namespace, github: Some(&github) }, context).await?;
            return Err(Failure::from(error).told());
        }
    }
    if namespace.is_some() {
        say(environment, &Deletion { namespace, github: None }, context).await?;
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
    context: &Context,
) -> Result<bool, ClusterError> {
    let environment = context.fresh_environments.of(Arc::new(environment.clone()));
    let status = deletion::status(&environment, deletion, context.clock.now());
    if !super::changed(environment.status.as_ref(), &status) {
        return Ok(false);
    }
    let written = write::status(&*context.cluster, write::ENVIRONMENT, &*environment, &status).await?;
    context.fresh_environments.wrote(written);
    Ok(true)
}

/// Reports on the environment what prevents its deletion from completing.
pub(super) async fn explain(
    environment: &PreviewEnvironment,
    trouble: &Trouble,
    context: &Context,
) -> Result<bool, ClusterError> {
    say(environment, &Deletion { namespace: None, github: Some(&trouble.message) }, context).await
}

/// Reports once that deployments stay as they are on GitHub.
async fn leave(environment: &PreviewEnvironment, why: &str, context: &Context) {
    let message =
        format!("deployments of {} stay as they are on GitHub: {why}", environment.spec.github_environment);
    match reporter::ended(context, environment, Some(&message)).await {
        Ok(false) => return,
        Ok(true) => {}
        Err(error) => {
            tracing::debug!(name = environment.name_any(), %error, "that could not be written on the environment");
        }
    }
    context.events.publish(&write::reference(environment), EventType::Warning, "NotReported", &message).await;
}

/// Deletes the namespace if it belongs to the environment. Returns it while it exists.
async fn remove_namespace(
    environment: &PreviewEnvironment,
    context: &Context,
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
    let Some(namespace) = context.cluster.get(&Actor::Operator, &kind, None, &name).await? else {
        return Ok(None);
    };
    if namespace.labels().get(LABEL_ENVIRONMENT_UID) != Some(&uid) {
        return Ok(None);
    }
    context.live.follow(&kind);
    context.live.record(&namespace);
    if namespace.metadata.deletion_timestamp.is_none() {
        context
            .cluster
            .delete(&Actor::Operator, &kind, None, &name, &namespace.uid().unwrap_or_default())
            .await?;
    }
    Ok(Some(namespace))
}

/// Makes all deployments of the environment inactive, because GitHub never does that for transient
/// ones. Returns whether all are inactive.
async fn retire(
    environment: &PreviewEnvironment,
    observed: &Observed,
    context: &Context,
) -> Result<bool, ForgeError> {
    let status = environment.status.as_ref();
    // An environment that was never admitted has no deployments to make inactive, and no
    // credentials for it.
    let admitted = observed.admit(environment).map_err(|mistake| ForgeError::Invalid(mistake.message))?;
    let Some(newest) = environment.spec.revision.deployment_id else { return Ok(true) };
    // Each object deleted in the namespace causes a reconcile, which needs no call to GitHub.
    if context.reporter.is_retiring(newest) {
        return Ok(false);
    }
    let (forge, repository) = context.forge(&admitted).await?;
    let deployments = forge.deployments(&repository, &environment.spec.github_environment, None).await?;
    let told =
        |id: i64| status.and_then(|status| status.reported.iter().find(|told| told.deployment_id == id));
    let mut under_way = 0;
    // A deployment that was created after this environment was deleted belongs to the next
    // environment.
    for deployment in deployments.into_iter().filter(|deployment| deployment.id <= newest) {
        if told(deployment.id).is_some_and(|told| told.state == DeploymentState::Inactive)
            || context.reporter.retired(deployment.id)
        {
            continue;
        }
        if (told(deployment.id).is_none() || context.reporter.is_doubtful(deployment.id))
            && forge.deployment_state(&repository, deployment.id).await? == Some(StatusState::Inactive)
        {
            context.reporter.retire(deployment.id);
            continue;
        }
        if under_way == AT_ONCE {
            break;
        }
        under_way += 1;
        let report = deployment_status::inactive(
            deployment.id,
            "The environment has been deleted",
            told(deployment.id),
        );
        context.reporter.make_inactive(environment, Arc::clone(&forge), repository.clone(), report)?;
    }
    Ok(under_way == 0)
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

fn out_of_patience(environment: &PreviewEnvironment, context: &Context) -> bool {
    let deleted = environment.metadata.deletion_timestamp.as_ref();
    deleted.is_some_and(|deleted| context.clock.now().duration_since(deleted.0) > PATIENCE)
}

/// Removes the finalizer, whichever field manager added it: the intake, the controller, or a user.
async fn release(environment: &PreviewEnvironment, context: &Context) -> Result<(), Failure> {
    let kind = write::kind::<PreviewEnvironment>();
    context.cluster.remove_finalizer(&kind, &environment.metadata, FINALIZER).await?;
    forget(environment, context);
    Ok(())
}

fn forget(environment: &PreviewEnvironment, context: &Context) {
    let status = environment.status.as_ref();
    let inventory = status.map(|status| status.inventory.as_slice()).unwrap_or_default();
    let namespace = status.and_then(|status| status.namespace.as_ref());
    let namespace_name = namespace.map(|namespace| namespace.name.as_str()).unwrap_or_default();
    context.applications.forget(
        &environment.uid().unwrap_or_default(),
        inventory
            .iter()
            .map(|entry| entry.uid.as_str())
            .chain(namespace.map(|namespace| namespace.uid.as_str())),
        namespace_name,
    );
    if let Some(uid) = environment.uid() {
        context.fresh_environments.forget(&uid);
        context.asked.forget(&uid);
        let told = status.into_iter().flat_map(|status| &status.reported).map(|report| report.deployment_id);
        context.reporter.forget(&uid, told.chain(environment.spec.revision.deployment_id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_credentials_hold_an_environment_unless_it_drains() {
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
