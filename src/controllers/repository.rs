//! Reconciles a `PreviewRepository`: checks its configuration, and sweeps GitHub for events that no
//! webhook reported. The sweep reads open pull requests and recent deployments by conditional
//! requests, and creates the same events as the webhooks.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::runtime::controller::Action;

use super::ingest::{Learned, Reception};
use crate::api::{
    ConditionStatus, DeploymentReport, DeploymentState, PreviewClass, PreviewRepository,
    PreviewRepositoryStatus, RepositoryEnvironment,
};
use crate::core::conditions::{self, Summary};
use crate::core::deployment::gates::pushes::newest_first;
use crate::core::deployment::payload::Mark;
use crate::core::deployment::{ownership, promotion};
use crate::core::environment::resolve::{self, Admitted};
use crate::core::event::Event;
use crate::core::forge::{Branch, Comment, Deployment, DeploymentStatus, RepositoryName, StatusState};
use crate::core::mistake::{Mistake, Reason};
use crate::core::naming::{self, Belongs};
use crate::core::publish::deployment_status;
use crate::core::trouble::{self, Trouble};
use crate::ports::{ClusterError, Forge, ForgeError, Listing};
use crate::runtime::common::Common;
use crate::runtime::failure::Failure;
use crate::runtime::objects::Key;
use crate::runtime::publisher::Publisher;
use crate::runtime::{events, write};

/// Condition: the triggers and gates form no loop, and the environments to which they refer exist.
const PROMOTION_VALID: &str = "PromotionValid";
/// Condition: no other PreviewRepository has its environments.
const ACCEPTED: &str = "Accepted";
/// Condition: the last sweep could read GitHub.
pub(super) const SYNCED: &str = "Synced";
/// All conditions, in the order of the reconcile.
pub(super) const CONDITIONS: [&str; 6] =
    [conditions::READY, conditions::RECONCILING, conditions::STALLED, PROMOTION_VALID, ACCEPTED, SYNCED];

/// Maximum age of a comment that a sweep acts on. An older command may no longer be wanted.
const COMMENTS_LAST: SignedDuration = SignedDuration::from_hours(1);

/// What the reconciles of PreviewRepositories need.
pub struct Context {
    pub(super) common: Arc<Common>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) reception: Arc<Reception>,
    pub(super) sweeps: Arc<Sweeps>,
}

/// Result of the last sweep of each PreviewRepository, by UID. An unchanged listing needs no work.
#[derive(Default)]
pub struct Sweeps(Mutex<SweptSoFar>);

#[derive(Default)]
struct SweptSoFar {
    known: HashMap<String, Swept>,
    /// Number of calls to [`Sweeps::forget`], so that a sweep that began before such a call isn't
    /// remembered after it.
    forgotten: u64,
}

impl Sweeps {
    /// Makes the next sweep of a PreviewRepository process everything, even if GitHub's listings
    /// are unchanged.
    pub(super) fn forget(&self, uid: &str) {
        if let Ok(mut swept) = self.0.lock() {
            swept.known.remove(uid);
            swept.forgotten += 1;
        }
    }

    fn forgotten(&self) -> u64 {
        self.0.lock().map_or(0, |swept| swept.forgotten)
    }

    fn is_known(&self, uid: &str, listings: &Swept) -> bool {
        self.0.lock().is_ok_and(|swept| swept.known.get(uid) == Some(listings))
    }

    fn remember(&self, uid: String, listings: Swept, forgotten: u64) {
        if let Ok(mut swept) = self.0.lock()
            && swept.forgotten == forgotten
        {
            swept.known.insert(uid, listings);
        }
    }
}

#[derive(Clone, PartialEq, Eq)]
struct Swept {
    generation: Option<i64>,
    /// The environments it owned. For one that it owns since then, the listings have to be
    /// processed again.
    held: Vec<String>,
    /// Versions of the listings.
    pull_requests: u64,
    deployments: u64,
    branches: u64,
    comments: u64,
    /// Newest deployment of each environment that another one follows: its id, and the version of
    /// its statuses.
    statuses: Vec<(i64, u64)>,
}

