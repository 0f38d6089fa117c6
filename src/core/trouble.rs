//! Trouble that interrupts a reconcile although the user made no mistake, and when Matinee writes
//! it into an object's conditions.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::conditions::{self, NOT_REACHED, READY, Summary};
use crate::api::{ConditionStatus, find_condition};

/// The Kubernetes API doesn't respond, or responds with a server error.
pub const CLUSTER_UNAVAILABLE: &str = "ClusterUnavailable";
/// The Kubernetes API rejects a read or write that Matinee needs for itself.
pub const CLUSTER_REJECTED: &str = "ClusterRejected";
/// The API server can't reach an admission webhook.
pub const WEBHOOK_UNAVAILABLE: &str = "AdmissionWebhookUnavailable";
/// GitHub doesn't respond.
pub const GITHUB_UNAVAILABLE: &str = "GitHubUnavailable";
/// GitHub's rate limit is exceeded.
pub const GITHUB_RATE_LIMITED: &str = "GitHubRateLimited";
/// Matinee can't read from GitHub with these credentials.
pub const NOT_READABLE: &str = "NotReadable";
/// A brief condition lasts longer than usual.
pub const WAITING: &str = "Waiting";

/// Reasons of trouble that ends without a change to any object.
pub const OUTAGES: [&str; 7] = [
    CLUSTER_UNAVAILABLE,
    CLUSTER_REJECTED,
    WEBHOOK_UNAVAILABLE,
    GITHUB_UNAVAILABLE,
    GITHUB_RATE_LIMITED,
    NOT_READABLE,
    WAITING,
];

/// How long Matinee keeps brief trouble out of the conditions.
const MOMENT: Duration = Duration::from_secs(5);
/// How long a settled object keeps its conditions during an outage, which changes nothing about it.
const SETTLED: Duration = Duration::from_mins(1);

/// Trouble that interrupts a reconcile. Matinee retries the reconcile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// CamelCase, as a condition's reason.
    pub reason: &'static str,
    /// The cause, without details that change between retries.
    pub message: String,
    /// Whether it usually ends within seconds.
    pub is_brief: bool,
}

/// Whether these conditions give a result for this generation: `Ready` is `True` or `False`.
pub fn is_settled(list: &[Condition], generation: i64) -> bool {
    find_condition(list, READY).is_some_and(|ready| {
        ready.status != ConditionStatus::Unknown.as_str() && ready.observed_generation == Some(generation)
    })
}

/// Whether trouble has lasted long enough to write it into an object's conditions.
pub fn is_due(trouble: &Trouble, is_settled: bool, lasts: Duration) -> bool {
    let patience = match (is_settled, trouble.is_brief) {
        (true, _) => SETTLED,
        (false, true) => MOMENT,
        (false, false) => Duration::ZERO,
    };
    lasts >= patience
}

/// Writes trouble into the conditions: into the first of `stages` that isn't `True`, unless that
/// one is `False` and thus waits for a change, and into `Ready`. `Ready` keeps its reason if it is
/// in `kept`.
pub fn set(
    list: &mut Vec<Condition>,
    kinds: &[&str],
    stages: &[&str],
    kept: &[&str],
    trouble: &Trouble,
    generation: i64,
    now: Timestamp,
) {
    use ConditionStatus::{False, True, Unknown};

    conditions::initialize(list, kinds, generation, now);
    let is = |list: &[Condition], kind: &str, status: ConditionStatus| {
        find_condition(list, kind).is_some_and(|found| found.status == status.as_str())
    };
    if let Some(reached) = stages.iter().find(|stage| !is(list, stage, True))
        && !is(list, reached, False)
    {
        conditions::set(list, reached, Unknown, trouble.reason, &trouble.message, generation, now);
    }
    let reason = find_condition(list, READY)
        .map(|ready| ready.reason.as_str())
        .filter(|reason| kept.contains(reason) && *reason != NOT_REACHED)
        .unwrap_or(trouble.reason)
        .to_owned();
    let summary = Summary::Reconciling { reason, message: trouble.message.clone() };
    conditions::summarize(list, &summary, generation, now);
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [&str; 5] = [READY, conditions::RECONCILING, conditions::STALLED, "Allowed", "Created"];
    const STAGES: [&str; 2] = ["Allowed", "Created"];

    fn trouble(is_brief: bool) -> Trouble {
        Trouble { reason: GITHUB_UNAVAILABLE, message: "GitHub did not answer: 502".into(), is_brief }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 + second).unwrap()
    }

    fn shown(list: &[Condition]) -> Vec<(&str, &str)> {
        list.iter().map(|condition| (condition.status.as_str(), condition.reason.as_str())).collect()
    }

    #[test]
    fn outage_is_reported_immediately_unless_the_status_is_settled() {
        let seconds = Duration::from_secs;
        for (is_brief, settled, since, due) in [
            (false, false, 0, true),
            (true, false, 4, false),
            (true, false, 5, true),
            (false, true, 59, false),
            (false, true, 60, true),
            (true, true, 60, true),
        ] {
            assert_eq!(
                is_due(&trouble(is_brief), settled, seconds(since)),
                due,
                "{is_brief} {settled} {since}"
            );
        }
    }

    #[test]
    fn an_object_is_settled_when_ready_is_about_its_generation() {
        let mut list = Vec::new();
        assert!(!is_settled(&list, 1));
        let summary = |ready| match ready {
            Some(true) => Summary::Ready { reason: "Ready".into(), message: String::new() },
            Some(false) => Summary::Stalled { reason: "X".into(), message: String::new() },
            None => Summary::Reconciling { reason: "X".into(), message: String::new() },
        };
        for (ready, settled) in [(Some(true), true), (Some(false), true), (None, false)] {
            conditions::summarize(&mut list, &summary(ready), 1, at(0));
            assert_eq!(is_settled(&list, 1), settled, "{ready:?}");
            assert!(!is_settled(&list, 2), "{ready:?}");
        }
    }

    #[test]
    fn trouble_stands_in_the_stage_that_was_reached_and_in_ready() {
        let mut list = Vec::new();
        set(&mut list, &KINDS, &STAGES, &[], &trouble(false), 1, at(0));
        let github = ("Unknown", GITHUB_UNAVAILABLE);
        assert_eq!(
            shown(&list)[..],
            [
                github,
                ("True", GITHUB_UNAVAILABLE),
                ("False", GITHUB_UNAVAILABLE),
                github,
                ("Unknown", NOT_REACHED)
            ]
        );
        let again = list.clone();
        set(&mut list, &KINDS, &STAGES, &[], &trouble(false), 1, at(60));
        assert_eq!(list, again, "the same trouble changes nothing");

        conditions::set(&mut list, "Allowed", ConditionStatus::True, "Allowed", "", 1, at(0));
        conditions::set(&mut list, READY, ConditionStatus::Unknown, "Creating", "", 1, at(0));
        set(&mut list, &KINDS, &STAGES, &["Creating"], &trouble(false), 1, at(60));
        assert_eq!(shown(&list)[3..], [("True", "Allowed"), github]);
        assert_eq!(shown(&list)[0], ("Unknown", "Creating"), "a kept reason stays");
        assert_eq!(list[0].message, "GitHub did not answer: 502");

        // A stage that waits for a change keeps its reason.
        conditions::set(&mut list, "Created", ConditionStatus::False, "Refused", "no", 1, at(0));
        set(&mut list, &KINDS, &STAGES, &[], &trouble(false), 1, at(60));
        assert_eq!(shown(&list)[4], ("False", "Refused"));
    }
}
