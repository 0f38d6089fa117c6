//! Which of the requests for one place is carried out: one whose deployment isn't created yet gives way to a newer one.

use kube::ResourceExt as _;

use super::{pushes, repeats};
use crate::api::{DeploymentRequest, DeploymentRequestSpec, Origin, find_condition};
use crate::core::conditions::READY;
use crate::core::forge::{Branch, Deployment, StatusState};

/// A request gives way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superseded {
    /// CamelCase.
    pub reason: &'static str,
    /// By what, for people.
    pub message: String,
}

fn superseded(message: String) -> Superseded {
    Superseded { reason: "Superseded", message }
}

/// Whether two requests are for the same place: the same environment of the same PreviewRepository, for the same pull request or for none.
pub fn same_place(one: &DeploymentRequestSpec, other: &DeploymentRequestSpec) -> bool {
    one.repository_ref == other.repository_ref
        && one.environment == other.environment
        && one.pull_request == other.pull_request
}

/// Whether a request that a push asked for gives way, since its commit isn't its branch's head any more. `head`: the branch as just read from
/// GitHub, `None` when it is gone.
pub fn by_branch(request: &DeploymentRequestSpec, head: Option<&Branch>) -> Option<Superseded> {
    let asked = &request.requested_by;
    let branch = asked.branch.as_deref().filter(|_| asked.origin == Origin::Push)?;
    match head {
        None => Some(superseded(format!("branch {branch} is gone"))),
        Some(head) if head.sha != request.sha => {
            Some(superseded(format!("commit {} is the head of {branch} now", head.sha)))
        }
        Some(_) => None,
    }
}

/// Whether a request that another environment's deployment led to gives way, since a newer deployment of another commit there succeeded or is
/// under way. `newer`: deployments of that environment, each with the state of its newest status, `None` when it has none.
pub fn by_source<'a>(
    request: &DeploymentRequestSpec,
    newer: impl IntoIterator<Item = (&'a Deployment, Option<&'a StatusState>)>,
) -> Option<Superseded> {
    let asked = &request.requested_by;
    let id = asked.deployment_id.filter(|_| asked.origin == Origin::DeploymentStatus)?;
    newer
        .into_iter()
        // A request's name is made from its commit: the same commit deployed once more leads to this same request.
        .filter(|(deployment, _)| deployment.id > id && deployment.sha != request.sha)
        .filter(|(_, state)| state.is_none_or(|state| *state == StatusState::Success || state.is_under_way()))
        .max_by_key(|(deployment, _)| deployment.id)
        .map(|(deployment, _)| {
            superseded(format!(
                "deployment {} of {}, of commit {}, is newer than deployment {id}",
                deployment.id, deployment.environment, deployment.sha
            ))
        })
}

/// Whether a request gives way to another one for the same place that was created later, and that somebody asked for explicitly or that came
/// about in the same way. `others`: all requests of its namespace.
///
/// What a head decides is left to it: requests for one pull request, and for one branch, can't tell by their age which commit is the head
/// after a push back to an older one.
pub fn by_request<'a>(
    request: &'a DeploymentRequest,
    others: impl IntoIterator<Item = &'a DeploymentRequest>,
) -> Option<Superseded> {
    let others: Vec<&DeploymentRequest> = others.into_iter().collect();
    if let Some(twin) = pushes::twin(request, &others) {
        return Some(superseded(format!("request {} deploys the same commit", twin.name_any())));
    }
    others
        .into_iter()
        .filter(|other| other.metadata.deletion_timestamp.is_none() && other.uid() != request.uid())
        .filter(|other| other.namespace() == request.namespace() && same_place(&request.spec, &other.spec))
        .filter(|other| gives_way(&request.spec, &other.spec) && is_later(request, other))
        .filter(|other| !was_superseded(other))
        .max_by_key(|other| age(other))
        .map(|other| superseded(format!("request {} is newer", other.name_any())))
}

/// Whether a request waits for what its gates ask about: its deployment, or the next run of it, isn't created yet.
pub fn waits(request: &DeploymentRequest) -> bool {
    const PAST: [&str; 10] = [
        "Creating",
        "Deploying",
        "Succeeded",
        "DeploymentFailed",
        "Inactive",
        "Superseded",
        "Refused",
        repeats::REASON,
        "ChecksTimedOut",
        "ImageTimedOut",
    ];
    let Some(status) = &request.status else { return true };
    find_condition(&status.conditions, READY).is_none_or(|ready| !PAST.contains(&ready.reason.as_str()))
}

