//! The reconcile of a `DeploymentRequest`: observe, gate, record the intent, look before creating, create, record, carry out.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;
use kube::api::GroupVersionKind;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;

use super::driver::Failure;
use super::{Context, news, write};
use crate::api::{
    ANNOTATION_PULL_REQUEST_UPDATED, ConditionStatus, DeploymentRequest, DeploymentRequestStatus, GROUP,
    Intent, Origin, PreviewEnvironment, VERSION, find_condition,
};
use crate::core::conditions::{self, Summary};
use crate::core::event::Event;
use crate::core::forge::{Deployment, NewDeployment, RepositoryName};
use crate::core::gate::{self, Verdict};
use crate::core::payload::Mark;
use crate::core::target::Mistake;
use crate::core::{report, validate};
use crate::ports::{Actor, Forge, ForgeError};

/// The request may be carried out: Repository, class, pull request.
const ALLOWED: &str = "Allowed";
/// The deployment exists on GitHub.
const CREATED: &str = "Created";
const CONDITIONS: [&str; 5] =
    [conditions::READY, conditions::RECONCILING, conditions::STALLED, ALLOWED, CREATED];
/// Requests that are kept per environment and pull request.
const KEPT: usize = 5;

/// Reconciles a request, within the driver's bounds.
pub fn reconcile(
    request: Arc<DeploymentRequest>,
    context: Arc<Context>,
) -> BoxFuture<'static, Result<Action, Failure>> {
    async move { visit(context.fresh_requests.of(request), &context).await }.boxed()
}

/// How a visit ended.
enum Outcome {
    /// The deployment exists, and is carried out if it is ours to carry out.
    Done(i64),
    /// It may not be created as things stand.
    Refused(Mistake),
    /// It won't be created any more.
    Superseded(String),
    /// GitHub won't create it.
    Failed(String),
    /// What it was for is gone, and so is it.
    Deleted,
}

async fn visit(request: Arc<DeploymentRequest>, context: &Context) -> Result<Action, Failure> {
    if request.metadata.deletion_timestamp.is_some() || is_over(&request) {
        return Ok(Action::await_change());
    }
    let outcome = steps(&request, context).await?;
    let over = matches!(outcome, Outcome::Done(_) | Outcome::Superseded(_));
    if let Outcome::Deleted = outcome {
        delete(&request, context).await?;
    } else {
        record(&request, outcome, context).await?;
        if over {
            forget_the_oldest(&request, context).await?;
        }
    }
    Ok(Action::await_change())
}

/// A request runs once. It is looked at again only when something was heard of its pull request.
fn is_over(request: &DeploymentRequest) -> bool {
    let Some(status) = &request.status else { return false };
    let ready = find_condition(&status.conditions, conditions::READY);
    let over = ready.is_some_and(|ready| ready.status == "True" || ready.reason == "Superseded");
    over && status.updated_at.as_ref() == request.annotations().get(ANNOTATION_PULL_REQUEST_UPDATED)
}

async fn steps(request: &DeploymentRequest, context: &Context) -> Result<Outcome, Failure> {
    let namespace = request.namespace().unwrap_or_default();
    let spec = &request.spec;
    let repository = context.repository(&namespace, &spec.repository_ref.name).await?;
    let class = context.class_of(repository.as_deref()).await?;
    let all = context.repositories.state();
    let all: Vec<_> = all.iter().map(AsRef::as_ref).collect();
    let admitted = validate::admit(
        &namespace,
        &spec.repository_ref.name,
        &spec.environment,
        repository.as_deref(),
        class.as_deref(),
        &all,
    );
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(mistake) => return Ok(Outcome::Refused(mistake)),
    };
    let (forge, name) = context.forge(&admitted).await?;
    let created = request.status.as_ref().and_then(|status| status.deployment_id);
    if let Some(reference) = &spec.pull_request {
        let max_age = context.hints.max_age(&name, reference.number);
        let pull_request = match forge.pull_request(&name, reference.number, max_age).await {
            Ok(pull_request) => pull_request,
            Err(ForgeError::NotFound(message)) => {
                let message = format!(
                    "spec.pullRequest.number: {name} has no pull request {}: {message}",
                    reference.number
                );
                return Ok(Outcome::Refused(Mistake { reason: "PullRequestNotFound", message }));
            }
            Err(error) => return Err(error.into()),
        };
        let triggered = spec.requested_by.origin == Origin::PullRequest;
        let class = &admitted.class;
        match gate::judge(
            &class.spec.pull_requests,
            &class.name_any(),
            admitted.entry,
            &pull_request,
            &spec.sha,
            triggered,
        ) {
            Verdict::Over { .. } => return Ok(Outcome::Deleted),
            Verdict::Superseded { head } if created.is_none() => return Ok(Outcome::Superseded(head)),
            Verdict::Refused(mistake) if created.is_none() => return Ok(Outcome::Refused(mistake)),
            _ => {}
        }
    }
    let reruns = request.status.as_ref().map_or(0, |status| status.reruns);
    let reruns = match created {
        Some(id) if overtaken(request, id, context) => reruns + 1,
        Some(id) => return Ok(Outcome::Done(id)),
        None => reruns,
    };
    let deployment = match create(request, reruns, &*forge, &name, context).await {
        Ok(deployment) => deployment,
        Err(Failure::Forge(
            ForgeError::Invalid(message) | ForgeError::Conflict(message) | ForgeError::Forbidden(message),
        )) => {
            return Ok(Outcome::Failed(message));
        }
        Err(error) => return Err(error),
    };
    let id = deployment.id;
    context.reception.take_in(&Event::Deployment { repository: name, deployment }).await?;
    Ok(Outcome::Done(id))
}

