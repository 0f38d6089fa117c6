//! Reconciles a `PreviewEnvironment`. The steps, in their order:
//!
//! 1. [`dereference`]: finds the objects to which the environment refers, and authorizes it.
//!    [`revocation`] ends an environment that isn't authorized any more.
//! 2. [`eligibility`]: checks the deployment and the pull request on GitHub.
//! 3. [`lifetime`]: deletes the environment when its time is over.
//! 4. [`render`]: resolves the template, renders it and plans the objects.
//! 5. [`apply`]: creates, updates and deletes the objects, after the [`guard_rails`]. If step 4
//!    fails, the guard rails of an existing namespace are applied all the same.
//! 6. [`health`]: checks that the objects are healthy and that the URLs answer.
//! 7. [`publish`]: shows the result on GitHub.
//!
//! A step returns its result, or ends the reconcile with a [`Stop`]. In every case the status is
//! written, with everything that was found until then.

mod applications;
mod apply;
mod blocking_pods;
mod dereference;
mod eligibility;
mod guard_rails;
mod health;
mod lifetime;
mod memory;
mod objects;
mod publish;
mod render;
mod revocation;
mod skipped_deployments;
mod status_writer;
mod teardown;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::ObjectMeta;
use kube::runtime::controller::Action;
use serde_json::json;

use self::dereference::References;
pub use self::memory::Memory;
use self::status_writer::report;
use super::request;
use crate::api::{Admission, FINALIZER, PreviewEnvironment, Revision};
use crate::core::environment::lifetime as times;
use crate::core::environment::revocation::admission_of;
use crate::core::environment::status::{self, Findings, Progress, Stage};
use crate::core::mistake::Mistake;
use crate::core::trouble::{self, Trouble};
use crate::ports::{Actor, ClusterError, EventType, ForgeError, LiveObjects, Prober, Renderer};
use crate::runtime::common::Common;
use crate::runtime::failure::Failure;
use crate::runtime::publisher::Publisher;
use crate::runtime::write;

/// Longest time between two reconciles of an environment.
const LOOK_AGAIN: Duration = Duration::from_hours(1);

/// Dependencies of the reconciles of environments.
pub struct EnvironmentContext {
    pub(super) common: Arc<Common>,
    pub(super) live: Arc<dyn LiveObjects>,
    pub(super) renderer: Arc<dyn Renderer>,
    pub(super) prober: Arc<dyn Prober>,
    pub(super) publisher: Arc<Publisher>,
    /// The controller of the requests for these environments.
    pub(super) requests: Arc<request::RequestContext>,
    pub(super) memory: Memory,
}

impl EnvironmentContext {
    /// Begins to lead: learns what an earlier process left open. All objects must be listed.
    pub(super) fn begin(&self) {
        let environments = self.common.objects.environments.all();
        self.memory.doubts.begin(&environments);
        self.memory.skipped_deployments.begin(&environments);
    }

    /// Forgets an environment that has been deleted.
    pub(super) fn forget(&self, environment: &PreviewEnvironment) {
        teardown::forget(environment, self);
    }
}

/// One reconcile of an environment.
struct EnvironmentScope<'a> {
    environment: &'a PreviewEnvironment,
    context: &'a Arc<EnvironmentContext>,
    now: Timestamp,
    /// When the revision was first seen.
    seen: Timestamp,
    /// Everything found so far.
    findings: Findings,
    /// Time until the next reconcile if no watch triggers one before.
    again: Option<Duration>,
}

/// Why a reconcile ends before its last step.
enum Stop {
    /// The environment waits, failed, was rejected or is superseded. The status says why.
    Report(Progress),
    /// An outage interrupts the reconcile, which is retried.
    Interrupted(Failure),
    /// The environment was deleted.
    Ended,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Interrupted(failure)
    }
}

impl From<ClusterError> for Stop {
    fn from(error: ClusterError) -> Self {
        Self::Interrupted(error.into())
    }
}

impl From<ForgeError> for Stop {
    fn from(error: ForgeError) -> Self {
        Self::Interrupted(error.into())
    }
}

/// A mistake that is found before anything is applied.
impl From<Mistake> for Stop {
    fn from(mistake: Mistake) -> Self {
        Self::Report(Progress::Rejected { stage: Stage::Validate, mistake })
    }
}

impl EnvironmentScope<'_> {
    fn common(&self) -> &Common {
        &self.context.common
    }

    fn revision(&self) -> &Revision {
        &self.environment.spec.revision
    }

    /// Asks for another reconcile after this time, if no watch triggers one before.
    fn look_again_after(&mut self, wait: Duration) {
        self.again = Some(self.again.map_or(wait, |again| again.min(wait)));
    }
}

/// Reconciles an environment, within the runner's limits.
pub fn reconcile(
    environment: Arc<PreviewEnvironment>,
    context: Arc<EnvironmentContext>,
) -> BoxFuture<'static, Result<Action, Failure>> {
    async move {
        let environment = context.common.objects.environments.newest(environment);
        if environment.metadata.deletion_timestamp.is_some() {
            return teardown::teardown(&environment, &context).await;
        }
        if !environment.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
            return hold(&environment, &context.common).await;
        }
        Box::pin(run(&environment, &context)).await
    }
    .boxed()
}

