//! Health of any object: first the rules for all kinds, then those for its own.

use jiff::Timestamp;
use kube::core::DynamicObject;
use serde_json::Value;

use super::finding::Health;
use super::kubelet_text::by_controller;
use super::{Observation, Observed, custom, group, resources, workload};
use crate::core::environment::ready_when::ReadyWhen;

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
        return Health::waiting("NotFound", "not found in the cluster yet");
    };
    if live.metadata.deletion_timestamp.is_some() {
        return Health::waiting("Terminating", "it is being deleted");
    }
    if live.metadata.generation < observed.applied_generation {
        return Health::waiting("NotObserved", "the applied change isn't visible yet");
    }
    let ready_when = custom::ready_when(live).filter(|_| !is_built_in(group));
    if ready_when.as_ref().is_some_and(ReadyWhen::exists) {
        return Health::present();
    }
    let generation = live.metadata.generation.unwrap_or(0);
    let looked_at = observed_generation(&live.data);
    // A controller that never writes the field leaves it at 0. Then the rest of its status counts.
    let never = looked_at == Some(0) && !is_built_in(group) && custom::says_ready(live, ready_when.as_ref());
    if looked_at.is_some_and(|looked_at| looked_at < generation) && !never {
        return Health::waiting("NotObserved", "its controller hasn't processed the change yet");
    }
    let unmet = ready_when.as_ref().map(|wanted| wanted.unmet(&live.data));
    if unmet == Some(None) {
        return Health::ready("as matinee.dev/ready-when says");
    }
    if let Some(stalled) = condition(&live.data, "Stalled").filter(|condition| condition.is("True")) {
        return Health::failed(stalled.reason, by_controller(stalled.reason, stalled.message));
    }
    if let Some(busy) = condition(&live.data, "Reconciling").filter(|condition| condition.is("True")) {
        return Health::waiting(busy.reason, by_controller(busy.reason, busy.message));
    }
    if let Some(Some(unmet)) = unmet {
        return Health::waiting("NotReady", format!("it isn't {unmet} yet (matinee.dev/ready-when)"));
    }
    match (group, kind) {
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") if looked_at.is_none() => {
            Health::waiting("NotObserved", "its controller hasn't processed it yet")
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
        _ if is_built_in(group) => built_in(live, generation),
        _ => custom::health(live, generation, seen.now),
    }
}

/// Whether Kubernetes itself defines the kinds of a group. Objects of such kinds have a status from
/// the beginning, or are usable without one.
pub fn is_built_in(group: &str) -> bool {
    !group.contains('.') || group.ends_with(".k8s.io")
}

/// Returns `status.observedGeneration`, which some controllers write as a string.
fn observed_generation(object: &Value) -> Option<i64> {
    let value = object.pointer("/status/observedGeneration")?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// Health of any other kind that Kubernetes defines: by its condition `Ready` if it has one,
/// otherwise ready as soon as it exists.
fn built_in(live: &DynamicObject, generation: i64) -> Health {
    condition(&live.data, "Ready").map_or_else(Health::present, |ready| by_ready(&ready, generation))
}

/// Health according to a condition `Ready`.
pub(super) fn by_ready(ready: &ConditionView<'_>, generation: i64) -> Health {
    if ready.is_of_earlier(generation) {
        return Health::waiting("NotObserved", "its controller hasn't processed the change yet");
    }
    let message = by_controller(ready.reason, ready.message);
    if ready.is("True") { Health::ready(message) } else { Health::waiting(ready.reason, message) }
}

/// Entry of `status.conditions`, or of a similar list.
#[derive(Clone, Copy)]
pub(super) struct ConditionView<'v> {
    pub kind: &'v str,
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
    /// Whether it is about an earlier generation. A controller that never writes the field leaves
    /// it out, or leaves it at 0.
    pub fn is_of_earlier(&self, generation: i64) -> bool {
        self.observed_generation.is_some_and(|looked_at| looked_at != 0 && looked_at < generation)
    }
}

/// Returns the condition of that type in `status.conditions`.
pub(super) fn condition<'v>(object: &'v Value, kind: &str) -> Option<ConditionView<'v>> {
    condition_in(object.pointer("/status/conditions")?, kind)
}

/// Returns every condition in `status.conditions`.
pub(super) fn conditions(object: &Value) -> impl Iterator<Item = ConditionView<'_>> {
    object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten().map(view)
}

/// Returns the condition of that type in a list.
pub(super) fn condition_in<'v>(list: &'v Value, kind: &str) -> Option<ConditionView<'v>> {
    list.as_array()?.iter().find(|entry| text(entry, "/type") == kind).map(view)
}

fn view(entry: &Value) -> ConditionView<'_> {
    ConditionView {
        kind: text(entry, "/type"),
        status: text(entry, "/status"),
        reason: text(entry, "/reason"),
        message: text(entry, "/message"),
        observed_generation: entry.get("observedGeneration").and_then(Value::as_i64),
        changed: text(entry, "/lastTransitionTime").parse().ok(),
    }
}

/// Returns the string at the pointer, or an empty one.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the number at the pointer, or 0, because Kubernetes leaves zeros out.
pub(super) fn number(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// Returns the number at the pointer, or Kubernetes' default.
pub(super) fn number_or(value: &Value, pointer: &str, default: i64) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or(default)
}

/// Whether the value at the pointer is `true`.
pub(super) fn flag(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
}
