//! Reconciles a `DeploymentRequest`: admit, eligibility, gates, create, outcome, commit status. A
//! request creates one deployment. It creates another one only if its commit becomes the head again.

mod commit_status;
mod create;
mod deletion;
mod deployment_outcome;
mod eligibility;
mod facts;
mod loops;
mod outcome;
mod record;
mod skipped_deployment;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use kube::runtime::controller::Action;

use self::commit_status::Report;
use self::deletion::delete_oldest;
pub(super) use self::deletion::end_with;
use self::eligibility::RequestVerification;
pub(super) use self::loops::Creations;
use self::outcome::{RequestOutcome, again};
pub(super) use self::record::{STAGES, kinds};
use super::ingest::{EventIngest, PullRequestFreshness};
use super::repository::Sweeps;
use crate::api::{
    ANNOTATION_PULL_REQUEST_UPDATED, DeploymentRequest, Origin, PreviewEnvironment, find_condition,
};
use crate::core::deployment::gates::{self, Evaluation, GateInput, pushes, supersession};
use crate::core::deployment::outcome::DeploymentOutcome;
use crate::core::deployment::ownership;
use crate::core::environment::resolve::{self, Admitted};
use crate::core::forge::RepositoryName;
use crate::core::mistake::Mistake;
use crate::core::{conditions, naming};
use crate::ports::{Forge, Registry, Renderer, Secrets};
use crate::runtime::common::Common;
use crate::runtime::failure::Failure;
use crate::runtime::objects::Key;
use crate::runtime::publisher::Publisher;

/// Dependencies of the reconciles of requests.
pub struct RequestContext {
    pub(super) common: Arc<Common>,
    pub(super) secrets: Arc<dyn Secrets>,
    pub(super) renderer: Arc<dyn Renderer>,
    pub(super) registry: Arc<dyn Registry>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) ingest: Arc<EventIngest>,
    pub(super) freshness: Arc<PullRequestFreshness>,
    pub(super) sweeps: Arc<Sweeps>,
    pub(super) creations: Creations,
}

impl RequestContext {
    /// Cancels the waiting writes of a request, and forgets their results.
    pub(super) fn forget(&self, request: &DeploymentRequest) {
        self.publisher.deployments.forget(request);
        self.publisher.commit_statuses.forget(request);
    }
}

/// Returns the requests for an environment.
pub(super) fn of_environment(
    environment: &PreviewEnvironment,
    common: &Common,
) -> Vec<Arc<DeploymentRequest>> {
    common.objects.requests.with(&Key::Environment(environment.into()))
}

/// Reconciles a request, within the runner's limits.
pub fn reconcile(
    request: Arc<DeploymentRequest>,
    context: Arc<RequestContext>,
) -> BoxFuture<'static, Result<Action, Failure>> {
    async move { run(context.common.objects.requests.newest(request), &context).await }.boxed()
}

/// Context of one reconcile, once the request is admitted.
struct RequestScope<'a> {
    request: &'a DeploymentRequest,
    admitted: Admitted<'a>,
    forge: Arc<dyn Forge>,
    name: RepositoryName,
    /// Name of the environment on GitHub.
    place: String,
    context: &'a RequestContext,
    now: Timestamp,
}

