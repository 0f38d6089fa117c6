//! Health of one pod: `None` when it is ready or has completed.

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodCondition};

use super::Observation;
use super::container::{self, Subject};
use super::finding::{Health, State, remaining, worst};
use super::kubelet_text::{about_pod, about_scheduling};
use crate::core::cause::Cause;
use crate::core::truncate::cut;

/// Begins the cause of a pod that the scheduler can't place.
pub const UNSCHEDULABLE: &str = "no node fits the pod";
/// Longest part of the scheduler's message in a cause, in characters.
const MAX_SCHEDULING: usize = 70;
/// Most volumes named in a message.
const MAX_VOLUMES: usize = 4;

/// A pod, and the context that its health depends on.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub pod: &'a Pod,
    /// Name of the object that owns the pod. It replaces the pod's name, which changes.
    pub workload: &'a str,
    /// Whether the owner replaces a failed pod and reports itself when it gives up: a Job does.
    pub owner_retries: bool,
    pub seen: &'a Observation<'a>,
}

impl<'a> Look<'a> {
    /// Returns the pod's condition of that type.
    pub fn condition(&self, kind: &str) -> Option<&'a PodCondition> {
        condition(self.pod, kind)
    }
    /// Returns the restart policy: `Always` unless the pod sets another.
    pub fn restart_policy(&self) -> &'a str {
        self.pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()).unwrap_or("Always")
    }
    /// Lists the objects that the pod's volumes need, for people.
    pub fn mounts(&self) -> String {
        let volumes = self.pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let mut names: Vec<String> = volumes
            .filter_map(|volume| {
                let config = volume.config_map.as_ref().filter(|source| source.optional != Some(true));
                let secret = volume.secret.as_ref().filter(|source| source.optional != Some(true));
                let claim = volume.persistent_volume_claim.as_ref();
                config
                    .map(|source| format!("ConfigMap/{}", source.name))
                    .or_else(|| Some(format!("Secret/{}", secret?.secret_name.as_deref()?)))
                    .or_else(|| Some(format!("PersistentVolumeClaim/{}", claim?.claim_name)))
            })
            .filter(|name| name != "ConfigMap/kube-root-ca.crt")
            .collect();
        if names.len() > MAX_VOLUMES {
            let more = names.len() - MAX_VOLUMES;
            names.truncate(MAX_VOLUMES);
            names.push(format!("{more} more"));
        }
        names.join(", ")
    }
    /// Returns the names of the pull secrets that aren't in the template: something else creates
    /// them.
    pub fn foreign_pull_secrets(&self) -> Vec<&'a str> {
        let named = self.pod.spec.iter().flat_map(|spec| spec.image_pull_secrets.iter().flatten());
        named.map(|secret| secret.name.as_str()).filter(|name| !self.seen.has("Secret", name)).collect()
    }
    fn phase(&self) -> &'a str {
        self.pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
    }
}

/// Returns the health of a pod.
pub(super) fn examine(look: &Look<'_>) -> Option<Health> {
    match look.phase() {
        "Succeeded" => None,
        "Failed" => Some(ended(look)),
        _ => scheduling(look).or_else(|| containers(look)).or_else(|| readiness(look)),
    }
}

/// Whether the pod is ready for requests.
pub(super) fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|condition| condition.status == "True")
}

/// Health of a pod that has ended for good: evicted, rejected by the node, or with a failed
/// container. An owner creates another one.
fn ended(look: &Look<'_>) -> Health {
    let status = look.pod.status.as_ref();
    let reason = status.and_then(|status| status.reason.as_deref()).unwrap_or_default();
    if reason.is_empty() {
        let ends = subjects(look).filter_map(|subject| container::examine(&subject, look));
        return worst(ends).unwrap_or_else(|| Health::troubled("PodFailed", "the pod failed"));
    }
    let said = status.and_then(|status| status.message.as_deref()).unwrap_or_default();
    let said = about_pod(said, look.pod, look.workload);
    Health::troubled(reason, Cause::new(format!("pod given up by its node, {reason}")).said(said))
}

