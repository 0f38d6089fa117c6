//! Reconciles PreviewClasses and PreviewTemplates: checks that their content is valid.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use kube::runtime::controller::Action;

use crate::api::{
    PreviewClass, PreviewClassStatus, PreviewEnvironment, PreviewRepository, PreviewTemplate,
    PreviewTemplateStatus, find_condition,
};
use crate::core::class_limits;
use crate::core::conditions::{self, Summary};
use crate::core::environment::status;
use crate::core::mistake::{Mistake, Reason};
use crate::ports::{Renderer, Secrets};
use crate::runtime::common::Common;
use crate::runtime::failure::Failure;
use crate::runtime::objects::Key;
use crate::runtime::{events, write};

/// All conditions of a class and of a template.
pub(super) const CONDITIONS: [&str; 3] = [conditions::READY, conditions::RECONCILING, conditions::STALLED];
/// Time between two checks whether the API server still rejects what an environment applied for its
/// class.
const STILL_REJECTED: std::time::Duration = std::time::Duration::from_secs(5);
/// Time until a missing Secret is read again. Secrets aren't watched.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_mins(1);

/// Dependencies of the reconciles of classes and templates.
pub struct ClassAndTemplateContext {
    pub(super) common: Arc<Common>,
    pub(super) secrets: Arc<dyn Secrets>,
    pub(super) renderer: Arc<dyn Renderer>,
}

/// Reconciles a class, within the runner's limits.
pub fn reconcile_class(
    class: Arc<PreviewClass>,
    context: Arc<ClassAndTemplateContext>,
) -> BoxFuture<'static, Result<Action, Failure>> {
    async move {
        let class = context.common.objects.classes.newest(class);
        let secret = &class.spec.forge.github.secret_name;
        let there = context.secrets.secret(secret).await?.is_some();
        let rejected = rejected_by_api_server(&class, &context.common);
        let missing = (!there).then(|| Mistake {
            reason: Reason::SecretMissing,
            message: format!(
                "PreviewClass {}: spec.forge.github.secretName: there is no Secret {}/{secret}: create it with token, or with appId and privateKey",
                class.name_any(),
                context.common.settings.own_namespace,
            ),
        });
        let mistake = class_limits::check(&class).err().or(missing).or(rejected.clone());
        let before = class.status.as_ref();
        let known = before.map(|status| status.conditions.clone()).unwrap_or_default();
        let (observed_generation, conditions) =
            conclude(known, class.metadata.generation.unwrap_or_default(), mistake, &context.common);
        let status = PreviewClassStatus { observed_generation, conditions };
        if before != Some(&status) {
            let written = write::status(&*context.common.cluster, write::CONFIGURATION, &*class, &status).await?;
            context.common.objects.classes.wrote(written);
            let known = before.map(|before| before.conditions.as_slice()).unwrap_or_default();
            events::of_trouble(write::reference(&*class), known, &status.conditions, &context.common).await;
        }
        Ok(match (there, rejected) {
            (_, Some(_)) => Action::requeue(STILL_REJECTED),
            (true, None) => Action::await_change(),
            (false, None) => Action::requeue(LOOK_AGAIN),
        })
    }
    .boxed()
}

/// Returns the mistake in the class that only an environment shows, because the API server rejects
/// a guard rail. Once the environment reports no such mistake, neither does the class.
fn rejected_by_api_server(class: &PreviewClass, common: &Common) -> Option<Mistake> {
    let named = [Some(class.name_any()), None];
    let repositories = named.into_iter().flat_map(|name| common.objects.repositories.with(&Key::Class(name)));
    let of_class = |repository: &Arc<PreviewRepository>| {
        common.known_class_of(repository).is_some_and(|known| known.uid() == class.uid())
    };
    let environments = repositories.filter(of_class).flat_map(|repository| {
        let namespace = repository.namespace().unwrap_or_default();
        common.objects.environments.with(&Key::Repository(namespace, repository.name_any()))
    });
    let message =
        environments.into_iter().find_map(|environment| refused(&environment).map(str::to_owned))?;
    Some(Mistake { reason: Reason::ClassInvalid, message })
}

/// Returns the class of the environment, if the API server rejects a guard rail.
pub(super) fn refused_class(environment: &PreviewEnvironment, common: &Common) -> Option<Arc<PreviewClass>> {
    refused(environment)?;
    let namespace = environment.namespace().unwrap_or_default();
    let repository = common.objects.repositories.get(&namespace, &environment.spec.repository_ref.name)?;
    common.known_class_of(&repository)
}

/// Returns the message with which the API server rejected a guard rail.
fn refused(environment: &PreviewEnvironment) -> Option<&str> {
    let applied = find_condition(&environment.status.as_ref()?.conditions, status::APPLIED)?;
    let lives = environment.metadata.deletion_timestamp.is_none();
    (lives && Reason::ClassInvalid == *applied.reason).then_some(applied.message.as_str())
}

/// Reconciles a template, within the runner's limits.
pub fn reconcile_template(
    template: Arc<PreviewTemplate>,
    context: Arc<ClassAndTemplateContext>,
) -> BoxFuture<'static, Result<Action, Failure>> {
    async move {
        let template = context.common.objects.templates.newest(template);
        let mistake = context.renderer.check(&template.spec).err().map(|mistake| Mistake {
            message: format!("PreviewTemplate {}: {}", template.name_any(), mistake.message),
            ..mistake
        });
        let before = template.status.as_ref();
        let known = before.map(|status| status.conditions.clone()).unwrap_or_default();
        let (observed_generation, conditions) =
            conclude(known, template.metadata.generation.unwrap_or_default(), mistake, &context.common);
        let status = PreviewTemplateStatus { observed_generation, conditions };
        if before != Some(&status) {
            let written =
                write::status(&*context.common.cluster, write::CONFIGURATION, &*template, &status).await?;
            context.common.objects.templates.wrote(written);
            let known = before.map(|before| before.conditions.as_slice()).unwrap_or_default();
            events::of_trouble(write::reference(&*template), known, &status.conditions, &context.common)
                .await;
        }
        Ok(Action::await_change())
    }
    .boxed()
}

fn conclude(
    mut conditions: Vec<Condition>,
    generation: i64,
    mistake: Option<Mistake>,
    common: &Common,
) -> (i64, Vec<Condition>) {
    let now = common.clock.now();
    conditions::initialize(&mut conditions, &CONDITIONS, generation, now);
    let summary = match mistake {
        None => Summary::Ready { reason: "Ready".to_owned(), message: String::new() },
        Some(Mistake { reason, message }) => Summary::Stalled { reason: reason.to_string(), message },
    };
    conditions::summarize(&mut conditions, &summary, generation, now);
    (generation, conditions)
}
