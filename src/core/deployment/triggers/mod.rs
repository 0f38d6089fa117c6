//! What an event changes: which objects are written because of it.

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

/// One change to make in the cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A deployment is wanted: write a `DeploymentRequest`.
    Request {
        /// Namespace of the PreviewRepository.
        namespace: String,
        /// Name of the request, the same however often and in whatever way the wish is learned.
        name: String,
        /// Its spec.
        spec: DeploymentRequestSpec,
        /// The pull request's version, so that a request that was refused is looked at again. `None` where no pull request
        /// asked: a request that is there already is left as it is.
        version: Option<String>,
    },
    /// A deployment is to be carried out: write a `PreviewEnvironment`.
    CarryOut {
        /// Namespace of the PreviewRepository.
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
        /// Namespace of the PreviewRepository.
        namespace: String,
        /// Name of the PreviewRepository.
        repository: String,
        /// The pull request.
        number: i64,
        /// Its version.
        version: String,
    },
    /// A deployment has a new status: have the request looked at that created it, and those that wait for other environments (`gates.after`).
    Followed {
        /// Namespace of the PreviewRepository.
        namespace: String,
        /// Name of the PreviewRepository.
        repository: String,
        /// The deployment.
        deployment_id: i64,
    },
    /// Checks of a commit may stand otherwise: have the requests for it looked at.
    Checked {
        /// Namespace of the PreviewRepository.
        namespace: String,
        /// Name of the PreviewRepository.
        repository: String,
        /// The commit.
        sha: String,
    },
    /// Somebody told Matinee to do something: write a `DeploymentCommand`.
    Command {
        /// Namespace of the PreviewRepository.
        namespace: String,
        /// Name of the command, the same however often the comment is learned of.
        name: String,
        /// Its spec.
        spec: DeploymentCommandSpec,
    },
}

/// Which changes an event asks for.
///
/// Only PreviewRepositories that hold the environment act (see [`claims`](crate::core::deployment::ownership)); classes and gates are checked later, where a refusal can be
/// shown.
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

/// Whether a request asks for the environment that another object is: the same entry of the same PreviewRepository, for the same pull request or for
/// none.
pub fn same_place(request: &DeploymentRequestSpec, environment: &PreviewEnvironmentSpec) -> bool {
    request.repository_ref == environment.repository_ref
        && request.environment == environment.environment
        && request.pull_request == environment.pull_request
}

/// Name and spec of the request for a commit, without anything that only some triggers know.
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