/// Reconciles a PreviewRepository, within the runner's limits.
pub fn reconcile(
    repository: Arc<PreviewRepository>,
    context: Arc<Context>,
) -> BoxFuture<'static, Result<Action, Failure>> {
    async move { visit(&repository, &context).await }.boxed()
}

async fn visit(repository: &PreviewRepository, context: &Context) -> Result<Action, Failure> {
    if repository.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let class = context.common.class_of(Some(repository)).await?;
    let all = context.common.objects.repositories.rivals(repository);
    let all: Vec<_> = all.iter().map(AsRef::as_ref).collect();
    let usable = usable(repository, class.as_deref());
    let claims: Vec<_> = repository
        .spec
        .environments
        .iter()
        .map(|entry| (&entry.name, ownership::holds(&all, repository, entry)))
        .collect();
    let held = claims.iter().filter(|(_, holds)| holds.is_ok()).map(|(name, _)| (*name).clone()).collect();
    let claims: Result<(), Mistake> = claims.into_iter().try_for_each(|(_, holds)| holds);
    let claims = claims.and_then(|()| own_names(repository, context));
    let chained = promotion::check(repository);
    let patterns = resolve::patterns(repository);
    let templates = templates(repository, context).await?;
    let (swept, result) = match class.filter(|_| usable.is_ok()) {
        // While the operator drains, it would reject all events of a sweep.
        Some(_) if context.common.leadership.drains() => {
            (Ok(()), Ok(Action::requeue(context.common.settings.sweep_interval)))
        }
        Some(class) => match counted(sweep(repository, &class, held, context).await, context) {
            Ok(()) => (Ok(()), Ok(Action::requeue(context.common.settings.sweep_interval))),
            Err(Failure::Forge(error)) if is_mistake(&error) => {
                let message = format!("PreviewRepository {}: {error}", repository.name_any());
                (
                    Err(Mistake { reason: Reason::NotReadable, message }),
                    Ok(Action::requeue(context.common.settings.sweep_interval)),
                )
            }
            Err(error) => (Ok(()), Err(error)),
        },
        None => (Ok(()), Ok(Action::await_change())),
    };
    let unread = result.as_ref().err().map(Failure::trouble);
    let mistake = usable
        .err()
        .or(chained.as_ref().err().cloned())
        .or(claims.as_ref().err().cloned())
        .or(patterns.err())
        .or(templates.err())
        .or(swept.as_ref().err().cloned());
    let said = record(repository, &chained, &claims, mistake.as_ref(), &swept, unread, context).await?;
    result.map_err(|error| if said { error.told() } else { error })
}

/// Checks that no foreign PreviewEnvironment has the name of one of this PreviewRepository's
/// environments.
fn own_names(repository: &PreviewRepository, context: &Context) -> Result<(), Mistake> {
    let deployed = repository.spec.environments.iter().filter(|entry| entry.deploy.is_some());
    let name = repository.name_any();
    let namespace = Key::Namespace(repository.namespace().unwrap_or_default());
    let neighbours = context.common.objects.environments.with(&namespace);
    for entry in deployed {
        let named = neighbours
            .iter()
            .filter(|environment| naming::meaning(&environment.name_any(), &name, entry).is_some());
        for existing in named {
            let belongs = naming::meaning(&existing.name_any(), &name, entry);
            let number = belongs.and_then(Belongs::pull_request);
            ownership::is_own(repository, entry, number, Some(existing))?;
        }
    }
    Ok(())
}

fn usable(repository: &PreviewRepository, class: Option<&PreviewClass>) -> Result<(), Mistake> {
    let class = class.ok_or_else(|| resolve::class_missing(repository))?;
    ownership::class_admits(class, repository)
}

async fn templates(
    repository: &PreviewRepository,
    context: &Context,
) -> Result<Result<(), Mistake>, ClusterError> {
    let namespace = repository.namespace().unwrap_or_default();
    for entry in &repository.spec.environments {
        let Some(deploy) = &entry.deploy else { continue };
        let template = &deploy.template.reference.name;
        if context.common.template(&namespace, template).await?.is_none() {
            return Ok(Err(resolve::template_missing(repository, entry, template)));
        }
    }
    Ok(Ok(()))
}

