//! The operator in pods, as the chart installs it. Their processes also belong to this machine: the
//! node has a network of its own, but is not another machine.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::ListParams;
use kube::{Api, Client};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use super::release::RELEASE;
use super::{SYSTEM, process};
use crate::Playground;
use crate::processes::last_lines;

/// The name of the container.
const CONTAINER: &str = "matinee";
/// The container's port for health and metrics.
const ADMIN_PORT: &str = "admin";
/// Longest time for a restart. The kubelet waits ten seconds before the second one, and twice as
/// long before each further one.
const READY_WITHIN: Duration = Duration::from_mins(2);
/// Interval of checks whether a pod ended by itself.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A pod of the operator at the time it was read.
#[derive(Clone, Debug)]
pub struct OperatorPod {
    /// Its name, which the operator also uses as holder of the lease.
    pub name: String,
    /// Its address, which this machine can reach; empty before it has one.
    pub address: String,
    /// Whether it gets webhooks.
    pub ready: bool,
    /// Whether it is terminating.
    pub ending: bool,
    /// Number of restarts of its container.
    pub restarts: i32,
    /// The image of its container.
    pub image: String,
    admin_port: i32,
    /// The folder of its running container's process in containerd.
    task: Option<PathBuf>,
    logs: PathBuf,
}

impl OperatorPod {
    /// Returns the URL of its health and metrics.
    pub fn admin_url(&self) -> String {
        format!("http://{}:{}", self.address, self.admin_port)
    }

    /// Returns the id of its process on this machine.
    ///
    /// # Errors
    /// When its container doesn't run.
    pub fn pid(&self) -> Result<u32> {
        let task =
            self.task.as_ref().with_context(|| format!("the container of {} doesn't run", self.name))?;
        let file = task.join("init.pid");
        let pid = fs::read_to_string(&file)
            .with_context(|| format!("the container of {} ended: {}", self.name, file.display()))?;
        pid.trim().parse().with_context(|| format!("{} holds no process id", file.display()))
    }

    /// Kills its process without warning, as a crash would, unless it has already ended. The
    /// kubelet starts it again.
    ///
    /// # Errors
    /// When its container didn't run at the time the pod was read.
    pub fn kill(&self) -> Result<()> {
        let pid = match self.pid() {
            // containerd removes the folders of ended processes.
            Err(_) if self.task.as_ref().is_some_and(|task| !task.join("init.pid").exists()) => return Ok(()),
            other => i32::try_from(other?)?,
        };
        let pid = Pid::from_raw(pid).with_context(|| format!("{pid} is no process id"))?;
        match kill_process(pid, Signal::KILL) {
            Err(Errno::SRCH) => Ok(()),
            other => other.with_context(|| format!("the process of {} can't be killed", self.name)),
        }
    }

    /// Returns the resident memory of its process in bytes.
    ///
    /// # Errors
    /// When its container doesn't run.
    pub fn resident_memory(&self) -> Result<u64> {
        process::resident_memory(self.pid()?)
    }

    /// Returns its container's output, across the restarts whose logs the kubelet keeps.
    ///
    /// # Errors
    /// When there is no log: the container was not started yet, or the pod has been deleted.
    pub fn log(&self) -> Result<String> {
        let mut text = String::new();
        for log in logs_in(&self.logs)? {
            let lines = fs::read_to_string(&log).with_context(|| format!("{}", log.display()))?;
            text.extend(lines.lines().map(spoken).flat_map(|line| [line, "\n"]));
        }
        Ok(text)
    }
}

/// The operator's pods.
pub(super) struct Pods {
    api: Api<Pod>,
    url: String,
    /// Folders of containerd's tasks and of the logs of all pods.
    tasks: PathBuf,
    logs: PathBuf,
    looked: Mutex<Option<Instant>>,
}

