//! Reconciles a `PreviewEnvironment`: observe, verify, validate, plan, apply, assess, report.

mod applications;
mod apply;
mod dereference;
mod eligibility;
mod health;
mod objects;
mod passed_over;
mod stuck;
mod teardown;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::ObjectMeta;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use serde_json::json;

pub use self::applications::Applications;
pub use self::passed_over::Asked;
pub use self::stuck::DeletedPods;
use super::{Context, request, write};
use crate::api::{FINALIZER, PreviewEnvironment, PreviewEnvironmentStatus};
use crate::controllers::environment::dereference::Observed;
use crate::controllers::environment::eligibility::Verified;
use crate::controllers::events;
use crate::controllers::runner::Failure;
use crate::core::class_limits::CLASS_INVALID;
use crate::core::environment::resolved::Mistake;
use crate::core::environment::status::{self, Findings, Progress, Stage, Visit};
use crate::core::environment::{lead_time, lifetime, plan, resolve};
use crate::core::trouble::{self, Trouble};
use crate::ports::{Actor, ClusterError, EventType};

/// Longest time between two reconciles of an environment.
const LOOK_AGAIN: Duration = Duration::from_hours(1);

/// Minimum time between two status writes that only report progress.
const NEWS: Duration = Duration::from_secs(3);

/// Time between two checks whether another owner has released a namespace or host.
const ROOM_AGAIN: Duration = Duration::from_secs(30);
/// Like [`ROOM_AGAIN`], for a namespace that is being deleted.
const ROOM_SOON: Duration = Duration::from_secs(2);
/// Time between two attempts to apply objects after missing rights, quota or kinds prevented it. No
/// watch reports when the platform team fixes that.
const RIGHTS_AGAIN: Duration = Duration::from_mins(1);

/// Reconciles an environment, within the runner's limits.
pub fn reconcile(
    environment: Arc<PreviewEnvironment>,
    context: Arc<Context>,
) -> BoxFuture<'static, Result<Action, Failure>> {
    async move { Box::pin(visit(context.fresh_environments.of(environment), &context)).await }.boxed()
}

async fn visit(environment: Arc<PreviewEnvironment>, context: &Context) -> Result<Action, Failure> {
    if environment.metadata.deletion_timestamp.is_some() {
        return teardown::teardown(&environment, context).await;
    }
    if !environment.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        return hold(&environment, context).await;
    }
    let now = context.clock.now();
    let mut findings = Findings::default();
    // Results that an earlier, failed reconcile left are older than the results of this one.
    context.applications.take(&environment.uid().unwrap_or_default());
    let step = match Box::pin(steps(&environment, context, now, &mut findings)).await {
        Ok(step) => step,
        Err(failure) => {
            // The runner reports the failure on the object, with these results.
            context.applications.leave(environment.uid().unwrap_or_default(), findings);
            return Err(failure);
        }
    };
    let (progress, again) = match step {
        Step::Done(progress, again) => (progress, again),
        Step::Deleted => return Ok(Action::await_change()),
    };
    let expires = findings.expires;
    let later = match report(&environment, context, now, findings, &progress).await? {
        Reported::Later(wait) => Some(wait),
        Reported::Written | Reported::Unchanged => None,
    };
    let unasked = context.asked.settle(&environment.uid().unwrap_or_default());
    let again = [again, later, unasked].into_iter().flatten().min();
    let left = expires.and_then(|expires| Duration::try_from(expires.duration_since(now)).ok());
    Ok(Action::requeue([again, left].into_iter().flatten().min().unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN)))
}

/// Reports on the environment what prevents its reconcile from completing, once that has lasted
/// long enough. Returns whether the status was written.
pub(super) fn explain(
    environment: Arc<PreviewEnvironment>,
    trouble: Trouble,
    lasts: Duration,
    context: Arc<Context>,
) -> BoxFuture<'static, Result<bool, ClusterError>> {
    async move {
        let findings = context.applications.take(&environment.uid().unwrap_or_default()).unwrap_or_default();
        let environment = context.fresh_environments.of(environment);
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
        // The URL is known only after validation.
        let stage = if findings.url.is_some() { Stage::Apply } else { Stage::Validate };
        let progress = Progress::Interrupted { stage, reason: trouble.reason, message: trouble.message };
        let reported = report(&environment, &context, context.clock.now(), findings, &progress).await?;
        Ok(matches!(reported, Reported::Written))
    }
    .boxed()
}

