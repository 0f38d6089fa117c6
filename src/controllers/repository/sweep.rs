//! Sweeps GitHub for events that no webhook reported: open pull requests, recent deployments, branch
//! heads and comments. All reads are conditional requests, and lead to the same events as webhooks.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::memory::Swept;
use super::{RepositoryContext, is_mistake, unreported};
use crate::api::{PreviewClass, PreviewRepository, RepositoryEnvironment};
use crate::controllers::ingest::EventSource;
use crate::core::deployment::gates::pushes::newest_first;
use crate::core::deployment::payload::Mark;
use crate::core::environment::resolve::Admitted;
use crate::core::event::Event;
use crate::core::forge::{Branch, Comment, Deployment, DeploymentStatus, RepositoryName, StatusState};
use crate::core::naming;
use crate::ports::{Forge, ForgeError, Listing};
use crate::runtime::failure::Failure;
use crate::runtime::objects::Key;

/// Maximum age of a comment that a sweep acts on. An older command may no longer be wanted.
const COMMENTS_LAST: SignedDuration = SignedDuration::from_hours(1);

pub(super) async fn sweep(
    repository: &PreviewRepository,
    class: &PreviewClass,
    held: Vec<String>,
    context: &RepositoryContext,
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
    unreported::name_taken(repository, &name, &deployments.items, &forge, context).await?;
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
        all = all.and(apply(event, context).await);
    }
    let deployed: Vec<_> =
        repository.spec.environments.iter().filter(|entry| entry.deploy.is_some()).collect();
    for (deployment, number) in newest(&deployed, &deployments.items) {
        if number.is_none_or(|number| open.contains(&number)) {
            all = all.and(recent_deployment(repository, &name, deployment, &*forge, context).await);
        }
    }
    all = all.and(unreported::orphaned(repository, &name, &deployments.items, &forge, context).await);
    for (deployment, statuses) in followed {
        let Some(status) = statuses.items.first().cloned() else { continue };
        let deployment = deployment.clone();
        let event = Event::DeploymentStatus { repository: name.clone(), deployment, status };
        all = all.and(apply(event, context).await);
    }
    let now = context.common.clock.now();
    for comment in comments.items.iter().filter(|comment| is_recent(repository, comment, now)) {
        let event = Event::Comment { repository: name.clone(), comment: comment.clone() };
        all = all.and(apply(event, context).await);
    }
    all?;
    unread?;
    // Remember the sweep only if all events were applied.
    context.sweeps.remember(uid, swept, forgotten);
    Ok(())
}

/// Applies the heads of branches. GitHub doesn't say which of several new ones was pushed last, so
/// each gets its own time.
async fn pushes(
    name: &RepositoryName,
    branches: &[Branch],
    context: &RepositoryContext,
) -> Result<(), Failure> {
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
        let taken = context.ingest.apply_at(&event, EventSource::Found, received).await;
        all = all.and(taken.map(drop).map_err(Failure::from));
        received -= SignedDuration::from_micros(1);
    }
    all
}

async fn apply(event: Event, context: &RepositoryContext) -> Result<(), Failure> {
    context.ingest.apply(&event, EventSource::Found).await?;
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
fn pull_requests_of(repository: &PreviewRepository, context: &RepositoryContext) -> HashSet<i64> {
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
    context: &RepositoryContext,
) -> Result<(), Failure> {
    let namespace = repository.namespace().unwrap_or_default();
    for number in missing {
        context
            .ingest
            .missed(&namespace, &repository.name_any(), *number, context.common.clock.now())
            .await?;
    }
    Ok(())
}

/// Returns the newest deployment of each of these environments, with the number of its pull
/// request.
pub(super) fn newest<'a>(
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
    context: &RepositoryContext,
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
    apply(Event::Deployment { repository: name.clone(), deployment: deployment.clone() }, context).await
}
