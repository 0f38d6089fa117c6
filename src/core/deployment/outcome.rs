//! How a deployment ended, or that it hasn't: read from its statuses on GitHub, or from the status
//! of the environment that reports them.

use crate::api::{DeploymentReport, DeploymentState, PreviewEnvironmentStatus};
use crate::core::forge::{DeploymentStatus, StatusState};

/// State of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeploymentOutcome {
    /// It is queued or in progress.
    UnderWay,
    /// It succeeded.
    Live {
        /// URL of the environment.
        url: Option<String>,
    },
    /// It failed.
    Failed {
        /// The description of the failed status.
        cause: String,
    },
    /// It became inactive without having succeeded.
    Inactive,
}

/// Returns the state of a deployment from its statuses, the newest first; `None` without any.
pub fn by_statuses(statuses: &[DeploymentStatus]) -> Option<DeploymentOutcome> {
    let newest = statuses.first()?;
    let was_live = statuses.iter().find(|status| status.state == StatusState::Success);
    Some(match (&newest.state, was_live) {
        (state, _) if state.is_failed() => DeploymentOutcome::Failed { cause: newest.description.clone() },
        // It is a success that it was live once, also when another one has taken its place since.
        (StatusState::Success | StatusState::Inactive, Some(live)) => {
            DeploymentOutcome::Live { url: live.environment_url.clone() }
        }
        (StatusState::Inactive, None) => DeploymentOutcome::Inactive,
        _ => DeploymentOutcome::UnderWay,
    })
}

/// Returns the state of a deployment that an environment reports: `None` while GitHub has
/// acknowledged no report and the environment wants none.
pub fn by_environment(status: &PreviewEnvironmentStatus, deployment_id: i64) -> Option<DeploymentOutcome> {
    if let Some(reported) = status.reported.iter().find(|reported| reported.deployment_id == deployment_id) {
        return Some(by_report(reported, status));
    }
    let is_wanted = status.report.iter().any(|wanted| wanted.deployment_id == deployment_id);
    is_wanted.then_some(DeploymentOutcome::UnderWay)
}

fn by_report(reported: &DeploymentReport, status: &PreviewEnvironmentStatus) -> DeploymentOutcome {
    let was_ready = || {
        let mut attempts = status.history.iter();
        attempts.any(|attempt| {
            attempt.deployment_id == Some(reported.deployment_id) && attempt.ready_time.is_some()
        })
    };
    match reported.state {
        DeploymentState::Queued | DeploymentState::InProgress => DeploymentOutcome::UnderWay,
        DeploymentState::Success => DeploymentOutcome::Live { url: reported.environment_url.clone() },
        DeploymentState::Failure | DeploymentState::Error => {
            DeploymentOutcome::Failed { cause: reported.description.clone() }
        }
        // A deployment that was live keeps its URL when it becomes inactive. Without endpoints it
        // never had one.
        DeploymentState::Inactive if reported.environment_url.is_some() || was_ready() => {
            DeploymentOutcome::Live { url: reported.environment_url.clone() }
        }
        DeploymentState::Inactive => DeploymentOutcome::Inactive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deployment_that_succeeded_once_stays_a_success() {
        let status = |state: StatusState, url: Option<&str>| DeploymentStatus {
            id: 1,
            state,
            description: "web: image not found".to_owned(),
            environment_url: url.map(str::to_owned),
            created_at: String::new(),
        };
        let url = Some("https://pr-1.example.com");
        let live = DeploymentOutcome::Live { url: url.map(str::to_owned) };
        let success = || status(StatusState::Success, url);
        assert_eq!(by_statuses(&[]), None);
        for (statuses, wanted) in [
            (vec![success()], live.clone()),
            (vec![status(StatusState::Inactive, None), success()], live),
            (vec![status(StatusState::Inactive, None)], DeploymentOutcome::Inactive),
            (vec![status(StatusState::Queued, None)], DeploymentOutcome::UnderWay),
            (
                vec![status(StatusState::Failure, None), success()],
                DeploymentOutcome::Failed { cause: "web: image not found".to_owned() },
            ),
        ] {
            assert_eq!(by_statuses(&statuses), Some(wanted), "{statuses:?}");
        }
    }
}
