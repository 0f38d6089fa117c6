//! A deployment status: a deployment that reached the state in a trigger leads to a request for the
//! next environment in the chain. Requests that wait for the deployment are reconciled.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use super::{Change, request};
use crate::api::{
    DeploymentStatusTrigger, Origin, PreviewRepository, RepositoryEnvironment, RequestedBy, TriggerState,
};
use crate::core::deployment::{ownership, promotion};
use crate::core::forge::{Deployment, DeploymentStatus, StatusState};
use crate::core::mistake::Reason;
use crate::core::naming;

pub(super) fn changes(
    repositories: &[&PreviewRepository],
    repository: &PreviewRepository,
    deployment: &Deployment,
    status: &DeploymentStatus,
) -> Vec<Change> {
    let environments = &repository.spec.environments;
    let belongs = |environment: &RepositoryEnvironment| {
        naming::pull_request_of(environment, &deployment.environment).is_some()
    };
    // This change is made even if another PreviewRepository owns the environment, since this one
    // may own the environment that waits for it.
    let mut changes: Vec<_> = environments
        .iter()
        .find(|environment| belongs(environment))
        .map(|_| Change::Followed {
            namespace: repository.namespace().unwrap_or_default(),
            repository: repository.name_any(),
            deployment_id: deployment.id,
        })
        .into_iter()
        .collect();
    // A chain with a loop has no next environment. The PreviewRepository's condition reports the
    // loop.
    if promotion::check(repository).is_err_and(|mistake| mistake.reason == Reason::ChainLoop) {
        return changes;
    }
    // A status from before the PreviewRepository's creation leads to no request: a new chain must
    // not start with a promotion.
    let since = repository.metadata.creation_timestamp.as_ref().map(|time| time.0);
    if status.created_at.parse::<jiff::Timestamp>().is_ok_and(|at| since.is_some_and(|since| at < since)) {
        return changes;
    }
    for environment in environments {
        let trigger = environment.trigger.as_ref().and_then(|trigger| trigger.deployment_status.as_ref());
        let Some(trigger) = trigger.filter(|trigger| is_wanted(trigger.state, &status.state)) else {
            continue;
        };
        let Some(source) = environments
            .iter()
            .find(|source| source.name == trigger.environment)
            .and_then(|source| naming::pull_request_of(source, &deployment.environment))
        else {
            continue;
        };
        let Ok(not_before) = soaked(trigger, status) else { continue };
        if ownership::holds(repositories, repository, environment).is_err() {
            continue;
        }
        let pull_request = source.pull_request().filter(|_| naming::is_of_pull_requests(environment));
        let requested_by = RequestedBy {
            origin: Origin::DeploymentStatus,
            deployment_id: Some(deployment.id),
            ..RequestedBy::default()
        };
        let (name, mut spec) = request(repository, environment, pull_request, &deployment.sha, requested_by);
        spec.not_before = not_before;
        changes.push(Change::Request {
            namespace: repository.namespace().unwrap_or_default(),
            name,
            spec,
            version: None,
        });
    }
    changes
}

/// Returns whether a status has the state that a trigger names.
fn is_wanted(wanted: TriggerState, state: &StatusState) -> bool {
    match wanted {
        TriggerState::Success => *state == StatusState::Success,
        TriggerState::Failure => state.is_failed(),
    }
}

/// Returns when the state has lasted as long as the trigger's `soak`; `None` without a `soak`. It
/// is an error when the status has no readable creation time or the result is out of range.
fn soaked(trigger: &DeploymentStatusTrigger, status: &DeploymentStatus) -> Result<Option<Time>, jiff::Error> {
    let Some(soak) = trigger.soak else { return Ok(None) };
    let since: jiff::Timestamp = status.created_at.parse()?;
    Ok(Some(Time(since.checked_add(soak.as_std())?)))
}
