//! Step 5: applies a plan. Guard rails and routes as the operator, the template's objects as the deployer account of the namespace, which
//! can do nothing outside it. What is as it was applied is left alone, so a visit without news makes no write.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use kube::ResourceExt as _;
use kube::api::{DynamicObject, GroupVersionKind};

use crate::api::{
    ANNOTATION_DIGEST, InventoryEntry, LABEL_ENVIRONMENT, LABEL_ENVIRONMENT_NAMESPACE, LABEL_ENVIRONMENT_UID,
    NamespaceReference, PreviewEnvironment,
};
use crate::controllers::driver::Failure;
use crate::controllers::{Context, write};
use crate::core::plan::{self, Plan};
use crate::core::progress::{Findings, Progress, Stage};
use crate::core::target::{Mistake, Target};
use crate::ports::{ANNOTATION_FINGERPRINT, Actor, ClusterError};

/// For how long after the deployer account was bound a refusal may just mean that the API server hasn't noticed.
const BINDING_SETTLES: Duration = Duration::from_secs(10);

/// What this process applied: by UID, so that an object made again is applied again.
#[derive(Default)]
pub struct Applications {
    known: Mutex<HashMap<String, Application>>,
    /// When the deployer account of a namespace was bound, if that was a moment ago.
    bound: Mutex<HashMap<String, Instant>>,
    /// When the status of an environment was last written, by UID.
    told: Mutex<HashMap<String, Instant>>,
    /// What a visit found that didn't come to its end, by UID of the environment, until that is told.
    left: Mutex<HashMap<String, Findings>>,
}

#[derive(Clone)]
struct Application {
    digest: String,
    /// Of the object as the API server answered, or as it was found by a new process; another one means that somebody else changed it.
    fingerprint: Option<String>,
    generation: Option<i64>,
}

impl Applications {
    /// Generation that the API server answered when the object was last applied.
    pub(super) fn generation(&self, uid: &str) -> Option<i64> {
        self.known.lock().ok()?.get(uid)?.generation
    }

    fn get(&self, uid: &str) -> Option<Application> {
        self.known.lock().ok()?.get(uid).cloned()
    }

    fn remember(&self, uid: String, application: Application) {
        if let Ok(mut known) = self.known.lock() {
            known.insert(uid, application);
        }
    }

    /// Forgets the objects of an environment that is gone.
    pub(super) fn forget<'a>(
        &self,
        environment: &str,
        uids: impl IntoIterator<Item = &'a str>,
        namespace: &str,
    ) {
        if let Ok(mut known) = self.known.lock() {
            for uid in uids {
                known.remove(uid);
            }
        }
        if let Ok(mut bound) = self.bound.lock() {
            bound.remove(namespace);
        }
        if let Ok(mut told) = self.told.lock() {
            told.remove(environment);
        }
        self.take(environment);
    }

    /// Keeps what a visit found that didn't come to its end.
    pub(super) fn leave(&self, environment: String, findings: Findings) {
        if let Ok(mut left) = self.left.lock() {
            left.insert(environment, findings);
        }
    }

    /// What the last visit found, if it didn't come to its end.
    pub(super) fn take(&self, environment: &str) -> Option<Findings> {
        self.left.lock().ok()?.remove(environment)
    }

    /// What is left of `pause` since the environment's status was last written; `None` when it is over.
    pub(super) fn told_lately(&self, uid: &str, pause: Duration) -> Option<Duration> {
        let told = self.told.lock().ok()?;
        pause.checked_sub(told.get(uid)?.elapsed()).filter(|left| !left.is_zero())
    }

    /// The status of the environment is being written.
    pub(super) fn tells(&self, uid: String) {
        if let Ok(mut told) = self.told.lock() {
            told.insert(uid, Instant::now());
        }
    }

    fn was_bound(&self, namespace: &str) {
        if let Ok(mut bound) = self.bound.lock() {
            bound.retain(|_, at| at.elapsed() < BINDING_SETTLES);
            bound.insert(namespace.to_owned(), Instant::now());
        }
    }

    fn is_settling(&self, namespace: &str) -> bool {
        self.bound
            .lock()
            .is_ok_and(|bound| bound.get(namespace).is_some_and(|at| at.elapsed() < BINDING_SETTLES))
    }
}

