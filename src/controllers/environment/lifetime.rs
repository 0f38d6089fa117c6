//! Deletes a pull request's environment when its lifetime is over.

use super::eligibility::Verified;
use super::{Stop, Visit, delete, times};
use crate::core::environment::resolve::Admitted;

/// Records when the environment expires, and deletes it after that. The lifetime also ends while
/// the revision may not be deployed: the workloads of the previous one still run then.
pub(super) async fn check(
    visit: &mut Visit<'_>,
    admitted: &Admitted<'_>,
    verified: &Verified,
) -> Result<(), Stop> {
    if visit.environment.spec.pull_request.is_none() || matches!(verified, Verified::Over(..)) {
        return Ok(());
    }
    let own = visit.environment.spec.lifetime.as_ref();
    let of_entry = admitted.entry.lifetime.as_ref();
    let expires = times::expires(visit.seen, own, of_entry, &admitted.class.spec.lifetime);
    if expires <= visit.now {
        return Err(delete(visit, "Expired", &format!("its lifetime ended at {expires}")).await);
    }
    visit.findings.expires = Some(expires);
    Ok(())
}
