//! A commit status, so that a reviewer sees what a request waits for. Only a request that waited or
//! was refused has one: who gets a deployment at once needs no more than that. No reconcile waits
//! for it; the condition `Reported` says how far it is.

use std::sync::Arc;
use std::time::Duration;

use super::{Followed, Outcome, Visit};
use crate::api::ConditionStatus;
use crate::controllers::github_writes::{Progress, WriteError};
use crate::controllers::write;
use crate::core::deployment::gates;
use crate::core::deployment::gates::Standing;
use crate::core::deployment::reason::RequestReason;
use crate::core::forge::NewCommitStatus;
use crate::ports::{EventType, ForgeError};

/// The commit status on GitHub says how the request stands.
pub(super) const REPORTED: &str = "Reported";
/// Reason of a commit status that waits for its turn.
pub(super) const REPORTING: &str = "Reporting";
/// Reason of a commit status that GitHub did not take, and that is tried again.
pub(super) const NOT_REPORTED: &str = "NotReported";
/// What is said of a deployment that never was live.
const INACTIVE: &str = "it is inactive";
/// Reason of a commit status that GitHub refuses.
const REPORT_REFUSED: &str = "ReportRefused";

/// How far the commit status is; for the status.
#[derive(Default)]
pub(super) struct Report {
    /// What GitHub shows by now, if that is new.
    pub(super) told: Option<String>,
    /// What the condition `Reported` is to say, if that may be new.
    pub(super) reported: Option<(ConditionStatus, &'static str, String)>,
    /// When to try again.
    pub(super) again: Option<Duration>,
}

/// Takes the result of the previous write, and starts another one where GitHub shows something else
/// than it should. `outcome`: what this reconcile came to; `None` for a request that has ended,
/// which is not judged again.
pub(super) async fn tell(visit: &Visit<'_>, outcome: Option<&Outcome>) -> Report {
    let writes = &visit.context.writes.commit_statuses;
    let mut report = Report::default();
    if let Progress::Finished { about, result } = writes.progress(visit.request) {
        report = ended(visit, about, result).await;
    }
    let before = visit.request.status.as_ref().and_then(|status| status.told.as_ref());
    let shown = report.told.as_ref().or(before);
    let is_shown = shown.is_some();
    // One that GitHub may show by now, though that isn't known yet.
    let was_started = super::condition(visit.request, REPORTED).is_some();
    let wanted = match outcome {
        Some(outcome) => commit_status(visit, outcome, is_shown || was_started),
        None => last_commit_status(visit),
    };
    let wanted = wanted.map(|status| (gates::told(&status), status));
    let wanted = wanted.filter(|(told, _)| shown != Some(told));
    match (wanted, writes.look(visit.request)) {
        (None, Progress::UnderWay { .. }) => report.again = Some(visit.context.sweep_interval),
        (None, _) => {
            let is_refused = super::condition(visit.request, REPORTED)
                .is_some_and(|reported| reported.reason == REPORT_REFUSED);
            if is_shown && !is_refused && report.reported.is_none() {
                report.reported = Some((ConditionStatus::True, REPORTED, String::new()));
            }
        }
        (Some((told, _)), Progress::UnderWay { about }) if about == told => {
            report.again = Some(visit.context.sweep_interval);
        }
        (Some(_), Progress::Paused { problem, wait }) => {
            report.reported = Some((ConditionStatus::False, NOT_REPORTED, problem));
            report.again = Some(wait.max(Duration::from_millis(100)));
        }
        (Some((told, status)), _) => {
            let (forge, name) = (Arc::clone(&visit.forge), visit.name.clone());
            let sha = visit.request.spec.sha.clone();
            writes.start(visit.request, told, async move {
                match forge.create_commit_status(&name, &sha, &status).await {
                    Ok(()) | Err(ForgeError::Superseded) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            });
            report.reported = Some((ConditionStatus::Unknown, REPORTING, String::new()));
            report.again = Some(visit.context.sweep_interval);
        }
    }
    report
}

/// What came of a write.
async fn ended(visit: &Visit<'_>, about: String, result: Result<(), WriteError>) -> Report {
    let writes = &visit.context.writes.commit_statuses;
    let mut report = Report::default();
    match result {
        Ok(()) => {
            writes.forget(visit.request);
            report.told = Some(about);
        }
        Err(WriteError::Forge(
            error @ (ForgeError::Forbidden(_) | ForgeError::NotFound(_) | ForgeError::Invalid(_)),
        )) => {
            // Trying again won't help, and the deployment doesn't depend on it.
            writes.forget(visit.request);
            let message = format!("the commit status can't be created: {error}");
            let about_request = write::reference(visit.request);
            visit.context.events.publish(&about_request, EventType::Warning, "NotTold", &message).await;
            report.told = Some(about);
            report.reported = Some((ConditionStatus::False, REPORT_REFUSED, error.to_string()));
        }
        Err(error) => {
            writes.pause(visit.request, &error, visit.now);
        }
    }
    report
}

/// The commit status of a request that has ended, by what is recorded.
fn last_commit_status(visit: &Visit<'_>) -> Option<NewCommitStatus> {
    let (_, reason, message) = super::ready(visit.request)?;
    let mut url = None;
    let standing = match RequestReason::parse(reason) {
        Some(RequestReason::Succeeded) => {
            url = Some(message.to_owned()).filter(|url| !url.is_empty());
            Standing::Live
        }
        Some(RequestReason::Superseded) => Standing::Superseded(message),
        Some(RequestReason::Inactive) => Standing::Superseded(INACTIVE),
        // A gate whose time ran out.
        _ => Standing::Refused(message),
    };
    Some(gates::commit_status(&visit.admitted.entry.name, standing, url))
}

/// The commit status that GitHub should show, if it should show another one. `is_shown`: whether it
/// shows one.
fn commit_status(visit: &Visit<'_>, outcome: &Outcome, is_shown: bool) -> Option<NewCommitStatus> {
    let mut url = None;
    let standing = match outcome {
        Outcome::Gated(evaluation) => Standing::Judged(evaluation),
        _ if !is_shown => return None,
        Outcome::Refused(mistake) => Standing::Refused(&mistake.message),
        Outcome::Held(hold) => Standing::Failed(&hold.message),
        Outcome::Superseded(why) => Standing::Superseded(why),
        Outcome::Failed(message) => Standing::Failed(message),
        Outcome::Created { followed: Followed::UnderWay, .. } => Standing::UnderWay,
        Outcome::Created { followed: Followed::Live { url: live }, .. } => {
            url.clone_from(live);
            Standing::Live
        }
        Outcome::Created { followed: Followed::Failed { cause }, .. } => Standing::Failed(cause),
        Outcome::Created { followed: Followed::Inactive, .. } => Standing::Superseded(INACTIVE),
        // The next write says more.
        Outcome::Creating { .. } | Outcome::Deleted => return None,
    };
    Some(gates::commit_status(&visit.admitted.entry.name, standing, url))
}
