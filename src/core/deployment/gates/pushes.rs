//! The order of pushes to one environment. Several branches may deploy to the same environment,
//! which then shows the newest push. Each branch head is deployed once when it is pushed, and once
//! more when the branch moved to another commit and came back.

use std::cmp::Ordering;

use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::api::{ANNOTATION_PULL_REQUEST_UPDATED, DeploymentRequest, DeploymentRequestSpec, Origin};
use crate::core::deployment::gates::supersession::{
    by_request, deployment, have_same_environment, was_superseded,
};
use crate::core::deployment::reason::RequestReason;
use crate::core::forge::Branch;

/// When a branch moved to a commit, by GitHub's clock in whole seconds, and when Matinee received
/// the event.
///
/// GitHub's time is compared first, so that an old push that is received late stays old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Push {
    pushed: Timestamp,
    received: Timestamp,
}

impl Push {
    /// Creates a push that was received at `now`. `pushed` is GitHub's time, if it is known.
    pub fn new(pushed: Option<Timestamp>, now: Timestamp) -> Self {
        // Without the bound, a clock that is ahead would make this push the newest one for ever.
        Self { pushed: seconds(pushed.unwrap_or(now).min(now)), received: now }
    }

    /// Returns the text that the request's annotation stores.
    pub fn record(self) -> String {
        format!("{} {}", self.pushed, self.received)
    }

    fn read(record: &str) -> Option<Self> {
        let mut parts = record.split(' ');
        let mut next = || parts.next()?.parse::<Timestamp>().ok();
        let pushed = next()?;
        Some(Self { pushed, received: next().unwrap_or(pushed) })
    }
}

fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Returns the branches ordered by name from last to first, where numbers compare as numbers
/// (`release/10` comes before `release/9`). A sweep that finds several new heads at once takes this
/// order as newest first, since GitHub doesn't say which branch was pushed last.
pub fn newest_first(branches: &[Branch]) -> Vec<&Branch> {
    let mut sorted: Vec<&Branch> = branches.iter().collect();
    sorted.sort_by(|one, other| by_name(&other.name, &one.name));
    sorted
}

fn by_name(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one, other);
    loop {
        let (a, b) = (part(left), part(right));
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len()).then_with(|| one.cmp(other));
        }
        let numbers =
            a.starts_with(|c: char| c.is_ascii_digit()) && b.starts_with(|c: char| c.is_ascii_digit());
        let (x, y) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
        let order = if numbers { x.len().cmp(&y.len()).then_with(|| x.cmp(y)) } else { a.cmp(b) };
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (&left[a.len()..], &right[b.len()..]);
    }
}

/// Returns the leading digits of a text, or everything before its first digit.
fn part(text: &str) -> &str {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    &text[..end]
}

/// Returns the push because of which the request was last reconciled. Without a record it is a push
/// at the request's creation.
fn seen(request: &DeploymentRequest) -> Push {
    let record = request.annotations().get(ANNOTATION_PULL_REQUEST_UPDATED);
    record.and_then(|record| Push::read(record)).unwrap_or_else(|| {
        let created =
            request.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        Push { pushed: created, received: created }
    })
}

/// Returns the sort key of the request's last push: the push, and the UID to order two pushes at
/// the same time.
pub(super) fn last_seen(request: &DeploymentRequest) -> (Push, Option<String>) {
    (seen(request), request.uid())
}

/// Returns the sort key of the push that the request handled last, by a deployment or because its
/// commit was already live. For a request that has not run, it is the push that it waits for.
pub(super) fn order(request: &DeploymentRequest) -> (Push, Option<String>) {
    let ran = request.status.as_ref().and_then(|status| status.pushed_at.as_deref()).and_then(Push::read);
    (ran.unwrap_or_else(|| seen(request)), request.uid())
}

/// Whether the deployment of the request's first run is being created, or may exist already.
fn is_being_created(request: &DeploymentRequest) -> bool {
    request.status.as_ref().is_some_and(|status| status.intent.is_some() && status.deployment_id.is_none())
}

fn is_push(request: &DeploymentRequest) -> bool {
    request.spec.requested_by.origin == Origin::Push
}

fn is_of_branch(request: &DeploymentRequest, branch: Option<&str>) -> bool {
    is_push(request) && request.spec.requested_by.branch.as_deref() == branch
}

/// Returns the other requests for the same environment, without those that are being deleted.
fn others<'a>(
    request: &'a DeploymentRequest,
    all: &'a [&'a DeploymentRequest],
) -> impl Iterator<Item = &'a DeploymentRequest> {
    all.iter().copied().filter(move |other| {
        other.metadata.deletion_timestamp.is_none()
            && other.uid() != request.uid()
            && other.namespace() == request.namespace()
            && have_same_environment(&other.spec, &request.spec)
    })
}