async fn run(request: Arc<DeploymentRequest>, context: &RequestContext) -> Result<Action, Failure> {
    if request.metadata.deletion_timestamp.is_some() || is_over(&request) {
        return Ok(Action::await_change());
    }
    // While the operator drains, Matinee follows existing deployments to their end and creates no
    // more.
    if context.common.leadership.drains()
        && request.status.as_ref().is_none_or(|status| status.deployment_id.is_none())
        && !context.publisher.deployments.has_result(&request)
    {
        context.publisher.deployments.forget(&request);
        return Ok(Action::requeue(context.common.settings.sweep_interval));
    }
    let (outcome, report_again) = steps(&request, context).await?;
    let Some(outcome) = outcome else {
        return Ok(report_again.map_or_else(Action::await_change, Action::requeue));
    };
    if !matches!(outcome, RequestOutcome::Creating { .. })
        && !context.publisher.deployments.has_result(&request)
    {
        // Take a waiting creation out of the write queue. If the creation has finished in the
        // meantime, the next reconcile records it.
        context.publisher.deployments.forget(&request);
    }
    if let RequestOutcome::Deleted = outcome {
        if deletion::is_live(&request, context) {
            // The environment's own reconcile deletes its requests and then the environment. If
            // this request were deleted now, Matinee would take the environment for one that
            // somebody deployed by hand, and keep it.
            return Ok(Action::requeue(context.common.settings.sweep_interval));
        }
        deletion::delete(&request, context).await?;
        if record::may_have_created(&request)
            && let Some(repository) = context
                .common
                .repository(&request.namespace().unwrap_or_default(), &request.spec.repository_ref.name)
                .await?
        {
            // A deployment may just have been created. Let the next sweep look for it even if
            // GitHub's listing is unchanged.
            context.sweeps.forget(&repository.uid().unwrap_or_default());
        }
    } else if matches!(outcome, RequestOutcome::Created { .. } | RequestOutcome::Superseded(_)) {
        delete_oldest(&request, context).await.map_err(Failure::reported)?;
    }
    let again = again(&outcome, context).into_iter().chain(report_again).min();
    Ok(again.map_or_else(Action::await_change, Action::requeue))
}

/// Whether the request has ended completely. A request runs once; after its end it is reconciled
/// again only after an event of its pull request or branch.
fn is_over(request: &DeploymentRequest) -> bool {
    let is_pending =
        request.status.as_ref().is_some_and(|status| record::is_report_pending(&status.conditions));
    is_settled(request) && !is_pending
}

/// Whether the request has ended, and no event since then may change that. Its commit status may
/// still be pending.
fn is_settled(request: &DeploymentRequest) -> bool {
    let Some(status) = &request.status else { return false };
    has_ended(request)
        && status.updated_at.as_ref() == request.annotations().get(ANNOTATION_PULL_REQUEST_UPDATED)
}

/// Runs the steps of the reconcile. Returns their result (`None` for a request that has ended and
/// whose commit status is still pending), and the time until the next attempt to write the commit
/// status.
async fn steps(
    request: &DeploymentRequest,
    context: &RequestContext,
) -> Result<(Option<RequestOutcome>, Option<Duration>), Failure> {
    let refused = async |mistake| {
        // The request isn't valid, so nothing more is written for it.
        context.forget(request);
        if is_settled(request) {
            // The recorded result stays, although the last commit status can't be written any more.
            return Ok((None, None));
        }
        let outcome = RequestOutcome::Refused(mistake);
        record::outcome(request, &outcome, &Report::default(), context).await?;
        Ok((Some(outcome), None))
    };
    let namespace = request.namespace().unwrap_or_default();
    let spec = &request.spec;
    let repository = context.common.repository(&namespace, &spec.repository_ref.name).await?;
    let class = context.common.class_of(repository.as_deref()).await?;
    let rivals = repository.as_ref().map(|repository| context.common.objects.repositories.rivals(repository));
    let admitted = resolve::admit(
        &namespace,
        &spec.repository_ref.name,
        &spec.environment,
        repository.as_deref(),
        class.as_deref(),
        rivals.as_deref().unwrap_or_default(),
    );
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(mistake) => return refused(mistake).await,
    };
    let (forge, name) = context.common.forge(&admitted).await?;
    let number = spec.pull_request.as_ref().map(|reference| reference.number);
    let Some(place) = naming::github_environment(admitted.entry, number) else {
        return refused(resolve::wrong_place(&name, admitted.entry, number)).await;
    };
    if is_new(request)
        && let Err(mistake) = own_name(request, &admitted, context)
    {
        return refused(mistake).await;
    }
    let scope =
        RequestScope { request, admitted, forge, name, place, context, now: context.common.clock.now() };
    if is_settled(request) {
        let report = commit_status::tell(&scope, None).await;
        record::report(request, &report, context).await?;
        return Ok((None, report.again));
    }
    let outcome = scope.outcome().await?;
    let report = commit_status::tell(&scope, Some(&outcome)).await;
    record::outcome(request, &outcome, &report, context).await?;
    Ok((Some(outcome), report.again))
}

