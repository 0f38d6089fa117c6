//! What this replica may do just now.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::ports::ClusterError;

/// Whether this replica leads, and whether anything new may be made. Every replica takes in events; only the leader reconciles.
#[derive(Default)]
pub struct Standing {
    leading: AtomicBool,
    draining: AtomicBool,
}

impl Standing {
    /// This replica leads from now on; it ends rather than lead no more.
    pub fn lead(&self) {
        self.leading.store(true, Ordering::Release);
    }

    /// Whether this replica leads.
    pub fn leads(&self) -> bool {
        self.leading.load(Ordering::Acquire)
    }

    /// Everything is about to be removed: nothing new is made any more. Or it is again.
    pub fn drain(&self, draining: bool) {
        if self.draining.swap(draining, Ordering::AcqRel) != draining {
            tracing::info!(
                draining,
                "{}",
                if draining { "nothing new is made any more" } else { "new things are made again" }
            );
        }
    }

    /// Whether nothing new may be made.
    pub fn drains(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether something new may be made.
    ///
    /// # Errors
    /// [`ClusterError::NotYet`] when everything is about to be removed: what brings the news may bring it again to the next installation.
    pub fn may_make(&self) -> Result<(), ClusterError> {
        if self.drains() {
            let message = "Matinee is being uninstalled, and makes nothing new; if it isn't, set `drain` in its ConfigMap to \"false\"";
            return Err(ClusterError::NotYet { reason: "Draining", message: message.to_owned() });
        }
        Ok(())
    }
}
