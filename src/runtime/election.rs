//! Leader election: acquires, renews and releases the Lease.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::leadership::Leadership;
use crate::core::election::{Election, ElectionStep, LeaderElectionRecord, Timing};
use crate::ports::{Clock, ClusterError, Leases};

/// Maximum time to release the Lease. If that fails, the Lease expires some seconds later.
const RELEASE_WITHIN: Duration = Duration::from_secs(3);

/// This replica's part in the leader election.
pub struct Leader {
    leases: Arc<dyn Leases>,
    clock: Arc<dyn Clock>,
    leadership: Arc<Leadership>,
    election: Election,
    timing: Timing,
    /// Last observed version of the Lease.
    version: Option<String>,
    /// Whether a teardown has deleted the Lease. No replica creates another one, so this replica
    /// leads without it until its end.
    lease_deleted: bool,
    epoch: Instant,
}

impl Leader {
    /// Creates a replica that doesn't lead yet. Its name `me` must be unique.
    pub fn new(
        leases: Arc<dyn Leases>,
        clock: Arc<dyn Clock>,
        leadership: Arc<Leadership>,
        identity: String,
    ) -> Self {
        let timing = Timing::default();
        Self {
            leases,
            clock,
            leadership,
            election: Election::new(identity, timing),
            timing,
            version: None,
            lease_deleted: false,
            epoch: Instant::now(),
        }
    }

    /// Completes when this replica leads.
    pub async fn acquire(&mut self) {
        let mut reported: Option<String> = None;
        loop {
            match self.run().await {
                Ok(true) => return,
                Ok(false) => {
                    let holder = self.election.holder();
                    if reported.as_deref() != holder {
                        tracing::info!(holder, "another replica leads");
                        reported = holder.map(str::to_owned);
                    }
                }
                Err(error) => tracing::warn!(%error, "failed to acquire the Lease, retrying"),
            }
            sleep(self.timing.retry_period).await;
        }
    }

    /// Reads the Lease, and acquires it if it is free.
    async fn run(&mut self) -> Result<bool, ClusterError> {
        self.look().await?;
        // A teardown has deleted the Lease for good.
        if self.version.is_none() && self.leadership.drains() {
            return Ok(false);
        }
        let ElectionStep::Write(record) = self.election.next(self.now(), self.clock.now()) else {
            return Ok(false);
        };
        let begun = self.now();
        match self.leases.write(&record, self.version.as_deref()).await {
            Ok(version) => {
                self.wrote(begun, record, version);
                Ok(true)
            }
            // Another replica acquired it first.
            Err(ClusterError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Renews the Lease until it is lost, and returns the cause. The leader's work must end then.
    pub async fn renew_until_lost(&mut self) -> String {
        loop {
            if self.lease_deleted {
                sleep(self.timing.retry_period).await;
                match timeout(self.timing.retry_period, self.leases.read()).await {
                    // The release's uninstallation also removes the right to read it.
                    Ok(Ok(None) | Err(_)) | Err(_) if self.leadership.drains() => {}
                    _ => return "the Lease is no longer held by this replica".to_owned(),
                }
                continue;
            }
            sleep(self.timing.retry_period.min(self.left())).await;
            match self.election.next(self.now(), self.clock.now()) {
                ElectionStep::Lost(why) => return why,
                ElectionStep::Wait => {}
                ElectionStep::Write(record) => self.renew(record).await,
            }
        }
    }

    async fn renew(&mut self, record: LeaderElectionRecord) {
        let begun = self.now();
        let renewed = timeout(self.left(), self.leases.write(&record, self.version.as_deref())).await;
        match renewed {
            Ok(Ok(version)) => self.wrote(begun, record, version),
            Ok(Err(ClusterError::Refused { code: 404, .. })) if self.leadership.drains() => {
                self.lease_deleted = true;
            }
            // Another replica wrote the Lease, or this one did and the response was lost.
            Ok(Err(ClusterError::Conflict(_) | ClusterError::Refused { code: 404, .. })) => {
                match timeout(self.left(), self.look()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "failed to read the Lease"),
                    Err(_) => tracing::warn!("read of the Lease timed out"),
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "failed to renew the Lease, retrying"),
            Err(_) => tracing::warn!("renewal of the Lease timed out"),
        }
    }

    /// Releases the Lease, so that another replica takes over at once. All work must have ended
    /// before.
    pub async fn release(mut self) {
        if self.lease_deleted {
            return;
        }
        match timeout(RELEASE_WITHIN, self.give_back()).await {
            Ok(Ok(())) => tracing::info!("Lease released"),
            Ok(Err(error)) => tracing::warn!(%error, "failed to release the Lease, it will expire"),
            Err(_) => tracing::warn!("release of the Lease timed out, it will expire"),
        }
    }

    async fn give_back(&mut self) -> Result<(), ClusterError> {
        // Repeat this if an interrupted renewal had an effect after all.
        loop {
            let Some(record) = self.election.release(self.clock.now()) else { return Ok(()) };
            match self.leases.write(&record, self.version.as_deref()).await {
                Err(ClusterError::Conflict(_)) => self.look().await?,
                other => return other.map(drop),
            }
        }
    }

    /// Returns the remaining time as leader without another renewal.
    fn left(&self) -> Duration {
        self.election.leads_until().unwrap_or_default().saturating_sub(self.now())
    }

    async fn look(&mut self) -> Result<(), ClusterError> {
        let (record, version) = match self.leases.read().await? {
            Some((record, version)) => (record, Some(version)),
            None => (LeaderElectionRecord::default(), None),
        };
        self.version = version;
        self.election.observe(self.now(), record);
        Ok(())
    }

    fn wrote(&mut self, begun: Duration, record: LeaderElectionRecord, version: String) {
        self.version = Some(version);
        self.election.wrote(begun, record);
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }
}

#[cfg(test)]
mod tests;
