//! Records the result of a reconcile in the request's status.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;

use super::{RequestContext, RequestOutcome, RequestScope};
use crate::api::{
    ANNOTATION_PULL_REQUEST_UPDATED, ConditionStatus, DeploymentRequest, DeploymentRequestStatus, Intent,
    Origin, find_condition,
};
use crate::controllers::request::commit_status::{self, Report};
use crate::core::conditions::{self, Summary};
use crate::core::deployment::gates::repeats::Hold;
use crate::core::deployment::gates::{self, Evaluation};
use crate::core::deployment::outcome::DeploymentOutcome;
use crate::core::deployment::reason::RequestReason;
use crate::core::mistake::Mistake;
use crate::runtime::failure::Failure;
use crate::runtime::{events, write};

/// Condition: PreviewRepository, class, and pull request or branch permit the request.
const ALLOWED: &str = "Allowed";
/// Condition: the deployment exists on GitHub.
const CREATED: &str = "Created";
/// Condition: the deployment succeeded.
const SUCCEEDED: &str = "Succeeded";
/// Time between two attempts to create a deployment that GitHub rejects. No event reports that
/// somebody has granted the permission.
pub(super) const REFUSED_AGAIN: Duration = Duration::from_mins(10);
const QUEUED: &str = "waiting in the queue of writes to GitHub";

/// Whether these conditions say that the request has ended.
pub(super) fn has_ended(list: &[Condition]) -> bool {
    find_condition(list, conditions::READY)
        .and_then(|ready| RequestReason::parse(&ready.reason))
        .is_some_and(RequestReason::is_end)
}

/// Whether the commit status still has to be written.
pub(super) fn is_report_pending(list: &[Condition]) -> bool {
    find_condition(list, commit_status::REPORTED).is_some_and(|reported| {
        [commit_status::REPORTING, commit_status::NOT_REPORTED].contains(&reported.reason.as_str())
    })
}

/// Whether a deployment of the request may exist that isn't recorded.
pub(super) fn may_have_created(request: &DeploymentRequest) -> bool {
    request.status.as_ref().is_some_and(|status| status.intent.is_some() && status.deployment_id.is_none())
}

/// Returns the message with which GitHub rejected the deployment, if that was less than
/// [`REFUSED_AGAIN`] ago. Other events don't shorten that time.
pub(super) fn refused_lately(request: &DeploymentRequest, now: Timestamp) -> Option<String> {
    let created = find_condition(&request.status.as_ref()?.conditions, CREATED)?;
    let since = now.duration_since(created.last_transition_time.0).unsigned_abs();
    (created.reason == RequestReason::Refused.as_str() && since < REFUSED_AGAIN)
        .then(|| created.message.clone())
}

/// Conditions of the steps that call other systems, in their order.
pub(crate) const STAGES: [&str; 3] = [ALLOWED, CREATED, SUCCEEDED];

/// All conditions except `Reported`, which only a request with a commit status has, in their order.
pub(crate) fn kinds() -> Vec<&'static str> {
    [conditions::READY, conditions::RECONCILING, conditions::STALLED, ALLOWED]
        .into_iter()
        .chain(gates::CONDITIONS)
        .chain([CREATED, SUCCEEDED])
        .collect()
}

/// Records that the deployment is about to be created. From here on it may exist.
pub(super) async fn intent(
    scope: &RequestScope<'_>,
    reruns: i64,
    evaluation: &Evaluation,
) -> Result<(), Failure> {
    let request = scope.request;
    let mut status = current_status(request);
    status.intent = Some(Intent { time: Time(scope.now), environment: scope.place.clone() });
    status.reruns = reruns;
    if request.spec.requested_by.origin == Origin::Push {
        status.pushed_at = request.annotations().get(ANNOTATION_PULL_REQUEST_UPDATED).cloned();
    }
    status.deployment_id = None;
    let generation = request.metadata.generation.unwrap_or_default();
    status.observed_generation = generation;
    status.updated_at = request.annotations().get(ANNOTATION_PULL_REQUEST_UPDATED).cloned();
    let list = &mut status.conditions;
    conditions::initialize(list, &kinds(), generation, scope.now);
    let mut set = |kind, verdict, reason: &str, message: &str| {
        conditions::set(list, kind, verdict, reason, message, generation, scope.now);
    };
    set(ALLOWED, ConditionStatus::True, "Allowed", "");
    judged(evaluation, &mut set);
    set(CREATED, ConditionStatus::Unknown, RequestReason::Creating.as_str(), QUEUED);
    conditions::summarize(list, &creating(None), generation, scope.now);
    write_status(request, &status, scope.context).await
}

