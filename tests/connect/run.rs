//! `matinee github connect` at work, as who sits before the terminal sees it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use github_stand_in::browser::{Browser, Page};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// How long anything may take that takes a moment on a machine with nothing else to do.
const PATIENCE: Duration = Duration::from_mins(1);

/// The program at work, and what it said so far.
pub struct Run {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: String,
}

impl Run {
    /// Starts it in a folder, with this cluster and nothing else of this process's environment.
    pub fn start(folder: &Path, kubeconfig: Option<&Path>, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_matinee"));
        command.args(["github", "connect"]).args(arguments).env_clear().current_dir(folder);
        command.envs(kubeconfig.map(|path| ("KUBECONFIG", path)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, said: String::new() }
    }

    /// Waits until a line holds a text, and answers it trimmed.
    pub async fn line(&mut self, part: &str) -> String {
        let found = timeout(PATIENCE, async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.said.push_str(&line);
                self.said.push('\n');
                if line.contains(part) {
                    return Some(line.trim().to_owned());
                }
            }
            None
        });
        match found.await {
            Ok(Some(line)) => line,
            _ => panic!("no line with \"{part}\": {}", self.said),
        }
    }

    /// Opens the page whose URL it prints.
    pub async fn page(&mut self, browser: &Browser) -> Page {
        let url = self.line("http://127.0.0.1:").await;
        browser.get(&url).await.unwrap()
    }

    /// Waits for its end: exit code, and what it said on both outputs.
    pub async fn end(mut self) -> (Option<i32>, String, String) {
        let ended = timeout(PATIENCE, async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.said.push_str(&line);
                self.said.push('\n');
            }
            self.child.wait_with_output().await.unwrap()
        });
        let output = ended.await.unwrap();
        (output.status.code(), self.said, String::from_utf8(output.stderr).unwrap())
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        let pid = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    }
}
