//! Checks that a request is still valid. An event may be stale, so Matinee reads the pull request,
//! branch or source deployment from GitHub before it creates anything. Of two requests for the same
//! environment, the newer one supersedes the older one.

use kube::ResourceExt as _;

use super::RequestScope;
use crate::api::{Origin, TriggerState};
use crate::core::deployment::gates::supersession;
use crate::core::environment::eligibility::{self, Eligibility, Unselected};
use crate::core::forge::{Deployment, StatusState};
use crate::core::mistake::{Mistake, Reason};
use crate::core::naming;
use crate::ports::ForgeError;
use crate::runtime::failure::Failure;

/// Maximum number of deployments newer than the source's whose state is read.
const NEWER: usize = 5;

/// Result of the check against GitHub and the other requests.
pub(super) enum RequestVerification {
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

pub(super) async fn verify(
    scope: &RequestScope<'_>,
    created: Option<i64>,
) -> Result<RequestVerification, Failure> {
    let spec = &scope.request.spec;
    let verified = pull_request(scope, created).await?;
    if !matches!(verified, RequestVerification::Holds { is_head: true }) {
        return Ok(verified);
    }
    let superseded = match spec.requested_by.origin {
        Origin::Push => by_branch(scope).await?,
        Origin::DeploymentStatus if created.is_none() => match by_source(scope).await? {
            Ok(superseded) => superseded,
            Err(mistake) => return Ok(RequestVerification::Refused(mistake)),
        },
        _ => None,
    };
    if created.is_some() {
        return Ok(RequestVerification::Holds { is_head: superseded.is_none() });
    }
    let others = scope.siblings();
    let superseded =
        superseded.or_else(|| supersession::by_request(scope.request, others.iter().map(AsRef::as_ref)));
    Ok(superseded.map_or(RequestVerification::Holds { is_head: true }, |superseded| {
        RequestVerification::Superseded(superseded.message)
    }))
}

async fn pull_request(
    scope: &RequestScope<'_>,
    created: Option<i64>,
) -> Result<RequestVerification, Failure> {
    let spec = &scope.request.spec;
    let Some(reference) = &spec.pull_request else { return Ok(RequestVerification::Holds { is_head: true }) };
    let max_age = scope.context.freshness.max_age_for(scope.request, &scope.name, reference.number);
    let pull_request = match scope.forge.pull_request(&scope.name, reference.number, max_age).await {
        Ok(pull_request) => pull_request,
        Err(ForgeError::NotFound(message)) => {
            let message = format!(
                "spec.pullRequest.number: {} has no pull request {}: {message}",
                scope.name, reference.number
            );
            return Ok(RequestVerification::Refused(Mistake {
                reason: Reason::PullRequestNotFound,
                message,
            }));
        }
        Err(error) => return Err(error.into()),
    };
    let triggered = spec.requested_by.origin == Origin::PullRequest;
    let class = &scope.admitted.class;
    let verdict = eligibility::judge(
        &class.spec.pull_requests,
        &class.name_any(),
        scope.admitted.entry,
        &pull_request,
        &spec.sha,
        triggered,
    );
    Ok(match verdict {
        Eligibility::Over { .. } => RequestVerification::Over,
        Eligibility::Allowed | Eligibility::Refused(_) if created.is_some() => {
            RequestVerification::Holds { is_head: true }
        }
        Eligibility::Superseded { .. } if created.is_some() => RequestVerification::Holds { is_head: false },
        Eligibility::Superseded { head } => {
            RequestVerification::Superseded(format!("commit {head} is the pull request's head now"))
        }
        Eligibility::Refused(mistake) => RequestVerification::Refused(mistake),
        Eligibility::Allowed if triggered => files(scope, reference.number).await?,
        Eligibility::Allowed => RequestVerification::Holds { is_head: true },
    })
}

/// Whether the pull request changes a file that the trigger selects. Matinee reads the files only
/// if the trigger has paths.
async fn files(scope: &RequestScope<'_>, number: i64) -> Result<RequestVerification, Failure> {
    let trigger = scope.admitted.entry.trigger.as_ref().and_then(|trigger| trigger.pull_request.as_ref());
    let Some(trigger) = trigger.filter(|trigger| !trigger.paths.is_empty()) else {
        return Ok(RequestVerification::Holds { is_head: true });
    };
    let files = scope.forge.changed_files(&scope.name, number).await?;
    Ok(match eligibility::selects_files(trigger, &files) {
        Ok(()) => RequestVerification::Holds { is_head: true },
        Err(Unselected::Not(why)) => RequestVerification::Refused(Mistake {
            reason: Reason::PathsNotChanged,
            message: format!("pull request {number} has no environment {}: {why}", scope.admitted.entry.name),
        }),
        Err(Unselected::Invalid(problems)) => {
            RequestVerification::Refused(eligibility::patterns_invalid(&scope.admitted.entry.name, &problems))
        }
    })
}

async fn by_branch(scope: &RequestScope<'_>) -> Result<Option<supersession::Superseded>, Failure> {
    let spec = &scope.request.spec;
    let Some(branch) = &spec.requested_by.branch else { return Ok(None) };
    let head = scope.forge.branch(&scope.name, branch).await?;
    Ok(supersession::by_branch(spec, head.as_ref()))
}

/// Returns the newer deployment of the source environment that supersedes this request, if any. The
/// mistake says that the source's own deployment is no longer in the state that triggered this
/// request.
async fn by_source(
    scope: &RequestScope<'_>,
) -> Result<Result<Option<supersession::Superseded>, Mistake>, Failure> {
    let spec = &scope.request.spec;
    let trigger = scope.admitted.entry.trigger.as_ref();
    let trigger = trigger.and_then(|trigger| trigger.deployment_status.as_ref());
    let (Some(id), Some(trigger)) = (spec.requested_by.deployment_id, trigger) else { return Ok(Ok(None)) };
    let entries = &scope.admitted.repository.spec.environments;
    let source = entries.iter().find(|entry| entry.name == trigger.environment);
    let number = spec.pull_request.as_ref().map(|reference| reference.number);
    let environment = source.and_then(|source| naming::github_environment(source, number));
    let wanted = match trigger.state {
        TriggerState::Success => &[StatusState::Success][..],
        TriggerState::Failure => &[StatusState::Failure, StatusState::Error],
    };
    if let Some(environment) = environment {
        let deployments = scope.forge.deployments(&scope.name, &environment, None).await?;
        let mut newer: Vec<(&Deployment, Option<StatusState>)> = Vec::new();
        for deployment in deployments.iter().filter(|deployment| deployment.id > id).take(NEWER) {
            newer.push((deployment, scope.forge.deployment_state(&scope.name, deployment.id).await?));
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
    let state = scope.forge.deployment_state(&scope.name, id).await?;
    Ok(match state {
        Some(state) if wanted.contains(&state) => Ok(None),
        state => Err(Mistake {
            reason: Reason::SourceNotLive,
            message: format!(
                "deployment {id} of {} is {} now: this request requires {}",
                trigger.environment,
                state.as_ref().map_or("without a status", StatusState::as_str),
                wanted.iter().map(StatusState::as_str).collect::<Vec<_>>().join(" or ")
            ),
        }),
    })
}
