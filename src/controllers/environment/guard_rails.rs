//! Applies the guard rails of an environment: its namespace, and the objects that confine it.
//! They come before the template's objects, and don't depend on the template: a class that becomes
//! stricter confines running previews too, whatever is wrong with their templates. A revision that
//! the class doesn't admit keeps the guard rails that it has, because new ones may be looser.

use std::time::Duration;

use kube::ResourceExt as _;
use kube::api::{DynamicObject, GroupVersionKind};

use super::objects::{ensure, kind_of, remember};
use super::{EnvironmentContext, EnvironmentScope, Stop};
use crate::api::{
    LABEL_ENVIRONMENT, LABEL_ENVIRONMENT_NAMESPACE, LABEL_ENVIRONMENT_UID, NamespaceReference, PreviewClass,
    PreviewEnvironment,
};
use crate::core::environment::plan::{self, GuardRails, refusal};
use crate::core::environment::reason::EnvironmentReason;
use crate::core::environment::resolved::Confinement;
use crate::core::environment::status::{Progress, Stage};
use crate::core::mistake::{Mistake, Reason};
use crate::ports::{Actor, ClusterError};
use crate::runtime::failure::Failure;
use crate::runtime::write;

/// Applies the class's guard rails to the namespace that the environment already has. Without one,
/// it does nothing: [`super::apply`] creates it.
pub(super) async fn apply_to_existing(
    scope: &mut EnvironmentScope<'_>,
    class: &PreviewClass,
) -> Result<(), Stop> {
    let EnvironmentScope { environment, context, .. } = *scope;
    let Some(namespace) = own_namespace(environment, context) else { return Ok(()) };
    let (environment_name, class_name) = (environment.name_any(), class.name_any());
    let environment_namespace = environment.namespace().unwrap_or_default();
    let confinement = Confinement {
        environment_name: &environment_name,
        environment_namespace: &environment_namespace,
        environment_uid: &environment.uid().unwrap_or_default(),
        repository_name: &environment.spec.repository_ref.name,
        pull_request: environment.spec.pull_request.as_ref().map(|reference| reference.number),
        namespace: &namespace,
        class_name: &class_name,
        class: &class.spec,
    };
    let guard_rails = plan::guard_rails(&confinement)?;
    apply(scope, &confinement, guard_rails).await.map(|_| ())
}

/// Returns the name of the environment's namespace if it exists and isn't being deleted.
fn own_namespace(environment: &PreviewEnvironment, context: &EnvironmentContext) -> Option<String> {
    let name = &environment.status.as_ref()?.namespace.as_ref()?.name;
    let live = context.live.find(&GroupVersionKind::gvk("", "v1", "Namespace"), None, name)?;
    let is_own = live.labels().get(LABEL_ENVIRONMENT_UID) == environment.uid().as_ref();
    (is_own && live.metadata.deletion_timestamp.is_none()).then(|| name.clone())
}

/// Creates or changes the namespace and the objects that confine it. Returns whether the API server
/// doesn't enforce the quota yet.
pub(super) async fn apply(
    scope: &mut EnvironmentScope<'_>,
    confinement: &Confinement<'_>,
    guard_rails: GuardRails,
) -> Result<bool, Stop> {
    let context = scope.context;
    let GuardRails { namespace, role_binding, resource_quota, limit_range, network_policy } = guard_rails;
    let held = hold_namespace(confinement, &namespace, context).await?;
    scope.findings.namespace = Some(NamespaceReference {
        name: confinement.namespace.to_owned(),
        uid: held.uid().unwrap_or_default(),
    });
    if network_policy.is_none() {
        // An earlier version of the class may have had one.
        remove_network_policy(confinement, context).await?;
    }
    // The API server takes a moment to see a new RoleBinding, so it comes first.
    match ensure(&Actor::Operator, &role_binding, context).await {
        Ok((_, written)) if written => context.memory.was_bound(confinement.namespace),
        Ok(_) => {}
        Err(error) => return Err(rail_refused(confinement, &role_binding, error)),
    }
    let rails = [Some(resource_quota), Some(limit_range), network_policy];
    let mut quota_is_pending = false;
    for rail in rails.into_iter().flatten() {
        match ensure(&Actor::Operator, &rail, context).await {
            Ok((live, _)) => quota_is_pending |= plan::is_quota_pending(&live, context.common.clock.now()),
            Err(error) => return Err(rail_refused(confinement, &rail, error)),
        }
    }
    Ok(quota_is_pending)
}