/// Whether only a change on GitHub or to the Secret fixes the error.
fn is_mistake(error: &ForgeError) -> bool {
    matches!(
        error,
        ForgeError::Credentials(_)
            | ForgeError::Forbidden(_)
            | ForgeError::NotFound(_)
            | ForgeError::Invalid(_)
    )
}

fn counted(swept: Result<(), Failure>, context: &Context) -> Result<(), Failure> {
    context.common.metrics.sweep(swept.is_ok(), context.common.clock.now());
    swept
}

async fn sweep(
    repository: &PreviewRepository,
    class: &PreviewClass,
    held: Vec<String>,
    context: &Context,
) -> Result<(), Failure> {
    let Some(entry) = repository.spec.environments.first() else { return Ok(()) };
    let (forge, name) = context.common.forge(&Admitted { repository, entry, class }).await?;
    let forgotten = context.sweeps.forgotten();
    // Read this before the list: a pull request that is opened in between isn't missing in it.
    let known = pull_requests_of(repository, context);
    let pull_requests = forge.open_pull_requests(&name).await?;
    let open: HashSet<i64> = pull_requests.items.iter().map(|pull_request| pull_request.number).collect();
    // Do this in every sweep, because a missed event would otherwise stay missed. It needs no
    // request while nothing is missing.
    missed(repository, known.difference(&open), context).await?;
    let deployments = forge.recent_deployments(&name).await?;
    // Unreadable branches, for example too many of them, don't block pull requests.
    let (branches, unread) = match branches(repository, &name, &*forge).await {
        Ok(branches) => (branches, Ok(())),
        Err(error) if is_mistake(&error) => (nothing(), Err(error)),
        Err(error) => return Err(error.into()),
    };
    let comments = comments(&name, &*forge).await?;
    let followed = followed(repository, &name, &deployments.items, &*forge).await?;
    let swept = Swept {
        generation: repository.metadata.generation,
        held,
        pull_requests: pull_requests.version,
        deployments: deployments.version,
        branches: branches.version,
        comments: comments.version,
        statuses: followed.iter().map(|(deployment, statuses)| (deployment.id, statuses.version)).collect(),
    };
    let uid = repository.uid().unwrap_or_default();
    name_taken(repository, &name, &deployments.items, &forge, context).await?;
    // A branch may have moved to another commit and back since the last sweep, within one second of
    // GitHub's clock, so that its webhooks didn't tell which commit is the head. Its listing is
    // unchanged then.
    let pushed = pushes(&name, &branches.items, context).await;
    if context.sweeps.is_known(&uid, &swept) {
        return unread.map_err(Failure::from).and(pushed);
    }
    // An event that can't be applied yet, for example because the previous environment is still
    // being deleted, doesn't block the others.
    let mut all = pushed;
    for pull_request in pull_requests.items.iter() {
        let pull_request = pull_request.clone();
        let event = Event::PullRequest { repository: name.clone(), pull_request };
        all = all.and(take_in(event, context).await);
    }
    let deployed: Vec<_> =
        repository.spec.environments.iter().filter(|entry| entry.deploy.is_some()).collect();
    for (deployment, number) in newest(&deployed, &deployments.items) {
        if number.is_none_or(|number| open.contains(&number)) {
            all = all.and(recent_deployment(repository, &name, deployment, &*forge, context).await);
        }
    }
    all = all.and(orphaned(repository, &name, &deployments.items, &forge, context).await);
    for (deployment, statuses) in followed {
        let Some(status) = statuses.items.first().cloned() else { continue };
        let deployment = deployment.clone();
        let event = Event::DeploymentStatus { repository: name.clone(), deployment, status };
        all = all.and(take_in(event, context).await);
    }
    let now = context.common.clock.now();
    for comment in comments.items.iter().filter(|comment| is_recent(repository, comment, now)) {
        let event = Event::Comment { repository: name.clone(), comment: comment.clone() };
        all = all.and(take_in(event, context).await);
    }
    all?;
    unread?;
    // Remember the sweep only if all events were applied.
    context.sweeps.remember(uid, swept, forgotten);
    Ok(())
}

