//! A commit status, so that a reviewer sees what a request waits for. Only a request that waited or was refused has one: who gets a deployment
//! at once needs no more than that.

use super::{Followed, Outcome, Visit};
use crate::controllers::write;
use crate::core::gates::{self, Standing};
use crate::ports::{EventType, ForgeError};

/// What GitHub shows now; for the status.
pub(super) struct Told(pub(super) String);

/// Tells GitHub, if that is news. `None`: nothing was to be told.
pub(super) async fn tell(visit: &Visit<'_>, outcome: &Outcome) -> Result<Option<Told>, ForgeError> {
    let before = visit.request.status.as_ref().and_then(|status| status.told.as_ref());
    let mut url = None;
    let standing = match outcome {
        Outcome::Gated(evaluation) => Standing::Judged(evaluation),
        _ if before.is_none() => return Ok(None),
        Outcome::Refused(mistake) => Standing::Refused(&mistake.message),
        Outcome::Held(hold) => Standing::Failed(&hold.message),
        Outcome::Superseded(why) => Standing::Superseded(why),
        Outcome::Failed(message) => Standing::Failed(message),
        Outcome::Created { followed: Followed::UnderWay, .. } => Standing::UnderWay,
        Outcome::Created { followed: Followed::Live { url: live }, .. } => {
            url.clone_from(live);
            Standing::Live
        }
        Outcome::Created { followed: Followed::Failed { cause }, .. } => Standing::Failed(cause),
        Outcome::Created { followed: Followed::Inactive, .. } => Standing::Superseded("it is inactive"),
        Outcome::Deleted => return Ok(None),
    };
    let status = gates::commit_status(&visit.admitted.entry.name, standing, url);
    let told = gates::told(&status);
    if before == Some(&told) {
        return Ok(None);
    }
    match visit.forge.create_commit_status(&visit.name, &visit.request.spec.sha, &status).await {
        Ok(()) | Err(ForgeError::Superseded) => Ok(Some(Told(told))),
        Err(error @ (ForgeError::Forbidden(_) | ForgeError::NotFound(_) | ForgeError::Invalid(_))) => {
            // Trying again won't help, and the deployment doesn't depend on it.
            let message = format!("the commit status can't be created: {error}");
            visit
                .context
                .events
                .publish(&write::reference(visit.request), EventType::Warning, "NotTold", &message)
                .await;
            Ok(Some(Told(told)))
        }
        Err(error) => Err(error),
    }
}
