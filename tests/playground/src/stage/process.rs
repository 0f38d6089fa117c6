//! The operator as a process, with the rights of its service account, without this process's
//! environment variables, and with a log.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::release::{SETTINGS, Told};
use super::web;
use super::{SYSTEM, Settings};
use crate::Playground;
use crate::processes::{last_lines, spawn};

/// Longest time from start to readiness.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Longest time for it to end after SIGTERM: it gives its own work 15 seconds.
const END_WITHIN: Duration = Duration::from_secs(20);

/// The operator's process.
pub(super) struct Process {
    binary: PathBuf,
    arguments: Vec<String>,
    kubeconfig: PathBuf,
    home: PathBuf,
    log: PathBuf,
    address: SocketAddr,
    admin: SocketAddr,
    web: reqwest::Client,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    child: Option<Child>,
    /// Whether it was stopped on purpose, so that a wait doesn't fail because it isn't running.
    meant_to_be_down: bool,
}

impl Process {
    pub(super) async fn start(
        playground: &Playground,
        settings: &Settings,
        told: &Told<'_>,
        kubeconfig: &Path,
    ) -> Result<Self> {
        let secret_file = playground.home.make("operator")?.join("webhook-secret");
        write_secret(&secret_file, told.webhook_secret)?;
        // Both are held at once, so that they differ.
        let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
        let (address, admin) = (listeners[0].local_addr()?, listeners[1].local_addr()?);
        let mut arguments: Vec<String> = [
            ("--listen", address.to_string()),
            ("--admin-listen", admin.to_string()),
            ("--public-url", format!("http://{address}")),
            ("--webhook-secret-file", secret_file.display().to_string()),
            ("--namespace", SYSTEM.to_owned()),
            ("--sweep-interval", seconds(settings.sweep_interval)?),
            ("--github-write-interval", seconds(settings.github_write_interval)?),
            ("--slack-api-url", told.slack_api_url.clone()),
            ("--slack-response-url", told.slack_response_url.clone()),
            // The identity stays the same across restarts, so that the operator needn't wait for
            // its own Lease to expire.
            ("--identity", "stage".to_owned()),
            ("--config-map", SETTINGS.to_owned()),
            ("--log-format", "text".to_owned()),
            ("--log", settings.log.clone()),
        ]
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect();
        arguments.insert(0, "run".to_owned());
        drop(listeners);
        arguments.extend(settings.flags.iter().cloned());
        let process = Self {
            binary: settings.operator.clone(),
            arguments,
            kubeconfig: kubeconfig.to_owned(),
            home: playground.home.directory().to_owned(),
            log: playground.directory().join("matinee.log"),
            address,
            admin,
            web: web::client()?,
            state: Mutex::default(),
        };
        process.restart().await?;
        Ok(process)
    }

    /// Returns its URL, which a restart keeps.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the URL of its health and metrics, which a restart keeps.
    pub(super) fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// Returns its log, across all restarts.
    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// Returns its process id, if it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.state().child.as_ref().map(Child::id)
    }

    /// Kills it without warning, as a crash would.
    ///
    /// # Errors
    /// When it does not run.
    pub(super) fn kill(&self) -> Result<()> {
        let mut state = self.state();
        let mut child = state.child.take().context("the operator does not run")?;
        state.meant_to_be_down = true;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Sends it SIGTERM, and waits until it has ended.
    ///
    /// # Errors
    /// When it does not run, ends with an error, or doesn't end within 20 seconds; then it is
    /// killed.
    pub(super) fn end(&self) -> Result<()> {
        let mut state = self.state();
        if state.meant_to_be_down {
            return Ok(());
        }
        let mut child = state.child.take().context("the operator does not run")?;
        state.meant_to_be_down = true;
        drop(state);
        kill_process(Pid::from_child(&child), Signal::TERM)?;
        let asked = Instant::now();
        loop {
            match child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.ended(status)),
                None if asked.elapsed() > END_WITHIN => break,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        child.kill()?;
        child.wait()?;
        bail!("the operator did not end within {} s of being asked to", END_WITHIN.as_secs())
    }

    /// Starts it, and waits until it is ready. If it runs, it is killed first.
    ///
    /// # Errors
    /// When it ends, or is not ready within 30 seconds; the message has the end of its log.
    pub(super) async fn restart(&self) -> Result<()> {
        if self.pid().is_some() {
            self.kill()?;
        }
        let mut command = Command::new(&self.binary);
        command
            .args(&self.arguments)
            .env_clear()
            .env("KUBECONFIG", &self.kubeconfig)
            .env("RUST_BACKTRACE", "1");
        {
            let mut state = self.state();
            state.child = Some(spawn(&mut command, &self.log, &self.home)?);
            state.meant_to_be_down = false;
        }
        let deadline = Instant::now() + READY_WITHIN;
        let url = format!("{}/readyz", self.admin_url());
        loop {
            self.check_alive()?;
            let found = match self.web.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => format!("{}: {}", answer.status(), answer.text().await.unwrap_or_default()),
                Err(problem) => format!("{:#}", anyhow::Error::from(problem)),
            };
            if Instant::now() > deadline {
                bail!(
                    "the operator is not ready in {} s: {found}; its last words:\n{}",
                    READY_WITHIN.as_secs(),
                    self.last_words()
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Fails when it has ended by itself.
    pub(super) fn check_alive(&self) -> Result<()> {
        let status = match &mut self.state().child {
            Some(child) => child.try_wait()?,
            None => None,
        };
        status.map_or(Ok(()), |status| Err(self.ended(status)))
    }

    /// Returns the end of its log.
    pub(super) fn last_words(&self) -> String {
        last_lines(&self.log)
    }

    fn ended(&self, status: ExitStatus) -> anyhow::Error {
        anyhow::anyhow!("the operator ended ({status}); its last words:\n{}", self.last_words())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.state().child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Returns the resident memory of a process in bytes.
pub(super) fn resident_memory(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024)
}

/// Writes a file that only this user can read.
fn write_secret(path: &Path, secret: &str) -> Result<()> {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(file.write_all(secret.as_bytes())?)
}

/// Formats a duration for the operator's flags and the chart's values.
pub(super) fn seconds(duration: Duration) -> Result<String> {
    if duration.subsec_nanos() != 0 {
        bail!("{duration:?} is given to the operator in whole seconds");
    }
    Ok(format!("{}s", duration.as_secs()))
}
