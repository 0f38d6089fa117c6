//! Reports the status of environments to GitHub, as an outbox. The environment's status contains
//! both the wanted and the acknowledged deployment status, so a restart loses nothing. The reporter
//! reads the statuses from GitHub first when it doesn't know whether a write had an effect (its
//! response was lost, or this process has just started), so nothing is reported twice.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures::future::join_all;
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Context, write};
use crate::api::{ConditionStatus, DeploymentReport, DeploymentRequest, PreviewEnvironment};
use crate::controllers::runner::Poke;
use crate::core::conditions;
use crate::core::deployment::triggers;
use crate::core::environment::resolve;
use crate::core::environment::status::REPORTED;
use crate::core::forge::RepositoryName;
use crate::core::publish::deployment_status;
use crate::ports::{ClusterError, Forge, ForgeError};

/// Delay after a failed report. It doubles with each failure, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// Outbox of deployment statuses.
pub struct Reporter {
    context: Weak<Context>,
    /// Whether the initial lists are complete. Before that, a missing PreviewRepository may only be
    /// one that hasn't been listed yet.
    open: AtomicBool,
    /// Reports being sent, by deployment id. In the write queue a newer one replaces an older one
    /// for the same deployment.
    sending: Mutex<HashMap<i64, DeploymentReport>>,
    /// Reports that GitHub acknowledged and the watch may not show yet, by environment UID.
    told: Mutex<HashMap<String, Vec<DeploymentReport>>>,
    failures: Mutex<HashMap<i64, u32>>,
    /// Deployments for which GitHub may show a newer status than the acknowledged one.
    doubtful: Mutex<HashSet<i64>>,
    /// Progress of making deployments inactive, by deployment id, for environments that are being
    /// deleted.
    retirements: Mutex<HashMap<i64, Retirement>>,
    /// UIDs of environments being deleted whose deployments are all inactive.
    finished: Mutex<HashSet<String>>,
    /// Running tasks.
    tasks: TaskTracker,
    closing: CancellationToken,
    /// Serializes status writes: each one contains everything that was acknowledged before it.
    writing: tokio::sync::Mutex<()>,
    poke: Poke<PreviewEnvironment>,
    /// Enqueues the requests, which follow their deployments by the acknowledged reports.
    requests: Poke<DeploymentRequest>,
}

/// Progress of making a deployment inactive, see [`Reporter::make_inactive`].
enum Retirement {
    UnderWay,
    Failed(ForgeError),
    Done,
}

impl Reporter {
    /// Creates a reporter. `poke` enqueues an environment after a failure.
    pub fn new(
        context: Weak<Context>,
        poke: Poke<PreviewEnvironment>,
        requests: Poke<DeploymentRequest>,
    ) -> Self {
        Self {
            context,
            open: AtomicBool::new(false),
            sending: Mutex::default(),
            told: Mutex::default(),
            failures: Mutex::default(),
            doubtful: Mutex::default(),
            retirements: Mutex::default(),
            finished: Mutex::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            writing: tokio::sync::Mutex::default(),
            poke,
            requests,
        }
    }

    /// Starts to report, beginning with the reports that a previous process didn't send. The
    /// initial lists must be complete.
    pub fn open(&self, environments: &[Arc<PreviewEnvironment>]) {
        for environment in environments {
            // The previous process may have ended after GitHub received a report and before it was
            // recorded.
            for deployment in deployment_status::doubtful(environment) {
                self.doubt(deployment);
            }
        }
        self.open.store(true, Ordering::Release);
        for environment in environments {
            self.tell(environment);
        }
    }

    /// Whether GitHub may show a newer status of the deployment than the acknowledged one.
    pub fn is_doubtful(&self, deployment_id: i64) -> bool {
        self.doubtful.lock().is_ok_and(|doubtful| doubtful.contains(&deployment_id))
    }

    /// Records that it isn't known which status GitHub shows for the deployment.
    pub fn doubt(&self, deployment_id: i64) {
        if let Ok(mut doubtful) = self.doubtful.lock() {
            doubtful.insert(deployment_id);
        }
    }

    fn trust(&self, deployment_id: i64) {
        if let Ok(mut doubtful) = self.doubtful.lock() {
            doubtful.remove(&deployment_id);
        }
    }

