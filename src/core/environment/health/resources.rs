//! Health of objects without pods: claims, services, routes, definitions.

use std::time::Duration;

use jiff::Timestamp;
use kube::core::DynamicObject;
use serde_json::Value;

use super::Observation;
use super::finding::{Health, remaining};
use super::kubelet_text::{by_controller, innermost, tidy};
use super::object::{ConditionView, condition, condition_in, number, text};
use crate::core::cause::Cause;
use crate::core::truncate::cut;

/// Time for a gateway to find the services and listeners that a route names.
const ROUTE_GRACE: Duration = Duration::from_secs(30);
/// Time for a gateway to write the first status of a route. Afterwards Matinee requests the URL
/// without it.
const FIRST_WORD: Duration = Duration::from_secs(10);

/// Longest part of a route's rejection to use as the cause, in characters.
const MAX_REFUSAL: usize = 60;

/// Health of a `PersistentVolumeClaim`. It must be bound if a pod uses it. Most storage classes bind
/// a claim only for its first pod, so an unused claim may stay pending forever without harm.
pub(super) fn claim(live: &DynamicObject, seen: &Observation<'_>) -> Health {
    match text(&live.data, "/status/phase") {
        "Bound" => Health::ready("bound"),
        "Lost" => Health::failed("Lost", "the volume it was bound to has been deleted"),
        _ if !is_used(live, seen) => Health::ready("not bound, and no pod uses it"),
        _ => Health::waiting("NotBound", "it isn't bound to a volume yet"),
    }
}

fn is_used(claim: &DynamicObject, seen: &Observation<'_>) -> bool {
    let name = claim.metadata.name.as_deref().unwrap_or_default();
    let volumes = seen.pods.iter().filter_map(|pod| pod.spec.as_ref()?.volumes.as_ref()).flatten();
    volumes.filter_map(|volume| volume.persistent_volume_claim.as_ref()).any(|used| used.claim_name == name)
}

/// Health of a Service. It is ready as soon as it exists, but a load balancer needs an address
/// unless the Service sets external IPs.
pub(super) fn service(live: &DynamicObject) -> Health {
    if text(&live.data, "/spec/type") != "LoadBalancer" {
        return Health::present();
    }
    let some = |pointer: &str| {
        live.data.pointer(pointer).and_then(Value::as_array).is_some_and(|list| !list.is_empty())
    };
    if some("/status/loadBalancer/ingress") || some("/spec/externalIPs") {
        Health::ready("has an address")
    } else {
        Health::waiting("NoAddress", "the load balancer has no address yet")
    }
}

