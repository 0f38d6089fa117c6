//! The conditions of the stages, and their summary.

use super::{CONDITIONS, FIELDS_CONTESTED, Progress, Stage, StatusInput};
use crate::api::{ConditionStatus, PreviewEnvironmentStatus};
use crate::core::conditions::{self, Summary};

/// Sets the conditions of all stages, and those that summarize them.
pub(super) fn set_conditions(
    status: &mut PreviewEnvironmentStatus,
    input: &StatusInput<'_>,
    progress: &Progress,
    contested: &[String],
) {
    let (reached, verdict, reason, message) = match progress {
        Progress::Ready => (None, ConditionStatus::True, "", ""),
        Progress::Waiting { stage, reason, message } => {
            (Some(*stage), ConditionStatus::Unknown, reason.as_str(), message.as_str())
        }
        Progress::Failed { stage, reason, message } => {
            (Some(*stage), ConditionStatus::False, reason.as_str(), message.as_str())
        }
        Progress::Interrupted { stage, reason, message } => {
            (Some(*stage), ConditionStatus::Unknown, *reason, message.as_str())
        }
        Progress::Rejected { stage, mistake } => {
            (Some(*stage), ConditionStatus::False, mistake.reason.as_str(), mistake.message.as_str())
        }
        Progress::Superseded { .. } => (Some(Stage::Validate), ConditionStatus::Unknown, "Superseded", ""),
    };
    let list = &mut status.conditions;
    conditions::initialize(list, &CONDITIONS, input.generation, input.now);
    for (stage, kind, done) in Stage::ALL {
        match reached {
            Some(reached) if stage == reached => {
                conditions::set(list, kind, verdict, reason, message, input.generation, input.now);
            }
            // This reconcile didn't reach later stages, and their conditions were about something
            // else.
            Some(reached) if stage > reached => {
                let unknown = ConditionStatus::Unknown;
                conditions::set(
                    list,
                    kind,
                    unknown,
                    conditions::NOT_REACHED,
                    "",
                    input.generation,
                    input.now,
                );
            }
            _ => {
                // It was applied, but another client has changed part of it since.
                let (reason, message) = match contested {
                    [_, ..] if stage == Stage::Apply => (FIELDS_CONTESTED, contested.join("; ")),
                    _ => (done, String::new()),
                };
                let done = ConditionStatus::True;
                conditions::set(list, kind, done, reason, &message, input.generation, input.now);
            }
        }
    }
    let summary = match progress {
        Progress::Ready => Summary::Ready { reason: "Ready".to_owned(), message: String::new() },
        Progress::Waiting { reason, message, .. } => {
            Summary::Reconciling { reason: reason.as_str().to_owned(), message: message.clone() }
        }
        Progress::Interrupted { reason, message, .. } => {
            Summary::Reconciling { reason: (*reason).to_owned(), message: message.clone() }
        }
        Progress::Failed { reason, message, .. } => {
            Summary::Stalled { reason: reason.as_str().to_owned(), message: message.to_string() }
        }
        Progress::Rejected { mistake, .. } => {
            Summary::Stalled { reason: mistake.reason.to_string(), message: mistake.message.clone() }
        }
        Progress::Superseded { head } => Summary::Reconciling {
            reason: "Superseded".to_owned(),
            message: format!(
                "waiting for the deployment of commit {head}, which is the pull request's head now"
            ),
        },
    };
    conditions::summarize(list, &summary, input.generation, input.now);
}
