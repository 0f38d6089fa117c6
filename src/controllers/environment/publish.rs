//! Step 7: shows the result on GitHub. The environment's status has both the wanted and the
//! acknowledged deployment statuses, so a restart loses nothing. Where it isn't known whether a write
//! had an effect (its answer was lost, or this process has just started), the statuses are read from
//! GitHub first, so nothing is shown twice.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt as _;

use super::EnvironmentContext;
use super::dereference::References;
use super::status_writer::write_status;
use crate::api::{DeploymentReport, PreviewEnvironment, PreviewEnvironmentStatus};
use crate::controllers::request;
use crate::core::environment::status;
use crate::core::publish::deployment_status;
use crate::ports::ForgeError;
use crate::runtime::publisher::{Ended, WriteError, WriteProgress};

/// Deployments for which GitHub may show a newer status than the acknowledged one, by UID of their
/// environment.
#[derive(Default)]
pub struct Doubts(Mutex<HashMap<String, BTreeSet<i64>>>);

impl Doubts {
    /// Records the deployments for which an earlier process may have ended after GitHub received a
    /// status and before that was recorded.
    pub(super) fn begin(&self, environments: &[Arc<PreviewEnvironment>]) {
        for environment in environments {
            let doubtful = deployment_status::doubtful(environment);
            self.with(environment, |doubts| doubts.extend(doubtful));
        }
    }

    fn with<T>(&self, environment: &PreviewEnvironment, act: impl FnOnce(&mut BTreeSet<i64>) -> T) -> T {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(known.entry(environment.uid().unwrap_or_default()).or_default())
    }

    /// Whether GitHub may show a newer status of the deployment.
    pub(super) fn has(&self, environment: &PreviewEnvironment, deployment_id: i64) -> bool {
        self.with(environment, |doubts| doubts.contains(&deployment_id))
    }

    /// Records whether GitHub may show a newer status of the deployment.
    pub(super) fn set(&self, environment: &PreviewEnvironment, deployment_id: i64, doubtful: bool) {
        self.with(environment, |doubts| {
            if doubtful { doubts.insert(deployment_id) } else { doubts.remove(&deployment_id) }
        });
    }

    /// Forgets an environment that has been deleted.
    pub(super) fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// Results of the writes of an environment's deployment statuses that have ended.
pub(super) struct Published(Vec<Ended<DeploymentReport, ()>>);

impl Published {
    pub(super) fn of(environment: &PreviewEnvironment, context: &EnvironmentContext) -> Self {
        Self(context.publisher.deployment_statuses.results(environment))
    }

    /// Returns the environment's status with these results.
    pub(super) fn recorded(
        &self,
        environment: &PreviewEnvironment,
        now: Timestamp,
    ) -> Option<PreviewEnvironmentStatus> {
        let mut status = environment.status.clone()?;
        let results: Vec<_> = self
            .0
            .iter()
            .filter(|ended| !is_replaced(&ended.result))
            .map(|ended| (ended.about.clone(), ended.result.clone().map_err(|error| error.to_string())))
            .collect();
        let generation = environment.metadata.generation.unwrap_or_default();
        let current = environment.spec.revision.deployment_id;
        status::acknowledge(&mut status, current, &results, generation, now);
        Some(status)
    }

