//! How healthy an environment is: kstatus' rules, and what they miss because only pods tell it.
//!
//! kstatus (<https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus>) reads one object at a time, so an image that doesn't
//! exist is "in progress" until the progress deadline. Here the pods of an object's current revision are read too, so the
//! failure and the container it comes from are known as soon as the kubelet says them.
//!
//! Everything is level-based: the same observation gives the same verdict, and a failure that healed is gone. What may heal by itself has a
//! grace time. No message holds what changes from one look to the next (back-off times, names of pods, UIDs, ports), so
//! an environment that stays as it is has conditions that stay as they are.
//!
//! # What has to be observed
//! - the objects of the inventory: metadata, status, and of the spec `replicas`, `paused`, `suspend`, `completions`, `updateStrategy`,
//!   `podManagementPolicy`, `progressDeadlineSeconds`, `activeDeadlineSeconds`, `type`, `externalIPs` and `parentRefs`. Secrets are not
//!   observed: they are ready once applied;
//! - every ReplicaSet of the preview's namespace: metadata and status are enough. Without them it isn't known which pods are of a Deployment's
//!   current revision, and its pods are not read;
//! - every pod of the namespace: metadata, status, and of the spec the restart policy, readiness gates, the sources of volumes, the names of pull
//!   secrets, and of containers name, image, restart policy, limits, readiness and startup probe. Neither environment variables nor commands
//!   are read.

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
mod stuck;
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

pub use self::object::is_built_in;
pub use self::stuck::StuckPod;

/// Longest message of a component or a verdict, in characters.
pub const MAX_MESSAGE: usize = 512;

/// Longest part of an error of a URL that stands for the cause, in characters.
const MAX_ANSWER: usize = 90;

/// The cause of a URL that couldn't be requested, from the error that the request ended with.
pub fn not_answering(url: &str, error: &str) -> Cause {
    let why = error.strip_prefix(&format!("GET {url}: ")).unwrap_or(error);
    Cause::new(format!("URL not answering: {}", cut(why, MAX_ANSWER))).detail(url)
}

/// An environment as it was found.
#[derive(Clone, Debug)]
pub struct Observation<'a> {
    /// Everything in the inventory. Components come in this order.
    pub objects: Vec<Observed<'a>>,
    /// Every ReplicaSet of the preview's namespace.
    pub replica_sets: Vec<&'a ReplicaSet>,
    /// Every pod of the preview's namespace.
    pub pods: Vec<&'a Pod>,
    /// Since when the environment may be unready: when the revision was applied, or when it was last ready if that is later. So a pod that
    /// moves to another node days after the last push has the whole deadline again.
    pub since: Timestamp,
    /// Time after `since` at which what isn't ready has failed, and how long what others create is waited for.
    pub limits: &'a ClassHealth,
    /// Values of the objects that were applied. The API server may repeat those of a pod that it rejects.
    pub sent: &'a SentValues,
    /// Now.
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

/// The group of an `apiVersion`; empty for the core group.
fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// One object of the inventory.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// What was applied.
    pub entry: &'a InventoryEntry,
    /// The object as the cluster has it, if it has it.
    pub live: Option<&'a DynamicObject>,
    /// `metadata.generation` that the API server answered when it was last applied, if that is known. A cache that hasn't caught up with the
    /// apply still shows the revision before, ready as it was.
    pub applied_generation: Option<i64>,
}

/// What became of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every object is ready.
    Ready,
    /// Something isn't ready yet.
    Progressing {
        /// CamelCase, of the object that stands for the others.
        reason: String,
        /// Names the object and, where there is one, the container.
        message: String,
    },
    /// Something failed, or wasn't ready by the deadline.
    Failed {
        /// CamelCase, of the object that stands for the others.
        reason: String,
        /// Names the object and, where there is one, the container.
        message: Cause,
    },
}

/// What [`assess`] makes of an [`Observation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// Health of each object that has any: those that are ready by merely being there (a ConfigMap, a Role) are left out.
    pub components: Vec<Component>,
    /// The environment as a whole.
    pub verdict: Verdict,
    /// Reason and message of trouble that has lasted for a while and may still heal by itself, for the deployment in progress on GitHub.
    pub trouble: Option<String>,
    /// What a gateway hasn't confirmed of a route: a request to the URL has to show whether the route works.
    pub unconfirmed: Option<String>,
    /// Pods to delete, since a StatefulSet waits for them in vain.
    pub stuck: Vec<StuckPod>,
    /// When only time decides: look again then, even if nothing changed. `None` when only a change can matter.
    pub look_again_after: Option<Duration>,
}

/// Judges an environment.
pub fn assess(observation: &Observation<'_>) -> Assessment {
    let mut components = Vec::new();
    let mut look_again_after = None;
    let mut unconfirmed = None;
    let mut stuck = Vec::new();
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
        if let Some(live) = observed.live.filter(|_| health.reason == stuck::HELD_UP) {
            stuck.extend(stuck::pods(live, observation));
        }
        if worst.as_ref().is_none_or(|(_, other)| health.state > other.state) {
            worst = Some((observed.entry, health));
        }
    }
    let (verdict, trouble) = match worst {
        None => (Verdict::Ready, None),
        Some((_, health)) if health.state == State::Ready => (Verdict::Ready, None),
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
                (Verdict::Failed { reason, message }, None)
            } else {
                // The same words as a failure has.
                let trouble = health.lasting.then(|| message.short(deployment_status::DESCRIPTION_LIMIT));
                (Verdict::Progressing { reason, message: message.into() }, trouble)
            }
        }
    };
    Assessment { components, verdict, trouble, unconfirmed, stuck, look_again_after }
}