/// Whether no deployment has been created for the request yet.
fn is_new(request: &DeploymentRequest) -> bool {
    request.status.as_ref().is_none_or(|status| status.intent.is_none())
}

/// Checks that the environment that would deploy this can have its name.
fn own_name(
    request: &DeploymentRequest,
    admitted: &Admitted<'_>,
    context: &RequestContext,
) -> Result<(), Mistake> {
    if admitted.entry.deploy.is_none() {
        return Ok(());
    }
    let spec = &request.spec;
    let number = spec.pull_request.as_ref().map(|reference| reference.number);
    let name = naming::preview_environment(&spec.repository_ref.name, &spec.environment, number);
    let namespace = request.namespace().unwrap_or_default();
    let existing = context.common.objects.environments.get(&namespace, &name);
    ownership::is_own(admitted.repository, admitted.entry, number, existing.as_deref())
}

impl RequestScope<'_> {
    /// Returns the outcome that ends the request, unless its deployment exists, and only wasn't
    /// recorded yet: without a record, nobody would report how that deployment ended.
    async fn unless_created(&self, outcome: RequestOutcome) -> Result<RequestOutcome, Failure> {
        if !record::may_have_created(self.request) {
            return Ok(outcome);
        }
        Ok(create::find(self).await?.unwrap_or(outcome))
    }

    async fn outcome(&self) -> Result<RequestOutcome, Failure> {
        // Record a created deployment before anything else, even if the request waits for something
        // by now.
        if let Some(outcome) = create::ended(self).await? {
            return Ok(outcome);
        }
        let created = self.request.status.as_ref().and_then(|status| status.deployment_id);
        let is_head = match eligibility::verify(self, created).await? {
            RequestVerification::Holds { is_head } => is_head,
            RequestVerification::Refused(mistake) => {
                return self.unless_created(RequestOutcome::Refused(mistake)).await;
            }
            RequestVerification::Superseded(why) => {
                return self.unless_created(RequestOutcome::Superseded(why)).await;
            }
            RequestVerification::Over => return Ok(RequestOutcome::Deleted),
        };
        let reruns = self.request.status.as_ref().map_or(0, |status| status.reruns);
        let is_due = created.is_none_or(|id| is_head && self.is_overtaken(id));
        if let Some(id) = created.filter(|_| !is_due).or_else(|| self.shared()) {
            if is_head {
                record::pushed(self).await?;
            }
            let deployment = deployment_outcome::read(self, id).await?.unwrap_or_else(|| {
                skipped_deployment::report(self, id);
                DeploymentOutcome::UnderWay
            });
            return Ok(RequestOutcome::Created { id, deployment });
        }
        let reruns = if created.is_some() { reruns + 1 } else { reruns };
        let evaluation = self.judge().await?;
        if evaluation.summary != gates::GateSummary::Open {
            return Ok(RequestOutcome::Gated(evaluation));
        }
        if let Some(message) = record::refused_lately(self.request, self.now) {
            return Ok(RequestOutcome::Failed(message));
        }
        create::create(self, reruns, evaluation).await
    }

    /// Evaluates the gates. Facts that no gate needs aren't fetched.
    async fn judge(&self) -> Result<Evaluation, Failure> {
        let status = self.request.status.as_ref();
        let created = self.request.metadata.creation_timestamp.as_ref().map_or(self.now, |time| time.0);
        let asked = GateInput {
            repository: &self.admitted.repository.spec,
            class: &self.admitted.class.spec,
            request: &self.request.spec,
            created,
            approvals: status.map(|status| status.approvals.as_slice()).unwrap_or_default(),
            conditions: status.map(|status| status.conditions.as_slice()).unwrap_or_default(),
            now: self.now,
        };
        let facts = facts::fetch(self, gates::needs(&asked)).await?;
        Ok(gates::evaluate(&asked, &facts))
    }

    /// Whether another commit was deployed after this one although this one is the head now,
    /// because somebody pushed the branch back.
    fn is_overtaken(&self, deployment_id: i64) -> bool {
        let all = self.siblings();
        match self.request.spec.requested_by.origin {
            // Only the head can be deployed to a pull request's environment, so any other deployed
            // commit was the head at the time.
            Origin::PullRequest => {
                self.is_replaced(deployment_id)
                    || supersession::overtaken(self.request, all.iter().map(AsRef::as_ref))
            }
            Origin::Push => {
                let all: Vec<&DeploymentRequest> = all.iter().map(AsRef::as_ref).collect();
                pushes::is_to_run_again(self.request, &all)
            }
            _ => false,
        }
    }

    /// Whether the environment's revision is another commit, of a newer deployment.
    fn is_replaced(&self, deployment_id: i64) -> bool {
        let spec = &self.request.spec;
        environments_of(self.request, &self.context.common).iter().any(|environment| {
            environment.spec.revision.deployment_id > Some(deployment_id)
                && environment.spec.revision.sha != spec.sha
        })
    }

    /// Returns the environment that the request is for, if it exists.
    fn environment(&self) -> Option<Arc<PreviewEnvironment>> {
        environments_of(self.request, &self.context.common).into_iter().next()
    }

    /// Returns all requests for the environment, this one included.
    fn siblings(&self) -> Vec<Arc<DeploymentRequest>> {
        self.context.common.objects.requests.with(&Key::Environment(self.request.into()))
    }

    /// Returns the deployment of another branch's push of the same commit, if nothing was deployed
    /// since.
    fn shared(&self) -> Option<i64> {
        let all = self.siblings();
        let all: Vec<&DeploymentRequest> = all.iter().map(AsRef::as_ref).collect();
        pushes::shared(self.request, &all).filter(|id| !self.is_replaced(*id))
    }
}

