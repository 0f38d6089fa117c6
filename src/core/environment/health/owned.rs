//! Finds the pods of an owner, and which of them belong to the owner's current revision.

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DynamicObject;

use super::Observation;

/// Annotation of a Deployment and its ReplicaSets: the revision number, which only increases.
pub const DEPLOYMENT_REVISION: &str = "deployment.kubernetes.io/revision";
/// Label of the pods of StatefulSets and DaemonSets: the revision.
pub const POD_REVISION_HASH: &str = "controller-revision-hash";
/// Annotation of a DaemonSet: how often its template changed, as counted by the API server.
pub const DAEMON_SET_TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";
/// Label of a DaemonSet's pods with the same number.
pub const POD_TEMPLATE_GENERATION: &str = "pod-template-generation";

/// The pods of one object, except those that are being deleted.
#[derive(Debug, Default)]
pub(super) struct Pods<'a> {
    /// Pods of the current revision.
    pub current: Vec<&'a Pod>,
    /// Pods of earlier revisions.
    pub earlier: Vec<&'a Pod>,
    /// The ReplicaSet of a Deployment's current revision.
    pub replica_set: Option<&'a ReplicaSet>,
}

/// Returns the pods of a Deployment. The current ones belong to the ReplicaSet with the
/// Deployment's own revision number. While that ReplicaSet isn't known, no pod is current, because
/// the newest known ReplicaSet may be the previous one.
pub(super) fn by_deployment<'a>(live: &DynamicObject, seen: &Observation<'a>) -> Pods<'a> {
    let sets: Vec<&'a ReplicaSet> =
        seen.replica_sets.iter().copied().filter(|set| owned_by(&set.metadata, live)).collect();
    let wanted = number(&live.metadata, DEPLOYMENT_REVISION);
    let current = sets
        .iter()
        .copied()
        .filter(|set| wanted.is_none() || number(&set.metadata, DEPLOYMENT_REVISION) == wanted)
        .max_by_key(|set| number(&set.metadata, DEPLOYMENT_REVISION));
    let mut pods = Pods { replica_set: current, ..Pods::default() };
    for pod in alive(seen) {
        let Some(uid) = controller(&pod.metadata) else { continue };
        if current.and_then(|set| set.metadata.uid.as_deref()) == Some(uid) {
            pods.current.push(pod);
        } else if sets.iter().any(|set| set.metadata.uid.as_deref() == Some(uid)) {
            pods.earlier.push(pod);
        }
    }
    pods
}

/// Returns the pods of a StatefulSet. The current ones have the revision in
/// `status.updateRevision`.
pub(super) fn by_stateful_set<'a>(live: &DynamicObject, seen: &Observation<'a>) -> Pods<'a> {
    let revision = live.data.pointer("/status/updateRevision").and_then(serde_json::Value::as_str);
    split(live, seen, |pod| revision.is_some() && label(pod, POD_REVISION_HASH) == revision)
}

/// Returns the pods of a DaemonSet. The current ones have its template's generation, or without one
/// the revision of the newest pod.
pub(super) fn by_daemon_set<'a>(live: &DynamicObject, seen: &Observation<'a>) -> Pods<'a> {
    if let Some(generation) = annotation(&live.metadata, DAEMON_SET_TEMPLATE_GENERATION) {
        return split(live, seen, |pod| label(pod, POD_TEMPLATE_GENERATION) == Some(generation));
    }
    let newest = alive(seen)
        .filter(|pod| owned_by(&pod.metadata, live))
        .max_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0))
        .and_then(|pod| label(pod, POD_REVISION_HASH));
    split(live, seen, |pod| label(pod, POD_REVISION_HASH) == newest)
}

/// Returns the pods of an object without revisions: a Job, or a ReplicaSet without a Deployment.
pub(super) fn by_owner<'a>(live: &DynamicObject, seen: &Observation<'a>) -> Pods<'a> {
    split(live, seen, |_| true)
}

fn split<'a>(live: &DynamicObject, seen: &Observation<'a>, is_current: impl Fn(&'a Pod) -> bool) -> Pods<'a> {
    let mine = alive(seen).filter(|pod| owned_by(&pod.metadata, live));
    let (current, earlier) = mine.partition(|pod| is_current(pod));
    Pods { current, earlier, replica_set: None }
}

fn alive<'a>(seen: &Observation<'a>) -> impl Iterator<Item = &'a Pod> {
    seen.pods.iter().copied().filter(|pod| pod.metadata.deletion_timestamp.is_none())
}

fn owned_by(metadata: &ObjectMeta, owner: &DynamicObject) -> bool {
    owner.metadata.uid.is_some() && controller(metadata) == owner.metadata.uid.as_deref()
}

/// Returns the UID of the owner that controls the object.
fn controller(metadata: &ObjectMeta) -> Option<&str> {
    let owners = metadata.owner_references.as_ref()?;
    owners.iter().find(|owner| owner.controller == Some(true)).map(|owner| owner.uid.as_str())
}

fn annotation<'m>(metadata: &'m ObjectMeta, key: &str) -> Option<&'m str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

fn number(metadata: &ObjectMeta, key: &str) -> Option<i64> {
    annotation(metadata, key)?.parse().ok()
}

fn label<'p>(pod: &'p Pod, key: &str) -> Option<&'p str> {
    pod.metadata.labels.as_ref()?.get(key).map(String::as_str)
}
