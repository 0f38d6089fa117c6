//! Reports a deployment that its environment skipped: the environment was reconciled for a newer
//! one first, and doesn't report this one any more.

use std::sync::Arc;

use super::RequestScope;
use crate::core::environment::status;
use crate::core::publish::deployment_status;
use crate::runtime::publisher::WriteProgress;

/// Starts the report that the deployment is inactive, if the environment skipped it. The end of the
/// write enqueues the environment, and its next status the request.
pub(super) fn report(scope: &RequestScope<'_>, id: i64) {
    let Some(environment) = scope.environment() else { return };
    let revision = &environment.spec.revision;
    if revision.deployment_id <= Some(id) || status::is_first_look(environment.status.as_ref(), revision) {
        return;
    }
    let why = deployment_status::superseded(&scope.request.spec.sha, &revision.sha);
    let report = deployment_status::inactive(id, &why, None);
    let writes = &scope.context.publisher.deployment_statuses;
    if matches!(writes.look_in(&environment, id), WriteProgress::Idle) {
        let (forge, name, wanted) = (Arc::clone(&scope.forge), scope.name.clone(), report.clone());
        writes.start_in(&environment, id, report, async move {
            Ok(forge.create_deployment_status(&name, &wanted).await?)
        });
    }
}