/// A plan that was applied as a whole.
pub(super) struct Applied {
    /// Everything but the guard rails.
    pub(super) inventory: Vec<InventoryEntry>,
}

/// Applies a plan; the inner error says why the environment has to wait, or what mistake stands in the way.
pub(super) async fn apply(
    environment: &PreviewEnvironment,
    target: &Target,
    plan: Plan,
    context: &Context,
    findings: &mut Findings,
) -> Result<Result<Applied, Progress>, Failure> {
    let before = environment.status.as_ref().map(|status| status.inventory.clone()).unwrap_or_default();
    let surplus = plan::prune(&before, &plan);
    let Plan {
        namespace,
        resource_quota,
        limit_range,
        network_policy,
        service_account,
        role_binding,
        resources,
        routes,
    } = plan;
    let held = match hold_namespace(target, &namespace, context).await? {
        Ok(held) => held,
        Err(progress) => return Ok(Err(progress)),
    };
    findings.namespace =
        Some(NamespaceReference { name: target.namespace.clone(), uid: held.uid().unwrap_or_default() });

    if network_policy.is_none() {
        // The class may have had one.
        remove_network_policy(target, context).await?;
    }
    let rails = [Some(resource_quota), Some(limit_range), network_policy, Some(service_account)];
    for rail in rails.into_iter().flatten() {
        if let Err(error) = ensure(&Actor::Operator, &rail, context).await {
            return rail_refused(target, &rail, error).map(Err);
        }
    }
    match ensure(&Actor::Operator, &role_binding, context).await {
        Ok((_, written)) if written => context.applications.was_bound(&target.namespace),
        Ok(_) => {}
        Err(error) => return rail_refused(target, &role_binding, error).map(Err),
    }

    // What was applied before stays in the inventory until it is removed, also when this attempt ends half-way.
    let mut inventory = before;
    let deployer = Actor::Deployer { namespace: target.namespace.clone() };
    let of_users = resources.iter().map(|resource| (&deployer, resource));
    let ours = routes.iter().map(|route| (&Actor::Operator, route));
    for (actor, object) in of_users.chain(ours) {
        let applied = ensure(actor, object, context).await;
        match applied {
            Ok((applied, _)) => note(&mut inventory, &applied),
            Err(ClusterError::Refused { code: 403, message })
                if *actor == deployer
                    && context.applications.is_settling(&target.namespace)
                    && !is_final(&message) =>
            {
                findings.inventory = Some(inventory);
                let reason =
                    format!("the deployer account of {} is not in force yet: {message}", target.namespace);
                return Err(Failure::Soon { reason, after: Duration::from_millis(200) });
            }
            Err(ClusterError::Refused { code, message }) => {
                findings.inventory = Some(inventory);
                return Ok(Err(Progress::Mistaken {
                    stage: Stage::Apply,
                    mistake: refused(target, object, code, &message),
                }));
            }
            Err(error) => {
                findings.inventory = Some(inventory);
                return Err(error.into());
            }
        }
    }
    for entry in &surplus {
        if let Err(error) = remove(target, entry, &deployer, context).await {
            findings.inventory = Some(inventory);
            return Err(error.into());
        }
        inventory.retain(|kept| kept != entry);
    }
    findings.inventory = Some(inventory.clone());
    Ok(Ok(Applied { inventory }))
}

