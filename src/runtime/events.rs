//! Kubernetes events about changes of `Ready`. An environment gets one when it becomes ready or
//! stalls, any other object when it stalls or recovers; commands get none.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::common::Common;
use crate::api::{ConditionStatus, find_condition};
use crate::core::conditions;
use crate::ports::EventType;

/// Publishes an event when an environment becomes ready or stalled.
pub async fn of_environment(
    about: ObjectReference,
    before: &[Condition],
    after: &[Condition],
    common: &Common,
) {
    if let Some(now) = conditions::transition(before, after) {
        publish(&about, now, "The environment is ready", common).await;
    }
}

/// Publishes an event when an object stalls or recovers. An object that is ready from the beginning
/// causes none.
pub async fn of_trouble(about: ObjectReference, before: &[Condition], after: &[Condition], common: &Common) {
    let was_stalled = find_condition(before, conditions::READY)
        .is_some_and(|ready| ready.status == ConditionStatus::False.as_str());
    let now = conditions::transition(before, after);
    if let Some(now) = now.filter(|now| was_stalled || now.status == ConditionStatus::False.as_str()) {
        publish(&about, now, "The object has recovered", common).await;
    }
}

async fn publish(about: &ObjectReference, ready: &Condition, well: &str, common: &Common) {
    let bad = ready.status == ConditionStatus::False.as_str();
    let kind = if bad { EventType::Warning } else { EventType::Normal };
    let message = if ready.message.is_empty() { well } else { &ready.message };
    common.events.publish(about, kind, &ready.reason, message).await;
}
