//! Step 2: checks that the deployment hasn't ended, that the pull request is open, that the revision
//! is its head, and that it may have an environment. Matinee asks GitHub again after each event of
//! the pull request and each change of the PreviewRepository or class.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;

use super::revocation::on_refusal;
use super::{EnvironmentScope, Stop, end};
use crate::api::{
    ANNOTATION_PULL_REQUEST_UPDATED, DeploymentRequest, Origin, PreviewEnvironment, PullRequestSource,
    Refusal, Verification,
};
use crate::controllers::request;
use crate::core::environment::eligibility::{self, Eligibility};
use crate::core::environment::resolve::Admitted;
use crate::core::environment::revocation;
use crate::core::environment::status::{self, Progress};
use crate::core::forge::{PullRequest, StatusState};
use crate::core::mistake::{Mistake, Reason};
use crate::ports::ForgeError;
use crate::runtime::failure::Failure;

/// Result of the check.
pub(super) enum EnvironmentVerification {
    /// The environment may be deployed. Without a pull request there is nothing to verify.
    Allowed(Option<Verification>),
    /// The environment may not be deployed.
    Refused(Option<Verification>, Mistake),
    /// The commit is no longer the head.
    Superseded(String),
    /// The commit never was the head: somebody deployed another commit by mistake.
    NotTheHead {
        /// Result to record in the status.
        verification: Verification,
        /// The mistake.
        mistake: Mistake,
        /// The head.
        head: String,
    },
    /// The environment has to be deleted: reason and message.
    Over(&'static str, String),
}

pub(super) async fn verify(
    scope: &EnvironmentScope<'_>,
    admitted: &Admitted<'_>,
) -> Result<EnvironmentVerification, Stop> {
    let EnvironmentScope { environment, context, .. } = *scope;
    if let Some(id) = ended(scope, admitted).await? {
        return Ok(EnvironmentVerification::Over(
            "DeploymentInactive",
            format!("deployment {id} has ended on GitHub"),
        ));
    }
    let Some(reference) = &environment.spec.pull_request else {
        return Ok(EnvironmentVerification::Allowed(None));
    };
    let revision = &environment.spec.revision;
    let updated_at = environment.annotations().get(ANNOTATION_PULL_REQUEST_UPDATED).cloned();
    let judged_by = judged_by(admitted);
    let known = environment.status.as_ref().and_then(|status| status.verified.as_ref()).filter(|known| {
        known.sha == revision.sha
            && known.deployment_id == revision.deployment_id
            && known.updated_at == updated_at
            && known.judged_by == judged_by
    });
    if let Some(known) = known {
        return Ok(match &known.refusal {
            None => EnvironmentVerification::Allowed(Some(known.clone())),
            Some(refusal) => EnvironmentVerification::Refused(Some(known.clone()), again(refusal)),
        });
    }
    let (forge, repository) = context.common.forge(admitted).await?;
    let max_age = context.requests.freshness.max_age_for(environment, &repository, reference.number);
    let pull_request = match forge.pull_request(&repository, reference.number, max_age).await {
        Ok(pull_request) => pull_request,
        Err(ForgeError::NotFound(message)) => {
            let mistake = Mistake {
                reason: Reason::PullRequestNotFound,
                message: format!(
                    "spec.pullRequest.number: {repository} has no pull request {}: {message}",
                    reference.number
                ),
            };
            return Ok(EnvironmentVerification::Refused(None, mistake));
        }
        Err(error) => return Err(error.into()),
    };
    // Once true, this stays true: the request is deleted before the environment is, and until then
    // the result must not change.
    let requests = request::of_environment(environment, &context.common);
    let triggered = triggered(environment, &requests)
        || environment.status.as_ref().and_then(|status| status.verified.as_ref()).is_some_and(|known| {
            known.triggered && known.deployment_id.is_some() && known.deployment_id == revision.deployment_id
        });
    let verdict = eligibility::judge(
        &admitted.class.spec.pull_requests,
        &admitted.class.name_any(),
        admitted.entry,
        &pull_request,
        &revision.sha,
        triggered,
    );
    let verdict = match verdict {
        Eligibility::Over { .. } => verdict,
        _ => lost(environment, admitted, &pull_request).map_or(verdict, Eligibility::Refused),
    };
    let verification = |refusal| Verification {
        sha: revision.sha.clone(),
        deployment_id: revision.deployment_id,
        updated_at: updated_at.clone(),
        judged_by: judged_by.clone(),
        triggered,
        refusal,
        pull_request: eligibility::source(&pull_request),
    };
    let refused = |mistake: Mistake| {
        let refusal = Refusal { reason: mistake.reason.to_string(), message: mistake.message.clone() };
        (verification(Some(refusal)), mistake)
    };
    Ok(match verdict {
        Eligibility::Allowed => EnvironmentVerification::Allowed(Some(verification(None))),
        Eligibility::Refused(mistake) if mistake.reason == Reason::NotTheHead => {
            let (verification, mistake) = refused(mistake);
            EnvironmentVerification::NotTheHead { verification, mistake, head: pull_request.head_sha.clone() }
        }
        Eligibility::Refused(mistake) => {
            let (verification, mistake) = refused(mistake);
            EnvironmentVerification::Refused(Some(verification), mistake)
        }
        Eligibility::Superseded { head } if was_head(environment, &requests) => {
            EnvironmentVerification::Superseded(head)
        }
        Eligibility::Superseded { head } => {
            let commits = forge.pull_request_commits(&repository, reference.number).await?;
            match eligibility::never_the_head(reference.number, &revision.sha, &commits) {
                None => EnvironmentVerification::Superseded(head),
                Some(mistake) => {
                    let (verification, mistake) = refused(mistake);
                    EnvironmentVerification::NotTheHead { verification, mistake, head }
                }
            }
        }
        Eligibility::Over { reason, message } => EnvironmentVerification::Over(reason, message),
    })
}

/// Returns why the environment lost its permission. A newer commit of the pull request doesn't give it
/// back.
fn lost(
    environment: &PreviewEnvironment,
    admitted: &Admitted<'_>,
    pull_request: &PullRequest,
) -> Option<Mistake> {
    let Admitted { class, entry, .. } = *admitted;
    let source = eligibility::source(pull_request);
    let allowed = eligibility::kind_allowed(&class.spec.pull_requests, &class.name_any(), entry, &source);
    allowed.err().filter(|mistake| revocation::is_withdrawal(environment, mistake.reason))
}

/// Ends the reconcile unless the revision may be deployed. Returns the pull request.
pub(super) async fn settle(
    scope: &mut EnvironmentScope<'_>,
    admitted: &Admitted<'_>,
    verified: EnvironmentVerification,
) -> Result<Option<PullRequestSource>, Stop> {
    let EnvironmentScope { environment, context, .. } = *scope;
    match verified {
        EnvironmentVerification::Allowed(verification) => {
            let pull_request = verification.as_ref().map(|verification| verification.pull_request.clone());
            scope.findings.verified = verification;
            Ok(pull_request)
        }
        EnvironmentVerification::Refused(verification, mistake) => {
            scope.findings.verified = verification;
            Err(on_refusal(scope, admitted.class, mistake).await)
        }
        EnvironmentVerification::Superseded(head) => {
            if !status::is_superseded(environment.status.as_ref(), &environment.spec.revision) {
                // The head's deployment may exist already. In that case only this reconcile of its
                // request deploys it again.
                request::enqueue_head(environment, &head, &context.requests).await?;
            }
            Err(Stop::Report(Progress::Superseded { head }))
        }
        EnvironmentVerification::NotTheHead { verification, mistake, head } => {
            // This revision replaced the head, which may have a deployment already.
            request::enqueue_head(environment, &head, &context.requests).await?;
            scope.findings.verified = Some(verification);
            Err(mistake.into())
        }
        EnvironmentVerification::Over(reason, why) => {
            let current = context.common.objects.environments.current(environment);
            if current.is_some_and(|current| current.spec.revision != environment.spec.revision) {
                // Another deployment arrived during the calls to GitHub. Verify that one instead.
                let reason = "a newer deployment arrived".to_owned();
                return Err(Failure::Soon { reason, after: Duration::ZERO }.into());
            }
            Err(end(scope, reason, &why).await)
        }
    }
}

/// Returns the deployment of a new environment if it has already ended, because an old event
/// created the environment. The deployment of one of Matinee's own requests is known to be new.
async fn ended(scope: &EnvironmentScope<'_>, admitted: &Admitted<'_>) -> Result<Option<i64>, Stop> {
    let (environment, common) = (scope.environment, scope.common());
    let spec = &environment.spec;
    let Some(id) = spec.revision.deployment_id else { return Ok(None) };
    let is_asked_for = || {
        let requests = request::of_environment(environment, common);
        requests.iter().any(|request| request.spec.sha == spec.revision.sha)
    };
    if !status::is_new(environment.status.as_ref()) || is_asked_for() {
        return Ok(None);
    }
    let (forge, repository) = common.forge(admitted).await?;
    let state = match forge.deployment_state(&repository, id).await {
        Ok(state) => state,
        Err(ForgeError::NotFound(_)) => return Ok(Some(id)),
        Err(error) => return Err(error.into()),
    };
    Ok((state == Some(StatusState::Inactive)).then_some(id))
}

/// Whether the commit is known to have been the pull request's head. A force push removes it from
/// the pull request's commits, so they don't prove it. It was the head if it was verified or
/// superseded before, or if a request is for it, since requests are for heads.
fn was_head(environment: &PreviewEnvironment, requests: &[Arc<DeploymentRequest>]) -> bool {
    let (status, revision) = (environment.status.as_ref(), &environment.spec.revision);
    let verified = status.and_then(|status| status.verified.as_ref()).is_some_and(|known| {
        let unproven = [Reason::NotTheHead, Reason::PatternInvalid];
        known.sha == revision.sha
            && known.refusal.as_ref().is_none_or(|refusal| !unproven.contains(&again(refusal).reason))
    });
    let is_requested = requests.iter().any(|request| {
        request.spec.requested_by.origin == Origin::PullRequest && request.spec.sha == revision.sha
    });
    verified || status::is_superseded(status, revision) || is_requested
}

/// Whether one of Matinee's triggers requested the deployment.
fn triggered(environment: &PreviewEnvironment, requests: &[Arc<DeploymentRequest>]) -> bool {
    let id = environment.spec.revision.deployment_id;
    id.is_some()
        && requests.iter().any(|request| {
            request.spec.requested_by.origin == Origin::PullRequest
                && request.status.as_ref().is_some_and(|status| status.deployment_id == id)
        })
}

/// Returns a text that changes with the PreviewRepository and the class, so that a refusal is
/// checked again after a change.
fn judged_by(admitted: &Admitted<'_>) -> String {
    format!(
        "repository {} class {}",
        admitted.repository.metadata.generation.unwrap_or_default(),
        admitted.class.metadata.generation.unwrap_or_default()
    )
}

/// Returns the refusal that a status records.
fn again(refusal: &Refusal) -> Mistake {
    let reason = Reason::parse(&refusal.reason).unwrap_or(Reason::Refused);
    Mistake { reason, message: refusal.message.clone() }
}
