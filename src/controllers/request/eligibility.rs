//! Checks that a request is still valid. An event may be stale, so Matinee reads the pull request,
//! branch or source deployment from GitHub before it creates anything. Of two requests for the same
//! environment, the newer one supersedes the older one.

use kube::ResourceExt as _;

use super::Visit;
use crate::api::{Origin, TriggerState};
use crate::core::deployment::gates::supersession;
use crate::core::environment::eligibility::{self, Unselected, Verdict};
use crate::core::forge::{Deployment, StatusState};
use crate::core::mistake::{Mistake, Reason};
use crate::core::naming;
use crate::ports::ForgeError;
use crate::runtime::failure::Failure;

/// Maximum number of deployments newer than the source's whose state is read.
const NEWER: usize = 5;

/// Result of the check against GitHub and the other requests.
pub(super) enum Verified {
    /// The request is valid. If its deployment exists already, it is deployed again only while its
    /// commit is the head.
    Holds {
        /// Whether the commit is still the head of the pull request or branch.
        is_head: bool,
    },
    /// The request isn't valid at present.
    Refused(Mistake),
    /// Another request or commit supersedes this one; with the cause.
    Superseded(String),
    /// The pull request is closed, or no longer selected.
    Over,
}

pub(super) async fn verify(visit: &Visit<'_>, created: Option<i64>) -> Result<Verified, Failure> {
    let spec = &visit.request.spec;
    let verified = pull_request(visit, created).await?;
    if !matches!(verified, Verified::Holds { is_head: true }) {
        return Ok(verified);
    }
    let superseded = match spec.requested_by.origin {
        Origin::Push => by_branch(visit).await?,
        Origin::DeploymentStatus if created.is_none() => match by_source(visit).await? {
            Ok(superseded) => superseded,
            Err(mistake) => return Ok(Verified::Refused(mistake)),
        },
        _ => None,
    };
    if created.is_some() {
        return Ok(Verified::Holds { is_head: superseded.is_none() });
    }
    let others = visit.siblings();
    let superseded =
        superseded.or_else(|| supersession::by_request(visit.request, others.iter().map(AsRef::as_ref)));
    Ok(superseded
        .map_or(Verified::Holds { is_head: true }, |superseded| Verified::Superseded(superseded.message)))
}

async fn pull_request(visit: &Visit<'_>, created: Option<i64>) -> Result<Verified, Failure> {
    let spec = &visit.request.spec;
    let Some(reference) = &spec.pull_request else { return Ok(Verified::Holds { is_head: true }) };
    let max_age = visit.context.hints.max_age_for(visit.request, &visit.name, reference.number);
    let pull_request = match visit.forge.pull_request(&visit.name, reference.number, max_age).await {
        Ok(pull_request) => pull_request,
        Err(ForgeError::NotFound(message)) => {
            let message = format!(
                "spec.pullRequest.number: {} has no pull request {}: {message}",
                visit.name, reference.number
            );
            return Ok(Verified::Refused(Mistake { reason: Reason::PullRequestNotFound, message }));
        }
        Err(error) => return Err(error.into()),
    };
    let triggered = spec.requested_by.origin == Origin::PullRequest;
    let class = &visit.admitted.class;
    let verdict = eligibility::judge(
        &class.spec.pull_requests,
        &class.name_any(),
        visit.admitted.entry,
        &pull_request,
        &spec.sha,
        triggered,
    );
    Ok(match verdict {
        Verdict::Over { .. } => Verified::Over,
        Verdict::Allowed | Verdict::Refused(_) if created.is_some() => Verified::Holds { is_head: true },
        Verdict::Superseded { .. } if created.is_some() => Verified::Holds { is_head: false },
        Verdict::Superseded { head } => {
            Verified::Superseded(format!("commit {head} is the pull request's head now"))
        }
        Verdict::Refused(mistake) => Verified::Refused(mistake),
        Verdict::Allowed if triggered => files(visit, reference.number).await?,
        Verdict::Allowed => Verified::Holds { is_head: true },
    })
}

