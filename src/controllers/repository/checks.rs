//! Checks of a PreviewRepository's configuration, without GitHub.

use kube::ResourceExt as _;

use super::RepositoryContext;
use crate::api::{PreviewClass, PreviewRepository};
use crate::core::deployment::{ownership, promotion};
use crate::core::environment::resolve;
use crate::core::mistake::Mistake;
use crate::core::naming::{self, Belongs};
use crate::ports::ClusterError;
use crate::runtime::objects::Key;

/// Results of the checks.
pub(super) struct Checked {
    /// Whether the class admits the PreviewRepository.
    pub(super) class: Result<(), Mistake>,
    /// Whether the environments follow each other without a loop.
    pub(super) promotion: Result<(), Mistake>,
    /// Whether no other PreviewRepository has the environments or their names.
    pub(super) claims: Result<(), Mistake>,
    patterns: Result<(), Mistake>,
    templates: Result<(), Mistake>,
    /// The environments that the PreviewRepository owns.
    pub(super) held: Vec<String>,
}

impl Checked {
    /// Returns the first mistake.
    pub(super) fn mistake(&self) -> Option<&Mistake> {
        [&self.class, &self.promotion, &self.claims, &self.patterns, &self.templates]
            .into_iter()
            .find_map(|result| result.as_ref().err())
    }
}

/// Checks everything.
pub(super) async fn check(
    repository: &PreviewRepository,
    class: Option<&PreviewClass>,
    context: &RepositoryContext,
) -> Result<Checked, ClusterError> {
    let rivals = context.common.objects.repositories.rivals(repository);
    let rivals: Vec<_> = rivals.iter().map(AsRef::as_ref).collect();
    let claims: Vec<_> = repository
        .spec
        .environments
        .iter()
        .map(|entry| (&entry.name, ownership::holds(&rivals, repository, entry)))
        .collect();
    let held = claims.iter().filter(|(_, holds)| holds.is_ok()).map(|(name, _)| (*name).clone()).collect();
    let claims = claims.into_iter().try_for_each(|(_, holds)| holds);
    Ok(Checked {
        class: usable(repository, class),
        promotion: promotion::check(repository),
        claims: claims.and_then(|()| own_names(repository, context)),
        patterns: resolve::patterns(repository),
        templates: templates(repository, context).await?,
        held,
    })
}

/// Checks that no foreign PreviewEnvironment has the name of one of this PreviewRepository's
/// environments.
fn own_names(repository: &PreviewRepository, context: &RepositoryContext) -> Result<(), Mistake> {
    let deployed = repository.spec.environments.iter().filter(|entry| entry.deploy.is_some());
    let name = repository.name_any();
    let namespace = Key::Namespace(repository.namespace().unwrap_or_default());
    let neighbours = context.common.objects.environments.with(&namespace);
    for entry in deployed {
        let named = neighbours
            .iter()
            .filter(|environment| naming::meaning(&environment.name_any(), &name, entry).is_some());
        for existing in named {
            let belongs = naming::meaning(&existing.name_any(), &name, entry);
            let number = belongs.and_then(Belongs::pull_request);
            ownership::is_own(repository, entry, number, Some(existing))?;
        }
    }
    Ok(())
}

/// Checks that the class exists and admits the PreviewRepository.
fn usable(repository: &PreviewRepository, class: Option<&PreviewClass>) -> Result<(), Mistake> {
    let class = class.ok_or_else(|| resolve::class_missing(repository))?;
    ownership::class_admits(class, repository)
}

/// Checks that the templates of all entries exist.
async fn templates(
    repository: &PreviewRepository,
    context: &RepositoryContext,
) -> Result<Result<(), Mistake>, ClusterError> {
    let namespace = repository.namespace().unwrap_or_default();
    for entry in &repository.spec.environments {
        let Some(deploy) = &entry.deploy else { continue };
        let template = &deploy.template.reference.name;
        if context.common.template(&namespace, template).await?.is_none() {
            return Ok(Err(resolve::template_missing(repository, entry, template)));
        }
    }
    Ok(Ok(()))
}