/// Result of the steps.
enum Step {
    /// Progress to report, and the time until the next reconcile if no watch triggers one before.
    Done(Progress, Option<Duration>),
    /// The environment was deleted.
    Deleted,
}

async fn steps(
    environment: &PreviewEnvironment,
    context: &Context,
    now: Timestamp,
    findings: &mut Findings,
) -> Result<Step, Failure> {
    let stalled = |stage, mistake| {
        let progress = Progress::Mistaken { stage, mistake };
        let again = look_again(&progress);
        Ok(Step::Done(progress, again))
    };
    passed_over::note(environment, context);
    let observed = Observed::of(environment, context).await?;
    let admitted = match observed.admit(environment) {
        Ok(admitted) => admitted,
        Err(mistake) => return stalled(Stage::Validate, mistake),
    };
    findings.skipped = passed_over::find(environment, &admitted, context).await;
    let verified = eligibility::verify(environment, &admitted, context).await?;
    let seen = status::first_seen(environment.status.as_ref(), &environment.spec.revision, now);
    // This also applies to a revision that isn't deployed: the lifetime of the previous revision's
    // workloads ends too.
    if environment.spec.pull_request.is_some() && !matches!(verified, Verified::Over(..)) {
        let own = environment.spec.lifetime.as_ref();
        let expires =
            lifetime::expires(seen, own, admitted.entry.lifetime.as_ref(), &admitted.class.spec.lifetime);
        if expires <= now {
            return delete(environment, context, "Expired", &format!("its time was over at {expires}")).await;
        }
        findings.expires = Some(expires);
    }
    let pull_request = match verified {
        Verified::Allowed(verification) => {
            let pull_request = verification.as_ref().map(|verification| verification.pull_request.clone());
            findings.verified = verification;
            pull_request
        }
        Verified::Refused(verification, mistake) => {
            findings.verified = verification;
            return stalled(Stage::Validate, mistake);
        }
        Verified::Superseded(head) => {
            if !status::is_superseded(environment.status.as_ref(), &environment.spec.revision) {
                // The head's deployment may exist already. In that case only this reconcile of its
                // request deploys it again.
                request::look_at_head(environment, &head, context).await?;
            }
            return Ok(Step::Done(Progress::Superseded { head }, None));
        }
        Verified::NotTheHead { verification, mistake, head } => {
            // This revision replaced the head, which may have a deployment already.
            request::look_at_head(environment, &head, context).await?;
            findings.verified = Some(verification);
            return stalled(Stage::Validate, mistake);
        }
        Verified::Over(reason, why) => {
            let now = context.environments.get(&ObjectRef::from_obj(environment));
            if now.is_some_and(|now| now.spec.revision != environment.spec.revision) {
                // Another deployment arrived during the calls to GitHub. Verify that one instead.
                let reason = "another deployment came".to_owned();
                return Err(Failure::Soon { reason, after: Duration::ZERO });
            }
            request::end_with(environment, context).await?;
            return delete(environment, context, reason, &why).await;
        }
    };
    let repositories = observed.repositories();
    let environments = observed.environments();
    let found = observed.found(&repositories, &environments);
    let target = match resolve::validate(environment, pull_request.as_ref(), &found) {
        Ok(target) => target,
        Err(mistake) => return stalled(Stage::Validate, mistake),
    };
    findings.hosts = Some(plan::hosts(&target));
    // Without endpoints there is no URL.
    if !target.template.endpoints.is_empty() {
        findings.host = Some(target.host.clone());
        findings.url = Some(target.url.clone());
    }
    let planned = context.renderer.render(&target).and_then(|rendered| plan::plan(&target, rendered));
    let plan = match planned {
        Ok(plan) => plan,
        Err(mistake) => return stalled(Stage::Validate, mistake),
    };
    let applied = match apply::apply(environment, &target, plan, context, findings).await? {
        Ok(applied) => applied,
        Err(progress) => {
            let again = look_again(&progress);
            return Ok(Step::Done(progress, again));
        }
    };
    let (progress, again) = health::assess(environment, &target, &applied, context, seen, findings).await;
    Ok(Step::Done(progress, again))
}

