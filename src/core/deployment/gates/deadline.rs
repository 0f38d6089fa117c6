//! Deadlines of the gates that wait for checks and for an image.

use jiff::{SignedDuration, Timestamp};

use super::GateInput;
use crate::api::{ConditionStatus, Duration, Gates, find_condition};

/// Timeout for checks and images when the gates set none.
const USUAL: Duration = Duration::from_hours(1);

/// Returns the deadline of the gate with the condition `kind`: `timeout` after the request was
/// created, after it became due, or after the gate began to wait, whichever is latest. A gate that
/// had passed or failed and waits again, because a check is run again, has the full timeout again.
pub(super) fn deadline(asked: &GateInput<'_>, gates: &Gates, kind: &str) -> Timestamp {
    let due = asked.request.not_before.as_ref().map_or(asked.created, |due| due.0);
    let since = find_condition(asked.conditions, kind).map_or(asked.created, |condition| {
        if condition.status == ConditionStatus::Unknown.as_str() {
            condition.last_transition_time.0
        } else {
            asked.now
        }
    });
    let timeout = gates.timeout.unwrap_or(USUAL).as_std();
    SignedDuration::try_from(timeout)
        .ok()
        .and_then(|timeout| asked.created.max(due).max(since).checked_add(timeout).ok())
        .unwrap_or(Timestamp::MAX)
}
