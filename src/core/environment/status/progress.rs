//! How far a reconcile came.

use std::time::Duration;

use super::{APPLIED, HEALTHY, REACHABLE, VALIDATED};
use crate::core::cause::Cause;
use crate::core::environment::reason::EnvironmentReason;
use crate::core::mistake::{Mistake, Reason};

/// Stage that a reconcile reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Checks of references, names and template.
    Validate,
    /// Apply of the objects.
    Apply,
    /// Health of the workloads.
    Health,
    /// Request to the URL.
    Answer,
}

impl Stage {
    pub(super) const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Validate, VALIDATED, "Valid"),
        (Self::Apply, APPLIED, "Applied"),
        (Self::Health, HEALTHY, "Healthy"),
        (Self::Answer, REACHABLE, "Reachable"),
    ];
}

/// Result of a reconcile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Everything is as desired.
    Ready,
    /// Work is in progress and continues by itself.
    Waiting {
        /// The incomplete stage.
        stage: Stage,
        /// Reason.
        reason: EnvironmentReason,
        /// Message for people.
        message: String,
    },
    /// The workloads failed, or the URL doesn't respond. A new revision fixes it, or the workloads
    /// recover.
    Failed {
        /// The stage that failed.
        stage: Stage,
        /// Reason.
        reason: EnvironmentReason,
        /// The cause.
        message: Cause,
    },
    /// An outage interrupts the reconcile although nobody made a mistake. Matinee retries, and
    /// GitHub keeps showing the last result.
    Interrupted {
        /// The stage that the reconcile reached.
        stage: Stage,
        /// Reason in CamelCase.
        reason: &'static str,
        /// Message for people.
        message: String,
    },
    /// The API server or Matinee rejects it because of a mistake, and waits for a change.
    Rejected {
        /// The stage that found it.
        stage: Stage,
        /// The mistake.
        mistake: Mistake,
    },
    /// The commit isn't the pull request's head any more. Matinee waits for the newer deployment
    /// and leaves the running workloads alone.
    Superseded {
        /// The present head.
        head: String,
    },
}

/// Time between two checks whether another owner has released a namespace or host name.
const RELEASED_AGAIN: Duration = Duration::from_secs(30);

/// Like [`RELEASED_AGAIN`], for a namespace that is being deleted.
const TERMINATING_AGAIN: Duration = Duration::from_secs(2);

/// Time between two attempts to apply objects after missing rights, quota or kinds prevented it. No
/// watch reports when the platform team fixes that.
const RIGHTS_AGAIN: Duration = Duration::from_mins(1);

impl Progress {
    /// Returns the time until the next reconcile if no watch will trigger one. Watches report
    /// neither changes to foreign objects and other environments, nor new rights.
    pub fn look_again_after(&self) -> Option<Duration> {
        match self {
            Self::Waiting { reason: EnvironmentReason::NamespaceTerminating, .. } => Some(TERMINATING_AGAIN),
            Self::Rejected {
                mistake: Mistake { reason: Reason::HostTaken | Reason::NamespaceTaken, .. },
                ..
            } => Some(RELEASED_AGAIN),
            Self::Rejected {
                stage: Stage::Apply,
                mistake:
                    Mistake {
                        reason: Reason::ApplyForbidden | Reason::KindMissing | Reason::ClassInvalid, ..
                    },
            } => Some(RIGHTS_AGAIN),
            _ => None,
        }
    }
}