/// Creates the namespace, or finds that it is ours; never touches somebody else's.
async fn hold_namespace(
    target: &Target,
    namespace: &DynamicObject,
    context: &Context,
) -> Result<Result<DynamicObject, Progress>, Failure> {
    let kind = GroupVersionKind::gvk("", "v1", "Namespace");
    let known = match context.live.find(&kind, None, &target.namespace) {
        Some(known) => Some((*known).clone()),
        None => match context.cluster.create(write::ENVIRONMENT, namespace).await {
            Ok(created) => {
                remember(&created, namespace, context);
                return Ok(Ok(created));
            }
            Err(ClusterError::Conflict(_)) => {
                context.cluster.get(&Actor::Operator, &kind, None, &target.namespace).await?
            }
            Err(ClusterError::Refused { message, .. }) => {
                return Ok(Err(namespace_refused(target, &message)));
            }
            Err(error) => return Err(error.into()),
        },
    };
    let Some(known) = known else {
        // Deleted between the two requests.
        return Err(Failure::Soon {
            reason: "the namespace just went".to_owned(),
            after: Duration::from_millis(200),
        });
    };
    let labels = known.labels();
    let ours = labels.get(LABEL_ENVIRONMENT_UID) == Some(&target.environment_uid);
    if known.metadata.deletion_timestamp.is_some() {
        let message = format!("namespace {} of before is still being deleted", target.namespace);
        return Ok(Err(Progress::Waiting {
            stage: Stage::Validate,
            reason: "NamespaceTerminating".to_owned(),
            message,
        }));
    }
    if !ours {
        let holder = match (labels.get(LABEL_ENVIRONMENT_NAMESPACE), labels.get(LABEL_ENVIRONMENT)) {
            (Some(namespace), Some(name)) => format!("PreviewEnvironment {namespace}/{name}"),
            _ => "something else than Matinee".to_owned(),
        };
        let mistake = Mistake {
            reason: "NamespaceTaken",
            message: format!(
                "namespace {} belongs to {holder}: rename one of the two Repository objects, or remove what holds the namespace",
                target.namespace
            ),
        };
        return Ok(Err(Progress::Mistaken { stage: Stage::Apply, mistake }));
    }
    let mut namespace = namespace.clone();
    // With the UID, the API server refuses to apply to a namespace made again by somebody else meanwhile.
    namespace.metadata.uid = known.uid();
    match ensure(&Actor::Operator, &namespace, context).await {
        Ok((held, _)) => Ok(Ok(held)),
        Err(ClusterError::Refused { message, .. }) => Ok(Err(namespace_refused(target, &message))),
        Err(error) => Err(error.into()),
    }
}

fn namespace_refused(target: &Target, message: &str) -> Progress {
    let message = format!("namespace {}: {message}: ask the platform team", target.namespace);
    Progress::Mistaken { stage: Stage::Apply, mistake: Mistake { reason: "ApplyForbidden", message } }
}

/// The mistake in the class, or in the rights of the operator, that makes the API server reject a guard rail.
fn rail_refused(target: &Target, rail: &DynamicObject, error: ClusterError) -> Result<Progress, Failure> {
    let ClusterError::Refused { code, message } = error else { return Err(error.into()) };
    let mistake =
        plan::rail_refused(&target.class_name, &kind_of(rail).kind, &target.namespace, code, &message);
    Ok(Progress::Mistaken { stage: Stage::Apply, mistake })
}

/// Removes the environment's own network policy, if there is one.
async fn remove_network_policy(target: &Target, context: &Context) -> Result<(), ClusterError> {
    let kind = GroupVersionKind::gvk("networking.k8s.io", "v1", "NetworkPolicy");
    context.live.follow(&kind);
    let Some(found) = context.live.find(&kind, Some(&target.namespace), plan::GUARD_RAIL) else {
        return Ok(());
    };
    if found.labels().get(LABEL_ENVIRONMENT_UID) != Some(&target.environment_uid) {
        return Ok(());
    }
    let (name, uid) = (found.name_any(), found.uid().unwrap_or_default());
    context.cluster.delete(&Actor::Operator, &kind, Some(&target.namespace), &name, &uid).await
}

/// Applies an object unless it is in the cluster as it was applied; returns it, and whether a write was made.
async fn ensure(
    actor: &Actor,
    planned: &DynamicObject,
    context: &Context,
) -> Result<(DynamicObject, bool), ClusterError> {
    let kind = kind_of(planned);
    let namespace = planned.namespace();
    context.live.follow(&kind);
    let live = match context.live.find(&kind, namespace.as_deref(), &planned.name_any()) {
        Some(live) => Some((*live).clone()),
        // Not watched, as Secrets are: read once after a restart, as whoever owns it, and remembered.
        None if !context.live.follows(&kind) => {
            context.cluster.get(actor, &kind, namespace.as_deref(), &planned.name_any()).await?
        }
        None => None,
    };
    if let Some(live) = live
        && plan::unchanged(planned, &live)
        && as_applied(&live, context)
    {
        return Ok((live, false));
    }
    let applied = context.cluster.apply(actor, write::ENVIRONMENT, planned).await?;
    remember(&applied, planned, context);
    Ok((applied, true))
}

