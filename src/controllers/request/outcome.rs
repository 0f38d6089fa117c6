//! State of the deployment on GitHub. For deployments that Matinee deploys, it is known without a
//! call.

use std::sync::Arc;

use super::RequestScope;
use crate::api::{DeploymentReport, DeploymentState, PreviewEnvironment, PreviewEnvironmentStatus};
use crate::core::deployment::gates::supersession;
use crate::core::environment::status;
use crate::core::forge::StatusState;
use crate::core::publish::deployment_status;
use crate::ports::ForgeError;
use crate::runtime::publisher::WriteProgress;

/// State of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controllers) enum Followed {
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

/// Returns the state of the request's deployment.
pub(super) async fn follow(scope: &RequestScope<'_>, id: i64) -> Result<Followed, ForgeError> {
    let request = scope.request;
    let ours = super::environments_of(request, &scope.context.common).into_iter().next();
    let known = ours.as_ref().and_then(|environment| environment.status.as_ref());
    if let Some(status) = known {
        let reported = status.reported.iter().find(|reported| reported.deployment_id == id);
        if let Some(reported) = reported {
            return Ok(by_report(reported, status));
        }
        if status.report.iter().any(|wanted| wanted.deployment_id == id) {
            return Ok(Followed::UnderWay);
        }
    }
    if scope.admitted.entry.deploy.is_some()
        && ours.as_ref().is_some_and(|environment| environment.spec.revision.deployment_id <= Some(id))
    {
        // The environment has not reported this deployment yet. Its first status enqueues the
        // request.
        return Ok(Followed::UnderWay);
    }
    let statuses = scope.forge.deployment_statuses(&scope.name, id).await?;
    let Some(newest) = statuses.items.first() else { return Ok(without_status(scope, id, ours.as_deref())) };
    let was_live = statuses.items.iter().find(|status| status.state == StatusState::Success);
    Ok(match (&newest.state, was_live) {
        (state, _) if state.is_failed() => Followed::Failed { cause: newest.description.clone() },
        // It is a success that it was live once, also when another one has taken its place since.
        (StatusState::Success | StatusState::Inactive, Some(live)) => {
            Followed::Live { url: live.environment_url.clone() }
        }
        (StatusState::Inactive, None) => Followed::Inactive,
        _ => Followed::UnderWay,
    })
}

/// A deployment without a status is under way, unless a newer one has replaced it.
fn without_status(scope: &RequestScope<'_>, id: i64, ours: Option<&PreviewEnvironment>) -> Followed {
    if scope.admitted.entry.deploy.is_none() {
        let all = scope.siblings();
        let is_replaced = supersession::is_replaced(scope.request, id, all.iter().map(AsRef::as_ref));
        return if is_replaced { Followed::Inactive } else { Followed::UnderWay };
    }
    if let Some(environment) = ours
        && environment.spec.revision.deployment_id > Some(id)
        && !status::is_first_look(environment.status.as_ref(), &environment.spec.revision)
    {
        // The environment was reconciled for a newer deployment, and doesn't report this one any
        // more.
        let why = deployment_status::superseded(&scope.request.spec.sha, &environment.spec.revision.sha);
        let report = deployment_status::inactive(id, &why, None);
        let writes = &scope.context.publisher.deployment_statuses;
        if matches!(writes.look_in(environment, id), WriteProgress::Idle) {
            let (forge, name, wanted) = (Arc::clone(&scope.forge), scope.name.clone(), report.clone());
            writes.start_in(environment, id, report, async move {
                Ok(forge.create_deployment_status(&name, &wanted).await?)
            });
        }
    }
    Followed::UnderWay
}

fn by_report(reported: &DeploymentReport, status: &PreviewEnvironmentStatus) -> Followed {
    let was_ready = || {
        let mut attempts = status.history.iter();
        attempts.any(|attempt| {
            attempt.deployment_id == Some(reported.deployment_id) && attempt.ready_time.is_some()
        })
    };
    match reported.state {
        DeploymentState::Queued | DeploymentState::InProgress => Followed::UnderWay,
        DeploymentState::Success => Followed::Live { url: reported.environment_url.clone() },
        DeploymentState::Failure | DeploymentState::Error => {
            Followed::Failed { cause: reported.description.clone() }
        }
        // A deployment that was live keeps its URL when it becomes inactive. Without endpoints it
        // never had one.
        DeploymentState::Inactive if reported.environment_url.is_some() || was_ready() => {
            Followed::Live { url: reported.environment_url.clone() }
        }
        DeploymentState::Inactive => Followed::Inactive,
    }
}
