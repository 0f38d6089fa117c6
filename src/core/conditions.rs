//! Sets the conditions of a status without needless changes, and in the way that kstatus reads
//! them.
//!
//! <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties>,
//! <https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md>

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::{ConditionStatus, find_condition};
use crate::core::truncate::cut;

/// The object is in the state that its spec describes.
pub const READY: &str = "Ready";
/// Work towards the spec is in progress.
pub const RECONCILING: &str = "Reconciling";
/// There is no progress until somebody changes something.
pub const STALLED: &str = "Stalled";
/// Reason of a condition that no reconcile has reached yet.
pub const NOT_REACHED: &str = "NotReached";

/// Longest message of a condition, in characters. The API allows 32 KiB, but people read a status
/// and many clients watch it.
pub const MAX_MESSAGE: usize = 1_024;
/// Longest reason of a condition, in bytes. The API sets this limit.
const MAX_REASON: usize = 1_024;

/// Combined meaning of the three conditions that kstatus reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Summary {
    /// Everything is as desired. kstatus: `Current`.
    Ready {
        /// Reason in CamelCase.
        reason: String,
        /// Message for people.
        message: String,
    },
    /// Work is in progress, or waits for something that changes by itself. kstatus: `InProgress`.
    Reconciling {
        /// Reason in CamelCase.
        reason: String,
        /// Message for people.
        message: String,
    },
    /// Work waits until somebody changes something. kstatus: `Failed`.
    Stalled {
        /// Reason in CamelCase.
        reason: String,
        /// Message for people.
        message: String,
    },
}

/// Sets one condition. Appends it when it doesn't exist.
///
/// `lastTransitionTime` becomes `now`, in whole seconds as in the API, only when the status
/// changes. The message is cut at [`MAX_MESSAGE`] characters. A reason that the API would reject
/// (empty, or not `[A-Za-z][A-Za-z0-9_,:]*`) becomes `Unknown`.
pub fn set(
    conditions: &mut Vec<Condition>,
    kind: &str,
    status: ConditionStatus,
    reason: &str,
    message: &str,
    observed_generation: i64,
    now: Timestamp,
) {
    let reason = if is_reason(reason) { reason } else { "Unknown" };
    let message = cut(message, MAX_MESSAGE);
    let status = status.as_str();
    if let Some(there) = conditions.iter_mut().find(|condition| condition.type_ == kind) {
        if there.status != status {
            status.clone_into(&mut there.status);
            there.last_transition_time = seconds(now);
        }
        reason.clone_into(&mut there.reason);
        there.message = message;
        there.observed_generation = Some(observed_generation);
    } else {
        conditions.push(Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            observed_generation: Some(observed_generation),
            last_transition_time: seconds(now),
        });
    }
}

/// Adds every missing condition of `kinds` as `Unknown` with reason [`NOT_REACHED`] and sorts them
/// in that order. Other conditions follow in their present order. Existing conditions keep their
/// content.
pub fn initialize(conditions: &mut Vec<Condition>, kinds: &[&str], generation: i64, now: Timestamp) {
    for kind in kinds {
        if !conditions.iter().any(|condition| condition.type_ == *kind) {
            set(conditions, kind, ConditionStatus::Unknown, NOT_REACHED, "", generation, now);
        }
    }
    conditions.sort_by_key(|condition| {
        kinds.iter().position(|kind| *kind == condition.type_).unwrap_or(kinds.len())
    });
}

/// Sets `Ready`, `Reconciling` and `Stalled` consistently, for kstatus and for clients that read
/// only `Ready`. `Ready` is `True` when ready, `Unknown` while the result is open, and `False` when
/// work waits for a change.
pub fn summarize(conditions: &mut Vec<Condition>, summary: &Summary, generation: i64, now: Timestamp) {
    use ConditionStatus::{False, True, Unknown};
    let (reason, message, [ready, reconciling, stalled]) = match summary {
        Summary::Ready { reason, message } => (reason, message, [True, False, False]),
        Summary::Reconciling { reason, message } => (reason, message, [Unknown, True, False]),
        Summary::Stalled { reason, message } => (reason, message, [False, False, True]),
    };
    set(conditions, READY, ready, reason, message, generation, now);
    for (kind, status) in [(RECONCILING, reconciling), (STALLED, stalled)] {
        let message = if status == True { message.as_str() } else { "" };
        set(conditions, kind, status, reason, message, generation, now);
    }
}

/// Returns `Ready` if it is worth an event: it became `True` or `False`, or it is `False` for
/// another reason. Progress in between shows in the conditions only.
pub fn transition<'a>(before: &[Condition], after: &'a [Condition]) -> Option<&'a Condition> {
    let now = find_condition(after, READY)?;
    let same = |before: &Condition| before.status == now.status && before.reason == now.reason;
    let reported =
        now.status == ConditionStatus::Unknown.as_str() || find_condition(before, READY).is_some_and(same);
    (!reported).then_some(now)
}

/// Whether the API accepts the text as a condition's reason.
pub fn is_reason(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ',' | ':');
    text.len() <= MAX_REASON
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(inner)
        && !text.ends_with([',', ':'])
}

