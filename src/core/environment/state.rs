//! State of an environment in one word, for metrics and lists of many environments.

use crate::api::{ConditionStatus, PreviewEnvironment, find_condition};
use crate::core::conditions::{READY, RECONCILING, STALLED};

/// State of an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PreviewState {
    /// No reconcile has reached it yet.
    Pending,
    /// Matinee works towards its spec.
    Progressing,
    /// It is in the state that its spec describes.
    Ready,
    /// It waits for a change: a push or a correction.
    Stalled,
    /// It is being deleted.
    Deleting,
}

impl PreviewState {
    /// Every state, in the order in which an environment usually reaches them.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Progressing, Self::Ready, Self::Stalled, Self::Deleting];

    /// Returns the state as a word in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Progressing => "progressing",
            Self::Ready => "ready",
            Self::Stalled => "stalled",
            Self::Deleting => "deleting",
        }
    }
}

/// Returns the state according to the conditions and the deletion time. If the status is about an
/// earlier generation, work on the present one is in progress, as in kstatus.
pub fn preview_state(environment: &PreviewEnvironment) -> PreviewState {
    if environment.metadata.deletion_timestamp.is_some() {
        return PreviewState::Deleting;
    }
    let Some(status) = &environment.status else { return PreviewState::Pending };
    let is_true = |kind| {
        find_condition(&status.conditions, kind)
            .is_some_and(|condition| condition.status == ConditionStatus::True.as_str())
    };
    if environment.metadata.generation.is_some_and(|generation| generation != status.observed_generation) {
        return if status.conditions.is_empty() { PreviewState::Pending } else { PreviewState::Progressing };
    }
    if is_true(STALLED) {
        PreviewState::Stalled
    } else if is_true(READY) {
        PreviewState::Ready
    } else if is_true(RECONCILING) {
        PreviewState::Progressing
    } else {
        PreviewState::Pending
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use super::*;
    use crate::core::conditions::{Summary, initialize, summarize};

    fn environment(generation: i64, summary: Option<&Summary>) -> PreviewEnvironment {
        let mut conditions = Vec::new();
        let now = Timestamp::UNIX_EPOCH;
        initialize(&mut conditions, &[READY, RECONCILING, STALLED], 1, now);
        if let Some(summary) = summary {
            summarize(&mut conditions, summary, 1, now);
        }
        serde_json::from_value(json!({
            "apiVersion": "matinee.dev/v1alpha1", "kind": "PreviewEnvironment",
            "metadata": {"name": "pr-1", "namespace": "team", "generation": generation},
            "spec": {"repositoryRef": {"name": "shop"}, "environment": "preview", "githubEnvironment": "preview/pr-1",
                "revision": {"sha": "a".repeat(40)}},
            "status": {"observedGeneration": 1, "conditions": conditions},
        }))
        .unwrap()
    }

    #[test]
    fn each_summary_is_a_state() {
        let (reason, message) = ("Because".to_owned(), String::new());
        for (summary, expected) in [
            (None, PreviewState::Pending),
            (
                Some(Summary::Reconciling { reason: reason.clone(), message: message.clone() }),
                PreviewState::Progressing,
            ),
            (Some(Summary::Ready { reason: reason.clone(), message: message.clone() }), PreviewState::Ready),
            (Some(Summary::Stalled { reason, message }), PreviewState::Stalled),
        ] {
            assert_eq!(preview_state(&environment(1, summary.as_ref())), expected, "{summary:?}");
        }
    }

    #[test]
    fn what_was_said_of_an_earlier_generation_does_not_count() {
        let ready = Summary::Ready { reason: "Ready".into(), message: String::new() };
        assert_eq!(preview_state(&environment(2, Some(&ready))), PreviewState::Progressing);
        let mut new = environment(1, None);
        new.status = None;
        assert_eq!(preview_state(&new), PreviewState::Pending);
        // Before the first reconcile, the API server's default is generation -1.
        let mut defaulted = environment(1, None);
        let status = defaulted.status.as_mut().unwrap();
        status.conditions.clear();
        status.observed_generation = -1;
        assert_eq!(preview_state(&defaulted), PreviewState::Pending);
    }

    #[test]
    fn deleted_environment_has_no_other_state() {
        let ready = Summary::Ready { reason: "Ready".into(), message: String::new() };
        let mut environment = environment(1, Some(&ready));
        environment.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        assert_eq!(preview_state(&environment), PreviewState::Deleting);
    }
}
