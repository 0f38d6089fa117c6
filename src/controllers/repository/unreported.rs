//! Deployments that have no environment or request, so that nobody else reports their end.

use std::sync::Arc;

use kube::ResourceExt as _;

use super::RepositoryContext;
use super::sweep::newest;
use crate::api::{DeploymentReport, DeploymentState, PreviewRepository};
use crate::core::deployment::ownership;
use crate::core::deployment::payload::Mark;
use crate::core::forge::{Deployment, RepositoryName};
use crate::core::mistake::{Mistake, Reason};
use crate::core::naming;
use crate::core::publish::deployment_status;
use crate::ports::Forge;
use crate::runtime::failure::Failure;
use crate::runtime::objects::Key;
use crate::runtime::publisher::Publisher;

/// Makes deployments inactive whose request was deleted while they were being created, for example
/// because the pull request was closed.
pub(super) async fn orphaned(
    repository: &PreviewRepository,
    name: &RepositoryName,
    deployments: &[Deployment],
    forge: &Arc<dyn Forge>,
    context: &RepositoryContext,
) -> Result<(), Failure> {
    let objects = &context.common.objects;
    let is_known = |request: &str, id: i64| {
        objects.requests.by_uid(request).is_some()
            || !objects.environments.with(&Key::Deployment(id)).is_empty()
    };
    let deployed: Vec<_> =
        repository.spec.environments.iter().filter(|entry| entry.deploy.is_some()).collect();
    for deployment in deployment_status::orphaned(
        deployments,
        &context.common.settings.cluster_id,
        is_known,
        context.common.clock.now(),
    ) {
        let is_ours =
            deployed.iter().any(|entry| naming::pull_request_of(entry, &deployment.environment).is_some());
        if !is_ours || forge.deployment_state(name, deployment.id).await?.is_some() {
            continue;
        }
        let report = deployment_status::inactive(deployment.id, "its request is over", None);
        write_status(forge, name, report, &context.publisher);
    }
    Ok(())
}

/// Writes a deployment status through the write queue. After a failure, the next sweep that finds
/// the deployment without a status writes it.
fn write_status(
    forge: &Arc<dyn Forge>,
    name: &RepositoryName,
    report: DeploymentReport,
    publisher: &Publisher,
) {
    let (forge, name) = (Arc::clone(forge), name.clone());
    publisher.courtesy(async move {
        let (id, state) = (report.deployment_id, report.state.as_github());
        match forge.create_deployment_status(&name, &report).await {
            Ok(()) => {
                tracing::info!(repository = %name, deployment_id = id, state, "deployment status reported");
            }
            Err(error) => {
                tracing::warn!(repository = %name, deployment_id = id, state, %error, "failed to create deployment status, retrying");
            }
        }
    });
}

/// Reports an error on GitHub for the newest deployments whose environment can't be created because
/// its name is taken. A deployment with a status was reported before, or somebody else deploys it.
pub(super) async fn name_taken(
    repository: &PreviewRepository,
    name: &RepositoryName,
    deployments: &[Deployment],
    forge: &Arc<dyn Forge>,
    context: &RepositoryContext,
) -> Result<(), Failure> {
    let all = context.common.objects.repositories.rivals(repository);
    let all: Vec<_> = all.iter().map(AsRef::as_ref).collect();
    for entry in repository.spec.environments.iter().filter(|entry| entry.deploy.is_some()) {
        for (deployment, number) in newest(&[entry], deployments) {
            let object = naming::preview_environment(&repository.name_any(), &entry.name, number);
            let namespace = repository.namespace().unwrap_or_default();
            let existing = context.common.objects.environments.get(&namespace, &object);
            let own = ownership::holds(&all, repository, entry)
                .and_then(|()| ownership::is_own(repository, entry, number, existing.as_deref()));
            let Err(Mistake { reason: reason @ Reason::NameTaken, message }) = own else { continue };
            let other_cluster = Mark::find(&deployment.payload)
                .is_some_and(|mark| mark.cluster != context.common.settings.cluster_id);
            if other_cluster || forge.deployment_state(name, deployment.id).await?.is_some() {
                continue;
            }
            let report = DeploymentReport {
                deployment_id: deployment.id,
                state: DeploymentState::Error,
                description: deployment_status::description(&format!("{reason}: {message}")),
                environment_url: None,
                log_url: None,
            };
            write_status(forge, name, report, &context.publisher);
        }
    }
    Ok(())
}