/// Whether another commit was deployed after this one, though this one is the head (again): a branch was pushed back.
fn overtaken(request: &DeploymentRequest, deployment_id: i64, context: &Context) -> bool {
    let spec = &request.spec;
    context
        .environments
        .find(|environment| {
            environment.namespace() == request.namespace()
                && environment.spec.repository_ref == spec.repository_ref
                && environment.spec.github_environment == spec.github_environment
                && environment.spec.revision.deployment_id > Some(deployment_id)
                && environment.spec.revision.sha != spec.sha
        })
        .is_some()
}

/// Finds the deployment of this request, or creates it. Creating isn't idempotent: the intent is recorded first, and whether it exists already is
/// asked every time.
async fn create(
    request: &DeploymentRequest,
    reruns: i64,
    forge: &dyn Forge,
    repository: &RepositoryName,
    context: &Context,
) -> Result<Deployment, Failure> {
    let spec = &request.spec;
    let uid = request.uid().unwrap_or_default();
    let known = request.status.as_ref().filter(|status| status.reruns == reruns);
    if known.is_none_or(|status| status.intent.is_none()) {
        record_intent(request, reruns, context).await?;
    }
    // Every run has a mark of its own, so that the deployment of an earlier run isn't taken for this one's.
    let mark = if reruns == 0 { uid } else { format!("{uid}.{reruns}") };
    let there = forge.deployments(repository, &spec.github_environment, Some(&spec.sha)).await?;
    if let Some(ours) = there
        .into_iter()
        .find(|deployment| Mark::find(&deployment.payload).is_some_and(|found| found.request == mark))
    {
        return Ok(ours);
    }
    let number = spec.pull_request.as_ref().map(|reference| reference.number);
    let by = spec.requested_by.login.as_ref().map(|login| format!(" by {login}")).unwrap_or_default();
    let what = number.map_or_else(String::new, |number| format!(" for pull request {number}"));
    let mark = Mark { cluster: context.cluster_id.clone(), request: mark, pull_request: number };
    let new = NewDeployment {
        sha: spec.sha.clone(),
        environment: spec.github_environment.clone(),
        description: report::description(&format!("Requested{by}{what}")),
        payload: mark.to_payload(),
        transient: number.is_some(),
        production: number.is_none() && spec.github_environment.eq_ignore_ascii_case("production"),
    };
    Ok(forge.create_deployment(repository, &new).await?)
}

async fn record_intent(request: &DeploymentRequest, reruns: i64, context: &Context) -> Result<(), Failure> {
    let now = context.clock.now();
    let mut status = known(request);
    status.intent = Some(Intent { time: Time(now) });
    status.reruns = reruns;
    status.deployment_id = None;
    let generation = request.metadata.generation.unwrap_or_default();
    status.observed_generation = generation;
    conditions::initialize(&mut status.conditions, &CONDITIONS, generation, now);
    conditions::set(&mut status.conditions, ALLOWED, ConditionStatus::True, "Allowed", "", generation, now);
    let summary = Summary::Reconciling { reason: "Creating".to_owned(), message: String::new() };
    conditions::summarize(&mut status.conditions, &summary, generation, now);
    write_status(request, &status, context).await
}