    /// Sends the reports that GitHub hasn't acknowledged. Returns at once.
    pub fn tell(&self, environment: &Arc<PreviewEnvironment>) {
        if !self.open.load(Ordering::Acquire) || self.closing.is_cancelled() {
            return;
        }
        if environment.metadata.deletion_timestamp.is_some() {
            return;
        }
        let Some(status) = &environment.status else { return };
        let uid = environment.uid().unwrap_or_default();
        let told = self.all_told(&uid, &status.reported);
        let mut new = Vec::new();
        for wanted in deployment_status::untold(&status.report, &told) {
            let is_new = self.sending.lock().is_ok_and(|mut sending| {
                let is_new = sending.get(&wanted.deployment_id) != Some(wanted);
                sending.insert(wanted.deployment_id, wanted.clone());
                is_new
            });
            if is_new && let Some(context) = self.context.upgrade() {
                new.push(send(context, Arc::clone(environment), wanted.clone()));
            }
        }
        if !new.is_empty() {
            // One task polls them in this order, the newest deployment first. Otherwise an idle
            // queue could make the superseded deployment inactive before the new one is live.
            self.tasks.spawn(join_all(new));
        }
    }

    /// Starts no more writes.
    pub fn stop(&self) {
        self.closing.cancel();
    }

    /// Starts no more writes, and returns when the running ones are finished and recorded. Another
    /// replica sends the rest.
    pub async fn close(&self) {
        self.stop();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Whether the deployment is known to be inactive.
    pub fn retired(&self, deployment_id: i64) -> bool {
        self.retirements
            .lock()
            .is_ok_and(|retirements| matches!(retirements.get(&deployment_id), Some(Retirement::Done)))
    }

    /// Whether the deployment is being made inactive.
    pub fn is_retiring(&self, deployment_id: i64) -> bool {
        self.retirements
            .lock()
            .is_ok_and(|retirements| matches!(retirements.get(&deployment_id), Some(Retirement::UnderWay)))
    }

    /// Records that the deployment is inactive.
    pub fn retire(&self, deployment_id: i64) {
        if let Ok(mut retirements) = self.retirements.lock() {
            retirements.insert(deployment_id, Retirement::Done);
        }
    }

    /// Makes a deployment of an environment inactive, through the write queue. Enqueues the
    /// environment when that has finished. Returns at once.
    ///
    /// # Errors
    /// The error of the last attempt.
    pub fn make_inactive(
        &self,
        environment: &PreviewEnvironment,
        forge: Arc<dyn Forge>,
        repository: RepositoryName,
        report: DeploymentReport,
    ) -> Result<(), ForgeError> {
        let id = report.deployment_id;
        let Ok(mut retirements) = self.retirements.lock() else { return Ok(()) };
        if matches!(retirements.get(&id), Some(Retirement::UnderWay | Retirement::Done)) {
            return Ok(());
        }
        if let Some(Retirement::Failed(error)) = retirements.remove(&id) {
            return Err(error);
        }
        let Some(context) = self.context.upgrade().filter(|_| !self.closing.is_cancelled()) else {
            return Ok(());
        };
        retirements.insert(id, Retirement::UnderWay);
        let (namespace, name) = (environment.namespace().unwrap_or_default(), environment.name_any());
        self.tasks.spawn(async move {
            let result = forge.create_deployment_status(&repository, &report).await;
            let reporter = &context.reporter;
            if matches!(result, Err(ForgeError::Unknown(_))) {
                reporter.doubt(id);
            }
            if let Ok(mut retirements) = reporter.retirements.lock() {
                match result {
                    // The deployment has been deleted on GitHub.
                    Ok(()) | Err(ForgeError::NotFound(_)) => retirements.insert(id, Retirement::Done),
                    // Another write for this deployment replaced this one.
                    Err(ForgeError::Superseded) => retirements.remove(&id),
                    Err(error) => retirements.insert(id, Retirement::Failed(error)),
                };
            }
            reporter.poke.named(&namespace, &name);
        });
        Ok(())
    }

    /// Whether every deployment of the environment is known to be inactive.
    pub fn has_retired(&self, uid: &str) -> bool {
        self.finished.lock().is_ok_and(|finished| finished.contains(uid))
    }

    /// Records that every deployment of the environment is inactive.
    pub fn retired_all(&self, uid: String) {
        if let Ok(mut finished) = self.finished.lock() {
            finished.insert(uid);
        }
    }

    /// Forgets an environment that has been deleted, and its deployments.
    pub fn forget(&self, uid: &str, deployments: impl IntoIterator<Item = i64>) {
        if let Ok(mut told) = self.told.lock() {
            told.remove(uid);
        }
        if let Ok(mut finished) = self.finished.lock() {
            finished.remove(uid);
        }
        for id in deployments {
            if let Ok(mut retirements) = self.retirements.lock() {
                retirements.remove(&id);
            }
            self.succeeded(id);
            self.trust(id);
        }
    }

    /// Returns the acknowledged reports: those in the status and those not yet in it.
    fn all_told(&self, uid: &str, reported: &[DeploymentReport]) -> Vec<DeploymentReport> {
        let Ok(told) = self.told.lock() else { return reported.to_vec() };
        let Some(since) = told.get(uid) else { return reported.to_vec() };
        let mut all = since.clone();
        all.extend(
            reported
                .iter()
                .filter(|old| !since.iter().any(|new| new.deployment_id == old.deployment_id))
                .cloned(),
        );
        all
    }

    fn sent(&self, report: &DeploymentReport) {
        if let Ok(mut sending) = self.sending.lock()
            && sending.get(&report.deployment_id) == Some(report)
        {
            sending.remove(&report.deployment_id);
        }
    }

    /// Resets the delay of the deployment to [`FIRST_WAIT`].
    fn succeeded(&self, deployment_id: i64) {
        if let Ok(mut failures) = self.failures.lock() {
            failures.remove(&deployment_id);
        }
    }

    fn wait(&self, deployment_id: i64) -> Duration {
        let failures = self.failures.lock().map_or(1, |mut failures| {
            let count = failures.entry(deployment_id).or_default();
            *count = count.saturating_add(1);
            *count
        });
        FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(12)).min(LONGEST_WAIT)
    }
}

