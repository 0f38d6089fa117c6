//! Step 5: applies a plan. The operator applies guard rails and routes. The deployer account, which
//! has no rights outside the namespace, applies the template's objects. Objects that are unchanged
//! since they were applied aren't written.

use std::time::Duration;

use kube::ResourceExt as _;
use kube::api::{DynamicObject, GroupVersionKind};

use super::guard_rails::{self, rejected, terminating};
use super::objects::{Placed, Placing, kind_of};
use super::{EnvironmentContext, EnvironmentScope, Stop};
use crate::api::{ANNOTATION_DIGEST, FinishedJob, InventoryEntry, LABEL_ENVIRONMENT_UID, Revision};
use crate::core::api_error::SentValues;
use crate::core::environment::plan::{self, Autoscaled, Plan, jobs, refusal};
use crate::core::environment::reason::EnvironmentReason;
use crate::core::environment::resolved::Target;
use crate::core::environment::status::{Progress, Stage};
use crate::core::mistake::{self, Mistake};
use crate::ports::{Actor, ClusterError};
use crate::runtime::failure::Failure;

/// Result of a completely applied plan.
pub(super) struct Applied {
    /// All objects except the guard rails.
    pub(super) inventory: Vec<InventoryEntry>,
    /// Values in the template's objects.
    pub(super) sent: SentValues,
}

/// Applies a plan.
pub(super) async fn apply(
    scope: &mut EnvironmentScope<'_>,
    target: &Target,
    plan: Plan,
) -> Result<Applied, Stop> {
    let EnvironmentScope { environment, context, .. } = *scope;
    let before = environment.status.as_ref().map(|status| status.inventory.as_slice()).unwrap_or_default();
    let before =
        plan::existing(before, &target.namespace, &context.live.of_environment(&target.environment_uid));
    let surplus = plan::prune(&before, &plan);
    let Plan { guard_rails, resources, routes } = plan;
    if guard_rails::apply(scope, &target.confinement(), guard_rails).await? {
        // The change of its status brings the environment here again, mostly sooner.
        let reason = format!("the ResourceQuota of {} isn't enforced yet", target.namespace);
        return Err(Failure::Soon { reason, after: Duration::from_millis(200) }.into());
    }

    // Objects stay in the inventory until they are deleted, also if this attempt fails.
    let mut inventory = before;
    let autoscaled = Autoscaled::by(&resources);
    let placing = Placing::new(environment, &target.environment_uid, &autoscaled, context);
    let objects =
        Objects { target, placing: &placing, resources: &resources, routes: &routes, surplus: &surplus };
    let placed = objects.place_all(&mut inventory, &mut scope.findings.contested).await;
    scope.findings.inventory = Some(inventory.clone());
    placed.map(|()| Applied { inventory, sent: SentValues::of_objects(&resources) })
}

/// All objects of a plan except the guard rails.
struct Objects<'a> {
    target: &'a Target,
    placing: &'a Placing<'a>,
    resources: &'a [DynamicObject],
    routes: &'a [DynamicObject],
    /// Existing objects that aren't in the plan.
    surplus: &'a [InventoryEntry],
}

