//! Step 1: finds the objects to which an environment refers, and authorizes it. Reads the index, and
//! calls the API server only for what the index lacks.

use std::sync::Arc;

use kube::ResourceExt as _;

use crate::api::{PreviewClass, PreviewEnvironment, PreviewRepository, PreviewTemplate};
use crate::core::environment::resolve::{self, Admitted};
use crate::core::mistake::Mistake;
use crate::ports::ClusterError;
use crate::runtime::common::Common;

/// The objects to which an environment refers.
pub(super) struct References {
    repository: Option<Arc<PreviewRepository>>,
    class: Option<Arc<PreviewClass>>,
    pub(super) template: Option<Arc<PreviewTemplate>>,
    /// The PreviewRepositories that may have the same environment.
    rivals: Vec<Arc<PreviewRepository>>,
}

impl References {
    pub(super) async fn of(environment: &PreviewEnvironment, common: &Common) -> Result<Self, ClusterError> {
        let namespace = environment.namespace().unwrap_or_default();
        let spec = &environment.spec;
        let repository = common.repository(&namespace, &spec.repository_ref.name).await?;
        let class = common.class_of(repository.as_deref()).await?;
        let deploy = repository
            .as_ref()
            .and_then(|repository| {
                repository.spec.environments.iter().find(|entry| entry.name == spec.environment)
            })
            .and_then(|entry| entry.deploy.as_ref());
        let template = match deploy {
            Some(deploy) => common.template(&namespace, &deploy.template.reference.name).await?,
            None => None,
        };
        let rivals = repository.as_ref().map(|repository| common.objects.repositories.rivals(repository));
        Ok(Self { repository, class, template, rivals: rivals.unwrap_or_default() })
    }

    /// Checks that the class admits the PreviewRepository, and that the PreviewRepository owns the
    /// environment. Nothing is read from GitHub or applied without the result.
    pub(super) fn authorize(&self, environment: &PreviewEnvironment) -> Result<Admitted<'_>, Mistake> {
        let spec = &environment.spec;
        resolve::admit(
            &environment.namespace().unwrap_or_default(),
            &spec.repository_ref.name,
            &spec.environment,
            self.repository.as_deref(),
            self.class.as_deref(),
            &self.rivals,
        )
    }
}