async fn run(environment: &PreviewEnvironment, context: &Arc<EnvironmentContext>) -> Result<Action, Failure> {
    let now = context.common.clock.now();
    let seen = status::first_seen(environment.status.as_ref(), &environment.spec.revision, now);
    let mut scope =
        EnvironmentScope { environment, context, now, seen, findings: Findings::default(), again: None };
    let uid = environment.uid().unwrap_or_default();
    // The findings of an earlier, failed reconcile are older than those of this one.
    context.memory.interrupted.take(&uid);
    let progress = match Box::pin(steps(&mut scope)).await {
        Ok(progress) | Err(Stop::Report(progress)) => progress,
        Err(Stop::Ended) => return Ok(Action::await_change()),
        Err(Stop::Interrupted(failure)) => {
            publish::go_on(environment, context, now).await;
            // The runner reports the failure on the object, with these findings.
            context.memory.interrupted.keep(uid, scope.findings);
            return Err(failure);
        }
    };
    if let Some(wait) = progress.look_again_after() {
        scope.look_again_after(wait);
    }
    let expires = scope.findings.expires;
    let reported = report(environment, context, now, scope.findings, &progress).await?;
    let next_lookup = context.memory.skipped_deployments.settle(&uid);
    let left = expires.and_then(|expires| Duration::try_from(expires.duration_since(now)).ok());
    let again = [scope.again, reported.again, next_lookup, left].into_iter().flatten().min();
    Ok(Action::requeue(again.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN)))
}

async fn steps(scope: &mut EnvironmentScope<'_>) -> Result<Progress, Stop> {
    skipped_deployments::begin_lookup(scope);
    let references = References::of(scope.environment, scope.common()).await?;
    let admitted = match references.authorize(scope.environment) {
        Ok(admitted) => admitted,
        Err(mistake) => return Err(revocation::not_admitted(scope, mistake).await),
    };
    let before = scope.environment.status.as_ref().and_then(|status| status.admission.as_ref());
    let admission = admission_of(&admitted, before);
    scope.findings.admission = Some(admission.clone());
    skipped_deployments::find(scope, &admitted).await;
    let verified = eligibility::verify(scope, &admitted).await?;
    scope.findings.admission = Some(Admission { revoked_time: None, ..admission });
    lifetime::check(scope, &admitted, &verified).await?;
    let pull_request = eligibility::settle(scope, &admitted, verified).await?;
    let (target, plan) = match render::render(scope, &references, &admitted, pull_request.as_ref()) {
        Ok(rendered) => rendered,
        Err(stop) => {
            // A broken template doesn't keep a stricter class from confining what runs.
            guard_rails::apply_to_existing(scope, admitted.class).await?;
            return Err(stop);
        }
    };
    let applied = apply::apply(scope, &target, plan).await?;
    Ok(health::assess(scope, &target, &applied).await)
}

/// Reports on the environment what prevents its reconcile from completing, once that has lasted
/// long enough. Returns whether the status was written.
pub(super) fn explain(
    environment: Arc<PreviewEnvironment>,
    trouble: Trouble,
    lasts: Duration,
    context: Arc<EnvironmentContext>,
) -> BoxFuture<'static, Result<bool, ClusterError>> {
    async move {
        let findings = context.memory.interrupted.take(&environment.uid().unwrap_or_default());
        let environment = context.common.objects.environments.newest(environment);
        if environment.metadata.deletion_timestamp.is_some() {
            if !trouble::is_due(&trouble, false, lasts) {
                return Ok(false);
            }
            return teardown::explain(&environment, &trouble, &context).await;
        }
        let conditions =
            environment.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let generation = environment.metadata.generation.unwrap_or_default();
        if !trouble::is_due(&trouble, trouble::is_settled(conditions, generation), lasts) {
            return Ok(false);
        }
        let findings = findings.unwrap_or_default();
        // The URL is known only after validation.
        let stage = if findings.url.is_some() { Stage::Apply } else { Stage::Validate };
        let progress = Progress::Interrupted { stage, reason: trouble.reason, message: trouble.message };
        let now = context.common.clock.now();
        Ok(report(&environment, &context, now, findings, &progress).await?.is_written)
    }
    .boxed()
}

/// Deletes the requests of the environment, then the environment. A request that a later sweep
/// creates, for example of a pull request that was reopened, is a new one.
async fn end(scope: &EnvironmentScope<'_>, reason: &str, why: &str) -> Stop {
    match request::end_with(scope.environment, &scope.context.requests).await {
        Ok(()) => delete(scope, reason, why).await,
        Err(failure) => failure.into(),
    }
}

/// Deletes the environment, which ends its reconcile.
async fn delete(scope: &EnvironmentScope<'_>, reason: &str, why: &str) -> Stop {
    let (environment, common) = (scope.environment, scope.common());
    let kind = write::kind::<PreviewEnvironment>();
    let (namespace, uid) = (environment.namespace(), environment.uid().unwrap_or_default());
    let deleted = common
        .cluster
        .delete(&Actor::Operator, &kind, namespace.as_deref(), &environment.name_any(), &uid)
        .await;
    if let Err(error) = deleted {
        return error.into();
    }
    let message = format!("deleted: {why}");
    common.events.publish(&write::reference(environment), EventType::Normal, reason, &message).await;
    Stop::Ended
}

/// Adds the finalizer to an environment that somebody created by hand, before Matinee creates
/// anything for it.
async fn hold(environment: &PreviewEnvironment, common: &Common) -> Result<Action, Failure> {
    let metadata =
        ObjectMeta { finalizers: Some(vec![FINALIZER.to_owned()]), ..write::identity(environment) };
    let object = write::object::<PreviewEnvironment>(metadata, json!({}));
    let written = common.cluster.apply(&Actor::Operator, write::FINALIZER, &object).await?;
    common.objects.environments.wrote(write::typed(written)?);
    Ok(Action::requeue(Duration::ZERO))
}