/// Applies the heads of branches. GitHub doesn't say which of several new ones was pushed last, so
/// each gets its own time.
async fn pushes(name: &RepositoryName, branches: &[Branch], context: &Context) -> Result<(), Failure> {
    let mut all = Ok(());
    let mut received = context.common.clock.now();
    // The newest comes first, so that the others are superseded before anything is deployed.
    for branch in newest_first(branches) {
        let event = Event::Push {
            repository: name.clone(),
            branch: branch.name.clone(),
            sha: branch.sha.clone(),
            pushed_at: None,
        };
        let taken = context.reception.take_in_at(&event, Learned::Found, received).await;
        all = all.and(taken.map(drop).map_err(Failure::from));
        received -= SignedDuration::from_micros(1);
    }
    all
}

async fn take_in(event: Event, context: &Context) -> Result<(), Failure> {
    context.reception.take_in(&event, Learned::Found).await?;
    Ok(())
}

fn nothing<T>() -> Listing<T> {
    Listing { items: Arc::default(), version: 0 }
}

/// Lists the branches, if some environment is triggered by pushes.
async fn branches(
    repository: &PreviewRepository,
    name: &RepositoryName,
    forge: &dyn Forge,
) -> Result<Listing<Branch>, ForgeError> {
    let follows =
        |entry: &RepositoryEnvironment| entry.trigger.as_ref().is_some_and(|trigger| trigger.push.is_some());
    if repository.spec.environments.iter().any(follows) { forge.branches(name).await } else { Ok(nothing()) }
}

/// Lists the newest comments. Without the permission to read comments, only commands from comments
/// don't work.
async fn comments(name: &RepositoryName, forge: &dyn Forge) -> Result<Listing<Comment>, ForgeError> {
    match forge.recent_comments(name).await {
        Err(ForgeError::Forbidden(_) | ForgeError::NotFound(_)) => Ok(nothing()),
        other => other,
    }
}

/// Whether a sweep acts on this comment.
fn is_recent(repository: &PreviewRepository, comment: &Comment, now: Timestamp) -> bool {
    let Ok(written) = comment.created_at.parse::<Timestamp>() else { return false };
    let since = repository.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    written >= since && now.duration_since(written) <= COMMENTS_LAST
}

/// Returns the newest deployment and its statuses for each environment that another one follows.
async fn followed<'a>(
    repository: &PreviewRepository,
    name: &RepositoryName,
    deployments: &'a [Deployment],
    forge: &dyn Forge,
) -> Result<Vec<(&'a Deployment, Listing<DeploymentStatus>)>, ForgeError> {
    let environments = &repository.spec.environments;
    let is_followed = |entry: &RepositoryEnvironment| {
        environments.iter().any(|other| {
            other
                .trigger
                .as_ref()
                .and_then(|trigger| trigger.deployment_status.as_ref())
                .is_some_and(|trigger| trigger.environment == entry.name)
        })
    };
    let entries: Vec<_> = environments.iter().filter(|entry| is_followed(entry)).collect();
    let mut found = Vec::new();
    for (deployment, _) in newest(&entries, deployments) {
        found.push((deployment, forge.deployment_statuses(name, deployment.id).await?));
    }
    Ok(found)
}

/// Returns the numbers of the pull requests that have an environment or request of the
/// PreviewRepository.
fn pull_requests_of(repository: &PreviewRepository, context: &Context) -> HashSet<i64> {
    let key = Key::Repository(repository.namespace().unwrap_or_default(), repository.name_any());
    let environments = context.common.objects.environments.with(&key);
    let requests = context.common.objects.requests.with(&key);
    let of_environments = environments.iter().filter_map(|of| of.spec.pull_request.as_ref());
    let of_requests = requests.iter().filter_map(|of| of.spec.pull_request.as_ref());
    of_environments.chain(of_requests).map(|reference| reference.number).collect()
}

/// Enqueues the objects of pull requests that aren't among the open ones. That proves nothing yet:
/// their reconciles read the pull request by its number.
async fn missed(
    repository: &PreviewRepository,
    missing: impl Iterator<Item = &i64> + Send,
    context: &Context,
) -> Result<(), Failure> {
    let namespace = repository.namespace().unwrap_or_default();
    for number in missing {
        context
            .reception
            .missed(&namespace, &repository.name_any(), *number, context.common.clock.now())
            .await?;
    }
    Ok(())
}

