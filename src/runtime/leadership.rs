//! Whether this replica leads, and whether it drains.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::ports::ClusterError;

/// Leadership and draining. Every replica receives events; only the leader reconciles.
#[derive(Default)]
pub struct Leadership {
    leading: AtomicBool,
    draining: AtomicBool,
}

impl Leadership {
    /// Makes this replica the leader. It stays the leader until the process ends.
    pub fn lead(&self) {
        self.leading.store(true, Ordering::Release);
    }

    /// Whether this replica leads.
    pub fn leads(&self) -> bool {
        self.leading.load(Ordering::Acquire)
    }

    /// Starts or stops draining. While Matinee is being uninstalled, it creates nothing new.
    pub fn drain(&self, draining: bool) {
        if self.draining.swap(draining, Ordering::AcqRel) != draining {
            tracing::info!(draining, "drain mode changed");
        }
    }

    /// Whether the operator drains, so that nothing new may be created.
    pub fn drains(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Checks that something new may be created.
    ///
    /// # Errors
    /// [`ClusterError::NotYet`] while the operator drains. The event may be delivered again to the
    /// next installation.
    pub fn may_create(&self) -> Result<(), ClusterError> {
        if self.drains() {
            let message = "Matinee is being uninstalled and creates nothing new: if it isn't, set `drain` in its ConfigMap to \"false\"";
            return Err(ClusterError::NotYet { reason: "Draining", message: message.to_owned() });
        }
        Ok(())
    }
}