/// Whether the pull request changes a file that the trigger selects. Matinee reads the files only
/// if the trigger has paths.
async fn files(visit: &Visit<'_>, number: i64) -> Result<Verified, Failure> {
    let trigger = visit.admitted.entry.trigger.as_ref().and_then(|trigger| trigger.pull_request.as_ref());
    let Some(trigger) = trigger.filter(|trigger| !trigger.paths.is_empty()) else {
        return Ok(Verified::Holds { is_head: true });
    };
    let files = visit.forge.changed_files(&visit.name, number).await?;
    Ok(match eligibility::selects_files(trigger, &files) {
        Ok(()) => Verified::Holds { is_head: true },
        Err(Unselected::Not(why)) => Verified::Refused(Mistake {
            reason: Reason::PathsNotChanged,
            message: format!("pull request {number} has no environment {}: {why}", visit.admitted.entry.name),
        }),
        Err(Unselected::Invalid(problems)) => {
            Verified::Refused(eligibility::patterns_invalid(&visit.admitted.entry.name, &problems))
        }
    })
}

async fn by_branch(visit: &Visit<'_>) -> Result<Option<supersession::Superseded>, Failure> {
    let spec = &visit.request.spec;
    let Some(branch) = &spec.requested_by.branch else { return Ok(None) };
    let head = visit.forge.branch(&visit.name, branch).await?;
    Ok(supersession::by_branch(spec, head.as_ref()))
}

/// Returns the newer deployment of the source environment that supersedes this request, if any. The
/// mistake says that the source's own deployment is no longer in the state that triggered this
/// request.
async fn by_source(visit: &Visit<'_>) -> Result<Result<Option<supersession::Superseded>, Mistake>, Failure> {
    let spec = &visit.request.spec;
    let trigger = visit.admitted.entry.trigger.as_ref();
    let trigger = trigger.and_then(|trigger| trigger.deployment_status.as_ref());
    let (Some(id), Some(trigger)) = (spec.requested_by.deployment_id, trigger) else { return Ok(Ok(None)) };
    let entries = &visit.admitted.repository.spec.environments;
    let source = entries.iter().find(|entry| entry.name == trigger.environment);
    let number = spec.pull_request.as_ref().map(|reference| reference.number);
    let environment = source.and_then(|source| naming::github_environment(source, number));
    let wanted = match trigger.state {
        TriggerState::Success => &[StatusState::Success][..],
        TriggerState::Failure => &[StatusState::Failure, StatusState::Error],
    };
    if let Some(environment) = environment {
        let deployments = visit.forge.deployments(&visit.name, &environment, None).await?;
        let mut newer: Vec<(&Deployment, Option<StatusState>)> = Vec::new();
        for deployment in deployments.iter().filter(|deployment| deployment.id > id).take(NEWER) {
            newer.push((deployment, visit.forge.deployment_state(&visit.name, deployment.id).await?));
        }
        let again = |(deployment, state): &(&Deployment, Option<StatusState>)| {
            deployment.sha == spec.sha && state.as_ref().is_some_and(|state| wanted.contains(state))
        };
        if newer.iter().any(again) {
            return Ok(Ok(None));
        }
        let newer = newer.iter().map(|(deployment, state)| (*deployment, state.as_ref()));
        if let Some(superseded) = supersession::by_source(spec, newer) {
            return Ok(Ok(Some(superseded)));
        }
    }
    let state = visit.forge.deployment_state(&visit.name, id).await?;
    Ok(match state {
        Some(state) if wanted.contains(&state) => Ok(None),
        state => Err(Mistake {
            reason: Reason::SourceNotLive,
            message: format!(
                "deployment {id} of {} is {} now: it has to be {} for this one to be created",
                trigger.environment,
                state.as_ref().map_or("without a status", StatusState::as_str),
                wanted.iter().map(StatusState::as_str).collect::<Vec<_>>().join(" or ")
            ),
        }),
    })
}