fn seconds(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 + second).expect("a time")
    }

    fn get<'a>(conditions: &'a [Condition], kind: &str) -> &'a Condition {
        find_condition(conditions, kind).expect(kind)
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let mut conditions = Vec::new();
        set(&mut conditions, "Healthy", ConditionStatus::False, "NotReady", "one", 1, at(0));
        set(&mut conditions, "Healthy", ConditionStatus::False, "ImagePullBackOff", "two", 2, at(10));
        let condition = get(&conditions, "Healthy");
        assert_eq!(condition.last_transition_time, Time(at(0)));
        assert_eq!((condition.reason.as_str(), condition.message.as_str()), ("ImagePullBackOff", "two"));
        assert_eq!(condition.observed_generation, Some(2));
        set(&mut conditions, "Healthy", ConditionStatus::True, "Ready", "", 2, at(20));
        assert_eq!(get(&conditions, "Healthy").last_transition_time, Time(at(20)));
        assert_eq!(conditions.len(), 1);
    }

    #[test]
    fn only_a_change_of_ready_is_a_transition() {
        use ConditionStatus::{False, True, Unknown};

        let with = |status, reason| {
            let mut conditions = Vec::new();
            set(&mut conditions, READY, status, reason, "", 1, at(0));
            conditions
        };
        let missing = with(False, "ClassMissing");
        for (before, after, expected) in [
            (Vec::new(), with(Unknown, "Creating"), None),
            (Vec::new(), with(True, "Ready"), Some("Ready")),
            (with(True, "Ready"), with(True, "Ready"), None),
            (with(True, "Ready"), missing.clone(), Some("ClassMissing")),
            (missing.clone(), missing.clone(), None),
            (missing.clone(), with(False, "TemplateMissing"), Some("TemplateMissing")),
            (missing, with(True, "Ready"), Some("Ready")),
        ] {
            assert_eq!(
                transition(&before, &after).map(|ready| ready.reason.as_str()),
                expected,
                "{before:?}"
            );
        }
    }

    #[test]
    fn condition_reads_back_equal_from_the_api() {
        let mut conditions = Vec::new();
        let now = at(0) + jiff::SignedDuration::from_millis(123);
        set(&mut conditions, "Healthy", ConditionStatus::True, "Ready", "", 1, now);
        let text = serde_json::to_string(&conditions).expect("JSON");
        assert_eq!(serde_json::from_str::<Vec<Condition>>(&text).expect("conditions"), conditions);
    }

    #[test]
    fn a_long_message_is_cut_on_a_character() {
        let mut conditions = Vec::new();
        set(&mut conditions, "Healthy", ConditionStatus::False, "Long", &"é".repeat(40_000), 1, at(0));
        let message = &get(&conditions, "Healthy").message;
        assert_eq!(message.chars().count(), MAX_MESSAGE);
        assert!(message.ends_with('…'));
    }

    #[test]
    fn a_reason_that_the_api_refuses_is_replaced() {
        for (reason, set_as) in [
            ("", "Unknown"),
            ("not ready", "Unknown"),
            ("9Lives", "Unknown"),
            ("Ends:", "Unknown"),
            ("OutOfcpu", "OutOfcpu"),
            ("A_b:C", "A_b:C"),
        ] {
            let mut conditions = Vec::new();
            set(&mut conditions, "Healthy", ConditionStatus::False, reason, "", 1, at(0));
            assert_eq!(get(&conditions, "Healthy").reason, set_as, "{reason:?}");
        }
    }

    #[test]
    fn conditions_are_initialized_in_order_and_only_once() {
        let kinds = [READY, RECONCILING, STALLED, "Validated"];
        let mut conditions = Vec::new();
        set(&mut conditions, "Foreign", ConditionStatus::True, "Kept", "", 1, at(0));
        set(&mut conditions, "Validated", ConditionStatus::True, "Valid", "", 1, at(0));
        initialize(&mut conditions, &kinds, 1, at(5));
        let names: Vec<_> = conditions.iter().map(|condition| condition.type_.as_str()).collect();
        assert_eq!(names, [READY, RECONCILING, STALLED, "Validated", "Foreign"]);
        assert_eq!(get(&conditions, "Validated").reason, "Valid");
        let ready = get(&conditions, READY);
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("Unknown", NOT_REACHED));
        let before = conditions.clone();
        initialize(&mut conditions, &kinds, 2, at(50));
        assert_eq!(conditions, before);
    }

    /// The three results of kstatus: `Stalled` or `Reconciling` when that condition is `True`,
    /// otherwise the status of `Ready`.
    #[test]
    fn the_summary_is_what_kstatus_reads() {
        let (reason, message) = ("Because".to_owned(), "so".to_owned());
        let cases = [
            (Summary::Ready { reason: reason.clone(), message: message.clone() }, ["True", "False", "False"]),
            (
                Summary::Reconciling { reason: reason.clone(), message: message.clone() },
                ["Unknown", "True", "False"],
            ),
            (Summary::Stalled { reason, message }, ["False", "False", "True"]),
        ];
        let mut conditions = Vec::new();
        for (summary, expected) in cases {
            summarize(&mut conditions, &summary, 3, at(0));
            let statuses = [READY, RECONCILING, STALLED].map(|kind| get(&conditions, kind).status.clone());
            assert_eq!(statuses, expected, "{summary:?}");
            assert_eq!(get(&conditions, READY).message, "so");
            assert!(conditions.iter().all(|condition| condition.reason == "Because"));
        }
        assert_eq!(conditions.len(), 3);
    }
}