/// Returns the time until the next reconcile if no watch will trigger one. Watches report neither
/// changes to foreign objects and other environments, nor new rights.
fn look_again(progress: &Progress) -> Option<Duration> {
    match progress {
        Progress::Waiting { reason, .. } if reason == "NamespaceTerminating" => Some(ROOM_SOON),
        Progress::Mistaken { mistake: Mistake { reason: "HostTaken" | "NamespaceTaken", .. }, .. } => {
            Some(ROOM_AGAIN)
        }
        Progress::Mistaken {
            stage: Stage::Apply,
            mistake: Mistake { reason: "ApplyForbidden" | "KindMissing" | CLASS_INVALID, .. },
        } => Some(RIGHTS_AGAIN),
        _ => None,
    }
}

/// Result of writing a status.
enum Reported {
    /// The status didn't change.
    Unchanged,
    /// The status is written, and the reporter sends it to GitHub.
    Written,
    /// The status only reports progress, and is written after this time.
    Later(Duration),
}

/// Writes the status if it changed, and starts the report to GitHub. Writes that only report
/// progress are limited to one per [`NEWS`].
async fn report(
    environment: &PreviewEnvironment,
    context: &Context,
    now: Timestamp,
    findings: Findings,
    progress: &Progress,
) -> Result<Reported, ClusterError> {
    let namespace = environment.namespace().unwrap_or_default();
    let log_url = context.log_url(&namespace, &environment.name_any());
    let visit = Visit {
        generation: environment.metadata.generation.unwrap_or_default(),
        revision: &environment.spec.revision,
        log_url: log_url.as_deref(),
        now,
    };
    let status = status::conclude(environment.status.as_ref(), &visit, findings, progress);
    if changed(environment.status.as_ref(), &status) {
        let uid = environment.uid().unwrap_or_default();
        if status::is_only_news(environment.status.as_ref(), &status)
            && let Some(wait) = context.applications.told_lately(&uid, NEWS)
        {
            return Ok(Reported::Later(wait));
        }
        context.applications.tells(uid);
        let written: PreviewEnvironment =
            write::status(&*context.cluster, write::ENVIRONMENT, environment, &status).await?;
        let conditions =
            |of: &PreviewEnvironment| of.status.clone().map(|status| status.conditions).unwrap_or_default();
        let reference = write::reference(&written);
        events::of_environment(reference, &conditions(environment), &conditions(&written), context).await;
        if lead_time::is_first_ready(environment.status.as_ref(), &status, visit.revision) {
            measure(environment, &status, context, now);
        }
        context.fresh_environments.wrote(written.clone());
        context.reporter.tell(&Arc::new(written));
        return Ok(Reported::Written);
    }
    Ok(Reported::Unchanged)
}

/// Measures the lead time of the revision.
fn measure(
    environment: &PreviewEnvironment,
    status: &PreviewEnvironmentStatus,
    context: &Context,
    now: Timestamp,
) {
    let seen = status::first_seen(Some(status), &environment.spec.revision, now);
    let requests = context.requests.state();
    let since = lead_time::waited_since(environment, requests.iter().map(AsRef::as_ref), seen);
    context.metrics.push_to_ready(now.duration_since(since).try_into().unwrap_or_default());
}

/// Whether two statuses differ, apart from the reporter's fields.
fn changed(before: Option<&PreviewEnvironmentStatus>, after: &PreviewEnvironmentStatus) -> bool {
    let Some(before) = before else { return true };
    let mut before = before.clone();
    before.reported.clear();
    before.conditions.retain(|condition| condition.type_ != status::REPORTED);
    before != *after
}

async fn delete(
    environment: &PreviewEnvironment,
    context: &Context,
    reason: &str,
    why: &str,
) -> Result<Step, Failure> {
    let kind = write::kind::<PreviewEnvironment>();
    let namespace = environment.namespace();
    let uid = environment.uid().unwrap_or_default();
    context
        .cluster
        .delete(&Actor::Operator, &kind, namespace.as_deref(), &environment.name_any(), &uid)
        .await?;
    context
        .events
        .publish(&write::reference(environment), EventType::Normal, reason, &format!("deleted: {why}"))
        .await;
    Ok(Step::Deleted)
}

/// Adds the finalizer to an environment that somebody created by hand, before Matinee creates
/// anything for it.
async fn hold(environment: &PreviewEnvironment, context: &Context) -> Result<Action, Failure> {
    let metadata =
        ObjectMeta { finalizers: Some(vec![FINALIZER.to_owned()]), ..write::identity(environment) };
    let object = write::object::<PreviewEnvironment>(metadata, json!({}));
    let written = context.cluster.apply(&Actor::Operator, write::FINALIZER, &object).await?;
    context.fresh_environments.wrote(write::typed(written)?);
    Ok(Action::requeue(Duration::ZERO))
}
