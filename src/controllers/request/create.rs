//! Creation of the deployment, the one call that isn't idempotent. Matinee records its intent
//! first, and looks for an existing deployment before each attempt. The call waits in the
//! installation's write queue, and no reconcile waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;

use super::{RequestOutcome, RequestScope, loops, record};
use crate::controllers::ingest::EventSource;
use crate::core::deployment::gates::Evaluation;
use crate::core::deployment::outcome::DeploymentOutcome;
use crate::core::deployment::payload::Mark;
use crate::core::event::Event;
use crate::core::forge::{Deployment, NewDeployment, RepositoryName};
use crate::core::publish::deployment_status;
use crate::ports::{Forge, ForgeError};
use crate::runtime::failure::Failure;
use crate::runtime::publisher::{WriteError, WriteProgress};

/// Returns the result of a creation that has ended, if there is one. A creation with a temporary
/// error is paused.
pub(super) async fn ended(scope: &RequestScope<'_>) -> Result<Option<RequestOutcome>, Failure> {
    let creations = &scope.context.publisher.deployments;
    let WriteProgress::Finished { about, result } = creations.progress(scope.request) else {
        return Ok(None);
    };
    match result {
        Ok(deployment) => match created(scope, deployment.clone()).await {
            Ok(outcome) => Ok(Some(outcome)),
            Err(failure) => {
                // Keep the result: the deployment exists, although an environment of that name may
                // still be being deleted.
                creations.give_back(scope.request, about, Ok(deployment));
                Err(failure)
            }
        },
        Err(WriteError::Forge(
            ForgeError::Invalid(message) | ForgeError::Conflict(message) | ForgeError::Forbidden(message),
        )) => Ok(Some(RequestOutcome::Failed(message))),
        Err(error) => {
            let wait = creations.pause(scope.request, &error, scope.now);
            tracing::warn!(
                namespace = scope.request.namespace(),
                name = scope.request.name_any(),
                repository = %scope.name,
                %error,
                ?wait,
                "failed to create deployment, retrying"
            );
            Ok(None)
        }
    }
}

/// Creates the environment of a deployment that now exists.
async fn created(scope: &RequestScope<'_>, deployment: Deployment) -> Result<RequestOutcome, Failure> {
    let id = deployment.id;
    apply_environment(scope, deployment).await?;
    tracing::info!(
        namespace = scope.request.namespace(),
        name = scope.request.name_any(),
        repository = %scope.name,
        environment = scope.place,
        sha = scope.request.spec.sha,
        deployment_id = id,
        "deployment created"
    );
    Ok(RequestOutcome::Created { id, deployment: DeploymentOutcome::UnderWay })
}

/// Returns the deployment that an attempt without a known result has created, if there is one.
pub(super) async fn find(scope: &RequestScope<'_>) -> Result<Option<RequestOutcome>, Failure> {
    let creations = &scope.context.publisher.deployments;
    if let WriteProgress::UnderWay { .. } = creations.look(scope.request) {
        let reason = "the deployment is being created".to_owned();
        return Err(Failure::Soon { reason, after: Duration::from_secs(1) });
    }
    let reruns = scope.request.status.as_ref().map_or(0, |status| status.reruns);
    let (sha, mark) = (&scope.request.spec.sha, mark(scope, reruns));
    match find_marked(&*scope.forge, &scope.name, &scope.place, sha, &mark).await? {
        Some(deployment) => {
            creations.forget(scope.request);
            created(scope, deployment).await.map(Some)
        }
        None => Ok(None),
    }
}

/// Returns the mark of a run in its deployment's payload. Each run has its own, so that the
/// deployment of an earlier run isn't taken for this one's.
fn mark(scope: &RequestScope<'_>, reruns: i64) -> String {
    let uid = scope.request.uid().unwrap_or_default();
    if reruns == 0 { uid } else { format!("{uid}.{reruns}") }
}

async fn find_marked(
    forge: &dyn Forge,
    name: &RepositoryName,
    place: &str,
    sha: &str,
    mark: &str,
) -> Result<Option<Deployment>, ForgeError> {
    let existing = forge.deployments(name, place, Some(sha)).await?;
    let is_ours =
        |deployment: &Deployment| Mark::find(&deployment.payload).is_some_and(|found| found.request == mark);
    Ok(existing.into_iter().find(is_ours))
}

/// Starts to find or create the deployment of this request, unless that is under way or paused.
pub(super) async fn create(
    scope: &RequestScope<'_>,
    reruns: i64,
    evaluation: Evaluation,
) -> Result<RequestOutcome, Failure> {
    let mut again = scope.context.common.settings.sweep_interval;
    let problem = match scope.context.publisher.deployments.look(scope.request) {
        WriteProgress::Paused { problem, wait, .. } => {
            again = again.min(wait).max(Duration::from_millis(100));
            Some(problem)
        }
        WriteProgress::UnderWay { .. } | WriteProgress::Finished { .. } => None,
        WriteProgress::Idle => {
            if let Some(hold) = loops::hold(scope, reruns).await? {
                return Ok(RequestOutcome::Held(hold));
            }
            start(scope, reruns, &evaluation).await?;
            None
        }
    };
    Ok(RequestOutcome::Creating { evaluation, problem, again })
}

async fn start(scope: &RequestScope<'_>, reruns: i64, evaluation: &Evaluation) -> Result<(), Failure> {
    let spec = &scope.request.spec;
    let known = scope.request.status.as_ref().filter(|status| status.reruns == reruns);
    if known.is_none_or(|status| status.intent.is_none()) {
        record::intent(scope, reruns, evaluation).await?;
    }
    let mark = mark(scope, reruns);
    let number = spec.pull_request.as_ref().map(|reference| reference.number);
    let by = spec.requested_by.login.as_ref().map(|login| format!(" by {login}")).unwrap_or_default();
    let what = number.map_or_else(String::new, |number| format!(" for pull request {number}"));
    let parameters: BTreeMap<String, String> =
        spec.parameters.iter().map(|parameter| (parameter.name.clone(), parameter.value.clone())).collect();
    let payload = Mark {
        cluster: scope.context.common.settings.cluster_id.clone(),
        request: mark.clone(),
        pull_request: number,
        parameters,
    };
    let new = NewDeployment {
        sha: spec.sha.clone(),
        environment: scope.place.clone(),
        description: deployment_status::description(&format!("Requested{by}{what}")),
        payload: payload.to_payload(),
        transient: number.is_some(),
        production: number.is_none() && scope.place.eq_ignore_ascii_case("production"),
    };
    let write = find_or_create(Arc::clone(&scope.forge), scope.name.clone(), mark.clone(), new);
    scope.context.publisher.deployments.start(scope.request, mark, write);
    Ok(())
}

/// Returns the deployment with the mark, which an earlier attempt may have created, or a new one.
async fn find_or_create(
    forge: Arc<dyn Forge>,
    name: RepositoryName,
    mark: String,
    new: NewDeployment,
) -> Result<Deployment, WriteError> {
    match find_marked(&*forge, &name, &new.environment, &new.sha, &mark).await? {
        Some(ours) => Ok(ours),
        None => Ok(forge.create_deployment(&name, &new).await?),
    }
}

/// Creates or updates the PreviewEnvironment for the deployment, if Matinee deploys this
/// environment.
async fn apply_environment(scope: &RequestScope<'_>, deployment: Deployment) -> Result<(), Failure> {
    let event = Event::Deployment { repository: scope.name.clone(), deployment };
    scope.context.ingest.apply(&event, EventSource::Found).await?;
    Ok(())
}
