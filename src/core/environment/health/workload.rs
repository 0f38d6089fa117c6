//! Health of workloads. The counts in a workload's status show whether it is ready; its pods show
//! why not.

use k8s_openapi::api::core::v1::Pod;
use kube::core::DynamicObject;

use super::Observation;
use super::finding::{Health, State, remaining, worst};
use super::kubelet_text::by_controller;
use super::object::{condition, flag, number, number_or, text};
use super::owned::{self, Pods};
use super::pod::{self, Look};
use super::refusal;
use super::{blocking_pods, deadline};
use crate::api::FinishedJob;
use crate::core::cause::Cause;

/// Rejections of a pod that don't change by themselves: Pod Security, limits, and an invalid pod.
const FINAL_REFUSALS: [&str; 6] = [
    "violates PodSecurity",
    "exceeded quota",
    "failed quota",
    "usage per Container is",
    "usage per Pod is",
    "\" is invalid: ",
];

pub(super) fn deployment(live: &DynamicObject, seen: &Observation<'_>) -> Health {
    let object = &live.data;
    let wanted = number_or(object, "/spec/replicas", 1);
    let [total, updated, available] = ["replicas", "updatedReplicas", "availableReplicas"]
        .map(|count| number(object, &format!("/status/{count}")));
    let counts = if flag(object, "/spec/paused") && updated < wanted {
        Some(Health::waiting("Paused", "its rollout is paused"))
    } else if updated < wanted {
        Some(Health::waiting("RollingOut", format!("{updated} of {wanted} replicas are of this revision")))
    } else if total > wanted {
        let extra = total - wanted;
        Some(Health::waiting("RollingOut", format!("{extra} surplus replicas still exist")))
    } else {
        too_few(available, wanted)
    };
    let pods = owned::by_deployment(live, seen);
    judge(live, seen, &pods, wanted, counts, || {
        refused(live, &pods, total > updated, seen).or_else(|| late(object, seen))
    })
}

pub(super) fn replica_set(live: &DynamicObject, seen: &Observation<'_>) -> Health {
    let object = &live.data;
    let wanted = number_or(object, "/spec/replicas", 1);
    let counts = too_few(number(object, "/status/availableReplicas"), wanted);
    let pods = owned::by_owner(live, seen);
    judge(live, seen, &pods, wanted, counts, || refused(live, &pods, false, seen))
}

pub(super) fn stateful_set(live: &DynamicObject, seen: &Observation<'_>) -> Health {
    let object = &live.data;
    let wanted = number_or(object, "/spec/replicas", 1);
    let total = number(object, "/status/replicas");
    let updated = number(object, "/status/updatedReplicas");
    let ready = number(object, "/status/readyReplicas");
    let available = number_or(object, "/status/availableReplicas", ready);
    let kept = number(object, "/spec/updateStrategy/rollingUpdate/partition").min(wanted);
    let by_hand = text(object, "/spec/updateStrategy/type") == "OnDelete";
    let to_update = if by_hand { 0 } else { wanted - kept };
    let counts = if updated < to_update {
        Some(Health::waiting("RollingOut", format!("{updated} of {to_update} replicas are of this revision")))
    } else if total > wanted {
        Some(Health::waiting("RollingOut", format!("{} surplus replicas still exist", total - wanted)))
    } else {
        too_few(ready.min(available), wanted)
    };
    let pods = owned::by_stateful_set(live, seen);
    judge(live, seen, &pods, wanted, counts, || held_up(live, seen, &pods))
}

pub(super) fn daemon_set(live: &DynamicObject, seen: &Observation<'_>) -> Health {
    let object = &live.data;
    let wanted = number(object, "/status/desiredNumberScheduled");
    let updated = number(object, "/status/updatedNumberScheduled");
    let by_hand = text(object, "/spec/updateStrategy/type") == "OnDelete";
    let counts = if !by_hand && updated < wanted {
        Some(Health::waiting("RollingOut", format!("{updated} of {wanted} nodes run this revision")))
    } else {
        too_few(number(object, "/status/numberAvailable"), wanted)
    };
    let pods = owned::by_daemon_set(live, seen);
    judge(live, seen, &pods, wanted, counts, || None)
}

