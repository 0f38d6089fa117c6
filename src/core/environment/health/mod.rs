//! Health of an environment: the rules of kstatus, and failures that only pods show.
//!
//! kstatus (<https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus>) reads one
//! object at a time, so a Deployment with a missing image is "in progress" until the progress
//! deadline. This module also reads the pods of an object's current revision, so it finds the
//! failure and its container as soon as the kubelet reports them.
//!
//! Everything is level-based: the same observation gives the same verdict, and a failure disappears
//! when it is fixed. Problems that may end by themselves have a grace time. Messages contain
//! nothing that changes between reconciles (back-off times, names of pods, UIDs, ports), so the
//! conditions of an unchanged environment stay the same.
//!
//! # Required observations
//! [`pruning`](super::pruning) keeps these fields and removes all others:
//! - The objects of the inventory: metadata, status, and from the spec `replicas`, `paused`,
//!   `suspend`, `completions`, `updateStrategy`, `podManagementPolicy`, `progressDeadlineSeconds`,
//!   `activeDeadlineSeconds`, `type`, `externalIPs` and `parentRefs`. Secrets aren't observed: they
//!   are ready once applied.
//! - Every ReplicaSet of the preview's namespace: metadata and status are enough. Without them, the
//!   pods of a Deployment's current revision aren't known, and its pods are ignored.
//! - Every pod of the namespace: metadata, status, and from the spec the restart policy, readiness
//!   gates, the sources of volumes, the names of pull secrets, and for each container name, image,
//!   restart policy, limits, readiness and startup probe. Environment variables and commands aren't
//!   read.

mod blocking_pods;
mod container;
mod custom;
mod deadline;
mod finding;
mod kubelet_text;
mod object;
mod owned;
mod pod;
mod pull;
mod refusal;
mod resources;
mod start;
mod workload;

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kube::core::DynamicObject;

use self::finding::{Health, State, earlier};
use crate::api::{ClassHealth, Component, InventoryEntry};
use crate::core::api_error::SentValues;
use crate::core::cause::Cause;
use crate::core::publish::deployment_status;
use crate::core::truncate::cut;

pub use self::blocking_pods::StuckPod;
pub use self::object::is_built_in;
pub use self::owned::{
    DAEMON_SET_TEMPLATE_GENERATION, DEPLOYMENT_REVISION, POD_REVISION_HASH, POD_TEMPLATE_GENERATION,
};
pub use self::pod::UNSCHEDULABLE;

/// Longest message of a component or a verdict, in characters.
pub const MAX_MESSAGE: usize = 512;

/// Longest part of a request's error to use as the cause, in characters.
const MAX_ANSWER: usize = 90;

/// Returns the cause for a URL that couldn't be requested, from the error of the request.
pub fn not_answering(url: &str, error: &str) -> Cause {
    let why = error.strip_prefix(&format!("GET {url}: ")).unwrap_or(error);
    Cause::new(format!("URL not answering: {}", cut(why, MAX_ANSWER))).detail(url)
}

/// Observed state of an environment.
#[derive(Clone, Debug)]
pub struct Observation<'a> {
    /// Every object of the inventory. Components have the same order.
    pub objects: Vec<Observed<'a>>,
    /// Every ReplicaSet of the preview's namespace.
    pub replica_sets: Vec<&'a ReplicaSet>,
    /// Every pod of the preview's namespace.
    pub pods: Vec<&'a Pod>,
    /// Time from which the environment may be unready: when the revision was applied, or when it
    /// was last ready if that is later. So a pod that moves to another node days after the last
    /// push has the whole deadline again.
    pub since: Timestamp,
    /// How long after `since` an unready object fails, and how long to wait for objects that others
    /// create.
    pub limits: &'a ClassHealth,
    /// Values of the applied objects. The API server may repeat them when it rejects a pod.
    pub sent: &'a SentValues,
    /// Present time.
    pub now: Timestamp,
}

impl Observation<'_> {
    /// Whether the template has an object of that kind of the core group.
    fn has(&self, kind: &str, name: &str) -> bool {
        self.objects.iter().any(|observed| {
            let entry = observed.entry;
            entry.kind == kind && entry.name == name && group(&entry.api_version).is_empty()
        })
    }
}

