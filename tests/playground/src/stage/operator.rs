//! The operator, wherever it runs.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::pods::{OperatorPod, Pods};
use super::process::{self, Process};

/// The operator. Tests may kill and restart it at any time.
pub struct Operator {
    place: Running,
    kubeconfig: PathBuf,
}

/// Where it runs.
pub(super) enum Running {
    Process(Process),
    Cluster(Pods),
}

impl Operator {
    pub(super) fn new(place: Running, kubeconfig: PathBuf) -> Self {
        Self { place, kubeconfig }
    }

    /// Where it serves webhooks and pages, the same after a restart: an address on loopback or, in the cluster, the host name of the chart's
    /// HTTPRoute, which [`super::Stage::fetch`] and browsers know.
    pub fn url(&self) -> String {
        match &self.place {
            Running::Process(process) => process.url(),
            Running::Cluster(pods) => pods.url(),
        }
    }

    /// Where GitHub sends webhooks.
    pub fn webhook_url(&self) -> String {
        format!("{}/webhooks/github", self.url())
    }

    /// Where Slack sends commands.
    pub fn slack_url(&self) -> String {
        format!("{}/slack/commands", self.url())
    }

    /// Where the process serves health and metrics, the same after a restart. In the cluster every pod does: [`OperatorPod::admin_url`].
    ///
    /// # Errors
    /// When it runs in the cluster.
    pub fn admin_url(&self) -> Result<String> {
        Ok(self.process()?.admin_url())
    }

    /// The log of the process, of all its lives; in the cluster, the folder with the containers' logs.
    pub fn log(&self) -> &Path {
        match &self.place {
            Running::Process(process) => process.log(),
            Running::Cluster(pods) => pods.logs(),
        }
    }

    /// A kubeconfig of its service account: whoever uses it has its rights.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Its process, if it runs as one.
    pub fn pid(&self) -> Option<u32> {
        match &self.place {
            Running::Process(process) => process.pid(),
            Running::Cluster(_) => None,
        }
    }

    /// Kills the process without warning, as a crash would. Nobody starts it again.
    ///
    /// # Errors
    /// When it does not run, or in the cluster, where the kubelet starts it again: [`OperatorPod::kill`].
    pub fn kill(&self) -> Result<()> {
        self.process()?.kill()
    }

    /// Asks the process to end, and waits until it has.
    ///
    /// # Errors
    /// When it does not run, ends with an error, or not within 20 seconds; then it is killed. When it runs in the cluster.
    pub fn end(&self) -> Result<()> {
        self.process()?.end()
    }

    /// Kills it where it runs, and waits until it runs again and is ready. In the cluster the kubelet starts every pod's container again, at once
    /// only the first time.
    ///
    /// # Errors
    /// When it ends by itself, or is not ready in time; the message has its last words.
    pub async fn restart(&self) -> Result<()> {
        match &self.place {
            Running::Process(process) => process.restart().await,
            Running::Cluster(pods) => pods.restart().await,
        }
    }

    /// Its pods as they are now, in the order of their names; those that are being ended too.
    ///
    /// # Errors
    /// When the API server doesn't tell, or it runs as a process.
    pub async fn pods(&self) -> Result<Vec<OperatorPod>> {
        match &self.place {
            Running::Process(_) => bail!("the operator runs as a process, not in pods: Settings::place"),
            Running::Cluster(pods) => pods.list().await,
        }
    }

    /// The end of its log, of each pod.
    pub fn last_words(&self) -> String {
        match &self.place {
            Running::Process(process) => process.last_words(),
            Running::Cluster(pods) => pods.last_words(),
        }
    }

    /// Its resident memory in bytes, of all its pods together.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn resident_memory(&self) -> Result<u64> {
        let Running::Cluster(pods) = &self.place else {
            let Some(pid) = self.pid() else { bail!("the operator does not run") };
            return process::resident_memory(pid);
        };
        pods.list().await?.iter().map(OperatorPod::resident_memory).sum()
    }

    /// Fails when it ended by itself.
    pub(super) async fn check_alive(&self) -> Result<()> {
        match &self.place {
            Running::Process(process) => process.check_alive(),
            Running::Cluster(pods) => pods.check_alive().await,
        }
    }

    /// Ends the process, if it is one and runs; pods end with the cluster.
    pub(super) fn finish(&self) -> Result<()> {
        match &self.place {
            Running::Process(process) => process.end(),
            Running::Cluster(_) => Ok(()),
        }
    }

    fn process(&self) -> Result<&Process> {
        match &self.place {
            Running::Process(process) => Ok(process),
            Running::Cluster(_) => {
                bail!("the operator runs in pods, not as a process: use Operator::pods, or Settings::place")
            }
        }
    }
}