impl Pods {
    pub(super) fn new(playground: &Playground, client: &Client, url: String) -> Self {
        Self {
            api: Api::namespaced(client.clone(), SYSTEM),
            url,
            tasks: playground.home.run().join("containerd/state/io.containerd.runtime.v2.task/k8s.io"),
            logs: playground.directory().join("pods"),
            looked: Mutex::default(),
        }
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    pub(super) fn logs(&self) -> &Path {
        &self.logs
    }

    async fn found(&self) -> Result<Vec<Pod>> {
        let labels = format!("app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=operator");
        let mut pods = self.api.list(&ListParams::default().labels(&labels)).await?.items;
        pods.sort_by(|one, other| one.metadata.name.cmp(&other.metadata.name));
        Ok(pods)
    }

    pub(super) async fn list(&self) -> Result<Vec<OperatorPod>> {
        Ok(self.found().await?.iter().map(|pod| self.describe(pod)).collect())
    }

    fn describe(&self, pod: &Pod) -> OperatorPod {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let status = pod.status.as_ref();
        let mut conditions = status.into_iter().flat_map(|status| status.conditions.iter().flatten());
        let container = container(pod);
        let id = container.and_then(|container| container.container_id.as_deref());
        let id = id.and_then(|id| id.strip_prefix("containerd://"));
        let runs = container.and_then(|container| container.state.as_ref()?.running.as_ref()).is_some();
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
        let admin = ports.find(|port| port.name.as_deref() == Some(ADMIN_PORT));
        OperatorPod {
            address: status.and_then(|status| status.pod_ip.clone()).unwrap_or_default(),
            ready: conditions.any(|found| found.type_ == "Ready" && found.status == "True"),
            ending: pod.metadata.deletion_timestamp.is_some(),
            restarts: container.map_or(0, |container| container.restart_count),
            image: container.map(|container| container.image.clone()).unwrap_or_default(),
            admin_port: admin.map_or(0, |port| port.container_port),
            task: id.filter(|_| runs).map(|id| self.tasks.join(id)),
            logs: self.logs.join(format!("{SYSTEM}_{name}_{uid}")).join(CONTAINER),
            name,
        }
    }

    /// Kills all pods' processes, and waits until all are ready again.
    pub(super) async fn restart(&self) -> Result<()> {
        let before = self.list().await?;
        ensure!(!before.is_empty(), "no pod of the operator is there");
        for pod in &before {
            pod.kill()?;
        }
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let now = self.list().await?;
            let again = |old: &OperatorPod| {
                now.iter().any(|pod| pod.name == old.name && pod.restarts > old.restarts && pod.ready)
            };
            if before.iter().all(again) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "the operator is not ready again in {} s: {now:#?}; its last words:\n{}",
                    READY_WITHIN.as_secs(),
                    self.last_words()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Fails when a container has ended by itself. A SIGKILL by the test doesn't count, but one for
    /// lack of memory does.
    pub(super) async fn check_alive(&self) -> Result<()> {
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
                return Ok(());
            }
            *looked = Some(Instant::now());
        }
        for pod in self.found().await? {
            let Some(container) = container(&pod) else { continue };
            let states = [container.state.as_ref(), container.last_state.as_ref()];
            let ended = states.into_iter().flatten().filter_map(|state| state.terminated.as_ref());
            for end in ended {
                let killed = end.exit_code == KILLED && end.reason.as_deref() != Some("OOMKilled");
                if end.exit_code != 0 && !killed {
                    bail!(
                        "the operator in {} ended (exit code {}, {}); its last words:\n{}",
                        pod.metadata.name.as_deref().unwrap_or_default(),
                        end.exit_code,
                        end.reason.as_deref().unwrap_or_default(),
                        self.last_words()
                    );
                }
            }
        }
        Ok(())
    }

    pub(super) fn last_words(&self) -> String {
        last_words(&self.logs)
    }
}

/// Exit code after SIGKILL: 128 and the number of the signal.
const KILLED: i32 = 137;

fn container(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.iter().flatten().find(|status| status.name == CONTAINER)
}

/// Returns the end of each operator pod's newest log, from a folder with the logs of all pods.
pub(super) fn last_words(logs: &Path) -> String {
    let mut words = String::new();
    for folder in fs::read_dir(logs).into_iter().flatten().flatten() {
        let name = folder.file_name().to_string_lossy().into_owned();
        let Some(pod) = name.strip_prefix(&format!("{SYSTEM}_")) else { continue };
        let newest = logs_in(&folder.path().join(CONTAINER)).unwrap_or_default().pop();
        let Some(newest) = newest else { continue };
        let said: Vec<_> = last_lines(&newest).lines().map(|line| spoken(line).to_owned()).collect();
        // Writing into a string can't fail.
        let _ = writeln!(words, "{}:\n{}", pod.split('_').next().unwrap_or(pod), said.join("\n"));
    }
    words
}

/// Returns the logs of a container, one for each restart, oldest first.
fn logs_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("no log in {}", folder.display()))?;
    let mut logs: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter_map(|path| Some((path.file_stem()?.to_str()?.parse().ok()?, path)))
        .collect();
    logs.sort();
    Ok(logs.into_iter().map(|(_, path)| path).collect())
}

/// Returns a line without the prefix of the kubelet's format: time, stream, and whether it is
/// complete.
fn spoken(line: &str) -> &str {
    line.splitn(4, ' ').nth(3).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_life_speaks_last_and_other_pods_not_at_all() {
        let logs = std::env::temp_dir().join(format!("playground-words-{}", std::process::id()));
        for (pod, life, text) in [
            ("matinee-system_matinee-1_uid", "9.log", "2026-01-01T00:00:00Z stderr F early\n"),
            ("matinee-system_matinee-1_uid", "10.log", "2026-01-01T00:00:01Z stderr F late words\n"),
            ("team_web_uid", "0.log", "2026-01-01T00:00:00Z stdout F of others\n"),
        ] {
            let folder = logs.join(pod).join(CONTAINER);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(life), text).unwrap();
        }
        assert_eq!(last_words(&logs), "matinee-1:\nlate words\n");
        let lives = logs_in(&logs.join("matinee-system_matinee-1_uid").join(CONTAINER)).unwrap();
        assert!(lives[0].ends_with("9.log") && lives[1].ends_with("10.log"), "{lives:?}");
        fs::remove_dir_all(logs).unwrap();
    }
}
