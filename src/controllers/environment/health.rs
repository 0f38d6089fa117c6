//! Step 6: checks that the objects are healthy and that the URLs answer.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{DynamicObject, GroupVersionKind};

use super::apply::Applied;
use super::objects::READ_AGAIN_WHEN_READY;
use super::{EnvironmentContext, EnvironmentScope, blocking_pods};
use crate::api::{ConditionStatus, Endpoint, PreviewEnvironment, find_condition};
use crate::core::cause::Cause;
use crate::core::conditions::READY;
use crate::core::environment::health::{self, EnvironmentHealth, Observation, Observed};
use crate::core::environment::plan;
use crate::core::environment::reason::EnvironmentReason;
use crate::core::environment::resolved::Target;
use crate::core::environment::status::{self, Progress, Stage};
use crate::core::{api_error, naming};

/// Time in which a 404 may come from a gateway that doesn't have the route yet. After that it is
/// the application's response.
const ROUTE_SETTLES: SignedDuration = SignedDuration::from_secs(5);
/// Time between two requests to a URL that doesn't answer yet.
const PROBE_AGAIN: Duration = Duration::from_secs(1);

/// Assesses the applied objects.
pub(super) async fn assess(scope: &mut EnvironmentScope<'_>, target: &Target, applied: &Applied) -> Progress {
    let EnvironmentScope { environment, context, seen, .. } = *scope;
    let now = context.common.clock.now();
    let live = context.live.of_environment(&target.environment_uid);
    let pods: Vec<Pod> = live.iter().filter_map(|object| of_kind(object, "v1", "Pod")).collect();
    let replica_sets: Vec<ReplicaSet> =
        live.iter().filter_map(|object| of_kind(object, "apps/v1", "ReplicaSet")).collect();
    let mut unwatched = false;
    let mut found = Vec::new();
    for entry in &applied.inventory {
        let (group, version) = entry.api_version.rsplit_once('/').unwrap_or(("", &entry.api_version));
        let kind = GroupVersionKind::gvk(group, version, &entry.kind);
        unwatched |= !context.live.follows(&kind) && entry.kind != "Secret";
        found.push(context.live.find(&kind, Some(&target.namespace), &entry.name));
    }
    let observation = Observation {
        objects: applied
            .inventory
            .iter()
            .zip(&found)
            .map(|(entry, live)| Observed {
                entry,
                live: live.as_deref(),
                applied_generation: context.memory.applications.generation(&entry.uid),
            })
            .collect(),
        replica_sets: replica_sets.iter().collect(),
        pods: pods.iter().collect(),
        since: since(environment, seen, now),
        limits: &target.class.health,
        sent: &applied.sent,
        now,
    };
    let assessment = health::assess(&observation);
    scope.findings.components = Some(assessment.components);
    scope.findings.trouble = assessment.trouble;
    for pod in &assessment.blocking_pods {
        blocking_pods::delete(scope, target, pod).await;
    }
    // No watch reports changes of these objects.
    let unwatched = unwatched.then_some(match assessment.verdict {
        EnvironmentHealth::Progressing { .. } => PROBE_AGAIN,
        EnvironmentHealth::Ready | EnvironmentHealth::Failed { .. } => READ_AGAIN_WHEN_READY,
    });
    for wait in [unwatched, assessment.look_again_after].into_iter().flatten() {
        scope.look_again_after(wait);
    }
    match assessment.verdict {
        EnvironmentHealth::Progressing { reason, message } => {
            Progress::Waiting { stage: Stage::Health, reason: EnvironmentReason::Health(reason), message }
        }
        EnvironmentHealth::Failed { reason, message } => {
            Progress::Failed { stage: Stage::Health, reason: EnvironmentReason::Health(reason), message }
        }
        EnvironmentHealth::Ready
            if status::has_succeeded(environment.status.as_ref(), &environment.spec.revision) =>
        {
            Progress::Ready
        }
        EnvironmentHealth::Ready => {
            let (stage, reason) = (Stage::Answer, EnvironmentReason::NotAnswering);
            match answers(environment, target, context, now, assessment.unconfirmed.as_deref()).await {
                Ok(()) => Progress::Ready,
                Err(message) if is_late(environment, target, seen, now) => {
                    scope.look_again_after(PROBE_AGAIN * 30);
                    Progress::Failed { stage, reason, message }
                }
                Err(message) => {
                    scope.look_again_after(PROBE_AGAIN);
                    Progress::Waiting { stage, reason, message: message.into() }
                }
            }
        }
    }
}

