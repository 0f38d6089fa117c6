//! Health of custom resources, whose conditions can have any name.
//!
//! The condition `Ready` decides, as in kstatus. Without it, kstatus considers an object ready, and
//! Argo CD has a script for each kind that it knows. Here, conditions with a positive name
//! (`AllReplicasReady`, `ReconcileSuccess`) must be `True`, and a phase that names work in progress
//! or a fault means that the object isn't ready. Conditions with other names (`Progressing`,
//! `Active`, `Paused`) are ignored, because many of them should be `False`. A template's author can
//! be more precise with the annotation `matinee.dev/ready-when`.

use std::time::Duration;

use jiff::Timestamp;
use kube::core::DynamicObject;
use serde_json::Value;

use super::finding::{Health, remaining};
use super::kubelet_text::tidy;
use super::object::{ConditionView, by_ready, condition, conditions, text};
use crate::api::ANNOTATION_READY_WHEN;
use crate::core::environment::ready_when::ReadyWhen;

/// Time for a controller to write the first status. Some kinds never get one, and nothing indicates
/// which.
const FIRST_STATUS: Duration = Duration::from_secs(10);

/// Last words of the names of positive conditions.
const GOOD: [&str; 20] = [
    "Ready",
    "Available",
    "Healthy",
    "Success",
    "Successful",
    "Succeeded",
    "Complete",
    "Completed",
    "Synced",
    "Reconciled",
    "Established",
    "Accepted",
    "Programmed",
    "Provisioned",
    "Deployed",
    "Installed",
    "Initialized",
    "Reachable",
    "Bound",
    "Valid",
];
/// Words in the names of conditions about something else: `UpdateAvailable`, `LastBackupSucceeded`.
const ABOUT_OTHERS: [&str; 8] =
    ["Update", "Updates", "Upgrade", "Upgrades", "Version", "Backup", "Last", "Restore"];

/// Fields in which controllers write a phase.
const PHASES: [&str; 4] = ["/status/phase", "/status/state", "/status/health", "/status/health/status"];
/// Phases in which an object isn't ready and its controller is at work; in lower case, letters
/// only.
const UNDER_WAY: [&str; 33] = [
    "new",
    "pending",
    "waiting",
    "queued",
    "scheduling",
    "creating",
    "initializing",
    "initialising",
    "provisioning",
    "bootstrapping",
    "building",
    "installing",
    "deploying",
    "starting",
    "progressing",
    "inprogress",
    "processing",
    "configuring",
    "reconciling",
    "syncing",
    "updating",
    "upgrading",
    "scaling",
    "restoring",
    "recovering",
    "migrating",
    "migratingdata",
    "applyingchanges",
    "restarting",
    "notready",
    "unready",
    "missing",
    "unknown",
];
/// Phases in which something is wrong. A controller may still fix it, so the deadline decides.
const WRONG: [&str; 12] = [
    "failed",
    "failure",
    "error",
    "errored",
    "invalid",
    "stalled",
    "degraded",
    "unhealthy",
    "createfailed",
    "updatefailed",
    "syncfailed",
    "crashed",
];

/// Returns the requirements in the template's annotation.
pub(super) fn ready_when(live: &DynamicObject) -> Option<ReadyWhen> {
    let written = live.metadata.annotations.as_ref()?.get(ANNOTATION_READY_WHEN)?;
    // An invalid annotation was rejected before the apply.
    ReadyWhen::parse(written).ok()
}

/// Whether the object's own status says explicitly that it is ready.
pub(super) fn says_ready(live: &DynamicObject, ready_when: Option<&ReadyWhen>) -> bool {
    match ready_when {
        Some(wanted) => wanted.unmet(&live.data).is_none(),
        None => condition(&live.data, "Ready").is_some_and(|ready| ready.is("True")),
    }
}

/// Health by the condition `Ready`, otherwise by other conditions and phases. Without any of these,
/// an object is ready as soon as it exists.
pub(super) fn health(live: &DynamicObject, generation: i64, now: Timestamp) -> Health {
    let object = &live.data;
    if let Some(ready) = condition(object, "Ready") {
        return by_ready(&ready, generation);
    }
    if let Some(unfinished) = conditions(object).find_map(|found| unfinished(&found, generation)) {
        return unfinished;
    }
    for pointer in PHASES {
        let phase = plain(text(object, pointer));
        let field = pointer.trim_start_matches('/').replace('/', ".");
        if let Some(word) = UNDER_WAY.iter().find(|word| **word == phase) {
            return Health::waiting("NotReady", format!("its {field} is {word}"));
        }
        if let Some(word) = WRONG.iter().find(|word| **word == phase) {
            return Health::troubled("NotReady", format!("its {field} is {word}"));
        }
    }
    let made = live.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let left = remaining(made, FIRST_STATUS, now);
    if left.is_some() && says_nothing(object.get("status")) {
        return Health::waiting("NoStatus", "it has no status yet").again(left);
    }
    Health::present()
}

/// Health according to a condition that must be `True` and isn't.
fn unfinished(found: &ConditionView<'_>, generation: i64) -> Option<Health> {
    let words = words(found.kind);
    let (last, before) = words.split_last()?;
    if !GOOD.contains(last) || before.iter().any(|word| ABOUT_OTHERS.contains(word)) {
        return None;
    }
    let negated = before.iter().any(|word| matches!(*word, "Not" | "No" | "Non"));
    if found.is_of_earlier(generation) {
        return Some(Health::waiting("NotObserved", "its controller hasn't processed the change yet"));
    }
    let well = if negated { !found.is("True") } else { found.is("True") };
    if well {
        return None;
    }
    let state = ["True", "False", "Unknown"].into_iter().find(|state| found.is(state)).unwrap_or("not True");
    let message = tidy(found.message);
    let because = if message.is_empty() { String::new() } else { format!(": {message}") };
    Some(Health::waiting(found.reason, format!("its condition {} is {state}{because}", tidy(found.kind))))
}

/// Splits a CamelCase name into its words.
fn words(name: &str) -> Vec<&str> {
    let mut starts: Vec<usize> = name
        .char_indices()
        .zip(std::iter::once('a').chain(name.chars()))
        .filter(|((_, c), before)| c.is_ascii_uppercase() && !before.is_ascii_uppercase())
        .map(|((at, _), _)| at)
        .collect();
    if starts.first() != Some(&0) {
        starts.insert(0, 0);
    }
    let ends = starts.iter().skip(1).copied().chain(std::iter::once(name.len()));
    starts.iter().copied().zip(ends).filter_map(|(start, end)| name.get(start..end)).collect()
}

/// Reduces a phase to lower-case letters: `In Progress`, `in-progress` and `InProgress` are one
/// phase.
fn plain(phase: &str) -> String {
    phase.chars().take(40).filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether the status is missing, or holds only empty lists and a generation.
fn says_nothing(status: Option<&Value>) -> bool {
    let Some(status) = status.and_then(Value::as_object) else { return true };
    status.iter().filter(|(key, _)| *key != "observedGeneration").all(|(_, value)| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    })
}
