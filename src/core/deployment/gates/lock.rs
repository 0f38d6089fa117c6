//! The gate for `spec.locks`. A locked environment waits and is never refused, since somebody will
//! unlock it.

use super::{GateInput, GateVerdict};
use crate::core::truncate::cut;

/// Most characters of a lock's reason in the message. The PreviewRepository has the full reason.
const MAX_REASON: usize = 100;

pub(super) fn judge(asked: &GateInput<'_>) -> GateVerdict {
    let Some(lock) = asked.repository.locks.iter().find(|lock| lock.environment == asked.request.environment)
    else {
        return GateVerdict::unset();
    };
    let since = lock.lock_time.as_ref().map(|since| format!(" since {:.0}", since.0)).unwrap_or_default();
    GateVerdict::Waiting {
        reason: "Locked",
        message: format!("locked by {}{since}: {}", lock.by, cut(&lock.reason, MAX_REASON)),
        again: None,
    }
}