/// Requests every endpoint once. Until a gateway has confirmed a route, a 404 may come from the
/// gateway, without a time limit.
async fn answers(
    environment: &PreviewEnvironment,
    target: &Target,
    context: &EnvironmentContext,
    now: Timestamp,
    unconfirmed: Option<&str>,
) -> Result<(), Cause> {
    let because = |cause: Cause| match unconfirmed {
        Some(unconfirmed) => cause.said(unconfirmed),
        None => cause,
    };
    let routing = &target.class.routing;
    let hosts = plan::hosts(target);
    for (Endpoint { path, .. }, host) in target.template.endpoints.iter().zip(hosts) {
        let url = format!("{}{path}", naming::url(routing, &host));
        match context.prober.probe(&url, routing.probe_address.as_deref()).await {
            Ok(404) if unconfirmed.is_some() => {
                return Err(because(Cause::new("URL answered 404").detail(url)));
            }
            Ok(404) if !settled(environment, now) => {
                return Err(Cause::new("URL answered 404, the route is being set up").detail(url));
            }
            Ok(status) if status >= 500 => {
                return Err(because(Cause::new(format!("URL answered {status}")).detail(url)));
            }
            Ok(_) => {}
            Err(error) => return Err(because(health::not_answering(&url, &error))),
        }
    }
    Ok(())
}

/// Whether the environment has been healthy long enough for the gateway to have the route.
fn settled(environment: &PreviewEnvironment, now: Timestamp) -> bool {
    healthy_since(environment).is_some_and(|since| now.duration_since(since) > ROUTE_SETTLES)
}

/// Whether the class's deadline for the URLs to answer is over. It begins when the objects became
/// ready, however long that took, or when the revision was first seen if they were ready before.
fn is_late(environment: &PreviewEnvironment, target: &Target, seen: Timestamp, now: Timestamp) -> bool {
    let since = healthy_since(environment).unwrap_or(now).max(seen);
    let deadline = SignedDuration::try_from(target.class.health.deadline.as_std());
    now.duration_since(since) > deadline.unwrap_or(SignedDuration::MAX)
}

/// Returns since when the objects have been ready without interruption.
fn healthy_since(environment: &PreviewEnvironment) -> Option<Timestamp> {
    let conditions =
        environment.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    find_condition(conditions, status::HEALTHY)
        .filter(|healthy| healthy.status == ConditionStatus::True.as_str())
        .map(|healthy| healthy.last_transition_time.0)
}

/// Returns when the time in which the environment may be unready began: now if it is ready; when it
/// was last ready if this revision was ready once; else when the revision was first seen. A failure
/// doesn't restart it.
fn since(environment: &PreviewEnvironment, seen: Timestamp, now: Timestamp) -> Timestamp {
    let conditions =
        environment.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let Some(ready) = find_condition(conditions, READY) else { return seen };
    let succeeded = status::has_succeeded(environment.status.as_ref(), &environment.spec.revision);
    match ready.status.as_str() {
        "True" if succeeded => now,
        "Unknown" if succeeded => ready.last_transition_time.0.max(seen),
        _ => seen,
    }
}

fn of_kind<T: serde::de::DeserializeOwned>(
    object: &DynamicObject,
    api_version: &str,
    kind: &str,
) -> Option<T> {
    let types = object.types.as_ref()?;
    if types.api_version != api_version || types.kind != kind {
        return None;
    }
    let value = serde_json::to_value(object).ok()?;
    serde_json::from_value(value)
        .inspect_err(|error| {
            let error = api_error::text(&error.to_string());
            tracing::warn!(kind, name = object.name_any(), error, "failed to read object");
        })
        .ok()
}
