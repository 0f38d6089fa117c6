//! Deadline of an unready environment: the class's deadline, or a longer one that the objects set.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, Probe};
use kube::core::DynamicObject;
use serde_json::Value;

use super::finding::remaining;
use super::object::{number_or, text};
use super::{Observation, group};

/// Time to report an object's own failure, and for a container that just started to become ready.
const MARGIN: Duration = Duration::from_mins(1);
/// Kubernetes' default of a Deployment's `progressDeadlineSeconds`.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#progress-deadline-seconds>
const USUAL_PROGRESS: i64 = 600;

/// Deadline of an environment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    since: Timestamp,
    /// Duration from `since`.
    length: Duration,
}

impl Deadline {
    /// Returns the remaining time; `None` when the deadline has passed.
    pub fn remaining(&self, now: Timestamp) -> Option<Duration> {
        remaining(Some(self.since), self.length, now)
    }

    /// Extends the deadline to `end` if that is later, in whole minutes for readability.
    fn extend(&mut self, end: Timestamp) {
        let Ok(length) = Duration::try_from(end.duration_since(self.since)) else { return };
        if length > self.length {
            self.length = Duration::from_secs(length.as_secs().div_ceil(60).saturating_mul(60));
        }
    }
}

/// Prints the duration.
impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::api::Duration::from_secs(self.length.as_secs()).fmt(f)
    }
}

/// Returns the deadline of the environment. Objects wait for each other, so an extension for one
/// object extends it for all.
pub(super) fn of(seen: &Observation<'_>) -> Deadline {
    let mut deadline = Deadline { since: seen.since, length: seen.limits.deadline.as_std() };
    for observed in &seen.objects {
        let Some(live) = observed.live else { continue };
        let end = match (group(&observed.entry.api_version), observed.entry.kind.as_str()) {
            ("apps", "Deployment") => progress(live, seen.since),
            ("batch", "Job") | ("", "Pod") => active(live, seen.since),
            _ => None,
        };
        if let Some(end) = end {
            deadline.extend(end);
        }
    }
    for end in seen.pods.iter().flat_map(|pod| starts(pod, seen.since)) {
        deadline.extend(end);
    }
    deadline
}

/// Whether a Deployment has Kubernetes' default progress deadline.
pub(super) fn has_usual_progress(deployment: &Value) -> bool {
    number_or(deployment, "/spec/progressDeadlineSeconds", USUAL_PROGRESS) == USUAL_PROGRESS
}

/// Returns when a Deployment fails by itself: after `progressDeadlineSeconds` without progress.
fn progress(live: &DynamicObject, since: Timestamp) -> Option<Timestamp> {
    if has_usual_progress(&live.data) {
        return None;
    }
    let conditions = live.data.pointer("/status/conditions").and_then(Value::as_array);
    let progressing = conditions.into_iter().flatten().find(|entry| text(entry, "/type") == "Progressing");
    let last = progressing.and_then(|entry| text(entry, "/lastUpdateTime").parse().ok()).unwrap_or(since);
    after(last.max(since), seconds(&live.data, "/spec/progressDeadlineSeconds")?)
}

/// Returns when a Job or a Pod fails by itself: after `activeDeadlineSeconds`.
fn active(live: &DynamicObject, since: Timestamp) -> Option<Timestamp> {
    let started = text(&live.data, "/status/startTime").parse().unwrap_or(since);
    after(started, seconds(&live.data, "/spec/activeDeadlineSeconds")?)
}

/// Returns the times at which the kubelet kills containers whose startup probe hasn't succeeded.
fn starts(pod: &Pod, since: Timestamp) -> impl Iterator<Item = Timestamp> {
    let status = pod.status.as_ref();
    let spec = pod.spec.as_ref();
    let containers = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let sidecars = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    let statuses = status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let of_sidecars = status.and_then(|status| status.init_container_statuses.as_deref()).unwrap_or_default();
    let pairs = containers.iter().zip(std::iter::repeat(statuses));
    let pairs = pairs.chain(sidecars.iter().zip(std::iter::repeat(of_sidecars)));
    pairs.filter_map(move |(container, statuses)| {
        let started = statuses.iter().find(|status| status.name == container.name).and_then(running_since);
        after(started.unwrap_or(since), allowance(container)?)
    })
}

fn running_since(status: &ContainerStatus) -> Option<Timestamp> {
    Some(status.state.as_ref()?.running.as_ref()?.started_at.as_ref()?.0)
}

/// Returns the longest time that a container's probes allow it for becoming ready.
fn allowance(container: &Container) -> Option<Duration> {
    let startup = container.startup_probe.as_ref().map_or(0, |probe| {
        delay(probe) + period(probe) * i64::from(probe.failure_threshold.unwrap_or(3).max(0))
    });
    let readiness = container.readiness_probe.as_ref().map_or(0, |probe| delay(probe) + period(probe));
    u64::try_from(startup + readiness).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

fn delay(probe: &Probe) -> i64 {
    i64::from(probe.initial_delay_seconds.unwrap_or(0).max(0))
}

/// Returns the probe's period, or the API's default.
fn period(probe: &Probe) -> i64 {
    i64::from(probe.period_seconds.unwrap_or(10).max(0))
}

fn seconds(object: &Value, pointer: &str) -> Option<Duration> {
    object.pointer(pointer).and_then(Value::as_u64).map(Duration::from_secs)
}

/// Returns the end of a duration, plus the margin.
fn after(start: Timestamp, length: Duration) -> Option<Timestamp> {
    let length = SignedDuration::try_from(length.saturating_add(MARGIN)).ok()?;
    start.checked_add(length).ok()
}
