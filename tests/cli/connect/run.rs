//! Runs `matinee github connect` as a person at the terminal does.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use github_stand_in::browser::{Browser, Page};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Longest time for anything that takes a moment on an idle machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The running program, and its output so far.
pub struct Run {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: String,
}

impl Run {
    /// Starts the program in a folder, with this cluster and without this process's environment
    /// variables.
    pub fn start(folder: &Path, kubeconfig: Option<&Path>, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_matinee"));
        command.args(["github", "connect"]).args(arguments).env_clear().current_dir(folder);
        command.envs(kubeconfig.map(|path| ("KUBECONFIG", path)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        Ok(Self { child, lines, said: String::new() })
    }

    async fn next(&mut self) -> Result<Option<String>> {
        let line = self.lines.next_line().await?;
        for part in line.as_deref().into_iter().chain(line.as_ref().map(|_| "\n")) {
            self.said.push_str(part);
        }
        Ok(line)
    }

    /// Waits for a line that contains a text. Returns it without surrounding space.
    pub async fn line(&mut self, part: &str) -> Result<String> {
        let found = timeout(PATIENCE, async {
            while let Some(line) = self.next().await? {
                if line.contains(part) {
                    return Ok::<_, anyhow::Error>(Some(line.trim().to_owned()));
                }
            }
            Ok(None)
        });
        let found = found.await.unwrap_or(Ok(None))?;
        found.with_context(|| format!("no line with \"{part}\": {}", self.said))
    }

    /// Opens the page whose URL the program prints.
    pub async fn page(&mut self, browser: &Browser) -> Result<Page> {
        let url = self.line("http://127.0.0.1:").await?;
        browser.get(&url).await
    }

    /// Waits for the program's end. Returns the exit code, standard output and standard error.
    pub async fn end(mut self) -> Result<(Option<i32>, String, String)> {
        let rest = timeout(PATIENCE, async {
            while self.next().await?.is_some() {}
            Ok::<_, anyhow::Error>(())
        });
        rest.await.context("it does not end")??;
        let output = timeout(PATIENCE, self.child.wait_with_output()).await.context("it does not end")??;
        Ok((output.status.code(), self.said, String::from_utf8(output.stderr)?))
    }

    /// Interrupts the program, as Ctrl-C does.
    pub fn interrupt(&self) -> Result<()> {
        let pid = self.child.id().context("it has ended")?.to_string();
        ensure!(std::process::Command::new("kill").args(["-INT", &pid]).status()?.success());
        Ok(())
    }
}
