//! The attempts to deploy revisions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Progress, StatusInput, is_of, seconds};
use crate::api::{Attempt, Outcome, PreviewEnvironmentStatus};

/// Length of the history, in attempts.
const HISTORY: usize = 5;

/// Records the result in the attempt of this revision.
pub(super) fn set_history(
    status: &mut PreviewEnvironmentStatus,
    input: &StatusInput<'_>,
    progress: &Progress,
) {
    let now = Time(seconds(input.now));
    if !status.history.first().is_some_and(|attempt| is_of(attempt, input.revision)) {
        if let Some(last) = status.history.first_mut()
            && last.outcome == Outcome::InProgress
        {
            last.outcome = Outcome::Superseded;
            last.completion_time = Some(now.clone());
        }
        status.history.insert(
            0,
            Attempt {
                sha: input.revision.sha.clone(),
                deployment_id: input.revision.deployment_id,
                start_time: now.clone(),
                ready_time: None,
                completion_time: None,
                outcome: Outcome::InProgress,
                message: String::new(),
            },
        );
        status.history.truncate(HISTORY);
    }
    let Some(attempt) = status.history.first_mut() else { return };
    let (outcome, message) = match progress {
        // An outage doesn't change an attempt's outcome.
        Progress::Interrupted { .. } => return,
        Progress::Ready => (Outcome::Succeeded, String::new()),
        // Pods restart and move after a success; that isn't a new attempt.
        Progress::Waiting { .. } if attempt.outcome == Outcome::Succeeded => {
            (Outcome::Succeeded, String::new())
        }
        Progress::Waiting { .. } => (Outcome::InProgress, String::new()),
        Progress::Failed { reason, message, .. } => {
            (Outcome::Failed, format!("{}: {message}", reason.as_str()))
        }
        Progress::Rejected { mistake, .. } => {
            (Outcome::Invalid, format!("{}: {}", mistake.reason, mistake.message))
        }
        Progress::Superseded { .. } => (Outcome::Superseded, String::new()),
    };
    if outcome == Outcome::Succeeded && attempt.outcome != outcome && attempt.ready_time.is_none() {
        attempt.ready_time = Some(now.clone());
    }
    if attempt.outcome != outcome || attempt.message != message {
        attempt.completion_time = (outcome != Outcome::InProgress).then_some(now);
        attempt.outcome = outcome;
        attempt.message = message;
    }
}