/// Returns the existing request for a push of that commit to that branch.
pub fn known<'a>(
    namespace: &str,
    spec: &DeploymentRequestSpec,
    all: &[&'a DeploymentRequest],
) -> Option<&'a DeploymentRequest> {
    all.iter()
        .copied()
        .filter(|known| {
            known.metadata.deletion_timestamp.is_none()
                && known.namespace().as_deref() == Some(namespace)
                && have_same_environment(&known.spec, spec)
                && known.spec.sha == spec.sha
                && is_of_branch(known, spec.requested_by.branch.as_deref())
        })
        .max_by_key(|known| seen(known))
}

/// Returns the next record for a request whose commit is the head of its branch, if the request may
/// need another reconcile; `None` when the push is already known. `is_reported` says that GitHub
/// reported the push and no sweep found it.
///
/// A redelivered webhook keeps its old time, so it is no later than what is known about the branch.
pub fn next_record(
    request: &DeploymentRequest,
    push: Push,
    is_reported: bool,
    all: &[&DeploymentRequest],
) -> Option<String> {
    let elsewhere = last_elsewhere(request, all);
    let is_later = |other: Push| if is_reported { push.pushed > other.pushed } else { push > other };
    if !elsewhere.is_none_or(is_later) {
        return None;
    }
    if elsewhere > Some(seen(request)) {
        // The branch moved to another commit and came back.
        return Some(push.record());
    }
    // No push to another commit is known, and yet the branch was there: the request was superseded
    // by a head, or by a commit that was deployed after its own. The request keeps its place in the
    // order.
    let gave_way = deployment(request).is_none()
        && was_superseded(request)
        && by_request(request, all.iter().copied()).is_none();
    let is_over = was_superseded(request) || RequestReason::of(request) == Some(RequestReason::Succeeded);
    (gave_way || (is_over && is_to_run_again(request, all)))
        .then(|| format!("{} {}", seen(request).record(), push.received))
}

/// Returns the last push of the request's branch to another commit.
fn last_elsewhere(request: &DeploymentRequest, all: &[&DeploymentRequest]) -> Option<Push> {
    let branch = request.spec.requested_by.branch.as_deref();
    others(request, all)
        .filter(|other| is_of_branch(other, branch) && other.spec.sha != request.spec.sha)
        .map(seen)
        .max()
}

/// Returns whether a deployed request must run again, given that its commit is the head of its
/// branch. This is so when the branch moved to another commit since and came back, another commit
/// was deployed since, and no other branch was pushed to after it came back.
pub fn is_to_run_again(request: &DeploymentRequest, all: &[&DeploymentRequest]) -> bool {
    let Some(id) = deployment(request) else { return false };
    let branch = request.spec.requested_by.branch.as_deref();
    let (ran, _) = order(request);
    let elsewhere = |other: &DeploymentRequest| other.spec.sha != request.spec.sha;
    let was_deployed = |other: &DeploymentRequest| deployment(other) > Some(id);
    let moved = others(request, all)
        .filter(|other| elsewhere(other) && is_of_branch(other, branch))
        .any(|other| was_deployed(other) || seen(other) > ran);
    moved
        && last_elsewhere(request, all) < Some(seen(request))
        && others(request, all).any(|other| elsewhere(other) && was_deployed(other))
        && !others(request, all)
            .filter(|other| elsewhere(other) && is_push(other) && !is_of_branch(other, branch))
            .any(|other| !was_superseded(other) && order(other).0 > seen(request))
}

/// Returns the newest deployment of the environment if it has the request's commit and a push to
/// another branch led to it. Then the request has nothing left to deploy.
pub fn shared(request: &DeploymentRequest, all: &[&DeploymentRequest]) -> Option<i64> {
    let newest = others(request, all).max_by_key(|other| deployment(other))?;
    let id = deployment(newest).filter(|id| Some(*id) > deployment(request))?;
    (is_push(request) && is_push(newest) && newest.spec.sha == request.spec.sha).then_some(id)
}

/// Returns an earlier request for the same commit of another branch that still waits and isn't
/// superseded by another commit. That request deploys the commit for both. So does a later one whose
/// deployment is being created, for example because its event arrived first; a request whose own
/// deployment is being created waits for no other.
pub(super) fn twin<'a>(
    request: &DeploymentRequest,
    all: &'a [&'a DeploymentRequest],
) -> Option<&'a DeploymentRequest> {
    let is_twin = |other: &DeploymentRequest| {
        is_push(request)
            && is_push(other)
            && other.uid() != request.uid()
            && other.metadata.deletion_timestamp.is_none()
            && other.namespace() == request.namespace()
            && have_same_environment(&other.spec, &request.spec)
            && other.spec.sha == request.spec.sha
            && other.spec.requested_by.branch != request.spec.requested_by.branch
            && !is_being_created(request)
            && (order(other) < order(request) || is_being_created(other))
            && deployment(other).is_none()
            && !was_superseded(other)
    };
    let gives_way = |twin: &DeploymentRequest| {
        others(twin, all).any(|other| {
            is_push(other)
                && other.spec.sha != twin.spec.sha
                && !was_superseded(other)
                && order(other) > order(twin)
        })
    };
    all.iter().copied().find(|other| is_twin(other) && !gives_way(other))
}