/// Returns the group of an `apiVersion`; empty for the core group.
fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// One object of the inventory.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// Inventory entry of the applied object.
    pub entry: &'a InventoryEntry,
    /// The object in the cluster, if it exists.
    pub live: Option<&'a DynamicObject>,
    /// `metadata.generation` in the response to the last apply, if known. A cache that is older
    /// than the apply still shows the previous revision, which may be ready.
    pub applied_generation: Option<i64>,
}

/// Health of the environment as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvironmentHealth {
    /// Every object is ready.
    Ready,
    /// Something isn't ready yet.
    Progressing {
        /// CamelCase, from the object that represents the others.
        reason: String,
        /// Names the object and, if there is one, the container.
        message: String,
    },
    /// Something failed, or wasn't ready by the deadline.
    Failed {
        /// CamelCase, from the object that represents the others.
        reason: String,
        /// Names the object and, if there is one, the container.
        message: Cause,
    },
}

/// Result of [`assess`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// Health of each object, except of those that are ready as soon as they exist (a ConfigMap, a
    /// Role).
    pub components: Vec<Component>,
    /// The environment as a whole.
    pub verdict: EnvironmentHealth,
    /// Reason and message of trouble that has lasted for a while and may still end by itself.
    /// GitHub shows it on the deployment in progress.
    pub trouble: Option<String>,
    /// Message about a route that a gateway hasn't confirmed: a request to the URL must show
    /// whether it works.
    pub unconfirmed: Option<String>,
    /// Broken pods to delete, because a StatefulSet waits for them.
    pub blocking_pods: Vec<StuckPod>,
    /// Time until the next check, even if nothing changes. `None` when only a change can matter.
    pub look_again_after: Option<Duration>,
}

/// Computes the health of an environment.
pub fn assess(observation: &Observation<'_>) -> Assessment {
    let mut components = Vec::new();
    let mut look_again_after = None;
    let mut unconfirmed = None;
    let mut blocking = Vec::new();
    let mut worst: Option<(&InventoryEntry, Health)> = None;
    for observed in &observation.objects {
        let health = object::health(observed, observation);
        look_again_after = earlier(look_again_after, health.look_again_after);
        if health.shown() {
            components.push(Component {
                name: format!("{}/{}", observed.entry.kind, observed.entry.name),
                ready: health.state == State::Ready,
                reason: health.reason.clone(),
                message: cut(&health.message, MAX_MESSAGE),
            });
        }
        if health.unconfirmed {
            unconfirmed.get_or_insert_with(|| health.message.to_string());
        }
        if let Some(live) = observed.live.filter(|_| health.reason == blocking_pods::HELD_UP) {
            blocking.extend(blocking_pods::pods(live, observation));
        }
        if worst.as_ref().is_none_or(|(_, other)| health.state > other.state) {
            worst = Some((observed.entry, health));
        }
    }
    let (verdict, trouble) = match worst {
        None => (EnvironmentHealth::Ready, None),
        Some((_, health)) if health.state == State::Ready => (EnvironmentHealth::Ready, None),
        Some((entry, health)) => {
            let end = deadline::of(observation);
            let left = end.remaining(observation.now);
            let failed = health.state == State::Failed;
            if !failed {
                look_again_after = earlier(look_again_after, left);
            }
            let late =
                if failed || left.is_some() { String::new() } else { format!("not ready within {end}") };
            let message = health.message.and(&late).of(&entry.kind, &entry.name).bounded(MAX_MESSAGE);
            let reason = health.reason;
            if failed || left.is_none() {
                (EnvironmentHealth::Failed { reason, message }, None)
            } else {
                // The same text that a failure would have.
                let trouble = health.lasting.then(|| message.short(deployment_status::DESCRIPTION_LIMIT));
                (EnvironmentHealth::Progressing { reason, message: message.into() }, trouble)
            }
        }
    };
    Assessment { components, verdict, trouble, unconfirmed, blocking_pods: blocking, look_again_after }
}
