//! A deployment of an environment: Matinee deploys it, even when somebody else created it.

use kube::ResourceExt as _;

use super::Change;
use crate::api::{LocalReference, PreviewEnvironmentSpec, PreviewRepository, PullRequestReference, Revision};
use crate::core::deployment::{ownership, payload};
use crate::core::forge::Deployment;
use crate::core::naming;

pub(super) fn changes(
    repositories: &[&PreviewRepository],
    repository: &PreviewRepository,
    deployment: &Deployment,
    cluster: &str,
) -> Vec<Change> {
    let mark = payload::Mark::find(&deployment.payload);
    if mark.as_ref().is_some_and(|mark| mark.cluster != cluster) {
        return Vec::new();
    }
    let given: Vec<_> = mark.iter().flat_map(payload::Mark::values).collect();
    let mut changes = Vec::new();
    for environment in &repository.spec.environments {
        if environment.deploy.is_none() {
            continue;
        }
        let Some(belongs) = naming::pull_request_of(environment, &deployment.environment) else { continue };
        let number = belongs.pull_request();
        let Some(github_environment) = naming::github_environment(environment, number) else { continue };
        if ownership::holds(repositories, repository, environment).is_err() {
            continue;
        }
        changes.push(Change::Deploy {
            namespace: repository.namespace().unwrap_or_default(),
            name: naming::preview_environment(&repository.name_any(), &environment.name, number),
            spec: Box::new(PreviewEnvironmentSpec {
                repository_ref: LocalReference { name: repository.name_any() },
                environment: environment.name.clone(),
                github_environment,
                pull_request: number.map(|number| PullRequestReference { number }),
                revision: Revision {
                    sha: deployment.sha.clone(),
                    deployment_id: Some(deployment.id),
                    payload: payload::without_mark(&deployment.payload),
                    parameters: given.clone(),
                },
                lifetime: None,
            }),
            request: mark.as_ref().map(|mark| mark.request_uid().to_owned()),
        });
    }
    changes
}