fn creating(problem: Option<&str>) -> Summary {
    let message = problem.unwrap_or(QUEUED).to_owned();
    Summary::Reconciling { reason: RequestReason::Creating.as_str().to_owned(), message }
}

/// Records that the push that enqueued the request has been handled, although nothing was deployed
/// for it.
pub(super) async fn pushed(scope: &RequestScope<'_>) -> Result<(), Failure> {
    let request = scope.request;
    let push = request.annotations().get(ANNOTATION_PULL_REQUEST_UPDATED);
    let mut status = current_status(request);
    if request.spec.requested_by.origin != Origin::Push || status.pushed_at.as_ref() == push {
        return Ok(());
    }
    status.pushed_at = push.cloned();
    write_status(request, &status, scope.context).await
}

fn judged(evaluation: &Evaluation, set: &mut impl FnMut(&'static str, ConditionStatus, &str, &str)) {
    for (kind, verdict) in &evaluation.verdicts {
        let (status, reason, message) = verdict.condition();
        set(kind, status, reason, message);
    }
}

/// Writes the result of a reconcile into the status, if that changed.
pub(super) async fn outcome(
    request: &DeploymentRequest,
    outcome: &RequestOutcome,
    report: &Report,
    context: &RequestContext,
) -> Result<(), Failure> {
    let now = context.common.clock.now();
    let newest = newest(request, context);
    let mut status = current_status(newest.as_deref().unwrap_or(request));
    let generation = request.metadata.generation.unwrap_or_default();
    status.observed_generation = generation;
    status.updated_at = request.annotations().get(ANNOTATION_PULL_REQUEST_UPDATED).cloned();
    let list = &mut status.conditions;
    conditions::initialize(list, &kinds(), generation, now);
    let was_creating = find_condition(list, CREATED)
        .is_some_and(|created| created.reason == RequestReason::Creating.as_str());
    let mut set = |kind, verdict, reason: &str, message: &str| {
        conditions::set(list, kind, verdict, reason, message, generation, now);
    };
    let stalled = |reason: &str, message: &str| Summary::Stalled {
        reason: reason.to_owned(),
        message: message.to_owned(),
    };
    let summary = match outcome {
        RequestOutcome::Created { id, deployment } => {
            status.deployment_id = Some(*id);
            set(ALLOWED, ConditionStatus::True, "Allowed", "");
            set(CREATED, ConditionStatus::True, "Created", &format!("deployment {id}"));
            succeeded(deployment, *id, &mut set)
        }
        RequestOutcome::Refused(Mistake { reason, message }) => {
            set(ALLOWED, ConditionStatus::False, reason.as_str(), message);
            stalled(reason.as_str(), message)
        }
        RequestOutcome::Gated(evaluation) => {
            set(ALLOWED, ConditionStatus::True, "Allowed", "");
            judged(evaluation, &mut set);
            if was_creating {
                set(CREATED, ConditionStatus::Unknown, conditions::NOT_REACHED, "");
            }
            match &evaluation.summary {
                gates::GateSummary::Refused { reason, message, .. } => stalled(reason, message),
                gates::GateSummary::Waiting { reason, message, .. } => {
                    Summary::Reconciling { reason: (*reason).to_owned(), message: message.clone() }
                }
                gates::GateSummary::Open => creating(None),
            }
        }
        RequestOutcome::Creating { evaluation, problem, .. } => {
            set(ALLOWED, ConditionStatus::True, "Allowed", "");
            judged(evaluation, &mut set);
            let message = problem.as_deref().unwrap_or(QUEUED);
            set(CREATED, ConditionStatus::Unknown, RequestReason::Creating.as_str(), message);
            creating(problem.as_deref())
        }
        RequestOutcome::Held(Hold { message, .. }) => {
            set(ALLOWED, ConditionStatus::True, "Allowed", "");
            set(CREATED, ConditionStatus::False, RequestReason::DeploymentLoop.as_str(), message);
            stalled(RequestReason::DeploymentLoop.as_str(), message)
        }
        RequestOutcome::Superseded(why) => {
            set(CREATED, ConditionStatus::False, RequestReason::Superseded.as_str(), why);
            stalled(RequestReason::Superseded.as_str(), why)
        }
        RequestOutcome::Failed(message) => {
            set(ALLOWED, ConditionStatus::True, "Allowed", "");
            set(CREATED, ConditionStatus::False, RequestReason::Refused.as_str(), message);
            stalled(RequestReason::Refused.as_str(), message)
        }
        RequestOutcome::Deleted => return Ok(()),
    };
    conditions::summarize(list, &summary, generation, now);
    set_report(&mut status, report, generation, now);
    if newest.as_ref().and_then(|newest| newest.status.as_ref()) != Some(&status) {
        write_status(request, &status, context).await?;
    }
    Ok(())
}

/// Writes the progress of the commit status of a request that has ended. The rest of the status
/// stays.
pub(super) async fn report(
    request: &DeploymentRequest,
    report: &Report,
    context: &RequestContext,
) -> Result<(), Failure> {
    let newest = newest(request, context);
    let request = newest.as_deref().unwrap_or(request);
    let mut status = current_status(request);
    let generation = request.metadata.generation.unwrap_or_default();
    set_report(&mut status, report, generation, context.common.clock.now());
    if request.status.as_ref() != Some(&status) {
        write_status(request, &status, context).await?;
    }
    Ok(())
}

fn set_report(status: &mut DeploymentRequestStatus, report: &Report, generation: i64, now: Timestamp) {
    if let Some((verdict, reason, message)) = &report.reported {
        let list = &mut status.conditions;
        conditions::set(list, commit_status::REPORTED, *verdict, reason, message, generation, now);
    }
    if let Some(acknowledged) = &report.acknowledged {
        status.commit_status = Some(acknowledged.clone());
    }
}

/// Returns the current request, including writes that the watch doesn't show yet.
fn newest(request: &DeploymentRequest, context: &RequestContext) -> Option<Arc<DeploymentRequest>> {
    context.common.objects.requests.current(request)
}

fn succeeded(
    deployment: &DeploymentOutcome,
    id: i64,
    set: &mut impl FnMut(&'static str, ConditionStatus, &str, &str),
) -> Summary {
    match deployment {
        DeploymentOutcome::UnderWay => {
            set(SUCCEEDED, ConditionStatus::Unknown, RequestReason::Deploying.as_str(), "");
            Summary::Reconciling {
                reason: RequestReason::Deploying.as_str().to_owned(),
                message: format!("GitHub deployment {id}"),
            }
        }
        DeploymentOutcome::Live { url } => {
            let message = url.clone().unwrap_or_default();
            set(SUCCEEDED, ConditionStatus::True, RequestReason::Succeeded.as_str(), &message);
            Summary::Ready { reason: RequestReason::Succeeded.as_str().to_owned(), message }
        }
        DeploymentOutcome::Failed { cause } => {
            set(SUCCEEDED, ConditionStatus::False, RequestReason::DeploymentFailed.as_str(), cause);
            Summary::Stalled {
                reason: RequestReason::DeploymentFailed.as_str().to_owned(),
                message: cause.clone(),
            }
        }
        DeploymentOutcome::Inactive => {
            let message = format!("deployment {id} became inactive before it succeeded");
            set(SUCCEEDED, ConditionStatus::False, RequestReason::Inactive.as_str(), &message);
            Summary::Stalled { reason: RequestReason::Inactive.as_str().to_owned(), message }
        }
    }
}

fn current_status(request: &DeploymentRequest) -> DeploymentRequestStatus {
    request.status.clone().unwrap_or(DeploymentRequestStatus {
        observed_generation: -1,
        conditions: Vec::<Condition>::new(),
        intent: None,
        updated_at: None,
        pushed_at: None,
        reruns: 0,
        deployment_id: None,
        approvals: Vec::new(),
        commit_status: None,
    })
}

async fn write_status(
    request: &DeploymentRequest,
    status: &DeploymentRequestStatus,
    context: &RequestContext,
) -> Result<(), Failure> {
    // The approvals belong to another field manager.
    let own = DeploymentRequestStatus { approvals: Vec::new(), ..status.clone() };
    let written = write::status(&*context.common.cluster, write::REQUEST, request, &own).await?;
    context.common.objects.requests.wrote(written);
    let before = request.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    events::of_trouble(write::reference(request), before, &status.conditions, &context.common).await;
    Ok(())
}
