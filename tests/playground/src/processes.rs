//! The programs of a run: each has a log file, is watched during waits, and is stopped in reverse
//! order.

use std::fs::File;
use std::future::Future;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Variable in the environment of every program of a run and of its children. By it
/// [`crate::leftovers`] recognizes the processes of a killed run, and can't confuse them with
/// another process that got the same id.
pub(crate) const MARK: &str = "MATINEE_PLAYGROUND_RUN";

/// Longest time for a program to end after SIGTERM, before it is killed.
const PATIENCE: Duration = Duration::from_secs(3);

/// The running programs of a run, oldest first.
pub(crate) struct Processes {
    running: Vec<Running>,
    logs: PathBuf,
    mark: PathBuf,
}

struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Processes {
    /// Creates an empty list. Programs log to `logs`, which must exist, and are marked with the
    /// directory of runs `home`.
    pub(crate) fn new(home: &Path, logs: &Path) -> Self {
        Self { running: Vec::new(), logs: logs.to_owned(), mark: home.to_owned() }
    }

    /// Starts a program whose output is written to `<name>.log`.
    pub(crate) fn start(&mut self, name: &str, mut command: Command) -> Result<()> {
        let log = self.logs.join(format!("{name}.log"));
        let child = spawn(&mut command, &log, &self.mark)?;
        self.running.push(Running { name: name.to_owned(), child, log });
        Ok(())
    }

    /// Polls `check` until it succeeds, for `bound` at most.
    ///
    /// # Errors
    /// When a program of the run ends before, with the end of its log, or when the time is over,
    /// with the last error of `check`.
    pub(crate) async fn wait<F, T>(
        &mut self,
        what: &str,
        bound: Duration,
        mut check: impl FnMut() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let deadline = Instant::now() + bound;
        let mut reason = anyhow::anyhow!("no answer");
        loop {
            self.all_alive()?;
            let left = deadline.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, check()).await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(problem)) => reason = problem,
                Err(_) => {}
            }
            if Instant::now() >= deadline {
                return Err(reason).with_context(|| {
                    format!("{what}: not in {} s; logs are in {}", bound.as_secs(), self.logs.display())
                });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn all_alive(&mut self) -> Result<()> {
        for running in &mut self.running {
            if let Some(status) = running.child.try_wait()? {
                bail!(
                    "{} ended ({status}); the end of {}:\n{}",
                    running.name,
                    running.log.display(),
                    last_lines(&running.log)
                );
            }
        }
        Ok(())
    }

    /// Stops every program, newest first: sends SIGTERM, waits a bounded time, then kills.
    pub(crate) fn stop(&mut self) {
        while let Some(mut running) = self.running.pop() {
            let pid = Pid::from_child(&running.child);
            let asked = Instant::now();
            let _ = kill_process(pid, Signal::TERM);
            while asked.elapsed() < PATIENCE && matches!(running.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}

/// Starts a program that writes to `log`, marked with the directory of runs `home`. It has a
/// process group of its own, so that Ctrl-C in a terminal stops the run in order instead of
/// everything at once.
pub(crate) fn spawn(command: &mut Command, log: &Path, home: &Path) -> Result<Child> {
    let output = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("cannot open {}", log.display()))?;
    command
        .env(MARK, home)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))
}

/// Returns the end of a log, for an error message: at most 20 lines from its last 4 KiB.
pub(crate) fn last_lines(log: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(4096)))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        Ok(end)
    };
    let end = read().unwrap_or_default();
    let end = String::from_utf8_lossy(&end);
    let lines: Vec<&str> = end.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Runs a short command to its end.
///
/// # Errors
/// When it can't be started or fails; the message has its output.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let text = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {text}"))?;
    let wrote = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{text} failed ({}): {}{}", output.status, wrote, String::from_utf8_lossy(&output.stderr));
    }
    Ok(wrote)
}
