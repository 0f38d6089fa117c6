//! Reads the state of a request's deployment. For deployments that Matinee deploys, it is known
//! without a call.

use super::RequestScope;
use crate::core::deployment::gates::supersession;
use crate::core::deployment::outcome::{self, DeploymentOutcome};
use crate::ports::ForgeError;

/// Returns the state of the request's deployment; `None` if Matinee deploys it and nobody has
/// reported any state.
pub(super) async fn read(scope: &RequestScope<'_>, id: i64) -> Result<Option<DeploymentOutcome>, ForgeError> {
    let environment = scope.environment();
    let known = environment.as_ref().and_then(|environment| environment.status.as_ref());
    if let Some(known) = known.and_then(|status| outcome::by_environment(status, id)) {
        return Ok(Some(known));
    }
    let is_deployed_by_matinee = scope.admitted.entry.deploy.is_some();
    if is_deployed_by_matinee
        && environment.is_some_and(|environment| environment.spec.revision.deployment_id <= Some(id))
    {
        // The environment has not reported this deployment yet. Its first status enqueues the
        // request.
        return Ok(Some(DeploymentOutcome::UnderWay));
    }
    let statuses = scope.forge.deployment_statuses(&scope.name, id).await?;
    let known = outcome::by_statuses(&statuses.items);
    if known.is_some() || is_deployed_by_matinee {
        return Ok(known);
    }
    // Another tool's deployment is under way, unless a newer one has replaced it.
    let all = scope.siblings();
    let is_replaced = supersession::is_replaced(scope.request, id, all.iter().map(AsRef::as_ref));
    Ok(Some(if is_replaced { DeploymentOutcome::Inactive } else { DeploymentOutcome::UnderWay }))
}
