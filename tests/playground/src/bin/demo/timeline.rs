//! Prints what happens on GitHub while it happens: the pull request's timeline, and the
//! environments to which merge commits are deployed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use playground::stage::github::Client;
use playground::stage::github::types::TimelineEntry;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::play::github_environment;
use crate::screen::{BLUE, GREEN, RED, Screen, YELLOW};

/// The environments that don't belong to a pull request.
const STANDING: [&str; 2] = ["staging", "production"];
/// Interval of polling.
const PAUSE: Duration = Duration::from_millis(40);

/// Prints new entries of one pull request and of the standing environments, until dropped.
pub(crate) struct Timeline {
    reader: Arc<Mutex<Reader>>,
    task: JoinHandle<()>,
}

struct Reader {
    github: Client,
    screen: Arc<Screen>,
    repository: String,
    pull: u64,
    printed: u64,
    began: Instant,
}

impl Timeline {
    /// Follows a pull request, beginning after the entry that was printed last; times are relative
    /// to `began`.
    pub(crate) fn follow(
        github: Client,
        screen: Arc<Screen>,
        repository: &str,
        (pull, printed): (u64, u64),
        began: Instant,
    ) -> Self {
        let reader = Reader { github, screen, repository: repository.to_owned(), pull, printed, began };
        let reader = Arc::new(Mutex::new(reader));
        let followed = Arc::clone(&reader);
        let task = tokio::spawn(async move {
            loop {
                followed.lock().await.read().await;
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { reader, task }
    }

    /// Prints new entries now, so that the next line comes after them.
    pub(crate) async fn catch_up(&self) {
        self.reader.lock().await.read().await;
    }

    /// Stops following. Returns the sequence number of the entry that was printed last.
    pub(crate) async fn stop(self) -> u64 {
        let mut reader = self.reader.lock().await;
        reader.read().await;
        reader.printed
    }

    /// Makes times relative to `began` from now on.
    pub(crate) async fn restart_clock(&self, began: Instant) {
        let mut reader = self.reader.lock().await;
        reader.read().await;
        reader.began = began;
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Reader {
    async fn read(&mut self) {
        // The next poll comes soon; other code reports a stand-in that has stopped.
        let Ok(entries) = self.github.repository_timeline(&self.repository).await else { return };
        for entry in entries.iter().filter(|entry| entry.sequence > self.printed && self.concerns(entry)) {
            let time = self.began.elapsed().as_secs_f64();
            self.screen.line(&format!("   {time:>6.2} s  {}", self.describe(entry)));
        }
        self.printed = entries.iter().map(|entry| entry.sequence).max().unwrap_or(self.printed);
    }

    /// Returns whether an entry is to be printed. Deployments are recognized by their environment,
    /// since a merge commit is no commit of the pull request.
    fn concerns(&self, entry: &TimelineEntry) -> bool {
        let Some(environment) = entry.environment.as_deref() else { return entry.pull == Some(self.pull) };
        STANDING.contains(&environment) || environment == github_environment(self.pull)
    }

    fn describe(&self, entry: &TimelineEntry) -> String {
        let short = entry.sha.as_deref().map_or("", |sha| &sha[..sha.len().min(7)]);
        let text = entry.text.as_deref().unwrap_or_default();
        let actor = &entry.actor;
        match entry.kind.as_str() {
            "opened" => format!("{actor} opened pull request #{}", self.pull),
            "merged" => format!("{actor} merged pull request #{}", self.pull),
            "committed" => format!("{actor} pushed {short}  {text}"),
            "labeled" => format!("{actor} added the label {text}"),
            "closed" => format!("{actor} closed pull request #{}", self.pull),
            "deployment" => {
                let environment = entry.environment.as_deref().unwrap_or_default();
                let id = entry.deployment.unwrap_or_default();
                format!("{actor} deployed {short} to {environment} ({id})")
            }
            "deployment_status" => self.status(entry, short, text),
            other => format!("{actor} {other} {short} {text}"),
        }
    }

    fn status(&self, entry: &TimelineEntry, short: &str, text: &str) -> String {
        let state = entry.state.as_deref().unwrap_or_default();
        let (sign, colour) = match state {
            "success" => ("●", GREEN),
            "failure" | "error" => ("●", RED),
            "inactive" => ("○", BLUE),
            _ => ("◐", YELLOW),
        };
        let standing = entry.environment.as_deref().filter(|environment| STANDING.contains(environment));
        let text = standing.map_or_else(|| text.to_owned(), |environment| format!("{environment}: {text}"));
        let mut line = format!("{} {short} {:<11} {text}", self.screen.paint(colour, sign), state);
        if state == "success"
            && let Some(url) = &entry.environment_url
        {
            line = format!("{line}\n{:14}[{}] {url}", "", self.screen.paint(GREEN, "View deployment"));
        }
        line
    }
}
