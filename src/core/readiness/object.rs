//! Health of any object: what holds for all of them, then the rules of its kind.

use std::time::Duration;

use jiff::Timestamp;
use kube::core::DynamicObject;
use serde_json::Value;

use super::finding::{Health, remaining};
use super::kubelet_text::by_controller;
use super::{Observation, Observed, group, resources, workload};

/// Time for a controller to write the first status of a custom object. Some kinds never get one, and nothing tells which.
const FIRST_STATUS: Duration = Duration::from_secs(5);

pub(super) fn health(observed: &Observed<'_>, seen: &Observation<'_>) -> Health {
    let (group, kind) = (group(&observed.entry.api_version), observed.entry.kind.as_str());
    if (group, kind) == ("", "Secret") {
        return Health::present();
    }
    if let Some(finished) = &observed.entry.finished
        && observed.live.is_none_or(|live| live.metadata.deletion_timestamp.is_some())
    {
        return workload::removed_job(finished);
    }
    let Some(live) = observed.live else {
        return Health::waiting("NotFound", "it isn't in the cluster, or not seen there yet");
    };
    if live.metadata.deletion_timestamp.is_some() {
        return Health::waiting("Terminating", "it is being deleted");
    }
    if live.metadata.generation < observed.applied_generation {
        return Health::waiting("NotObserved", "the applied change isn't seen yet");
    }
    let generation = live.metadata.generation.unwrap_or(0);
    let looked_at = live.data.pointer("/status/observedGeneration").and_then(Value::as_i64);
    if looked_at.is_some_and(|looked_at| looked_at < generation) {
        return Health::waiting("NotObserved", "its controller hasn't taken up the change yet");
    }
    if let Some(stalled) = condition(&live.data, "Stalled").filter(|condition| condition.is("True")) {
        return Health::failed(stalled.reason, by_controller(stalled.reason, stalled.message));
    }
    if let Some(busy) = condition(&live.data, "Reconciling").filter(|condition| condition.is("True")) {
        return Health::waiting(busy.reason, by_controller(busy.reason, busy.message));
    }
    match (group, kind) {
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") if looked_at.is_none() => {
            Health::waiting("NotObserved", "its controller hasn't taken it up yet")
        }
        ("apps", "Deployment") => workload::deployment(live, seen),
        ("apps", "StatefulSet") => workload::stateful_set(live, seen),
        ("apps", "DaemonSet") => workload::daemon_set(live, seen),
        ("apps", "ReplicaSet") => workload::replica_set(live, seen),
        ("batch", "Job") => workload::job(live, seen),
        ("", "Pod") => workload::pod(live, seen),
        ("", "PersistentVolumeClaim") => resources::claim(live, seen),
        ("", "Service") => resources::service(live),
        ("gateway.networking.k8s.io", route) if route.ends_with("Route") => resources::route(live, seen.now),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => resources::definition(live),
        _ => any(live, generation, is_built_in(group), seen.now),
    }
}

/// A kind that Kubernetes itself brings: those that have a status at all have it from the first moment, or need none to be of use.
fn is_built_in(group: &str) -> bool {
    !group.contains('.') || group.ends_with(".k8s.io")
}

/// Any other kind: by its condition `Ready` if it has one, else ready by being there.
fn any(live: &DynamicObject, generation: i64, built_in: bool, now: Timestamp) -> Health {
    let Some(ready) = condition(&live.data, "Ready") else {
        let status = live.data.get("status").and_then(Value::as_object);
        let made = live.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let left = remaining(made, FIRST_STATUS, now);
        if !built_in && left.is_some() && status.is_none_or(serde_json::Map::is_empty) {
            return Health::waiting("NoStatus", "it has no status yet").again(left);
        }
        return Health::present();
    };
    if ready.observed_generation.is_some_and(|looked_at| looked_at < generation) {
        return Health::waiting("NotObserved", "its controller hasn't taken up the change yet");
    }
    let message = by_controller(ready.reason, ready.message);
    if ready.is("True") { Health::ready(message) } else { Health::waiting(ready.reason, message) }
}

/// One entry of `status.conditions`, or of another list like it.
#[derive(Clone, Copy)]
pub(super) struct ConditionView<'v> {
    status: &'v str,
    pub reason: &'v str,
    pub message: &'v str,
    pub observed_generation: Option<i64>,
    pub changed: Option<Timestamp>,
}

impl ConditionView<'_> {
    pub fn is(&self, status: &str) -> bool {
        self.status == status
    }
}

/// The condition of that type in `status.conditions`.
pub(super) fn condition<'v>(object: &'v Value, kind: &str) -> Option<ConditionView<'v>> {
    condition_in(object.pointer("/status/conditions")?, kind)
}

/// The condition of that type in a list.
pub(super) fn condition_in<'v>(list: &'v Value, kind: &str) -> Option<ConditionView<'v>> {
    let found = list.as_array()?.iter().find(|entry| text(entry, "/type") == kind)?;
    Some(ConditionView {
        status: text(found, "/status"),
        reason: text(found, "/reason"),
        message: text(found, "/message"),
        observed_generation: found.get("observedGeneration").and_then(Value::as_i64),
        changed: text(found, "/lastTransitionTime").parse().ok(),
    })
}

/// The string there, or an empty one.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number there; 0 where there is none, as Kubernetes leaves zeros out.
pub(super) fn number(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// The number there, or the one that Kubernetes takes when there is none.
pub(super) fn number_or(value: &Value, pointer: &str, default: i64) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or(default)
}

/// Whether it says `true` there.
pub(super) fn flag(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
}