/// Returns the newest deployment of each of these environments, with the number of its pull
/// request.
fn newest<'a>(
    entries: &[&RepositoryEnvironment],
    deployments: &'a [Deployment],
) -> Vec<(&'a Deployment, Option<i64>)> {
    let mut newest: HashMap<String, (&Deployment, Option<i64>)> = HashMap::new();
    for deployment in deployments {
        for entry in entries {
            let Some(belongs) = naming::pull_request_of(entry, &deployment.environment) else { continue };
            let place = newest
                .entry(deployment.environment.to_lowercase())
                .or_insert((deployment, belongs.pull_request()));
            if deployment.id > place.0.id {
                *place = (deployment, belongs.pull_request());
            }
        }
    }
    let mut newest: Vec<_> = newest.into_values().collect();
    newest.sort_by_key(|(deployment, _)| deployment.id);
    newest
}

async fn recent_deployment(
    repository: &PreviewRepository,
    name: &RepositoryName,
    deployment: &Deployment,
    forge: &dyn Forge,
    context: &Context,
) -> Result<(), Failure> {
    let key = Key::Repository(repository.namespace().unwrap_or_default(), repository.name_any());
    let known = context.common.objects.environments.with(&key);
    let is_known = known.iter().any(|environment| {
        environment.spec.github_environment.eq_ignore_ascii_case(&deployment.environment)
            && environment.spec.revision.deployment_id >= Some(deployment.id)
    });
    if is_known {
        return Ok(());
    }
    // For a deployment that Matinee created, its request determines whether it has ended.
    if Mark::find(&deployment.payload).is_none() {
        let state = forge.deployment_state(name, deployment.id).await?;
        if state == Some(StatusState::Inactive) {
            return Ok(());
        }
    }
    take_in(Event::Deployment { repository: name.clone(), deployment: deployment.clone() }, context).await
}

/// Makes deployments inactive whose request was deleted while they were being created, for example
/// because the pull request was closed.
async fn orphaned(
    repository: &PreviewRepository,
    name: &RepositoryName,
    deployments: &[Deployment],
    forge: &Arc<dyn Forge>,
    context: &Context,
) -> Result<(), Failure> {
    let objects = &context.common.objects;
    let is_known = |request: &str, id: i64| {
        objects.requests.by_uid(request).is_some()
            || !objects.environments.with(&Key::Deployment(id)).is_empty()
    };
    let deployed: Vec<_> =
        repository.spec.environments.iter().filter(|entry| entry.deploy.is_some()).collect();
    for deployment in deployment_status::orphaned(
        deployments,
        &context.common.settings.cluster_id,
        is_known,
        context.common.clock.now(),
    ) {
        let is_ours =
            deployed.iter().any(|entry| naming::pull_request_of(entry, &deployment.environment).is_some());
        if !is_ours || forge.deployment_state(name, deployment.id).await?.is_some() {
            continue;
        }
        let report = deployment_status::inactive(deployment.id, "its request is over", None);
        write_status(forge, name, report, &context.publisher);
    }
    Ok(())
}

/// Writes a deployment status through the write queue. After a failure, the next sweep that finds
/// the deployment without a status writes it.
fn write_status(
    forge: &Arc<dyn Forge>,
    name: &RepositoryName,
    report: DeploymentReport,
    publisher: &Publisher,
) {
    let (forge, name) = (Arc::clone(forge), name.clone());
    publisher.courtesy(async move {
        if let Err(error) = forge.create_deployment_status(&name, &report).await {
            tracing::warn!(repository = %name, deployment_id = report.deployment_id, %error, "deployment status not created, will retry");
        }
    });
}