/// Creates the namespace, or checks that it belongs to this environment. Never changes a foreign
/// namespace.
async fn hold_namespace(
    confinement: &Confinement<'_>,
    namespace: &DynamicObject,
    context: &EnvironmentContext,
) -> Result<DynamicObject, Stop> {
    let kind = GroupVersionKind::gvk("", "v1", "Namespace");
    let known = match context.live.find(&kind, None, confinement.namespace) {
        Some(known) => Some((*known).clone()),
        None => match context.common.cluster.create(write::ENVIRONMENT, namespace).await {
            Ok(created) => {
                tracing::info!(
                    namespace = confinement.environment_namespace,
                    name = confinement.environment_name,
                    preview_namespace = confinement.namespace,
                    "namespace created"
                );
                remember(&created, context);
                return Ok(created);
            }
            Err(ClusterError::Conflict(_)) => {
                context.common.cluster.get(&Actor::Operator, &kind, None, confinement.namespace).await?
            }
            Err(ClusterError::Refused { message, .. }) => {
                return Err(namespace_refused(confinement, &message));
            }
            Err(error) => return Err(error.into()),
        },
    };
    let Some(known) = known else {
        // The namespace was deleted between the two requests.
        return Err(Failure::Soon {
            reason: "the namespace was just deleted".to_owned(),
            after: Duration::from_millis(200),
        }
        .into());
    };
    let labels = known.labels();
    let ours = labels.get(LABEL_ENVIRONMENT_UID).is_some_and(|uid| uid == confinement.environment_uid);
    if known.metadata.deletion_timestamp.is_some() {
        return Err(terminating(confinement.namespace));
    }
    if !ours {
        // A label contains only a part of a long name, so look for the environment by UID.
        let known = labels.get(LABEL_ENVIRONMENT_UID);
        let known = known.and_then(|uid| context.common.objects.environments.by_uid(uid));
        let known = known.map(|known| (known.namespace().unwrap_or_default(), known.name_any()));
        let labelled = || {
            Some((labels.get(LABEL_ENVIRONMENT_NAMESPACE)?.clone(), labels.get(LABEL_ENVIRONMENT)?.clone()))
        };
        let holder = match known.or_else(labelled) {
            Some((namespace, name)) => format!("PreviewEnvironment {namespace}/{name}"),
            None => "something else than Matinee".to_owned(),
        };
        let mistake = Mistake {
            reason: Reason::NamespaceTaken,
            message: format!(
                "namespace {} belongs to {holder}: rename one of the two PreviewRepository objects, or remove what holds the namespace",
                confinement.namespace
            ),
        };
        return Err(rejected(mistake));
    }
    let mut namespace = namespace.clone();
    // With the UID, the API server rejects the write if somebody else has recreated the namespace.
    namespace.metadata.uid = known.uid();
    match ensure(&Actor::Operator, &namespace, context).await {
        Ok((held, _)) => Ok(held),
        Err(ClusterError::Refused { message, .. }) => Err(namespace_refused(confinement, &message)),
        Err(error) => Err(error.into()),
    }
}

/// Waits until a namespace that is being deleted can be created again.
pub(super) fn terminating(namespace: &str) -> Stop {
    Stop::Report(Progress::Waiting {
        stage: Stage::Validate,
        reason: EnvironmentReason::NamespaceTerminating,
        message: format!("the previous namespace {namespace} is still being deleted"),
    })
}

/// Ends the reconcile because something can't be applied.
pub(super) fn rejected(mistake: Mistake) -> Stop {
    Stop::Report(Progress::Rejected { stage: Stage::Apply, mistake })
}

fn namespace_refused(confinement: &Confinement<'_>, message: &str) -> Stop {
    let message = format!("namespace {}: {message}: ask the platform team", confinement.namespace);
    rejected(Mistake { reason: Reason::ApplyForbidden, message })
}

/// Returns the mistake, in the class or in the operator's rights, that makes the API server reject
/// a guard rail.
fn rail_refused(confinement: &Confinement<'_>, rail: &DynamicObject, error: ClusterError) -> Stop {
    let ClusterError::Refused { code, message } = error else { return error.into() };
    if refusal::is_namespace_gone(code, &message) {
        return terminating(confinement.namespace);
    }
    let mistake = plan::rail_refused(
        confinement.class_name,
        &kind_of(rail).kind,
        confinement.namespace,
        code,
        &message,
    );
    rejected(mistake)
}

/// Deletes the environment's own network policy, if it exists.
async fn remove_network_policy(
    confinement: &Confinement<'_>,
    context: &EnvironmentContext,
) -> Result<(), ClusterError> {
    let kind = GroupVersionKind::gvk("networking.k8s.io", "v1", "NetworkPolicy");
    context.live.follow(&kind);
    let Some(found) = context.live.find(&kind, Some(confinement.namespace), plan::GUARD_RAIL) else {
        return Ok(());
    };
    if found.labels().get(LABEL_ENVIRONMENT_UID).is_none_or(|uid| uid != confinement.environment_uid) {
        return Ok(());
    }
    let (name, uid) = (found.name_any(), found.uid().unwrap_or_default());
    context.common.cluster.delete(&Actor::Operator, &kind, Some(confinement.namespace), &name, &uid).await
}
