//! What GitHub should show of the environment's deployments.

use super::{Progress, Stage, StatusInput};
use crate::api::{DeploymentReport, DeploymentState, Outcome, PreviewEnvironmentStatus};
use crate::core::publish::deployment_status;

/// Most deployments of one environment that have reports at a time.
pub(super) const MOST_REPORTS: usize = 50;

/// Returns the reports for the deployment of this revision and for the earlier ones.
pub(super) fn reports(
    before: Option<&PreviewEnvironmentStatus>,
    status: &PreviewEnvironmentStatus,
    input: &StatusInput<'_>,
    progress: &Progress,
    skipped: &[i64],
    trouble: Option<&str>,
) -> Vec<DeploymentReport> {
    let current = input.revision.deployment_id;
    let live = matches!(progress, Progress::Ready);
    let wanted_before =
        |id| before.and_then(|before| before.report.iter().find(|report| report.deployment_id == id));
    // `sha` is empty when the commit isn't known.
    let superseded = |id: i64, sha: &str, known: Option<&DeploymentReport>| match known {
        // It serves until the new one is ready.
        Some(known) if known.state == DeploymentState::Success && !live => known.clone(),
        // Keep the description that GitHub shows.
        Some(known) if known.state == DeploymentState::Inactive => known.clone(),
        _ => deployment_status::inactive(id, &deployment_status::superseded(sha, &input.revision.sha), known),
    };
    let mut reports: Vec<DeploymentReport> = Vec::new();
    if let Some(id) = current {
        let interrupted = matches!(progress, Progress::Interrupted { .. });
        // During an outage, GitHub keeps the last report. It shows the outage only when the
        // deployment has no report yet.
        let known = wanted_before(id).filter(|_| interrupted).cloned();
        let report = known.unwrap_or_else(|| report(id, status, input, progress, trouble));
        reports.push(match wanted_before(id) {
            Some(known) if deployment_status::is_same_but_numbers_in(known, &report) => known.clone(),
            _ => report,
        });
    }
    for attempt in status.history.iter().skip(1) {
        let Some(id) = attempt.deployment_id.filter(|id| Some(*id) != current) else { continue };
        if !reports.iter().any(|report| report.deployment_id == id) {
            reports.push(superseded(id, &attempt.sha, wanted_before(id)));
        }
    }
    // Keep deployments that still serve, and reports that GitHub hasn't acknowledged, no matter how
    // many deployments follow.
    let unfinished = before.into_iter().flat_map(|before| {
        let is_over = |id| {
            before
                .reported
                .iter()
                .any(|reported| reported.deployment_id == id && reported.state == DeploymentState::Inactive)
        };
        before.report.iter().map(|wanted| wanted.deployment_id).filter(move |id| !is_over(*id))
    });
    for id in skipped.iter().copied().chain(unfinished) {
        let is_there = reports.iter().any(|report| report.deployment_id == id);
        if !is_there && reports.len() < MOST_REPORTS {
            reports.push(superseded(id, "", wanted_before(id)));
        }
    }
    reports.sort_by_key(|report| std::cmp::Reverse(report.deployment_id));
    reports
}

fn report(
    deployment_id: i64,
    status: &PreviewEnvironmentStatus,
    input: &StatusInput<'_>,
    progress: &Progress,
    trouble: Option<&str>,
) -> DeploymentReport {
    let succeeded = status.history.first().is_some_and(|attempt| attempt.outcome == Outcome::Succeeded);
    let (state, text) = match progress {
        Progress::Interrupted { stage: Stage::Validate, message, .. } => {
            (DeploymentState::Queued, message.clone())
        }
        Progress::Interrupted { message, .. } => (DeploymentState::InProgress, message.clone()),
        Progress::Ready => (DeploymentState::Success, "The environment is ready".to_owned()),
        Progress::Waiting { .. } if succeeded => {
            (DeploymentState::Success, "The environment is ready".to_owned())
        }
        Progress::Waiting { stage: Stage::Validate, message, .. } => {
            (DeploymentState::Queued, message.clone())
        }
        Progress::Waiting { .. } => {
            (DeploymentState::InProgress, trouble.unwrap_or(deployment_status::IN_PROGRESS).to_owned())
        }
        Progress::Failed { message, .. } => {
            (DeploymentState::Failure, message.short(deployment_status::DESCRIPTION_LIMIT))
        }
        Progress::Rejected { mistake, .. } => (DeploymentState::Error, mistake.message.clone()),
        Progress::Superseded { head } => {
            (DeploymentState::Inactive, deployment_status::superseded(&input.revision.sha, head))
        }
    };
    DeploymentReport {
        deployment_id,
        state,
        description: deployment_status::description(&text),
        environment_url: status.url.clone().filter(|_| state == DeploymentState::Success),
        log_url: input.log_url.map(str::to_owned),
    }
}