/// Reports an error on GitHub for the newest deployments whose environment can't be created because
/// its name is taken. A deployment with a status was reported before, or somebody else deploys it.
async fn name_taken(
    repository: &PreviewRepository,
    name: &RepositoryName,
    deployments: &[Deployment],
    forge: &Arc<dyn Forge>,
    context: &Context,
) -> Result<(), Failure> {
    let all = context.common.objects.repositories.rivals(repository);
    let all: Vec<_> = all.iter().map(AsRef::as_ref).collect();
    for entry in repository.spec.environments.iter().filter(|entry| entry.deploy.is_some()) {
        for (deployment, number) in newest(&[entry], deployments) {
            let object = naming::preview_environment(&repository.name_any(), &entry.name, number);
            let namespace = repository.namespace().unwrap_or_default();
            let existing = context.common.objects.environments.get(&namespace, &object);
            let own = ownership::holds(&all, repository, entry)
                .and_then(|()| ownership::is_own(repository, entry, number, existing.as_deref()));
            let Err(Mistake { reason: reason @ Reason::NameTaken, message }) = own else { continue };
            let other_cluster = Mark::find(&deployment.payload)
                .is_some_and(|mark| mark.cluster != context.common.settings.cluster_id);
            if other_cluster || forge.deployment_state(name, deployment.id).await?.is_some() {
                continue;
            }
            let report = DeploymentReport {
                deployment_id: deployment.id,
                state: DeploymentState::Error,
                description: deployment_status::description(&format!("{reason}: {message}")),
                environment_url: None,
                log_url: None,
            };
            write_status(forge, name, report, &context.publisher);
        }
    }
    Ok(())
}

/// Writes the result of the reconcile. Returns whether `Ready` shows it. Otherwise `Ready` keeps
/// the previous result, because a short outage doesn't change that.
async fn record(
    repository: &PreviewRepository,
    chained: &Result<(), Mistake>,
    claims: &Result<(), Mistake>,
    mistake: Option<&Mistake>,
    swept: &Result<(), Mistake>,
    unread: Option<Trouble>,
    context: &Context,
) -> Result<bool, Failure> {
    let now = context.common.clock.now();
    let generation = repository.metadata.generation.unwrap_or_default();
    let before = repository.status.clone();
    let mut list = before.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
    conditions::initialize(&mut list, &CONDITIONS, generation, now);
    let mut set = |kind, verdict, reason: &str, message: &str| {
        conditions::set(&mut list, kind, verdict, reason, message, generation, now);
    };
    match chained {
        Ok(()) => set(PROMOTION_VALID, ConditionStatus::True, "PromotionValid", ""),
        Err(mistake) => {
            set(PROMOTION_VALID, ConditionStatus::False, mistake.reason.as_str(), &mistake.message)
        }
    }
    match claims {
        Ok(()) => set(ACCEPTED, ConditionStatus::True, "Accepted", ""),
        Err(mistake) => set(ACCEPTED, ConditionStatus::False, mistake.reason.as_str(), &mistake.message),
    }
    match (swept, &unread) {
        (Err(mistake), _) => set(SYNCED, ConditionStatus::False, mistake.reason.as_str(), &mistake.message),
        (Ok(()), Some(trouble)) => set(SYNCED, ConditionStatus::Unknown, trouble.reason, &trouble.message),
        (Ok(()), None) if mistake.is_none() => set(SYNCED, ConditionStatus::True, "Synced", ""),
        (Ok(()), None) => {}
    }
    let summary = match (mistake, unread) {
        (Some(Mistake { reason, message }), _) => {
            Some(Summary::Stalled { reason: reason.to_string(), message: message.clone() })
        }
        (None, Some(_)) if trouble::is_settled(&list, generation) => None,
        (None, Some(Trouble { reason, message, .. })) => {
            Some(Summary::Reconciling { reason: reason.to_owned(), message })
        }
        (None, None) => Some(Summary::Ready { reason: "Ready".to_owned(), message: String::new() }),
    };
    if let Some(summary) = &summary {
        conditions::summarize(&mut list, summary, generation, now);
    }
    let status = PreviewRepositoryStatus { observed_generation: generation, conditions: list };
    if before.as_ref() != Some(&status) {
        write::status::<PreviewRepository, _>(&*context.common.cluster, write::CATALOG, repository, &status)
            .await?;
        let known = before.map(|before| before.conditions).unwrap_or_default();
        events::of_trouble(write::reference(repository), &known, &status.conditions, &context.common).await;
    }
    Ok(summary.is_some())
}
