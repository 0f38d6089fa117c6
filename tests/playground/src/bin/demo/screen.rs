//! Prints to standard output, with colours on a terminal only.

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

/// Parts of the start of playground and stage that take time even when all programs are built.
const READY: [&str; 4] = ["start", "images and accounts", "helm install", "operator"];

/// Standard output.
pub(crate) struct Screen {
    colours: bool,
    began: Instant,
    /// Every printed line with its colours, if the screen records them.
    record: Option<Mutex<Vec<String>>>,
}

impl Screen {
    /// Creates a screen, which records what it prints if `records` is true.
    pub(crate) fn new(records: bool) -> Self {
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colours, began: Instant::now(), record: records.then(Mutex::default) }
    }

    /// Prints a line. A closed output is no error.
    pub(crate) fn line(&self, text: &str) {
        if let Some(record) = &self.record {
            record.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
        }
        let shown = if self.colours { text.to_owned() } else { picture::plain(text) };
        let _ = writeln!(std::io::stdout(), "{shown}");
    }

    /// Deletes the record.
    pub(crate) fn clear_record(&self) {
        if let Some(record) = &self.record {
            record.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// Returns the record.
    pub(crate) fn record(&self) -> Vec<String> {
        let record = self.record.as_ref();
        record.map(|record| record.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }

    /// Returns the text in a colour.
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

    /// Prints the headline of an act.
    pub(crate) fn act(&self, text: &str) {
        self.line("");
        self.line(&self.paint(BOLD, &format!("── {text}")));
    }

    /// Prints progress, such as the program that is being built.
    pub(crate) fn aside(&self, text: &str) {
        self.line(&self.paint(DIM, &format!("   {text}")));
    }

    /// Prints a claim that holds.
    pub(crate) fn holds(&self, text: &str) {
        self.line(&format!(" {} {text}", self.paint(GREEN, "✓")));
    }

    pub(crate) fn done(&self, text: &str) {
        self.line("");
        self.line(&self.paint(BOLD, &format!("{text} It took {}.", took(self.began.elapsed()))));
    }

    /// Prints a failure, and its remedy on a line of its own.
    pub(crate) fn failed(&self, failure: &Failure) {
        let sign = self.paint(RED, "✗");
        let sign = if self.colours { sign } else { picture::plain(&sign) };
        let _ = writeln!(std::io::stderr(), "\n{sign} {}", failure.problem);
        let _ = writeln!(std::io::stderr(), "  {}", failure.remedy());
    }

    /// Prints the URLs of a started stage.
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

/// Formats a duration.
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
