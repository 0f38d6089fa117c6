//! The operator, as a process or in pods.

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

    /// Returns the URL of its webhooks and pages, which a restart keeps. It is an address on
    /// loopback or, in the cluster, the host name of the chart's HTTPRoute, which
    /// [`super::Stage::fetch`] and browsers resolve.
    pub fn url(&self) -> String {
        match &self.place {
            Running::Process(process) => process.url(),
            Running::Cluster(pods) => pods.url(),
        }
    }

    /// Returns the URL for GitHub's webhooks.
    pub fn webhook_url(&self) -> String {
        format!("{}/webhooks/github", self.url())
    }

    /// Returns the URL for Slack's commands.
    pub fn slack_url(&self) -> String {
        format!("{}/slack/commands", self.url())
    }

    /// Returns the URL of the process's health and metrics, which a restart keeps. In the cluster
    /// every pod has one: [`OperatorPod::admin_url`].
    ///
    /// # Errors
    /// When it runs in the cluster.
    pub fn admin_url(&self) -> Result<String> {
        Ok(self.process()?.admin_url())
    }

    /// Returns the log of the process across restarts; in the cluster, the folder with the
    /// containers' logs.
    pub fn log(&self) -> &Path {
        match &self.place {
            Running::Process(process) => process.log(),
            Running::Cluster(pods) => pods.logs(),
        }
    }

    /// Returns a kubeconfig of its service account, which grants its rights.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Returns its process id, if it runs as a process.
    pub fn pid(&self) -> Option<u32> {
        match &self.place {
            Running::Process(process) => process.pid(),
            Running::Cluster(_) => None,
        }
    }

    /// Kills the process without warning, as a crash would. Nothing starts it again.
    ///
    /// # Errors
    /// When it does not run, or in the cluster, where the kubelet starts it again:
    /// [`OperatorPod::kill`].
    pub fn kill(&self) -> Result<()> {
        self.process()?.kill()
    }

    /// Sends the process SIGTERM, and waits until it has ended.
    ///
    /// # Errors
    /// When it does not run, ends with an error, or doesn't end within 20 seconds; then it is
    /// killed. When it runs in the cluster.
    pub fn end(&self) -> Result<()> {
        self.process()?.end()
    }

    /// Kills the operator, and waits until it runs again and is ready. In the cluster the kubelet
    /// restarts every pod's container; only the first restart is immediate.
    ///
    /// # Errors
    /// When it ends by itself, or is not ready in time; the message has the end of its log.
    pub async fn restart(&self) -> Result<()> {
        match &self.place {
            Running::Process(process) => process.restart().await,
            Running::Cluster(pods) => pods.restart().await,
        }
    }

    /// Returns its present pods, in the order of their names, including terminating ones.
    ///
    /// # Errors
    /// When the API server rejects the request, or the operator runs as a process.
    pub async fn pods(&self) -> Result<Vec<OperatorPod>> {
        match &self.place {
            Running::Process(_) => bail!("the operator runs as a process, not in pods: Settings::place"),
            Running::Cluster(pods) => pods.list().await,
        }
    }

    /// Returns the end of its log, of each pod.
    pub fn last_words(&self) -> String {
        match &self.place {
            Running::Process(process) => process.last_words(),
            Running::Cluster(pods) => pods.last_words(),
        }
    }

    /// Returns its resident memory in bytes, the sum of all pods.
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

    /// Fails when it has ended by itself.
    pub(super) async fn check_alive(&self) -> Result<()> {
        match &self.place {
            Running::Process(process) => process.check_alive(),
            Running::Cluster(pods) => pods.check_alive().await,
        }
    }

    /// Stops the process, if there is one; pods stop with the cluster.
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
