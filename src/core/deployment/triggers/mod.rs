//! Triggers: which objects Matinee writes because of an event.

mod checks;
mod comment;
mod deployment;
mod deployment_status;
mod pull_request;
mod push;

pub use self::comment::is_too_old;
pub use self::push::branches;

use kube::ResourceExt as _;

use crate::api::{
    DeploymentCommandSpec, DeploymentRequestSpec, LocalReference, PreviewEnvironmentSpec, PreviewRepository,
    PullRequestReference, RepositoryEnvironment, RequestedBy,
};
use crate::core::event::Event;
use crate::core::forge::RepositoryName;
use crate::core::naming;

/// A change to the cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Write a `DeploymentRequest`, since a trigger wants a deployment.
    Request {
        /// Namespace of the PreviewRepository.
        namespace: String,
        /// Name of the request. It is the same for every event that leads to this request.
        name: String,
        /// Its spec.
        spec: DeploymentRequestSpec,
        /// The pull request's version: with a new one, a refused request is reconciled again.
        /// `None` when no pull request led to the request; then an existing request is left
        /// unchanged.
        version: Option<String>,
    },
    /// Write a `PreviewEnvironment`, since a deployment has to be deployed.
    Deploy {
        /// Namespace of the PreviewRepository.
        namespace: String,
        /// Name of the environment's object.
        name: String,
        /// Its spec.
        spec: Box<PreviewEnvironmentSpec>,
        /// UID of the request that created the deployment; `None` when somebody else created it. A
        /// deployment with a request ends when its request is deleted. It is deployed once: an old
        /// event doesn't bring back an environment that has ended.
        request: Option<String>,
    },
    /// Reconcile the preview of a pull request, which may have to be deleted.
    Reconcile {
        /// Namespace of the PreviewRepository.
        namespace: String,
        /// Name of the PreviewRepository.
        repository: String,
        /// The pull request.
        number: i64,
        /// Its version.
        version: String,
    },
    /// Reconcile the request that created a deployment, and the requests that wait for other
    /// environments (`gates.after`), since the deployment has a new status.
    Followed {
        /// Namespace of the PreviewRepository.
        namespace: String,
        /// Name of the PreviewRepository.
        repository: String,
        /// The deployment.
        deployment_id: i64,
    },
    /// Reconcile the requests for a commit, since its checks may have changed.
    Checked {
        /// Namespace of the PreviewRepository.
        namespace: String,
        /// Name of the PreviewRepository.
        repository: String,
        /// The commit.
        sha: String,
    },
    /// Write a `DeploymentCommand`, since somebody gave a command.
    Command {
        /// Namespace of the PreviewRepository.
        namespace: String,
        /// Name of the command. It is the same for every event about the comment.
        name: String,
        /// Its spec.
        spec: DeploymentCommandSpec,
    },
}

/// Returns the changes that an event leads to.
///
/// Only PreviewRepositories that own the environment act (see
/// [`ownership`](crate::core::deployment::ownership)). Classes and gates are checked later, where a
/// refusal can be shown.
pub fn changes(event: &Event, repositories: &[&PreviewRepository], cluster: &str) -> Vec<Change> {
    let Some(name) = event.repository() else { return Vec::new() };
    let mut changes = Vec::new();
    for repository in repositories {
        if !repository.spec.repository.parse::<RepositoryName>().is_ok_and(|parsed| parsed == *name) {
            continue;
        }
        changes.extend(match event {
            Event::PullRequest { pull_request, .. } => {
                pull_request::changes(repositories, repository, pull_request)
            }
            Event::Deployment { deployment, .. } => {
                deployment::changes(repositories, repository, deployment, cluster)
            }
            Event::DeploymentStatus { deployment, status, .. } => {
                deployment_status::changes(repositories, repository, deployment, status)
            }
            Event::Push { branch, sha, .. } => push::changes(repositories, repository, branch, sha),
            Event::Checks { sha, .. } => checks::changes(repository, sha),
            Event::Comment { comment, .. } => comment::changes(repositories, repository, comment),
            Event::Ping => Vec::new(),
        });
    }
    changes
}

/// Returns whether a request is for the same place as an environment: the same entry of the same
/// PreviewRepository, and the same pull request or none.
pub fn is_request_of(request: &DeploymentRequestSpec, environment: &PreviewEnvironmentSpec) -> bool {
    request.repository_ref == environment.repository_ref
        && request.environment == environment.environment
        && request.pull_request == environment.pull_request
}

/// Returns name and spec of the request for a commit, without the fields that only some triggers
/// set.
fn request(
    repository: &PreviewRepository,
    environment: &RepositoryEnvironment,
    pull_request: Option<i64>,
    sha: &str,
    requested_by: RequestedBy,
) -> (String, DeploymentRequestSpec) {
    let name = naming::deployment_request(&repository.name_any(), &environment.name, pull_request, sha);
    let spec = DeploymentRequestSpec {
        repository_ref: LocalReference { name: repository.name_any() },
        environment: environment.name.clone(),
        sha: sha.to_owned(),
        pull_request: pull_request.map(|number| PullRequestReference { number }),
        requested_by,
        parameters: Vec::new(),
        force: false,
        not_before: None,
    };
    (name, spec)
}

#[cfg(test)]
mod tests;
