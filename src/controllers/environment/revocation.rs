//! Ends environments whose permission was withdrawn, after the time that the class sets. Until then
//! they keep running, and still end with their pull request or their lifetime.

use std::time::Duration;

use jiff::Timestamp;

use super::{EnvironmentScope, Stop, end, lifetime};
use crate::api::{Admission, PreviewClass};
use crate::core::environment::revocation;
use crate::core::mistake::Mistake;
use crate::ports::ForgeError;

/// Most time between two checks whether the pull request was closed. No sweep reports it, because
/// Matinee sweeps only admitted repositories.
const CHECK_AGAIN: Duration = Duration::from_mins(5);

/// Ends the reconcile of an environment that isn't admitted, because of `mistake`.
pub(super) async fn not_admitted(scope: &mut EnvironmentScope<'_>, mistake: Mistake) -> Stop {
    let Some(before) = scope.environment.status.as_ref().and_then(|status| status.admission.clone()) else {
        // It never was admitted, so Matinee created nothing for it.
        return mistake.into();
    };
    scope.findings.keeps_reports = true;
    if let Some(stop) = end_if_over(scope, &before).await {
        return stop;
    }
    if scope.environment.spec.pull_request.is_some() {
        scope.look_again_after(CHECK_AGAIN);
    }
    if !revocation::is_revoked_by(mistake.reason) {
        return mistake.into();
    }
    let class = scope.common().objects.classes.get("", &before.class_name);
    let admission = revocation::withdrawn(&before, class.as_deref(), scope.now);
    announce_or_end(scope, admission, mistake).await
}

/// Ends the reconcile of an environment whose pull request is refused, because of `mistake`.
pub(super) async fn on_refusal(
    scope: &mut EnvironmentScope<'_>,
    class: &PreviewClass,
    mistake: Mistake,
) -> Stop {
    let before = scope.environment.status.as_ref().and_then(|status| status.admission.clone());
    match before.filter(|_| revocation::is_withdrawal(scope.environment, mistake.reason)) {
        Some(before) => {
            let admission = revocation::withdrawn(&before, Some(class), scope.now);
            announce_or_end(scope, admission, mistake).await
        }
        None => mistake.into(),
    }
}

/// Records the withdrawal, and deletes the environment when its time is over.
async fn announce_or_end(scope: &mut EnvironmentScope<'_>, admission: Admission, mistake: Mistake) -> Stop {
    let ends = revocation::ends(&admission).unwrap_or(Timestamp::MAX);
    if ends <= scope.now {
        return end(scope, "Revoked", &mistake.message).await;
    }
    scope.findings.admission = Some(admission);
    scope.look_again_after(scope.common().time_until(ends));
    revocation::announced(&mistake, ends).into()
}

/// Deletes the environment if its lifetime is over or its pull request is closed.
async fn end_if_over(scope: &mut EnvironmentScope<'_>, admission: &Admission) -> Option<Stop> {
    let status = scope.environment.status.as_ref()?;
    let expires = status.expiration_time.as_ref().and_then(|time| time.parse::<Timestamp>().ok());
    if let Some(expires) = expires {
        if let Some(stop) = lifetime::end_at(scope, expires).await {
            return Some(stop);
        }
        scope.look_again_after(scope.common().time_until(expires));
    }
    let number = scope.environment.spec.pull_request.as_ref()?.number;
    match is_open(scope, admission, number).await {
        Ok(true) => None,
        Ok(false) => Some(end(scope, "PullRequestClosed", &format!("pull request {number} is closed")).await),
        // The environment ends in time without an answer.
        Err(error) => {
            tracing::debug!(%error, number, "failed to read the pull request of an environment that isn't admitted");
            None
        }
    }
}

async fn is_open(
    scope: &EnvironmentScope<'_>,
    admission: &Admission,
    number: i64,
) -> Result<bool, ForgeError> {
    let common = scope.common();
    let (forge, repository) = common.forge_of(&admission.github, &admission.repository).await?;
    let pull_request = forge.pull_request(&repository, number, common.settings.sweep_interval).await?;
    Ok(pull_request.open)
}