fn scheduling(look: &Look<'_>) -> Option<Health> {
    let scheduled = look.condition("PodScheduled")?;
    if scheduled.status != "False" {
        return None;
    }
    let said = about_scheduling(scheduled.message.as_deref().unwrap_or_default());
    Some(match scheduled.reason.as_deref().unwrap_or_default() {
        "Unschedulable" => {
            let since = scheduled.last_transition_time.as_ref().map(|time| time.0);
            let message = unschedulable(&said);
            let (grace, now) = (look.seen.limits.scheduling_grace.as_std(), look.seen.now);
            // The scheduler or an autoscaler has already chosen a node, so the environment's
            // deadline applies.
            let chosen = look.pod.status.as_ref().is_some_and(|status| status.nominated_node_name.is_some());
            let health = if chosen {
                Health::troubled("Unschedulable", message)
            } else {
                Health::failed_unless(remaining(since, grace, now), "Unschedulable", message)
            };
            health.lasts(since, now)
        }
        "" => Health::waiting("NotScheduled", "the pod is not scheduled yet"),
        reason => Health::waiting(reason, format!("the pod is not scheduled yet: {said}")),
    })
}

/// Returns the cause in a message such as `0/1 nodes are available: 1 Insufficient cpu.`
fn unschedulable(said: &str) -> Cause {
    let why = said.split_once(" nodes are available: ").map_or(said, |(_, why)| why).trim_end_matches('.');
    if why.is_empty() {
        return Cause::new(UNSCHEDULABLE);
    }
    let shown = cut(why, MAX_SCHEDULING);
    let said = if shown == why { "" } else { said };
    Cause::new(format!("{UNSCHEDULABLE}: {shown}")).said(said)
}

/// Checks init containers in the order in which they run, then all others.
fn containers(look: &Look<'_>) -> Option<Health> {
    for subject in init_subjects(look) {
        if let Some(finding) = container::examine(&subject, look) {
            // A sidecar that has started doesn't block the containers after it, even if it isn't
            // ready. A sidecar that hasn't started does.
            let started = subject.status.is_some_and(|status| status.started == Some(true));
            if subject.init || finding.state > State::Waiting || !started {
                return Some(finding);
            }
        }
    }
    let sidecars = init_subjects(look).filter(|subject| !subject.init);
    worst(sidecars.chain(main_subjects(look)).filter_map(|subject| container::examine(&subject, look)))
}

fn readiness(look: &Look<'_>) -> Option<Health> {
    if is_ready(look.pod) {
        return None;
    }
    let seen = look.pod.status.iter().any(|status| status.container_statuses.is_some());
    if !seen {
        return Some(Health::waiting("Pending", "the node has not started the pod yet"));
    }
    let gates = look.pod.spec.iter().flat_map(|spec| spec.readiness_gates.iter().flatten());
    let closed = gates
        .map(|gate| gate.condition_type.as_str())
        .find(|kind| look.condition(kind).is_none_or(|condition| condition.status != "True"));
    Some(match closed {
        Some(gate) => {
            Health::waiting("NotReady", format!("the pod is waiting for its readiness gate {gate}"))
        }
        None => Health::waiting("NotReady", "the pod is not ready yet"),
    })
}

fn subjects<'a>(look: &Look<'a>) -> impl Iterator<Item = Subject<'a>> {
    init_subjects(look).chain(main_subjects(look))
}

fn init_subjects<'a>(look: &Look<'a>) -> impl Iterator<Item = Subject<'a>> {
    let specs = look.pod.spec.as_ref().and_then(|spec| spec.init_containers.as_deref());
    let statuses = look.pod.status.as_ref().and_then(|status| status.init_container_statuses.as_deref());
    // An init container with the restart policy `Always` is a sidecar: it runs beside the others.
    // https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
    pair(specs, statuses, |spec| spec.restart_policy.as_deref() != Some("Always"))
}

fn main_subjects<'a>(look: &Look<'a>) -> impl Iterator<Item = Subject<'a>> {
    let specs = look.pod.spec.as_ref().map(|spec| spec.containers.as_slice());
    let statuses = look.pod.status.as_ref().and_then(|status| status.container_statuses.as_deref());
    pair(specs, statuses, |_| false)
}

fn pair<'a>(
    specs: Option<&'a [Container]>,
    statuses: Option<&'a [ContainerStatus]>,
    init: fn(&Container) -> bool,
) -> impl Iterator<Item = Subject<'a>> {
    specs.unwrap_or_default().iter().map(move |spec| Subject {
        spec,
        status: statuses.unwrap_or_default().iter().find(|status| status.name == spec.name),
        init: init(spec),
    })
}

fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}
