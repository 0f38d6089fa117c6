//! Commit status that shows a reviewer what a request waits for. Only a request that waited or was
//! refused has one: a request that gets its deployment at once doesn't need it. The reconcile
//! doesn't wait for the write; the condition `Reported` shows its progress.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;

use super::{RequestOutcome, RequestScope};
use crate::api::ConditionStatus;
use crate::core::deployment::gates::{self, Standing};
use crate::core::deployment::outcome::DeploymentOutcome;
use crate::core::deployment::reason::RequestReason;
use crate::core::forge::NewCommitStatus;
use crate::ports::{EventType, ForgeError};
use crate::runtime::publisher::{WriteError, WriteProgress};
use crate::runtime::write;

/// Condition: the commit status on GitHub shows the request's current state.
pub(super) const REPORTED: &str = "Reported";
/// Reason: the commit status is in the write queue.
pub(super) const REPORTING: &str = "Reporting";
/// Reason: GitHub didn't accept the commit status, and Matinee retries.
pub(super) const NOT_REPORTED: &str = "NotReported";
/// Description for a deployment that became inactive without having been live.
const INACTIVE: &str = "it is inactive";
/// Reason: GitHub rejects the commit status.
const REPORT_REFUSED: &str = "ReportRefused";

/// Progress of the commit status, to be written into the request's status.
#[derive(Default)]
pub(super) struct Report {
    /// What GitHub shows now, if that changed.
    pub(super) acknowledged: Option<String>,
    /// Status, reason and message of the condition `Reported`, if they may have changed.
    pub(super) reported: Option<(ConditionStatus, &'static str, String)>,
    /// Delay until the next attempt.
    pub(super) again: Option<Duration>,
}

/// Records the result of the previous write, and starts another one if GitHub doesn't show the
/// wanted commit status. `outcome` is the result of this reconcile; `None` for a request that has
/// ended, whose gates aren't evaluated again.
pub(super) async fn tell(scope: &RequestScope<'_>, outcome: Option<&RequestOutcome>) -> Report {
    let writes = &scope.context.publisher.commit_statuses;
    let mut report = Report::default();
    if let WriteProgress::Finished { about, result } = writes.progress(scope.request) {
        report = ended(scope, about, result).await;
    }
    let before = scope.request.status.as_ref().and_then(|status| status.commit_status.as_ref());
    let shown = report.acknowledged.as_ref().or(before);
    let is_shown = shown.is_some();
    // GitHub may show a commit status whose write hasn't been recorded yet.
    let was_started = super::condition(scope.request, REPORTED).is_some();
    let wanted = match outcome {
        Some(outcome) => commit_status(scope, outcome, is_shown || was_started),
        None => last_commit_status(scope),
    };
    let wanted = wanted.map(|status| (gates::recorded(&status), status));
    let wanted = wanted.filter(|(acknowledged, _)| shown != Some(acknowledged));
    match (wanted, writes.look(scope.request)) {
        (None, WriteProgress::UnderWay { .. }) => {
            report.again = Some(scope.context.common.settings.sweep_interval);
        }
        (None, _) => {
            let is_refused = super::condition(scope.request, REPORTED)
                .is_some_and(|reported| reported.reason == REPORT_REFUSED);
            if is_shown && !is_refused && report.reported.is_none() {
                report.reported = Some((ConditionStatus::True, REPORTED, String::new()));
            }
        }
        (Some((acknowledged, _)), WriteProgress::UnderWay { about }) if about == acknowledged => {
            report.again = Some(scope.context.common.settings.sweep_interval);
        }
        (Some(_), WriteProgress::Paused { problem, wait, .. }) => {
            report.reported = Some((ConditionStatus::False, NOT_REPORTED, problem));
            report.again = Some(wait.max(Duration::from_millis(100)));
        }
        (Some((acknowledged, status)), _) => {
            let (forge, name) = (Arc::clone(&scope.forge), scope.name.clone());
            let sha = scope.request.spec.sha.clone();
            writes.start(scope.request, acknowledged, async move {
                match forge.create_commit_status(&name, &sha, &status).await {
                    Ok(()) | Err(ForgeError::Superseded) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            });
            report.reported = Some((ConditionStatus::Unknown, REPORTING, String::new()));
            report.again = Some(scope.context.common.settings.sweep_interval);
        }
    }
    report
}

/// Records the result of a write that has ended.
async fn ended(scope: &RequestScope<'_>, about: String, result: Result<(), WriteError>) -> Report {
    let writes = &scope.context.publisher.commit_statuses;
    let mut report = Report::default();
    match result {
        Ok(()) => {
            tracing::info!(
                namespace = scope.request.namespace(),
                name = scope.request.name_any(),
                repository = %scope.name,
                sha = scope.request.spec.sha,
                status = about,
                "commit status reported"
            );
            writes.forget(scope.request);
            report.acknowledged = Some(about);
        }
        Err(WriteError::Forge(
            error @ (ForgeError::Forbidden(_) | ForgeError::NotFound(_) | ForgeError::Invalid(_)),
        )) => {
            // A retry would fail again, and the deployment doesn't depend on the commit status.
            writes.forget(scope.request);
            let message = format!("the commit status can't be created: {error}");
            let about_request = write::reference(scope.request);
            scope
                .context
                .common
                .events
                .publish(&about_request, EventType::Warning, "NotReported", &message)
                .await;
            report.acknowledged = Some(about);
            report.reported = Some((ConditionStatus::False, REPORT_REFUSED, error.to_string()));
        }
        Err(error) => {
            writes.pause(scope.request, &error, scope.now);
        }
    }
    report
}

/// Returns the commit status of a request that has ended, from its recorded conditions.
fn last_commit_status(scope: &RequestScope<'_>) -> Option<NewCommitStatus> {
    let (_, reason, message) = super::ready(scope.request)?;
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
    Some(gates::commit_status(&scope.admitted.entry.name, standing, url))
}

/// Returns the commit status that GitHub should show, if any. `is_shown` says whether GitHub shows
/// one now.
fn commit_status(
    scope: &RequestScope<'_>,
    outcome: &RequestOutcome,
    is_shown: bool,
) -> Option<NewCommitStatus> {
    let mut url = None;
    let standing = match outcome {
        RequestOutcome::Gated(evaluation) => Standing::Judged(evaluation),
        _ if !is_shown => return None,
        RequestOutcome::Refused(mistake) => Standing::Refused(&mistake.message),
        RequestOutcome::Held(hold) => Standing::Failed(&hold.message),
        RequestOutcome::Superseded(why) => Standing::Superseded(why),
        RequestOutcome::Failed(message) => Standing::Failed(message),
        RequestOutcome::Created { deployment: DeploymentOutcome::UnderWay, .. } => Standing::UnderWay,
        RequestOutcome::Created { deployment: DeploymentOutcome::Live { url: live }, .. } => {
            url.clone_from(live);
            Standing::Live
        }
        RequestOutcome::Created { deployment: DeploymentOutcome::Failed { cause }, .. } => {
            Standing::Failed(cause)
        }
        RequestOutcome::Created { deployment: DeploymentOutcome::Inactive, .. } => {
            Standing::Superseded(INACTIVE)
        }
        // A later reconcile writes the commit status.
        RequestOutcome::Creating { .. } | RequestOutcome::Deleted => return None,
    };
    Some(gates::commit_status(&scope.admitted.entry.name, standing, url))
}