/// Whether nobody else changed the object since it was applied. What an earlier process applied is taken as it is found, so that a restart
/// makes no write.
fn as_applied(live: &DynamicObject, context: &Context) -> bool {
    let uid = live.uid().unwrap_or_default();
    let digest = live.annotations().get(ANNOTATION_DIGEST).cloned().unwrap_or_default();
    let fingerprint = live.annotations().get(ANNOTATION_FINGERPRINT).cloned();
    match context.applications.get(&uid) {
        Some(known) if known.digest == digest => {
            known.fingerprint.is_none() || fingerprint.is_none() || known.fingerprint == fingerprint
        }
        _ => {
            let generation = live.metadata.generation;
            context.applications.remember(uid, Application { digest, fingerprint, generation });
            true
        }
    }
}

fn remember(applied: &DynamicObject, planned: &DynamicObject, context: &Context) {
    // Of what was answered, not of what is shown: a watch may be further, and whatever somebody changed would be taken for what was applied.
    let fingerprint = Some(context.live.record(applied));
    let digest = planned.annotations().get(ANNOTATION_DIGEST).cloned().unwrap_or_default();
    let application = Application { digest, fingerprint, generation: applied.metadata.generation };
    context.applications.remember(applied.uid().unwrap_or_default(), application);
}

fn note(inventory: &mut Vec<InventoryEntry>, applied: &DynamicObject) {
    let kind = kind_of(applied);
    let entry = InventoryEntry {
        api_version: kind.api_version(),
        kind: kind.kind,
        name: applied.name_any(),
        uid: applied.uid().unwrap_or_default(),
    };
    let same = |kept: &InventoryEntry| {
        (&kept.api_version, &kept.kind, &kept.name) == (&entry.api_version, &entry.kind, &entry.name)
    };
    match inventory.iter_mut().find(|kept| same(kept)) {
        Some(kept) => *kept = entry,
        None => inventory.push(entry),
    }
}

/// Removes what the plan has no longer. Routes were made by the operator, the rest by the deployer account.
async fn remove(
    target: &Target,
    entry: &InventoryEntry,
    deployer: &Actor,
    context: &Context,
) -> Result<(), ClusterError> {
    let (group, version) = entry.api_version.rsplit_once('/').unwrap_or(("", &entry.api_version));
    let kind = GroupVersionKind::gvk(group, version, &entry.kind);
    let ours = context.live.find(&kind, Some(&target.namespace), &entry.name);
    if ours.is_some_and(|live| live.labels().get(LABEL_ENVIRONMENT_UID) != Some(&target.environment_uid)) {
        return Ok(());
    }
    let route = matches!(entry.kind.as_str(), "HTTPRoute" | "Ingress") && entry.name.starts_with("matinee-");
    let actor = if route { &Actor::Operator } else { deployer };
    match context.cluster.delete(actor, &kind, Some(&target.namespace), &entry.name, &entry.uid).await {
        // The deployer account may have lost the right since: the namespace takes the object with it one day.
        Err(ClusterError::Refused { .. }) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A refusal that waiting can't mend: admission, not missing rights.
fn is_final(message: &str) -> bool {
    message.contains("exceeded quota")
        || message.contains("violates PodSecurity")
        || message.contains("denied the request")
}

fn refused(target: &Target, object: &DynamicObject, code: u16, message: &str) -> Mistake {
    let kind = kind_of(object).kind;
    let (reason, remedy) = match code {
        403 if is_final(message) => ("ApplyForbidden", "make it fit, or ask the platform team"),
        403 => (
            "ApplyForbidden",
            "ask the platform team whether previews may have this kind (ClusterRole matinee-deployer), or remove it",
        ),
        404 => ("KindMissing", "the cluster must serve the kind"),
        _ => ("ApplyRefused", "correct it"),
    };
    Mistake {
        reason,
        message: format!(
            "PreviewTemplate {}/{}: {kind} {}: {message}: {remedy}",
            target.environment_namespace,
            target.template_name,
            object.name_any()
        ),
    }
}

fn kind_of(object: &DynamicObject) -> GroupVersionKind {
    let types = object.types.clone().unwrap_or_default();
    GroupVersionKind::try_from(&types).unwrap_or_else(|_| GroupVersionKind::gvk("", "", &types.kind))
}