/// Health of a route. It is ready when each of its parents has accepted its present generation and
/// resolved its references. Some gateways write no status, or never write its generation. Only a
/// request to the URL shows whether those routes work.
/// <https://gateway-api.sigs.k8s.io/geps/gep-1364/>
pub(super) fn route(live: &DynamicObject, now: Timestamp) -> Health {
    let generation = live.metadata.generation.unwrap_or(0);
    let namespace = live.metadata.namespace.as_deref().unwrap_or_default();
    let made = live.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let list =
        |pointer: &str| live.data.pointer(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut unconfirmed = None;
    for wanted in list("/spec/parentRefs") {
        let parent = Parent::new(wanted, namespace);
        let said: Vec<Health> = list("/status/parents")
            .iter()
            .filter(|entry| {
                entry.get("parentRef").is_some_and(|found| Parent::new(found, namespace) == parent)
            })
            .map(|entry| by_parent(entry, &parent, generation, made, now))
            .collect();
        // Several controllers may report on one parent; one that serves it is enough.
        let best = said.into_iter().min_by_key(|health| (health.state, health.unconfirmed));
        let health = best.unwrap_or_else(|| silent(&parent, made, now));
        if health.state > super::State::Ready {
            return health;
        }
        if health.unconfirmed {
            unconfirmed.get_or_insert(health);
        }
    }
    unconfirmed.unwrap_or_else(|| Health::ready("accepted by its parents"))
}

fn by_parent(
    entry: &Value,
    parent: &Parent<'_>,
    generation: i64,
    made: Option<Timestamp>,
    now: Timestamp,
) -> Health {
    let mut health = Health::ready("");
    for kind in ["Accepted", "ResolvedRefs"] {
        let Some(said) = entry.get("conditions").and_then(|list| condition_in(list, kind)) else {
            return silent(parent, made, now);
        };
        match said.observed_generation {
            Some(looked_at) if looked_at != 0 && looked_at < generation => {
                return Health::waiting("NotAccepted", format!("{} hasn't processed it yet", parent.title()));
            }
            Some(looked_at) if looked_at != 0 => {
                if !said.is("True") {
                    return refused(&said, kind, parent, now);
                }
            }
            _ => {
                let state = if said.is("True") { "True" } else { "not True" };
                let message = format!(
                    "{} reports {kind} as {state} without the generation of the route: {}",
                    parent.title(),
                    tidy(said.message)
                );
                health = Health::unconfirmed("NotConfirmed", message);
                if !said.is("True") {
                    return health;
                }
            }
        }
    }
    health
}

/// Health of a route without a report about this parent. Most gateways report within a moment.
fn silent(parent: &Parent<'_>, made: Option<Timestamp>, now: Timestamp) -> Health {
    let left = remaining(made, FIRST_WORD, now);
    if left.is_some() {
        let message = format!("{} hasn't processed it yet", parent.title());
        return Health::waiting("NotAccepted", message).again(left);
    }
    Health::unconfirmed("NotConfirmed", format!("{} reports nothing about the route", parent.title()))
}

fn refused(said: &ConditionView<'_>, kind: &str, parent: &Parent<'_>, now: Timestamp) -> Health {
    let what = if kind == "Accepted" { "not accepted" } else { "references not resolved" };
    let why = tidy(said.message);
    let what = match cut(innermost(&why), MAX_REFUSAL) {
        short if short.is_empty() => format!("{what}, {}", said.reason),
        short => format!("{what}, {}: {short}", said.reason),
    };
    let message = Cause::new(what).detail(format!("by {}", parent.title())).said(why);
    if said.is("False") && said.reason != "Pending" {
        Health::failed_unless(remaining(said.changed, ROUTE_GRACE, now), said.reason, message)
    } else {
        Health::waiting(said.reason, message)
    }
}

/// Parent of a route, with the API's defaults for missing fields.
#[derive(PartialEq)]
struct Parent<'v> {
    group: &'v str,
    kind: &'v str,
    namespace: &'v str,
    name: &'v str,
    section: &'v str,
    port: i64,
}

impl<'v> Parent<'v> {
    fn new(reference: &'v Value, namespace: &'v str) -> Self {
        let or = |pointer: &str, default: &'v str| {
            reference.pointer(pointer).and_then(Value::as_str).unwrap_or(default)
        };
        Self {
            group: or("/group", "gateway.networking.k8s.io"),
            kind: or("/kind", "Gateway"),
            namespace: or("/namespace", namespace),
            name: or("/name", ""),
            section: or("/sectionName", ""),
            port: number(reference, "/port"),
        }
    }
    fn title(&self) -> String {
        format!("{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// Health of a `CustomResourceDefinition`. It is ready when the API server serves its kind.
pub(super) fn definition(live: &DynamicObject) -> Health {
    let said = |kind: &str| condition(&live.data, kind);
    if let Some(refused) = said("NamesAccepted").filter(|names| names.is("False")) {
        return Health::failed(refused.reason, by_controller(refused.reason, refused.message));
    }
    match said("Established") {
        Some(established) if established.is("True") => Health::ready("established"),
        Some(refused) if refused.is("False") && refused.reason != "Installing" => {
            Health::failed(refused.reason, by_controller(refused.reason, refused.message))
        }
        _ => Health::waiting("Installing", "the API server doesn't serve it yet"),
    }
}
