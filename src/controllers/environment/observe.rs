//! Step 1: what there is in the cluster for an environment. Reads the watched stores, makes no request.

use std::sync::Arc;

use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;

use crate::api::{PreviewClass, PreviewEnvironment, PreviewTemplate, Repository};
use crate::controllers::Context;
use crate::core::target::Mistake;
use crate::core::validate::{self, Admitted, Found};

/// Everything that an environment refers to, and what it shares the cluster with.
pub(super) struct Observed {
    repository: Option<Arc<Repository>>,
    class: Option<Arc<PreviewClass>>,
    template: Option<Arc<PreviewTemplate>>,
    repositories: Vec<Arc<Repository>>,
    environments: Vec<Arc<PreviewEnvironment>>,
}

impl Observed {
    pub(super) fn of(environment: &PreviewEnvironment, context: &Context) -> Self {
        let namespace = environment.namespace().unwrap_or_default();
        let spec = &environment.spec;
        let repository =
            context.repositories.get(&ObjectRef::new(&spec.repository_ref.name).within(&namespace));
        let class = repository
            .as_ref()
            .and_then(|repository| context.classes.get(&ObjectRef::new(&repository.spec.class_name)));
        let deploy = repository
            .as_ref()
            .and_then(|repository| {
                repository.spec.environments.iter().find(|entry| entry.name == spec.environment)
            })
            .and_then(|entry| entry.deploy.as_ref());
        let template = deploy.and_then(|deploy| {
            context.templates.get(&ObjectRef::new(&deploy.template_ref.name).within(&namespace))
        });
        Self {
            repository,
            class,
            template,
            repositories: context.repositories.state(),
            environments: context.environments.state(),
        }
    }

    pub(super) fn repositories(&self) -> Vec<&Repository> {
        self.repositories.iter().map(AsRef::as_ref).collect()
    }

    pub(super) fn environments(&self) -> Vec<&PreviewEnvironment> {
        self.environments.iter().map(AsRef::as_ref).collect()
    }

    pub(super) fn found<'a>(
        &'a self,
        repositories: &'a [&'a Repository],
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
        validate::admit(
            &environment.namespace().unwrap_or_default(),
            &spec.repository_ref.name,
            &spec.environment,
            self.repository.as_deref(),
            self.class.as_deref(),
            &self.repositories(),
        )
    }
}
