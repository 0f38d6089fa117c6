//! The order of pushes to one environment. Several branches may deploy to it, and the newest push is what it shows: each branch's head is
//! deployed once when it is pushed, and once more when the branch was elsewhere since and came back.

use std::cmp::Ordering;

use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::api::{ANNOTATION_PULL_REQUEST_UPDATED, DeploymentRequest, DeploymentRequestSpec, Origin};
use crate::core::deployment::gates::supersession::{
    by_request, deployment, is_ready, same_place, was_superseded,
};
use crate::core::forge::Branch;

/// When a branch came to a commit: by GitHub's clock, in whole seconds, and when Matinee received that.
///
/// GitHub's time comes first, so that an old push that is received late is an old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Push {
    pushed: Timestamp,
    received: Timestamp,
}

impl Push {
    /// A push that was received at `now`. `pushed`: GitHub's time, where it is known.
    pub fn new(pushed: Option<Timestamp>, now: Timestamp) -> Self {
        // A clock that is ahead must not make this push the newest one for good.
        Self { pushed: seconds(pushed.unwrap_or(now).min(now)), received: now }
    }

    /// What the request's annotation records of it.
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

/// The branches in the order in which a sweep that finds several new heads at once counts them as pushed, the newest first: by name, from the
/// last to the first, where numbers count as numbers (`release/10` is newer than `release/9`). GitHub doesn't say which was pushed last.
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

/// The digits that a text begins with, or everything before its first digit.
fn part(text: &str) -> &str {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    &text[..end]
}

/// The push that the request was last looked at because of. One without a record was pushed when it was created.
fn seen(request: &DeploymentRequest) -> Push {
    let record = request.annotations().get(ANNOTATION_PULL_REQUEST_UPDATED);
    record.and_then(|record| Push::read(record)).unwrap_or_else(|| {
        let created =
            request.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        Push { pushed: created, received: created }
    })
}

/// The push that the request was last looked at because of, and what decides between two at the same time.
pub(super) fn last_seen(request: &DeploymentRequest) -> (Push, Option<String>) {
    (seen(request), request.uid())
}

/// The push that the request dealt with last, by a deployment or since its commit was live; of one that wasn't run, the one that it waits
/// because of.
pub(super) fn order(request: &DeploymentRequest) -> (Push, Option<String>) {
    let ran = request.status.as_ref().and_then(|status| status.pushed_at.as_deref()).and_then(Push::read);
    (ran.unwrap_or_else(|| seen(request)), request.uid())
}

fn is_push(request: &DeploymentRequest) -> bool {
    request.spec.requested_by.origin == Origin::Push
}

fn is_of_branch(request: &DeploymentRequest, branch: Option<&str>) -> bool {
    is_push(request) && request.spec.requested_by.branch.as_deref() == branch
}

/// The other requests for the same environment, without those that are being deleted.
fn others<'a>(
    request: &'a DeploymentRequest,
    all: &'a [&'a DeploymentRequest],
) -> impl Iterator<Item = &'a DeploymentRequest> {
    all.iter().copied().filter(move |other| {
        other.metadata.deletion_timestamp.is_none()
            && other.uid() != request.uid()
            && other.namespace() == request.namespace()
            && same_place(&other.spec, &request.spec)
    })
}

/// The request that a push of that commit to that branch led to before.
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
                && same_place(&known.spec, spec)
                && known.spec.sha == spec.sha
                && is_of_branch(known, spec.requested_by.branch.as_deref())
        })
        .max_by_key(|known| seen(known))
}

/// The next record of the request for a commit that a branch is at, where something may have to be done about it; `None` where all is known.
/// `is_reported`: GitHub reported the push, and no sweep found it.
///
/// A delivery that is sent again is as old as it was: it is no later than what is known of the branch.
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
        // The branch was elsewhere and came back.
        return Some(push.record());
    }
    // Nothing is known of the branch having been elsewhere, and yet it was: the request gave way to a head, or to a commit whose deployment came after
    // its own. It keeps its place in the order.
    let gave_way = deployment(request).is_none()
        && was_superseded(request)
        && by_request(request, all.iter().copied()).is_none();
    let is_over = was_superseded(request) || is_ready(request, "Succeeded");
    (gave_way || (is_over && is_to_run_again(request, all)))
        .then(|| format!("{} {}", seen(request).record(), push.received))
}

/// When the branch was last seen at another commit.
fn last_elsewhere(request: &DeploymentRequest, all: &[&DeploymentRequest]) -> Option<Push> {
    let branch = request.spec.requested_by.branch.as_deref();
    others(request, all)
        .filter(|other| is_of_branch(other, branch) && other.spec.sha != request.spec.sha)
        .map(seen)
        .max()
}

/// Whether a request that was deployed is to be run again, if its commit is the head of its branch: the branch was at another commit since and
/// was seen to come back, another commit was deployed since, and no other branch was pushed to after it came back.
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

/// The newest deployment of the environment, where that is of the request's commit and a push of another branch led to it: what the request
/// asks for is done.
pub fn shared(request: &DeploymentRequest, all: &[&DeploymentRequest]) -> Option<i64> {
    let newest = others(request, all).max_by_key(|other| deployment(other))?;
    let id = deployment(newest).filter(|id| Some(*id) > deployment(request))?;
    (is_push(request) && is_push(newest) && newest.spec.sha == request.spec.sha).then_some(id)
}

/// An earlier request for the same commit, of another branch, that waits still and gives way to no other commit: it does what this one asks for.
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
            && same_place(&other.spec, &request.spec)
            && other.spec.sha == request.spec.sha
            && other.spec.requested_by.branch != request.spec.requested_by.branch
            && order(other) < order(request)
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
