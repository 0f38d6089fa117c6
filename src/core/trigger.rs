//! What an event changes: which objects are written because of it.

use kube::ResourceExt as _;
use serde_json::Value;

use super::event::Event;
use super::forge::{Deployment, PullRequest, RepositoryName};
use super::{claims, gate, names, payload};
use crate::api::{
    DeploymentRequestSpec, LocalReference, Origin, PreviewEnvironmentSpec, PullRequestReference, Repository,
    RequestedBy, Revision,
};

/// One change to make in the cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A deployment is wanted: write a `DeploymentRequest`.
    Request {
        /// Namespace of the Repository.
        namespace: String,
        /// Name of the request, the same however often and in whatever way the wish is learned.
        name: String,
        /// Its spec.
        spec: DeploymentRequestSpec,
        /// When GitHub last changed the pull request, so that a request that was refused is looked at again.
        updated_at: String,
    },
    /// A deployment is to be carried out: write a `PreviewEnvironment`.
    CarryOut {
        /// Namespace of the Repository.
        namespace: String,
        /// Name of the environment's object.
        name: String,
        /// Its spec.
        spec: Box<PreviewEnvironmentSpec>,
        /// UID of the request that had the deployment created; `None` when somebody else did. Such a deployment is over when its
        /// request is gone, and it is carried out once: an old event doesn't bring back what has ended since.
        request: Option<String>,
    },
    /// What there is for a pull request may have to go: have it looked at.
    LookAgain {
        /// Namespace of the Repository.
        namespace: String,
        /// Name of the Repository.
        repository: String,
        /// The pull request.
        number: i64,
        /// When GitHub last changed it.
        updated_at: String,
    },
}

/// Which changes an event asks for.
///
/// Only Repositories that hold the environment act (see [`claims`]); classes and gates are checked later, where a refusal can be shown.
pub fn changes(event: &Event, repositories: &[&Repository], cluster: &str) -> Vec<Change> {
    let name = match event {
        Event::PullRequest { repository, .. } | Event::Deployment { repository, .. } => repository,
        Event::Ping => return Vec::new(),
    };
    let mut changes = Vec::new();
    for repository in repositories {
        if !repository.spec.repository.parse::<RepositoryName>().is_ok_and(|parsed| parsed == *name) {
            continue;
        }
        match event {
            Event::PullRequest { pull_request, .. } => {
                changes.extend(for_pull_request(repositories, repository, pull_request));
            }
            Event::Deployment { deployment, .. } => {
                changes.extend(for_deployment(repositories, repository, deployment, cluster));
            }
            Event::Ping => {}
        }
    }
    changes
}

fn for_pull_request(
    repositories: &[&Repository],
    repository: &Repository,
    pull_request: &PullRequest,
) -> Vec<Change> {
    let namespace = repository.namespace().unwrap_or_default();
    let mut changes = Vec::new();
    let mut look_again = !pull_request.open;
    for environment in &repository.spec.environments {
        let Some(trigger) = environment.trigger.as_ref().and_then(|trigger| trigger.pull_request.as_ref())
        else {
            continue;
        };
        if !pull_request.open || gate::selects(trigger, pull_request).is_err() {
            look_again = true;
            continue;
        }
        if claims::holds(repositories, repository, environment).is_err() {
            continue;
        }
        let Some(github_environment) = names::github_environment(environment, Some(pull_request.number))
        else {
            continue;
        };
        changes.push(Change::Request {
            namespace: namespace.clone(),
            name: names::deployment_request(
                &repository.name_any(),
                &environment.name,
                Some(pull_request.number),
                &pull_request.head_sha,
            ),
            spec: DeploymentRequestSpec {
                repository_ref: LocalReference { name: repository.name_any() },
                environment: environment.name.clone(),
                github_environment,
                sha: pull_request.head_sha.clone(),
                pull_request: Some(PullRequestReference { number: pull_request.number }),
                requested_by: RequestedBy {
                    origin: Origin::PullRequest,
                    login: Some(gate::source(pull_request).author).filter(|login| !login.is_empty()),
                },
            },
            updated_at: pull_request.updated_at.clone(),
        });
    }
    if look_again {
        changes.push(Change::LookAgain {
            namespace,
            repository: repository.name_any(),
            number: pull_request.number,
            updated_at: pull_request.updated_at.clone(),
        });
    }
    changes
}

fn for_deployment(
    repositories: &[&Repository],
    repository: &Repository,
    deployment: &Deployment,
    cluster: &str,
) -> Vec<Change> {
    let mark = payload::Mark::find(&deployment.payload);
    if mark.as_ref().is_some_and(|mark| mark.cluster != cluster) {
        return Vec::new();
    }
    let mut changes = Vec::new();
    for environment in &repository.spec.environments {
        if environment.deploy.is_none() {
            continue;
        }
        let Some(belongs) = names::pull_request_of(environment, &deployment.environment) else { continue };
        let number = belongs.pull_request();
        let Some(github_environment) = names::github_environment(environment, number) else { continue };
        if claims::holds(repositories, repository, environment).is_err() {
            continue;
        }
        let rest = payload::without_mark(&deployment.payload);
        changes.push(Change::CarryOut {
            namespace: repository.namespace().unwrap_or_default(),
            name: names::preview_environment(&repository.name_any(), &environment.name, number),
            spec: Box::new(PreviewEnvironmentSpec {
                repository_ref: LocalReference { name: repository.name_any() },
                environment: environment.name.clone(),
                github_environment,
                pull_request: number.map(|number| PullRequestReference { number }),
                revision: Revision {
                    sha: deployment.sha.clone(),
                    deployment_id: Some(deployment.id),
                    payload: (!rest.is_empty()).then_some(Value::Object(rest)),
                },
                lifetime: None,
            }),
            request: mark.as_ref().map(|mark| mark.request_uid().to_owned()),
        });
    }
    changes
}
