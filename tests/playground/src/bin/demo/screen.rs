//! What is printed, and how: colours on a terminal only.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use playground::stage::Stage;

use crate::failure::Failure;
use crate::picture;

const BOLD: &str = "1";
const DIM: &str = "2";
pub(crate) const RED: &str = "31";
pub(crate) const GREEN: &str = "32";
pub(crate) const YELLOW: &str = "33";
pub(crate) const BLUE: &str = "34";

/// The parts of the playground's and the stage's start that what is ready took.
const READY: [&str; 4] = ["start", "images and accounts", "helm install", "operator"];

/// Standard output.
pub(crate) struct Screen {
    colours: bool,
    began: Instant,
    /// Every line with its colours, where they are recorded.
    record: Option<Mutex<Vec<String>>>,
}

impl Screen {
    /// A screen that records what it shows, or doesn't.
    pub(crate) fn new(records: bool) -> Self {
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colours, began: Instant::now(), record: records.then(Mutex::default) }
    }

    /// A line; nobody looking is fine.
    pub(crate) fn line(&self, text: &str) {
        if let Some(record) = &self.record {
            record.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
        }
        let shown = if self.colours { text.to_owned() } else { picture::plain(text) };
        let _ = writeln!(std::io::stdout(), "{shown}");
    }

    /// Forgets what was recorded.
    pub(crate) fn clear_record(&self) {
        if let Some(record) = &self.record {
            record.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// What was recorded.
    pub(crate) fn record(&self) -> Vec<String> {
        let record = self.record.as_ref();
        record.map(|record| record.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }

    /// The text in a colour.
    pub(crate) fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours || self.record.is_some() {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    pub(crate) fn title(&self, text: &str) {
        self.line(&self.paint(BOLD, text));
        self.line("");
    }

    /// The headline of an act.
    pub(crate) fn act(&self, text: &str) {
        self.line("");
        self.line(&self.paint(BOLD, &format!("── {text}")));
    }

    /// Something on the way, such as what is being built.
    pub(crate) fn aside(&self, text: &str) {
        self.line(&self.paint(DIM, &format!("   {text}")));
    }

    /// A claim that was found to hold.
    pub(crate) fn holds(&self, text: &str) {
        self.line(&format!(" {} {text}", self.paint(GREEN, "✓")));
    }

    pub(crate) fn done(&self, text: &str) {
        self.line("");
        self.line(&self.paint(BOLD, &format!("{text} It took {}.", took(self.began.elapsed()))));
    }

    /// What went wrong, and on a line of its own what a person can do.
    pub(crate) fn failed(&self, failure: &Failure) {
        let sign = self.paint(RED, "✗");
        let sign = if self.colours { sign } else { picture::plain(&sign) };
        let _ = writeln!(std::io::stderr(), "\n{sign} {}", failure.problem);
        let _ = writeln!(std::io::stderr(), "  {}", failure.remedy());
    }

    /// Where everything is, once it runs.
    pub(crate) fn started(&self, stage: &Stage) {
        let playground = stage.playground();
        let start = playground
            .timings()
            .iter()
            .filter(|(part, _)| READY.contains(&part.as_str()))
            .fold(Duration::ZERO, |sum, (_, part)| sum + *part);
        let node = if stage.serves() { "a real node" } else { "a simulated node" };
        self.line(&format!(
            "A Kubernetes cluster with {node}, a stand-in for GitHub and the operator are ready after {}.",
            took(start)
        ));
        self.aside(&format!("GitHub    {}", stage.github_pages()));
        self.aside(&format!("operator  {}", stage.operator().url()));
        self.aside(&format!("logs      {}", playground.directory().display()));
    }
}

/// A duration for people.
pub(crate) fn took(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1000.0)
    } else if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {:02.0} s", duration.as_secs() / 60, seconds % 60.0)
    }
}
