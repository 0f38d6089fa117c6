//! Tells GitHub what the statuses of environments say: an outbox. What is wanted and what was acknowledged both stand in the status, so a
//! restart loses nothing. Where it isn't known whether GitHub was told, since its answer was lost or this process is new, GitHub is asked
//! first, so nothing is repeated either.

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

/// Wait after a report that failed, doubled with every failure up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// See the module.
pub struct Reporter {
    context: Weak<Context>,
    /// Whether everything an environment refers to is listed: before that, a PreviewRepository that isn't there is only not seen yet.
    open: AtomicBool,
    /// What is on its way, by deployment; a newer one for the same deployment takes its place in the queue.
    sending: Mutex<HashMap<i64, DeploymentReport>>,
    /// Acknowledged, but not yet seen in the status, by environment UID.
    told: Mutex<HashMap<String, Vec<DeploymentReport>>>,
    failures: Mutex<HashMap<i64, u32>>,
    /// Deployments of which GitHub may show more than was acknowledged.
    doubtful: Mutex<HashSet<i64>>,
    /// How far deployments of environments being torn down are on their way to inactive.
    retirements: Mutex<HashMap<i64, Retirement>>,
    /// UIDs of environments being torn down whose deployments are all inactive.
    finished: Mutex<HashSet<String>>,
    /// What is under way, and whether nothing more is begun.
    tasks: TaskTracker,
    closing: CancellationToken,
    /// Statuses are written one after another, each from what all before it acknowledged.
    writing: tokio::sync::Mutex<()>,
    poke: Poke<PreviewEnvironment>,
    /// Who asked for a deployment follows it by what GitHub acknowledged.
    requests: Poke<DeploymentRequest>,
}

/// See [`Reporter::make_inactive`].
enum Retirement {
    UnderWay,
    Failed(ForgeError),
    Done,
}

impl Reporter {
    /// A reporter that asks for another visit where something couldn't be told.
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

    /// Begins to tell, with what a former life of the operator left untold. Everything must be listed by now.
    pub fn open(&self, environments: &[Arc<PreviewEnvironment>]) {
        for environment in environments {
            // Its last words may have come to GitHub, and nobody was left to write that down.
            for deployment in deployment_status::doubtful(environment) {
                self.doubt(deployment);
            }
        }
        self.open.store(true, Ordering::Release);
        for environment in environments {
            self.tell(environment);
        }
    }

    /// Whether GitHub may show more of a deployment than was acknowledged.
    pub fn is_doubtful(&self, deployment_id: i64) -> bool {
        self.doubtful.lock().is_ok_and(|doubtful| doubtful.contains(&deployment_id))
    }

    /// It isn't known any more what GitHub shows of a deployment.
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

    /// Sends what GitHub hasn't acknowledged. Returns at once.
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
            // One task begins them in their order, the newest deployment's first: on a queue with nothing to do, the superseded one would
            // else be inactive before the new one is live.
            self.tasks.spawn(join_all(new));
        }
    }

    /// Begins nothing more.
    pub fn stop(&self) {
        self.closing.cancel();
    }

    /// Begins nothing more, and ends when everything is told and recorded that was being told: what isn't yet, another replica tells.
    pub async fn close(&self) {
        self.stop();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Whether a deployment is known to be inactive.
    pub fn retired(&self, deployment_id: i64) -> bool {
        self.retirements
            .lock()
            .is_ok_and(|retirements| matches!(retirements.get(&deployment_id), Some(Retirement::Done)))
    }

    /// Whether a deployment is just being made inactive.
    pub fn is_retiring(&self, deployment_id: i64) -> bool {
        self.retirements
            .lock()
            .is_ok_and(|retirements| matches!(retirements.get(&deployment_id), Some(Retirement::UnderWay)))
    }

    /// Remembers that a deployment is inactive.
    pub fn retire(&self, deployment_id: i64) {
        if let Ok(mut retirements) = self.retirements.lock() {
            retirements.insert(deployment_id, Retirement::Done);
        }
    }

    /// Makes a deployment of an environment that goes inactive, in its turn among everything that GitHub is told; its environment is looked at
    /// again when that is done. Returns at once.
    ///
    /// # Errors
    /// Why it failed when it was last tried.
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
                    // Not found: the deployment itself was deleted on GitHub.
                    Ok(()) | Err(ForgeError::NotFound(_)) => retirements.insert(id, Retirement::Done),
                    // Another write for it was on its way.
                    Err(ForgeError::Superseded) => retirements.remove(&id),
                    Err(error) => retirements.insert(id, Retirement::Failed(error)),
                };
            }
            reporter.poke.named(&namespace, &name);
        });
        Ok(())
    }

    /// Whether every deployment of an environment is known to be inactive.
    pub fn has_retired(&self, uid: &str) -> bool {
        self.finished.lock().is_ok_and(|finished| finished.contains(uid))
    }

    /// Remembers that every deployment of an environment is inactive.
    pub fn retired_all(&self, uid: String) {
        if let Ok(mut finished) = self.finished.lock() {
            finished.insert(uid);
        }
    }

    /// Forgets an environment that is gone, and its deployments.
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

    /// What the status says was told, and what was since.
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

    /// The next wait is the first one again.
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
            // What isn't written down nobody follows: neither the request nor whoever asked in a comment.
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
            // Until then it counts as being sent: whatever wakes the environment meanwhile begins no second one.
            let over = reporter.closing.run_until_cancelled(tokio::time::sleep(wait)).await;
            reporter.sent(&wanted);
            if over.is_none() {
                return;
            }
            // By now another state may be wanted: the visit says which.
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
            // Its end may have come meanwhile, and nothing is told after that.
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
        // The class doesn't let this repository in any more: its credentials aren't this repository's to use.
        Err(mistake) => Err(ForgeError::Invalid(mistake.message)),
    }
}

/// Writes into the status what GitHub acknowledged, or why it didn't. There is nothing to write into once the environment is gone.
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
    // The request's own record of the deployment may not be seen yet.
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

/// Writes into the status of an environment that is being deleted what GitHub was told of its end: that every deployment
/// is inactive, or why they stay as they are. Says whether that was news. There is nothing to write into once the
/// environment is gone.
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