/// Health of a Job. It is ready when it is complete. A Job replaces a crashed pod up to its backoff
/// limit, so only its own condition makes it fail, or a pod that can't even start.
pub(super) fn job(live: &DynamicObject, seen: &Observation<'_>) -> Health {
    let object = &live.data;
    let holds = |kind: &str| condition(object, kind).filter(|condition| condition.is("True"));
    if holds("Complete").is_some() {
        return Health::ready("complete");
    }
    let pods = owned::by_owner(live, seen).current;
    // When a Job retries, the running pod counts and the failed ones don't.
    let (ended, going): (Vec<&Pod>, Vec<&Pod>) = pods.into_iter().partition(|pod| phase(pod) == "Failed");
    let shown = if going.is_empty() { ended } else { going };
    let finding = worst(findings(live, &shown, true, seen));
    if let Some(failed) = holds("Failed").or_else(|| holds("FailureTarget")) {
        let said = by_controller(failed.reason, failed.message);
        let message = finding.map_or_else(|| said.clone(), |finding| finding.message.and(&said));
        return Health::failed(failed.reason, message);
    }
    if flag(object, "/spec/suspend") {
        return Health::new(State::Ready, "Suspended", "suspended");
    }
    finding.unwrap_or_else(|| {
        let wanted = number_or(object, "/spec/completions", 1);
        let done = number(object, "/status/succeeded");
        Health::waiting("Running", format!("{done} of {wanted} completions"))
    })
}

/// Health of a Job that finished and was deleted since, for example by its TTL: its result stays.
pub(super) fn removed_job(finished: &FinishedJob) -> Health {
    match &finished.failure {
        None => Health::ready("complete"),
        Some(reason) => Health::failed(reason, "it failed and has been deleted since"),
    }
}

/// Health of a pod without an owner: nothing replaces it.
pub(super) fn pod(live: &DynamicObject, seen: &Observation<'_>) -> Health {
    let uid = live.metadata.uid.as_ref();
    let Some(pod) = seen.pods.iter().find(|pod| uid.is_some() && pod.metadata.uid.as_ref() == uid) else {
        return Health::waiting("NotObserved", "the pod has not been observed yet");
    };
    match worst(findings(live, &[pod], false, seen)) {
        None if phase(pod) == "Succeeded" => Health::ready("completed"),
        None => Health::ready("running and ready"),
        Some(finding) if phase(pod) == "Failed" => Health { state: State::Failed, ..finding },
        Some(finding) => finding,
    }
}

/// Health from a workload's counts, its pods, and a last rule of its kind. Complete counts win,
/// because pods come from another watch and may be older.
fn judge(
    live: &DynamicObject,
    seen: &Observation<'_>,
    pods: &Pods<'_>,
    wanted: i64,
    counts: Option<Health>,
    otherwise: impl FnOnce() -> Option<Health>,
) -> Health {
    let Some(counts) = counts else {
        // A ready pod is only in doubt shortly after a crash.
        let ready: Vec<&Pod> = pods.current.iter().copied().filter(|pod| pod::is_ready(pod)).collect();
        return worst(findings(live, &ready, false, seen))
            .unwrap_or_else(|| Health::ready(format!("{wanted} of {wanted} available")));
    };
    let finding = worst(findings(live, &pods.current, false, seen));
    match finding {
        Some(finding) if finding.state == State::Failed => finding,
        finding => {
            let (other, again) = (otherwise(), finding.as_ref().and_then(|finding| finding.look_again_after));
            match (other, finding) {
                // Past its deadline, or blocked: the pods show why.
                (Some(other), Some(finding)) if other.state > finding.state => {
                    let message = finding.message.and(&other.message);
                    Health { message, ..other }.again(again)
                }
                (Some(other), None) => other,
                (_, Some(finding)) => finding,
                (None, None) => counts,
            }
        }
    }
}

fn too_few(available: i64, wanted: i64) -> Option<Health> {
    (available < wanted)
        .then(|| Health::waiting("NotAvailable", format!("{available} of {wanted} available")))
}

