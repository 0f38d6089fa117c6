//! Deletes a pull request's environment when its lifetime is over.

use jiff::Timestamp;

use super::eligibility::EnvironmentVerification;
use super::{EnvironmentScope, Stop, delete, times};
use crate::core::environment::resolve::Admitted;

/// Records when the environment expires, and deletes it after that. The lifetime also ends while
/// the revision may not be deployed: the workloads of the previous one still run then.
pub(super) async fn check(
    scope: &mut EnvironmentScope<'_>,
    admitted: &Admitted<'_>,
    verified: &EnvironmentVerification,
) -> Result<(), Stop> {
    if scope.environment.spec.pull_request.is_none() || matches!(verified, EnvironmentVerification::Over(..))
    {
        return Ok(());
    }
    let own = scope.environment.spec.lifetime.as_ref();
    let of_entry = admitted.entry.lifetime.as_ref();
    let expires = times::expires(scope.seen, own, of_entry, &admitted.class.spec.lifetime);
    if let Some(stop) = end_at(scope, expires).await {
        return Err(stop);
    }
    scope.findings.expires = Some(expires);
    Ok(())
}

/// Deletes the environment if its lifetime ended.
pub(super) async fn end_at(scope: &EnvironmentScope<'_>, expires: Timestamp) -> Option<Stop> {
    if expires > scope.now {
        return None;
    }
    Some(delete(scope, "Expired", &format!("its lifetime ended at {expires}")).await)
}