/// Whether another commit was deployed after this request's by a request that came about in the same way: then, if this one's commit is the
/// head of its pull request again, it was pushed back. What somebody asked for explicitly isn't undone by that. `others`: all requests of its
/// namespace. Of pushes, [`pushes::is_to_run_again`] decides.
pub fn overtaken<'a>(
    request: &DeploymentRequest,
    others: impl IntoIterator<Item = &'a DeploymentRequest>,
) -> bool {
    let Some(id) = deployment(request) else { return false };
    others.into_iter().any(|other| {
        other.namespace() == request.namespace()
            && same_place(&other.spec, &request.spec)
            && other.spec.requested_by.origin == request.spec.requested_by.origin
            && other.spec.sha != request.spec.sha
            && deployment(other) > Some(id)
    })
}

/// Whether a newer deployment for the same place succeeded than the request's, whose id is given. `others`: all requests of its namespace.
pub fn is_replaced<'a>(
    request: &DeploymentRequest,
    id: i64,
    others: impl IntoIterator<Item = &'a DeploymentRequest>,
) -> bool {
    others.into_iter().any(|other| {
        other.namespace() == request.namespace()
            && same_place(&other.spec, &request.spec)
            && deployment(other) > Some(id)
            && is_ready(other, "Succeeded")
    })
}

pub(super) fn deployment(request: &DeploymentRequest) -> Option<i64> {
    request.status.as_ref().and_then(|status| status.deployment_id)
}

/// Of the requests for one place, those that may be forgotten. Kept are the `kept` newest, and of each way in which requests come about (for pushes:
/// of each branch) the one that was asked for last and the one that was deployed last: without the request for a branch's head, the next sweep
/// would ask for that head again, and without the one that was deployed last, a push back would not be seen as one.
pub fn surplus<'a>(requests: &[&'a DeploymentRequest], kept: usize) -> Vec<&'a DeploymentRequest> {
    let way = |request: &DeploymentRequest| {
        let by = &request.spec.requested_by;
        (by.origin, by.branch.clone())
    };
    let mut by_age = requests.to_vec();
    by_age.sort_by_key(|request| std::cmp::Reverse(age(request)));
    by_age
        .iter()
        .skip(kept)
        .filter(|old| {
            let siblings: Vec<_> = requests.iter().filter(|other| way(other) == way(old)).collect();
            siblings.iter().any(|other| pushes::last_seen(other) > pushes::last_seen(old))
                && siblings.iter().any(|other| (deployment(other), age(other)) > (deployment(old), age(old)))
        })
        .copied()
        .collect()
}

fn gives_way(request: &DeploymentRequestSpec, other: &DeploymentRequestSpec) -> bool {
    let (own, its) = (&request.requested_by, &other.requested_by);
    match its.origin {
        Origin::Comment | Origin::Slack | Origin::Manual => true,
        Origin::Push => own.origin == Origin::Push && own.branch != its.branch && request.sha != other.sha,
        Origin::DeploymentStatus => own.origin == Origin::DeploymentStatus,
        Origin::PullRequest => false,
    }
}

/// Deployments are told apart by their ids, which grow; what GitHub says of them may come in any order.
fn is_later(request: &DeploymentRequest, other: &DeploymentRequest) -> bool {
    let (own, its) = (&request.spec.requested_by, &other.spec.requested_by);
    if own.origin == Origin::DeploymentStatus
        && its.origin == Origin::DeploymentStatus
        && let (Some(own), Some(its)) = (own.deployment_id, its.deployment_id)
        && own != its
    {
        return its > own;
    }
    if own.origin == Origin::Push && its.origin == Origin::Push {
        return pushes::order(other) > pushes::order(request);
    }
    age(other) > age(request)
}

/// When it was created, in whole seconds as the API tells it, and what decides between two of the same second.
fn age(request: &DeploymentRequest) -> (Option<jiff::Timestamp>, Option<String>) {
    (request.metadata.creation_timestamp.as_ref().map(|time| time.0), request.uid())
}

pub(super) fn was_superseded(request: &DeploymentRequest) -> bool {
    is_ready(request, "Superseded")
}

/// Whether that is the reason of its `Ready`.
pub(super) fn is_ready(request: &DeploymentRequest, reason: &str) -> bool {
    request
        .status
        .as_ref()
        .and_then(|status| find_condition(&status.conditions, READY))
        .is_some_and(|ready| ready.reason == reason)
}