/// Health of a workload whose pods the API server rejects. The ReplicaSet reports it, and its
/// Deployment repeats it. The Deployment also repeats reports of older ReplicaSets, so the current
/// ReplicaSet is preferred when it is known.
fn refused(live: &DynamicObject, pods: &Pods<'_>, old_pods: bool, seen: &Observation<'_>) -> Option<Health> {
    let (message, since) = if let Some(set) = pods.replica_set {
        let conditions = set.status.as_ref()?.conditions.as_ref()?;
        let failure =
            conditions.iter().find(|entry| entry.type_ == "ReplicaFailure" && entry.status == "True")?;
        (
            failure.message.as_deref().unwrap_or_default(),
            failure.last_transition_time.as_ref().map(|time| time.0),
        )
    } else {
        let failure = condition(&live.data, "ReplicaFailure").filter(|failure| failure.is("True"))?;
        (failure.message, failure.changed)
    };
    // A quota may have room once the pods of the previous revision have been deleted.
    let for_good = FINAL_REFUSALS.iter().any(|refusal| message.contains(refusal))
        && !(old_pods && message.contains("quota"));
    // Otherwise the rejection may be temporary: a quota that isn't computed yet, a service account
    // that something else creates, or an admission webhook.
    let grace = seen.limits.missing_input_grace.as_std();
    let left = if for_good { None } else { remaining(since, grace, seen.now) };
    let mut cause = refusal::cause(message, seen.sent);
    if is_over_default_limit(message) {
        cause = cause.remedy(DEFAULT_LIMIT);
    }
    Some(Health::failed_unless(left, "FailedCreate", cause).lasts(since, seen.now))
}

/// Remedy for a request above a limit that no container sets: the namespace's `LimitRange` sets the
/// limit before the API server compares it with the request.
/// <https://kubernetes.io/docs/concepts/policy/limit-range/#limitrange-and-admission-checks-for-pods>
const DEFAULT_LIMIT: &str =
    "a container without limit has that of the class's spec.isolation.defaultLimits, so set resources.limits";

fn is_over_default_limit(message: &str) -> bool {
    message.contains("must be less than or equal to ") && message.contains(" limit of ")
}

/// Health of a Deployment that has exceeded its own deadline (`progressDeadlineSeconds`).
/// Kubernetes' default for that deadline doesn't shorten the class's.
fn late(object: &serde_json::Value, seen: &Observation<'_>) -> Option<Health> {
    let progressing = condition(object, "Progressing")?;
    if progressing.reason != "ProgressDeadlineExceeded" {
        return None;
    }
    let usual = deadline::has_usual_progress(object);
    let left = if usual { deadline::of(seen).remaining(seen.now) } else { None };
    let message = "no progress within its progress deadline";
    Some(Health::failed_unless(left, "ProgressDeadlineExceeded", message))
}

/// Health of a StatefulSet that waits for a broken pod of an earlier revision. It replaces the next
/// pod only when the previous one is ready.
fn held_up(live: &DynamicObject, seen: &Observation<'_>, pods: &Pods<'_>) -> Option<Health> {
    let name = live.metadata.name.as_deref().unwrap_or_default();
    if !pods.earlier.iter().any(|pod| blocking_pods::is_broken(pod, name, seen)) {
        return None;
    }
    let broken = worst(findings(live, &pods.earlier, false, seen))
        .map_or_else(|| Cause::new("not ready"), |broken| broken.message);
    let remedy = if blocking_pods::pods(live, seen).is_empty() {
        "delete that pod"
    } else {
        "Matinee deletes that pod"
    };
    let message = broken.and("in a pod of an earlier revision that blocks this one").remedy(remedy);
    Some(Health::troubled(blocking_pods::HELD_UP, message))
}

fn findings(live: &DynamicObject, pods: &[&Pod], owner_retries: bool, seen: &Observation<'_>) -> Vec<Health> {
    let workload = live.metadata.name.as_deref().unwrap_or_default();
    pods.iter().filter_map(|pod| pod::examine(&Look { pod, workload, owner_retries, seen })).collect()
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}
