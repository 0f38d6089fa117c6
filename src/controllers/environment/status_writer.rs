//! Writes an environment's status, and starts the deployment statuses that GitHub lacks. Every write
//! of an environment's status passes through here.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt as _;

use super::{EnvironmentContext, publish};
use crate::api::{PreviewEnvironment, PreviewEnvironmentStatus};
use crate::controllers::request;
use crate::core::environment::lead_time;
use crate::core::environment::status::{self, Findings, Progress};
use crate::ports::ClusterError;
use crate::runtime::common::Common;
use crate::runtime::{events, write};

/// Minimum time between two status writes that only report progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(3);

/// Time until it is written that GitHub acknowledged that a deployment is in progress, if nothing
/// else is written before.
const ACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Result of the last step.
pub(super) struct Reported {
    /// Whether the status was written.
    pub(super) is_written: bool,
    /// Time until the status can be written or sent to GitHub, if it couldn't yet.
    pub(super) again: Option<Duration>,
}

/// Writes the status if it changed, and starts what GitHub lacks. Writes that only report progress
/// are limited to one per [`PROGRESS_INTERVAL`].
pub(super) async fn report(
    environment: &PreviewEnvironment,
    context: &Arc<EnvironmentContext>,
    now: Timestamp,
    findings: Findings,
    progress: &Progress,
) -> Result<Reported, ClusterError> {
    let (namespace, uid) =
        (environment.namespace().unwrap_or_default(), environment.uid().unwrap_or_default());
    let log_url = context.common.settings.log_url(&namespace, &environment.name_any());
    let scope = status::StatusInput {
        generation: environment.metadata.generation.unwrap_or_default(),
        revision: &environment.spec.revision,
        log_url: log_url.as_deref(),
        now,
    };
    let published = publish::Published::of(environment, context);
    let before = published.recorded(environment, now);
    let status = status::conclude(before.as_ref(), &scope, findings, progress);
    if environment.status.as_ref() == Some(&status) {
        published.settle(environment, context, now);
        let again = publish::start(environment, context);
        return Ok(Reported { is_written: false, again });
    }
    if status::is_only_progress(environment.status.as_ref(), &status)
        && let Some(wait) = context.memory.status_writes.left_of(PROGRESS_INTERVAL, &uid)
    {
        return Ok(Reported { is_written: false, again: Some(wait) });
    }
    // The end of the deployment follows soon as a rule, and is written with it.
    if status::is_only_acknowledged_progress(environment.status.as_ref(), &status)
        && let Some(wait) = context.memory.status_writes.left_of(ACKNOWLEDGED, &uid)
    {
        let again = publish::start(environment, context);
        return Ok(Reported { is_written: false, again: Some(again.map_or(wait, |again| again.min(wait))) });
    }
    context.memory.status_writes.record(&uid);
    let written = write_status(environment, &status, &context.common).await?;
    published.settle(environment, context, now);
    let conditions =
        |of: &PreviewEnvironment| of.status.clone().map(|status| status.conditions).unwrap_or_default();
    let (before, after) = (conditions(environment), conditions(&written));
    events::of_environment(write::reference(&written), &before, &after, &context.common).await;
    if lead_time::is_first_ready(environment.status.as_ref(), &status, scope.revision) {
        measure(environment, &status, &context.common, now);
    }
    let again = publish::start(&written, context);
    Ok(Reported { is_written: true, again })
}

/// Writes the status. Returns the environment with it.
pub(super) async fn write_status(
    environment: &PreviewEnvironment,
    status: &PreviewEnvironmentStatus,
    common: &Common,
) -> Result<PreviewEnvironment, ClusterError> {
    let written: PreviewEnvironment =
        write::status(&*common.cluster, write::ENVIRONMENT, environment, status).await?;
    common.objects.environments.wrote(written.clone());
    Ok(written)
}

/// Measures the lead time of the revision.
fn measure(
    environment: &PreviewEnvironment,
    status: &PreviewEnvironmentStatus,
    common: &Common,
    now: Timestamp,
) {
    let seen = status::first_seen(Some(status), &environment.spec.revision, now);
    let requests = request::of_environment(environment, common);
    let since = lead_time::waited_since(environment, requests.iter().map(AsRef::as_ref), seen);
    common.metrics.push_to_ready(now.duration_since(since).try_into().unwrap_or_default());
}