impl Objects<'_> {
    /// Applies the objects in their order. After the first rejected object the remaining ones are
    /// only tried as a dry run, since they may depend on it. So all mistakes are reported at once.
    async fn place_all(
        &self,
        inventory: &mut Vec<InventoryEntry>,
        contested: &mut Vec<String>,
    ) -> Result<(), Stop> {
        let deployer = Actor::Deployer { namespace: self.target.namespace.clone() };
        let of_users = self.resources.iter().map(|resource| (&deployer, resource));
        let ours = self.routes.iter().map(|route| (&Actor::Operator, route));
        let mut mistakes = Vec::new();
        let mut deleting = None;
        for (actor, object) in of_users.chain(ours) {
            if !mistakes.is_empty() {
                mistakes.extend(self.placing.try_object(actor, object).await);
                continue;
            }
            let entry = inventory.iter().find(|entry| is_of(entry, object));
            match self.placing.place(actor, object, entry).await {
                Ok(Placed::There(live)) => note(inventory, &live, self.placing.revision),
                Ok(Placed::Finished(finished)) => note_finished(inventory, object, finished),
                Ok(Placed::Deleting) => deleting = deleting.or_else(|| Some(object.name_any())),
                Ok(Placed::Left(live, why)) => {
                    contested.push(why);
                    if let Some(live) = live {
                        note(inventory, &live, self.placing.revision);
                    }
                }
                Err(ClusterError::Refused { code: 403, message })
                    if self.placing.is_settling(actor) && !refusal::is_final(&message) =>
                {
                    let namespace = &self.target.namespace;
                    let reason =
                        format!("the deployer account of {namespace} is not in force yet: {message}");
                    return Err(Failure::Soon { reason, after: Duration::from_millis(200) }.into());
                }
                Err(ClusterError::Refused { code, message })
                    if refusal::is_namespace_gone(code, &message) =>
                {
                    return Err(terminating(&self.target.namespace));
                }
                Err(ClusterError::Refused { code, message }) => {
                    mistakes.push(refusal::refusal(object, code, &message));
                }
                Err(error) => return Err(error.into()),
            }
        }
        mistakes.sort_by_key(refusal::rank);
        if let Some(mistake) = mistake::all_in_one(&mistakes) {
            return Err(rejected(self.in_template(&mistake)));
        }
        for entry in self.surplus {
            remove(self.target, entry, &deployer, self.placing.context).await?;
            self.placing.context.memory.applications.drop_object(&entry.uid);
            inventory.retain(|kept| kept != entry);
        }
        self.placing.forget_all_but(self.resources.iter().chain(self.routes));
        self.log_applied();
        deleting.map_or(Ok(()), |job| {
            Err(Stop::Report(Progress::Waiting {
                stage: Stage::Apply,
                reason: EnvironmentReason::ReplacingJob,
                message: format!("Job {job} of an earlier revision is still being deleted"),
            }))
        })
    }

    /// Logs that the revision was applied, unless nothing changed.
    fn log_applied(&self) {
        let (written, deleted) = (self.placing.written(), self.surplus.len());
        if written + deleted == 0 {
            return;
        }
        tracing::info!(
            namespace = self.target.environment_namespace,
            name = self.target.environment_name,
            repository = self.target.repository,
            sha = self.target.sha,
            deployment_id = self.placing.revision.deployment_id,
            written,
            deleted,
            "revision applied"
        );
    }

    /// Adds the template's name to a mistake, after the cause.
    fn in_template(&self, mistake: &Mistake) -> Mistake {
        let Target { environment_namespace: namespace, template_name: name, .. } = self.target;
        Mistake {
            reason: mistake.reason,
            message: format!("{} (PreviewTemplate {namespace}/{name})", mistake.message),
        }
    }
}

fn is_of(entry: &InventoryEntry, object: &DynamicObject) -> bool {
    let kind = kind_of(object);
    entry.api_version == kind.api_version() && entry.kind == kind.kind && entry.name == object.name_any()
}

/// Records an existing object in the inventory, with the result if it is a Job that ended.
fn note(inventory: &mut Vec<InventoryEntry>, live: &DynamicObject, revision: &Revision) {
    let digest = live.annotations().get(ANNOTATION_DIGEST).map(String::as_str).unwrap_or_default();
    let finished = jobs::end_of(live).map(|end| jobs::finished(end, digest, revision));
    enter(inventory, live, live.uid().unwrap_or_default(), finished);
}

/// Records the result of a Job that has been deleted.
fn note_finished(inventory: &mut Vec<InventoryEntry>, planned: &DynamicObject, finished: FinishedJob) {
    let known = inventory.iter().find(|entry| is_of(entry, planned));
    let uid = known.map(|entry| entry.uid.clone()).unwrap_or_default();
    enter(inventory, planned, uid, Some(finished));
}

fn enter(
    inventory: &mut Vec<InventoryEntry>,
    object: &DynamicObject,
    uid: String,
    finished: Option<FinishedJob>,
) {
    let kind = kind_of(object);
    let entry = InventoryEntry {
        api_version: kind.api_version(),
        kind: kind.kind,
        name: object.name_any(),
        uid,
        finished,
    };
    match inventory.iter_mut().find(|kept| is_of(kept, object)) {
        Some(kept) => *kept = entry,
        None => inventory.push(entry),
    }
}

/// Deletes an object that is no longer in the plan. The operator deletes routes, the deployer
/// account the rest.
async fn remove(
    target: &Target,
    entry: &InventoryEntry,
    deployer: &Actor,
    context: &EnvironmentContext,
) -> Result<(), ClusterError> {
    let (group, version) = entry.api_version.rsplit_once('/').unwrap_or(("", &entry.api_version));
    let kind = GroupVersionKind::gvk(group, version, &entry.kind);
    let ours = context.live.find(&kind, Some(&target.namespace), &entry.name);
    if ours.is_some_and(|live| live.labels().get(LABEL_ENVIRONMENT_UID) != Some(&target.environment_uid)) {
        return Ok(());
    }
    let route = matches!(entry.kind.as_str(), "HTTPRoute" | "Ingress") && entry.name.starts_with("matinee-");
    let actor = if route { &Actor::Operator } else { deployer };
    match context.common.cluster.delete(actor, &kind, Some(&target.namespace), &entry.name, &entry.uid).await
    {
        // The deployer account may have lost the right since. The object is then deleted with the
        // namespace.
        Err(ClusterError::Refused { .. }) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}
