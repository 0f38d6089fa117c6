//! Since when something is waited for, and until when.

use jiff::{SignedDuration, Timestamp};

use super::Asked;
use crate::api::{ConditionStatus, Duration, Gates, find_condition};

/// How long checks and images are waited for where the gates don't say.
const USUAL: Duration = Duration::from_hours(1);

/// Until when it is waited for what a condition is about: `timeout` after the request was created or became due. Where it had passed or failed
/// before, a check that is run again has the whole time again.
pub(super) fn deadline(asked: &Asked<'_>, gates: &Gates, kind: &str) -> Timestamp {
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
