//! Supersession: a request whose deployment isn't created yet gives way to a newer request for the
//! same environment.

use kube::ResourceExt as _;

use super::pushes;
use crate::api::{DeploymentRequest, DeploymentRequestSpec, Origin};
use crate::core::deployment::reason::RequestReason;
use crate::core::forge::{Branch, Deployment, StatusState};

/// The reason why a request is superseded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superseded {
    /// Reason of the condition, in CamelCase.
    pub reason: &'static str,
    /// Message for users that names what supersedes the request.
    pub message: String,
}

fn superseded(message: String) -> Superseded {
    Superseded { reason: RequestReason::Superseded.as_str(), message }
}

/// Returns whether two requests are for the same place: the same environment of the same
/// PreviewRepository, and the same pull request or none.
pub fn have_same_environment(one: &DeploymentRequestSpec, other: &DeploymentRequestSpec) -> bool {
    one.repository_ref == other.repository_ref
        && one.environment == other.environment
        && one.pull_request == other.pull_request
}

/// Returns whether a request from a push is superseded because its commit is no longer the head of
/// its branch. `head` is the branch as just read from GitHub, `None` when the branch was deleted.
pub fn by_branch(request: &DeploymentRequestSpec, head: Option<&Branch>) -> Option<Superseded> {
    let asked = &request.requested_by;
    let branch = asked.branch.as_deref().filter(|_| asked.origin == Origin::Push)?;
    match head {
        None => Some(superseded(format!("branch {branch} has been deleted"))),
        Some(head) if head.sha != request.sha => {
            Some(superseded(format!("commit {} is the head of {branch} now", head.sha)))
        }
        Some(_) => None,
    }
}

/// Returns whether a request that follows another environment's deployment is superseded because a
/// newer deployment of another commit there succeeded or is in progress. `newer` are deployments of
/// that environment, each with the state of its newest status, or `None` when it has no status.
pub fn by_source<'a>(
    request: &DeploymentRequestSpec,
    newer: impl IntoIterator<Item = (&'a Deployment, Option<&'a StatusState>)>,
) -> Option<Superseded> {
    let asked = &request.requested_by;
    let id = asked.deployment_id.filter(|_| asked.origin == Origin::DeploymentStatus)?;
    newer
        .into_iter()
        // The request's name contains its commit, so another deployment of the same commit leads to
        // this same request.
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

/// Returns whether a request is superseded by a later one for the same place that is explicit or
/// has the same origin. `others` are all requests of its namespace.
///
/// Requests for the head of a pull request or of a branch are not compared by age here: after a
/// push back to an older commit, the older request is the one for the head.
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
        .filter(|other| {
            other.namespace() == request.namespace() && have_same_environment(&request.spec, &other.spec)
        })
        .filter(|other| gives_way(&request.spec, &other.spec) && is_later(request, other))
        .filter(|other| !was_superseded(other))
        .max_by_key(|other| age(other))
        .map(|other| superseded(format!("request {} is newer", other.name_any())))
}

/// Returns whether a request still waits for its gates: its deployment, or the deployment of its
/// next run, isn't created yet.
pub fn waits(request: &DeploymentRequest) -> bool {
    RequestReason::of(request).is_none()
}

/// Returns whether a request of the same origin deployed another commit after this request's
/// deployment. If this request's commit is now the head of its pull request again, somebody pushed
/// back to it. Explicit requests don't count. `others` are all requests of its namespace. For
/// pushes, [`pushes::is_to_run_again`] decides.
pub fn overtaken<'a>(
    request: &DeploymentRequest,
    others: impl IntoIterator<Item = &'a DeploymentRequest>,
) -> bool {
    let Some(id) = deployment(request) else { return false };
    others.into_iter().any(|other| {
        other.namespace() == request.namespace()
            && have_same_environment(&other.spec, &request.spec)
            && other.spec.requested_by.origin == request.spec.requested_by.origin
            && other.spec.sha != request.spec.sha
            && deployment(other) > Some(id)
    })
}

/// Returns whether a deployment for the same place that is newer than deployment `id` of the
/// request succeeded. `others` are all requests of its namespace.
pub fn is_replaced<'a>(
    request: &DeploymentRequest,
    id: i64,
    others: impl IntoIterator<Item = &'a DeploymentRequest>,
) -> bool {
    others.into_iter().any(|other| {
        other.namespace() == request.namespace()
            && have_same_environment(&other.spec, &request.spec)
            && deployment(other) > Some(id)
            && RequestReason::of(other) == Some(RequestReason::Succeeded)
    })
}

pub(super) fn deployment(request: &DeploymentRequest) -> Option<i64> {
    request.status.as_ref().and_then(|status| status.deployment_id)
}

/// Returns those of the requests for one place that may be deleted. The `kept` newest ones stay.
/// For each origin (for pushes, each branch), the request with the last push and the request with
/// the last deployment stay too: without the request for a branch head the next sweep would create
/// it again, and without the last deployed one a push back would not be recognised.
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

/// Requests that follow deployments are ordered by the ids of those deployments, which grow.
/// GitHub's events about them may arrive in any order.
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

/// Returns the creation time, in whole seconds as the Kubernetes API has it, and the UID to order
/// two requests of the same second.
fn age(request: &DeploymentRequest) -> (Option<jiff::Timestamp>, Option<String>) {
    (request.metadata.creation_timestamp.as_ref().map(|time| time.0), request.uid())
}

pub(super) fn was_superseded(request: &DeploymentRequest) -> bool {
    RequestReason::of(request) == Some(RequestReason::Superseded)
}
