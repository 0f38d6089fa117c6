//! Result of a reconcile of a request.

use std::time::Duration;

use super::{RequestContext, record};
use crate::core::deployment::gates::repeats::Hold;
use crate::core::deployment::gates::{Evaluation, GateSummary};
use crate::core::deployment::outcome::DeploymentOutcome;
use crate::core::mistake::{Mistake, Reason};

/// Result of a reconcile.
pub(super) enum RequestOutcome {
    /// The deployment exists on GitHub.
    Created {
        /// Its id.
        id: i64,
        /// Its state.
        deployment: DeploymentOutcome,
    },
    /// The request isn't valid, for a reason that comes before the gates.
    Refused(Mistake),
    /// A gate waits or rejects.
    Gated(Evaluation),
    /// The deployment is being created.
    Creating {
        /// Result of the gates.
        evaluation: Evaluation,
        /// Why the last attempt failed, if one has.
        problem: Option<String>,
        /// Time until the next reconcile if nothing happens before.
        again: Duration,
    },
    /// Too many deployments repeat the same commit in this environment.
    Held(Hold),
    /// The deployment will not be created; with the cause.
    Superseded(String),
    /// GitHub rejects the deployment.
    Failed(String),
    /// The pull request is closed or no longer selected, so Matinee deletes the request.
    Deleted,
}

/// Returns the time until the next reconcile if no event arrives. Webhooks only make it faster.
pub(super) fn again(outcome: &RequestOutcome, context: &RequestContext) -> Option<Duration> {
    match outcome {
        RequestOutcome::Gated(evaluation) => match &evaluation.summary {
            GateSummary::Refused { over: true, .. } => None,
            GateSummary::Waiting { again: Some(again), .. } => {
                Some(context.common.time_until(*again).min(context.common.settings.sweep_interval))
            }
            GateSummary::Waiting { again: None, .. } | GateSummary::Refused { .. } | GateSummary::Open => {
                Some(context.common.settings.sweep_interval)
            }
        },
        RequestOutcome::Creating { again, .. } => Some(*again),
        RequestOutcome::Failed(_) => Some(record::REFUSED_AGAIN),
        RequestOutcome::Held(hold) => Some(context.common.time_until(hold.until)),
        // For a deployment that Matinee itself deploys, its environment enqueues the request. This
        // additional reconcile needs no call to GitHub.
        RequestOutcome::Refused(Mistake { reason: Reason::SourceNotLive | Reason::NameTaken, .. })
        | RequestOutcome::Created { deployment: DeploymentOutcome::UnderWay, .. } => {
            Some(context.common.settings.sweep_interval)
        }
        _ => None,
    }
}