async fn record(request: &DeploymentRequest, outcome: Outcome, context: &Context) -> Result<(), Failure> {
    let now = context.clock.now();
    // The intent may have been recorded a moment ago.
    let seen = context.requests.get(&ObjectRef::from_obj(request));
    let newest =
        seen.map(|seen| context.fresh_requests.of(seen)).filter(|newest| newest.uid() == request.uid());
    let mut status = known(newest.as_deref().unwrap_or(request));
    let generation = request.metadata.generation.unwrap_or_default();
    status.observed_generation = generation;
    status.updated_at = request.annotations().get(ANNOTATION_PULL_REQUEST_UPDATED).cloned();
    let list = &mut status.conditions;
    conditions::initialize(list, &CONDITIONS, generation, now);
    let mut set = |kind, verdict, reason: &str, message: &str| {
        conditions::set(list, kind, verdict, reason, message, generation, now);
    };
    let summary = match outcome {
        Outcome::Done(id) => {
            status.deployment_id = Some(id);
            set(ALLOWED, ConditionStatus::True, "Allowed", "");
            set(CREATED, ConditionStatus::True, "Created", &format!("deployment {id}"));
            Summary::Ready { reason: "Created".to_owned(), message: format!("GitHub deployment {id}") }
        }
        Outcome::Refused(Mistake { reason, message }) => {
            set(ALLOWED, ConditionStatus::False, reason, &message);
            Summary::Stalled { reason: reason.to_owned(), message }
        }
        Outcome::Superseded(head) => {
            let message = format!("commit {head} is the pull request's head now");
            set(CREATED, ConditionStatus::False, "Superseded", &message);
            Summary::Stalled { reason: "Superseded".to_owned(), message }
        }
        Outcome::Failed(message) => {
            set(ALLOWED, ConditionStatus::True, "Allowed", "");
            set(CREATED, ConditionStatus::False, "Refused", &message);
            Summary::Stalled { reason: "Refused".to_owned(), message }
        }
        Outcome::Deleted => return Ok(()),
    };
    conditions::summarize(&mut status.conditions, &summary, generation, now);
    if newest.as_ref().and_then(|newest| newest.status.as_ref()) != Some(&status) {
        write_status(request, &status, context).await?;
    }
    Ok(())
}

fn known(request: &DeploymentRequest) -> DeploymentRequestStatus {
    request.status.clone().unwrap_or(DeploymentRequestStatus {
        observed_generation: -1,
        conditions: Vec::<Condition>::new(),
        intent: None,
        updated_at: None,
        reruns: 0,
        deployment_id: None,
    })
}

async fn write_status(
    request: &DeploymentRequest,
    status: &DeploymentRequestStatus,
    context: &Context,
) -> Result<(), Failure> {
    let written = write::status(&*context.cluster, write::REQUEST, request, status).await?;
    context.fresh_requests.wrote(written);
    let before = request.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    news::of_trouble(write::reference(request), before, &status.conditions, context).await;
    Ok(())
}

async fn delete(request: &DeploymentRequest, context: &Context) -> Result<(), Failure> {
    let kind = GroupVersionKind::gvk(GROUP, VERSION, "DeploymentRequest");
    let uid = request.uid().unwrap_or_default();
    context
        .cluster
        .delete(&Actor::Operator, &kind, request.namespace().as_deref(), &request.name_any(), &uid)
        .await?;
    context.fresh_requests.forget(&uid);
    Ok(())
}

/// Deletes every request for an environment that came to its end, and has GitHub read anew: the pull request may just have been opened or
/// selected again, and then it is asked for again.
pub(super) async fn end_with(environment: &PreviewEnvironment, context: &Context) -> Result<(), Failure> {
    let spec = &environment.spec;
    let namespace = environment.namespace().unwrap_or_default();
    let asked = context.requests.state_filter(|request| {
        request.namespace().as_deref() == Some(&namespace)
            && request.metadata.deletion_timestamp.is_none()
            && request.spec.repository_ref == spec.repository_ref
            && request.spec.github_environment == spec.github_environment
    });
    for request in asked {
        delete(&request, context).await?;
    }
    if let Some(repository) = context.repository(&namespace, &spec.repository_ref.name).await? {
        context.sweeps.forget(&repository.uid().unwrap_or_default());
    }
    Ok(())
}

/// Keeps the newest requests of an environment: history has an end.
async fn forget_the_oldest(request: &DeploymentRequest, context: &Context) -> Result<(), Failure> {
    let spec = &request.spec;
    let mut siblings = context.requests.state_filter(|other| {
        other.namespace() == request.namespace()
            && other.spec.repository_ref == spec.repository_ref
            && other.spec.github_environment == spec.github_environment
    });
    siblings.sort_by_key(|other| {
        std::cmp::Reverse(other.metadata.creation_timestamp.as_ref().map(|time| time.0))
    });
    for old in siblings.iter().skip(KEPT).filter(|old| is_over(old)) {
        delete(old, context).await?;
    }
    Ok(())
}
