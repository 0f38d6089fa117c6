//! Approvals: which requests somebody may approve.

use super::CommandError;
use crate::api::{DeploymentRequest, Gates, find_condition};
use crate::core::conditions::READY;
use crate::core::deployment::gates::supersession;
use crate::core::deployment::reason::RequestReason;

/// Checks that an approval of a request by `by` counts. `gates` are those of the request's
/// environment.
///
/// # Errors
/// `NothingToApprove` when the request doesn't wait or needs no approval, with the reason;
/// `OwnDeployment` when `by` is the requester.
pub fn approvable(request: &DeploymentRequest, gates: Option<&Gates>, by: &str) -> Result<(), CommandError> {
    let nothing = |message: String| CommandError { reason: "NothingToApprove", message, usage: None };
    if request.metadata.deletion_timestamp.is_some() {
        return Err(nothing("its request is being deleted".to_owned()));
    }
    if !supersession::waits(request) {
        return Err(nothing(ended(request)));
    }
    if gates.is_none_or(|gates| gates.approvals <= 0) {
        return Err(nothing(format!("{} needs no approval", request.spec.environment)));
    }
    let requester = request.spec.requested_by.login.as_deref();
    if requester.is_some_and(|requester| requester.eq_ignore_ascii_case(by)) {
        let message = format!("{by} requested this deployment, so another person must approve it");
        return Err(CommandError { reason: "OwnDeployment", message, usage: None });
    }
    Ok(())
}

/// Returns the reason why a request no longer waits, for a message.
fn ended(request: &DeploymentRequest) -> String {
    let ready = request.status.as_ref().and_then(|status| find_condition(&status.conditions, READY));
    let message = ready.map_or("", |ready| ready.message.trim_end_matches('.'));
    let because =
        |text: &str| if message.is_empty() { text.to_owned() } else { format!("{text}: {message}") };
    match RequestReason::of(request) {
        Some(RequestReason::ChecksTimedOut | RequestReason::ImageTimedOut) => {
            format!("{}; request the deployment again", because("its request timed out"))
        }
        Some(RequestReason::Superseded) => because("its request was superseded"),
        Some(RequestReason::Creating | RequestReason::Deploying) => "it is being deployed already".to_owned(),
        Some(RequestReason::Succeeded) => "it was deployed already".to_owned(),
        Some(RequestReason::DeploymentFailed) => because("its deployment failed"),
        Some(RequestReason::Refused) => because("GitHub rejected its deployment"),
        Some(RequestReason::Inactive) => because("its deployment is over"),
        Some(RequestReason::DeploymentLoop) => because("deployments repeat too often"),
        None => because("its request has ended"),
    }
}
