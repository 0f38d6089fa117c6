//! Deletes requests: the oldest ones of an environment, and all of an environment that is deleted.

use kube::ResourceExt as _;

use super::{RequestContext, environments_of, is_over, of_environment};
use crate::api::{DeploymentRequest, PreviewEnvironment};
use crate::core::deployment::gates::supersession;
use crate::core::identity::EnvironmentKey;
use crate::ports::Actor;
use crate::runtime::failure::Failure;
use crate::runtime::objects::Key;
use crate::runtime::write;

/// Requests kept per environment and pull request.
const KEPT: usize = 5;

/// Whether an environment deploys the deployment that the request created.
pub(super) fn is_live(request: &DeploymentRequest, context: &RequestContext) -> bool {
    let Some(id) = request.status.as_ref().and_then(|status| status.deployment_id) else { return false };
    environments_of(request, &context.common).iter().any(|environment| {
        environment.metadata.deletion_timestamp.is_none()
            && environment.spec.revision.deployment_id == Some(id)
    })
}

pub(super) async fn delete(request: &DeploymentRequest, context: &RequestContext) -> Result<(), Failure> {
    let kind = write::kind::<DeploymentRequest>();
    let uid = request.uid().unwrap_or_default();
    context
        .common
        .cluster
        .delete(&Actor::Operator, &kind, request.namespace().as_deref(), &request.name_any(), &uid)
        .await?;
    context.common.objects.requests.deleted(request);
    context.forget(request);
    Ok(())
}

/// Deletes all requests of an environment that is about to be deleted, and makes the next sweep run
/// in full.
/// If the pull request was just reopened or selected again, that sweep creates a new request.
pub(in crate::controllers) async fn end_with(
    environment: &PreviewEnvironment,
    context: &RequestContext,
) -> Result<(), Failure> {
    let spec = &environment.spec;
    let namespace = environment.namespace().unwrap_or_default();
    for request in of_environment(environment, &context.common) {
        if request.metadata.deletion_timestamp.is_none() {
            delete(&request, context).await?;
        }
    }
    if let Some(repository) = context.common.repository(&namespace, &spec.repository_ref.name).await? {
        context.sweeps.forget(&repository.uid().unwrap_or_default());
    }
    Ok(())
}

/// Deletes the oldest requests of an environment. The newest [`KEPT`] stay.
pub(super) async fn delete_oldest(
    request: &DeploymentRequest,
    context: &RequestContext,
) -> Result<(), Failure> {
    let siblings = context.common.objects.requests.with(&Key::Environment(EnvironmentKey::from(request)));
    let siblings: Vec<&DeploymentRequest> = siblings.iter().map(AsRef::as_ref).collect();
    for old in supersession::surplus(&siblings, KEPT).into_iter().filter(|old| is_over(old)) {
        delete(old, context).await?;
    }
    Ok(())
}
