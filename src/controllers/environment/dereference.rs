//! Step 1: collects the objects in the cluster that an environment depends on. Reads the watched
//! stores, and calls the API server only for the rest.

use std::sync::Arc;

use kube::ResourceExt as _;

use crate::api::{PreviewClass, PreviewEnvironment, PreviewRepository, PreviewTemplate};
use crate::controllers::Context;
use crate::core::environment::resolve::{self, Admitted, Found};
use crate::core::environment::resolved::Mistake;
use crate::ports::ClusterError;

/// All objects to which an environment refers, and those with which it shares the cluster.
pub(super) struct Observed {
    repository: Option<Arc<PreviewRepository>>,
    class: Option<Arc<PreviewClass>>,
    template: Option<Arc<PreviewTemplate>>,
    repositories: Vec<Arc<PreviewRepository>>,
    environments: Vec<Arc<PreviewEnvironment>>,
}

impl Observed {
    pub(super) async fn of(
        environment: &PreviewEnvironment,
        context: &Context,
    ) -> Result<Self, ClusterError> {
        let namespace = environment.namespace().unwrap_or_default();
        let spec = &environment.spec;
        let repository = context.repository(&namespace, &spec.repository_ref.name).await?;
        let class = context.class_of(repository.as_deref()).await?;
        let deploy = repository
            .as_ref()
            .and_then(|repository| {
                repository.spec.environments.iter().find(|entry| entry.name == spec.environment)
            })
            .and_then(|entry| entry.deploy.as_ref());
        let template = match deploy {
            Some(deploy) => context.template(&namespace, &deploy.template.reference.name).await?,
            None => None,
        };
        Ok(Self {
            repository,
            class,
            template,
            repositories: context.repositories.state(),
            environments: context.environments.state(),
        })
    }

    pub(super) fn repositories(&self) -> Vec<&PreviewRepository> {
        self.repositories.iter().map(AsRef::as_ref).collect()
    }

    pub(super) fn environments(&self) -> Vec<&PreviewEnvironment> {
        self.environments.iter().map(AsRef::as_ref).collect()
    }

    pub(super) fn found<'a>(
        &'a self,
        repositories: &'a [&'a PreviewRepository],
        environments: &'a [&'a PreviewEnvironment],
    ) -> Found<'a> {
        Found {
            repository: self.repository.as_deref(),
            class: self.class.as_deref(),
            template: self.template.as_deref(),
            repositories,
            environments,
        }
    }

    pub(super) fn admit(&self, environment: &PreviewEnvironment) -> Result<Admitted<'_>, Mistake> {
        let spec = &environment.spec;
        resolve::admit(
            &environment.namespace().unwrap_or_default(),
            &spec.repository_ref.name,
            &spec.environment,
            self.repository.as_deref(),
            self.class.as_deref(),
            &self.repositories(),
        )
    }
}
