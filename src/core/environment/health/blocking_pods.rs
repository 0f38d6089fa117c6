//! Broken pods that block the update of their StatefulSet.
//!
//! A StatefulSet that updates its pods in order waits for each pod to be ready before it replaces
//! the next one. It also waits for a broken pod of an earlier revision, so a fix is never rolled
//! out until somebody deletes that pod.
//! <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback>

use k8s_openapi::api::core::v1::Pod;
use kube::core::DynamicObject;

use super::Observation;
use super::finding::{State, remaining};
use super::object::{number, text};
use super::owned;
use super::pod::{self, Look};

/// Reason of a StatefulSet that waits for such a pod.
pub(super) const HELD_UP: &str = "HeldUpByEarlierRevision";

/// A pod whose deletion unblocks its StatefulSet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckPod {
    /// Name of the pod.
    pub name: String,
    /// UID of the pod, so that Matinee deletes no other pod of that name.
    pub uid: String,
    /// Name of the StatefulSet.
    pub stateful_set: String,
}

/// Returns the pods of earlier revisions that block the update of a StatefulSet, sorted by name.
pub(super) fn pods(live: &DynamicObject, seen: &Observation<'_>) -> Vec<StuckPod> {
    let object = &live.data;
    // With `Parallel`, the StatefulSet replaces broken pods itself. With `OnDelete`, somebody
    // replaces pods by hand.
    if text(object, "/spec/podManagementPolicy") == "Parallel"
        || text(object, "/spec/updateStrategy/type") == "OnDelete"
    {
        return Vec::new();
    }
    let name = live.metadata.name.clone().unwrap_or_default();
    // Pods below the partition, which counts from the first ordinal, stay at the earlier revision.
    let first = number(object, "/spec/ordinals/start")
        + number(object, "/spec/updateStrategy/rollingUpdate/partition");
    let mut stuck: Vec<StuckPod> = owned::by_stateful_set(live, seen)
        .earlier
        .into_iter()
        .filter(|pod| ordinal(pod).is_some_and(|ordinal| ordinal >= first) && is_broken(pod, &name, seen))
        .filter_map(|pod| {
            let (pod, uid) = (pod.metadata.name.clone()?, pod.metadata.uid.clone()?);
            Some(StuckPod { name: pod, uid, stateful_set: name.clone() })
        })
        .collect();
    stuck.sort_by(|a, b| a.name.cmp(&b.name));
    stuck
}

/// Returns the ordinal at the end of the name of a StatefulSet's pod.
fn ordinal(pod: &Pod) -> Option<i64> {
    pod.metadata.name.as_deref()?.rsplit_once('-')?.1.parse().ok()
}

/// Whether the pod failed, or hasn't been ready for as long as the deadline allows.
pub(super) fn is_broken(pod: &Pod, workload: &str, seen: &Observation<'_>) -> bool {
    let look = Look { pod, workload, owner_retries: false, seen };
    if pod::examine(&look).is_some_and(|finding| finding.state == State::Failed) {
        return true;
    }
    let unready = look.condition("Ready").filter(|ready| ready.status != "True");
    let since = unready.and_then(|ready| ready.last_transition_time.as_ref()).map(|time| time.0);
    since.is_some() && remaining(since, seen.limits.deadline.as_std(), seen.now).is_none()
}