async fn send(context: Arc<Context>, environment: Arc<PreviewEnvironment>, wanted: DeploymentReport) {
    let reporter = &context.reporter;
    let result = tell_github(&context, &environment, &wanted).await;
    let id = wanted.deployment_id;
    match result {
        Ok(()) => {
            reporter.succeeded(id);
            reporter.trust(id);
            // Retry until it is recorded: requests and commands follow the deployment by this
            // record only.
            while let Err(error) = acknowledge(&context, &environment, wanted.clone(), None).await {
                let wait = reporter.wait(id);
                tracing::warn!(name = environment.name_any(), %error, ?wait, "what GitHub acknowledged could not be written; it is tried again");
                if reporter.closing.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                    break;
                }
            }
            reporter.succeeded(id);
            reporter.sent(&wanted);
        }
        Err(ForgeError::Superseded | ForgeError::NotSent(_)) => reporter.sent(&wanted),
        Err(error) => {
            if matches!(error, ForgeError::Unknown(_)) {
                reporter.doubt(id);
            }
            let wait = reporter.wait(id);
            let namespace = environment.namespace().unwrap_or_default();
            let name = environment.name_any();
            tracing::warn!(namespace, name, deployment = id, %error, ?wait, "GitHub could not be told; it is tried again");
            if let Err(error) = acknowledge(&context, &environment, wanted.clone(), Some(&error)).await {
                tracing::warn!(name, %error, "that could not be written on the environment");
            }
            // The report counts as being sent until the delay is over, so that another reconcile of
            // the environment doesn't start a second one.
            let over = reporter.closing.run_until_cancelled(tokio::time::sleep(wait)).await;
            reporter.sent(&wanted);
            if over.is_none() {
                return;
            }
            // Another status may be wanted by now, so start from the current environment.
            if let Some(now) = context.environments.get(&ObjectRef::new(&name).within(&namespace)) {
                reporter.tell(&context.fresh_environments.of(now));
            }
            reporter.poke.named(&namespace, &name);
        }
    }
}

async fn tell_github(
    context: &Context,
    environment: &PreviewEnvironment,
    wanted: &DeploymentReport,
) -> Result<(), ForgeError> {
    let spec = &environment.spec;
    let namespace = environment.namespace().unwrap_or_default();
    let unread = |error: ClusterError| ForgeError::Unknown(error.to_string());
    let repository = context.repository(&namespace, &spec.repository_ref.name).await.map_err(unread)?;
    let class = context.class_of(repository.as_deref()).await.map_err(unread)?;
    let repositories = context.repositories.state();
    let repositories: Vec<_> = repositories.iter().map(AsRef::as_ref).collect();
    let admitted = resolve::admit(
        &namespace,
        &spec.repository_ref.name,
        &spec.environment,
        repository.as_deref(),
        class.as_deref(),
        &repositories,
    );
    match admitted {
        Ok(admitted) => {
            let (forge, name) = context.forge(&admitted).await?;
            // The environment may have been deleted in the meantime. Then nothing more is reported
            // for it.
            let lives = context.environments.get(&ObjectRef::from_obj(environment)).is_some_and(|now| {
                now.uid() == environment.uid() && now.metadata.deletion_timestamp.is_none()
            });
            if !lives {
                return Err(ForgeError::Superseded);
            }
            if context.reporter.is_doubtful(wanted.deployment_id) {
                let statuses = forge.deployment_statuses(&name, wanted.deployment_id).await?;
                if statuses.items.first().is_some_and(|newest| deployment_status::is_shown(newest, wanted)) {
                    return Ok(());
                }
            }
            forge.create_deployment_status(&name, wanted).await
        }
        // The class no longer admits this repository, so its credentials must not be used for it.
        Err(mistake) => Err(ForgeError::Invalid(mistake.message)),
    }
}

