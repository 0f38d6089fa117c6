//! The Lease of the leader election.

use async_trait::async_trait;

use super::ClusterError;
use crate::core::election;

/// The Lease that determines which replica leads.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Returns its record and version; `None` when it doesn't exist.
    async fn read(&self) -> Result<Option<(election::LeaderElectionRecord, String)>, ClusterError>;
    /// Writes the Lease if its version is still `seen`, or if it doesn't exist and `seen` is
    /// `None`. Returns the new version. [`ClusterError::Conflict`] means that another replica wrote
    /// first.
    async fn write(
        &self,
        record: &election::LeaderElectionRecord,
        seen: Option<&str>,
    ) -> Result<String, ClusterError>;
}