/// Returns the environment that a request is for, if it exists; several if somebody created further
/// ones by hand.
fn environments_of(request: &DeploymentRequest, common: &Common) -> Vec<Arc<PreviewEnvironment>> {
    common.objects.environments.with(&Key::Environment(request.into()))
}

/// Enqueues the request for a pull request's head although it already has its deployment.
pub(super) async fn enqueue_head(
    environment: &PreviewEnvironment,
    head: &str,
    context: &RequestContext,
) -> Result<(), Failure> {
    let mut asked = of_environment(environment, &context.common);
    asked.retain(|request| {
        request.metadata.deletion_timestamp.is_none()
            && request.spec.sha == head
            && request.status.as_ref().is_some_and(|status| status.deployment_id.is_some())
    });
    for request in asked {
        context.ingest.enqueue_again(&request, context.common.clock.now()).await?;
    }
    Ok(())
}

/// Whether the request has reached its end. Its commit status may still be pending.
pub(super) fn has_ended(request: &DeploymentRequest) -> bool {
    request.status.as_ref().is_some_and(|status| record::has_ended(&status.conditions))
}

fn condition<'a>(request: &'a DeploymentRequest, kind: &str) -> Option<&'a Condition> {
    find_condition(&request.status.as_ref()?.conditions, kind)
}

/// Returns the condition `Ready` of a request, as `(status, reason, message)`.
pub(super) fn ready(request: &DeploymentRequest) -> Option<(&str, &str, &str)> {
    let ready = condition(request, conditions::READY)?;
    Some((&ready.status, &ready.reason, &ready.message))
}

#[cfg(test)]
mod tests;