/// Records in the environment's status what GitHub acknowledged, or why it didn't. Does nothing if
/// the environment has been deleted.
async fn acknowledge(
    context: &Context,
    environment: &PreviewEnvironment,
    report: DeploymentReport,
    error: Option<&ForgeError>,
) -> Result<(), ClusterError> {
    let reporter = &context.reporter;
    let id = report.deployment_id;
    let _one_at_a_time = reporter.writing.lock().await;
    let seen = context
        .environments
        .get(&ObjectRef::from_obj(environment))
        .filter(|seen| seen.uid() == environment.uid())
        .map(|seen| context.fresh_environments.of(seen));
    let Some(seen) = seen else { return Ok(()) };
    let uid = seen.uid().unwrap_or_default();
    let status = seen.status.clone();
    let (wanted, before, known) =
        status.map(|status| (status.report, status.reported, status.conditions)).unwrap_or_default();
    let mut told = reporter.all_told(&uid, &before);
    let about = format!("{} of deployment {id}", report.state.as_github());
    if error.is_none() {
        told = deployment_status::acknowledge(&told, report, &wanted);
        if let Ok(mut since) = reporter.told.lock() {
            since.insert(uid, told.clone());
        }
    }
    let mut list: Vec<_> = known.into_iter().filter(|condition| condition.type_ == REPORTED).collect();
    let (verdict, reason, message) = match error {
        None => {
            let shown = deployment_status::shown(&told, seen.spec.revision.deployment_id).unwrap_or_default();
            (ConditionStatus::True, "Acknowledged", shown)
        }
        Some(error) => (ConditionStatus::False, "NotAcknowledged", format!("{error} ({about})")),
    };
    let generation = seen.metadata.generation.unwrap_or_default();
    conditions::set(&mut list, REPORTED, verdict, reason, &message, generation, context.clock.now());
    let status = json!({ "reported": told, "conditions": list });
    let written: PreviewEnvironment =
        write::status(&*context.cluster, write::REPORTER, &*seen, &status).await?;
    context.fresh_environments.wrote(written);
    // The watch may not show the deployment id in the request's status yet.
    let asked = context.requests.state_filter(|request| {
        let known = request.status.as_ref().and_then(|status| status.deployment_id);
        request.namespace() == seen.namespace()
            && triggers::is_request_of(&request.spec, &seen.spec)
            && known.is_none_or(|known| known == id)
    });
    for request in asked {
        reporter.requests.object(&request);
    }
    Ok(())
}

/// Records in the status of an environment that is being deleted that all its deployments are
/// inactive, or `why` they aren't. Returns whether the status changed.
pub(super) async fn ended(
    context: &Context,
    environment: &PreviewEnvironment,
    why: Option<&str>,
) -> Result<bool, ClusterError> {
    let reporter = &context.reporter;
    let _one_at_a_time = reporter.writing.lock().await;
    let seen = context.fresh_environments.of(Arc::new(environment.clone()));
    let uid = seen.uid().unwrap_or_default();
    let (before, known) = seen
        .status
        .as_ref()
        .map(|status| (status.reported.clone(), status.conditions.clone()))
        .unwrap_or_default();
    let mut told = reporter.all_told(&uid, &before);
    if why.is_none() {
        told = deployment_status::all_inactive(&told, seen.spec.revision.deployment_id);
        if let Ok(mut since) = reporter.told.lock() {
            since.insert(uid, told.clone());
        }
    }
    let mut list: Vec<_> = known.into_iter().filter(|condition| condition.type_ == REPORTED).collect();
    let unchanged = list.clone();
    let shown = deployment_status::shown(&told, seen.spec.revision.deployment_id).unwrap_or_default();
    let (verdict, reason, message) = match why {
        None => (ConditionStatus::True, "Acknowledged", shown.as_str()),
        Some(why) => (ConditionStatus::False, "NotAcknowledged", why),
    };
    let generation = seen.metadata.generation.unwrap_or_default();
    conditions::set(&mut list, REPORTED, verdict, reason, message, generation, context.clock.now());
    if list == unchanged && told == before {
        return Ok(false);
    }
    let status = json!({ "reported": told, "conditions": list });
    let written = write::status(&*context.cluster, write::REPORTER, &*seen, &status).await?;
    context.fresh_environments.wrote(written);
    Ok(true)
}
