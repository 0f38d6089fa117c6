//! Identities of objects that several modules compare.

use kube::ResourceExt as _;

use crate::api::{DeploymentRequest, PreviewEnvironment};

/// The environment that a request or a PreviewEnvironment is for: the entry of a PreviewRepository,
/// and the pull request if each has its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvironmentKey {
    /// Namespace of the PreviewRepository, which is also that of the request and the environment.
    pub namespace: String,
    /// Name of the PreviewRepository.
    pub repository: String,
    /// Name of the environment in the PreviewRepository.
    pub environment: String,
    /// Number of the pull request, if there is one.
    pub pull_request: Option<i64>,
}

impl From<&DeploymentRequest> for EnvironmentKey {
    fn from(request: &DeploymentRequest) -> Self {
        Self {
            namespace: request.namespace().unwrap_or_default(),
            repository: request.spec.repository_ref.name.clone(),
            environment: request.spec.environment.clone(),
            pull_request: request.spec.pull_request.as_ref().map(|reference| reference.number),
        }
    }
}

impl From<&PreviewEnvironment> for EnvironmentKey {
    fn from(environment: &PreviewEnvironment) -> Self {
        Self {
            namespace: environment.namespace().unwrap_or_default(),
            repository: environment.spec.repository_ref.name.clone(),
            environment: environment.spec.environment.clone(),
            pull_request: environment.spec.pull_request.as_ref().map(|reference| reference.number),
        }
    }
}