    /// Forgets the results, which are recorded now, and pauses the writes that failed.
    pub(super) fn settle(
        &self,
        environment: &PreviewEnvironment,
        context: &EnvironmentContext,
        now: Timestamp,
    ) {
        let writes = &context.publisher.deployment_statuses;
        let mut any_acknowledged = false;
        for ended in &self.0 {
            let id = ended.about.deployment_id;
            match &ended.result {
                Ok(()) => {
                    log_reported(environment, &ended.about);
                    context.memory.doubts.set(environment, id, false);
                    writes.done(environment, ended);
                    any_acknowledged = true;
                }
                Err(_) if is_replaced(&ended.result) => writes.done(environment, ended),
                Err(error) => {
                    if matches!(error, WriteError::Forge(ForgeError::Unknown(_))) {
                        context.memory.doubts.set(environment, id, true);
                    }
                    let wait = writes.failed(environment, ended, now);
                    let (namespace, name) = (environment.namespace(), environment.name_any());
                    tracing::warn!(namespace, name, deployment_id = id, %error, ?wait, "failed to create deployment status, retrying");
                }
            }
        }
        if any_acknowledged {
            // Requests follow their deployments by what GitHub acknowledged.
            let requests = request::of_environment(environment, &context.common);
            context.common.queues.requests.enqueue_all(&requests);
        }
    }
}

/// Logs a deployment status that GitHub acknowledged.
pub(super) fn log_reported(environment: &PreviewEnvironment, report: &DeploymentReport) {
    tracing::info!(
        namespace = environment.namespace(),
        name = environment.name_any(),
        deployment_id = report.deployment_id,
        state = report.state.as_github(),
        "deployment status reported"
    );
}

/// Whether a newer write for the same deployment replaced this one before it was sent.
fn is_replaced(result: &Result<(), WriteError>) -> bool {
    matches!(result, Err(WriteError::Forge(ForgeError::Superseded)))
}

/// Starts the write of the first deployment status that GitHub lacks, the newest deployment first.
/// The statuses of one environment are written one after another, so that a superseded deployment
/// becomes inactive only once the new one is shown as live. Returns the time until a paused write
/// may be started again.
pub(super) fn start(environment: &PreviewEnvironment, context: &Arc<EnvironmentContext>) -> Option<Duration> {
    let status = environment.status.as_ref()?;
    let writes = &context.publisher.deployment_statuses;
    let mut again: Option<Duration> = None;
    for wanted in deployment_status::unreported(&status.report, &status.reported) {
        match writes.look_in(environment, wanted.deployment_id) {
            WriteProgress::Paused { about, wait, .. } if about == *wanted => {
                again = Some(again.map_or(wait, |again| again.min(wait)));
            }
            WriteProgress::UnderWay { about } if about == *wanted => return again,
            _ => {
                let (context, environment) = (Arc::clone(context), environment.clone());
                let report = wanted.clone();
                writes.start_in(&environment.clone(), wanted.deployment_id, wanted.clone(), async move {
                    Ok(write(&context, &environment, &report).await?)
                });
                return again;
            }
        }
    }
    again
}

/// Records the results of writes and starts further ones although the reconcile failed.
pub(super) async fn go_on(
    environment: &PreviewEnvironment,
    context: &Arc<EnvironmentContext>,
    now: Timestamp,
) {
    let published = Published::of(environment, context);
    if published.0.is_empty() {
        start(environment, context);
        return;
    }
    let Some(status) = published.recorded(environment, now) else { return };
    match write_status(environment, &status, &context.common).await {
        Ok(written) => {
            published.settle(environment, context, now);
            start(&written, context);
        }
        Err(error) => {
            let (namespace, name) = (environment.namespace(), environment.name_any());
            tracing::debug!(namespace, name, %error, "failed to record acknowledged deployment statuses, retrying");
        }
    }
}

async fn write(
    context: &EnvironmentContext,
    environment: &PreviewEnvironment,
    wanted: &DeploymentReport,
) -> Result<(), ForgeError> {
    let common = &context.common;
    let references = References::of(environment, common).await;
    let references = references.map_err(|error| ForgeError::Unknown(error.to_string()))?;
    // If the class no longer admits this repository, its credentials must not be used for it.
    let admitted =
        references.authorize(environment).map_err(|mistake| ForgeError::Invalid(mistake.message))?;
    let (forge, name) = common.forge(&admitted).await?;
    // The environment may have been deleted in the meantime. Then nothing more is shown for it.
    let current = common.objects.environments.current(environment);
    if current.is_none_or(|current| current.metadata.deletion_timestamp.is_some()) {
        return Err(ForgeError::Superseded);
    }
    if context.memory.doubts.has(environment, wanted.deployment_id) {
        let statuses = forge.deployment_statuses(&name, wanted.deployment_id).await?;
        if statuses.items.first().is_some_and(|newest| deployment_status::is_shown(newest, wanted)) {
            return Ok(());
        }
    }
    forge.create_deployment_status(&name, wanted).await
}
