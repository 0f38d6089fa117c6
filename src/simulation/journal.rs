//! The history of a run: every write to the cluster and to GitHub, with its time and writer.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use super::clock::SimulatedClock;

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Time since the start of the run.
    pub at: Duration,
    /// The writer: a replica with its field manager, or a part of the simulated world.
    pub by: String,
    /// The change.
    pub what: String,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>11.3}s {:<32} {}", self.at.as_secs_f64(), self.by, self.what)
    }
}

/// The history of a run.
pub struct Journal {
    clock: SimulatedClock,
    entries: Mutex<Vec<Entry>>,
}

impl Journal {
    /// Creates an empty history.
    pub fn new(clock: SimulatedClock) -> Self {
        Self { clock, entries: Mutex::default() }
    }

    /// Adds a write that happens now.
    pub fn write(&self, by: &str, what: String) {
        self.entries.lock().unwrap().push(Entry { at: self.clock.elapsed(), by: by.to_owned(), what });
    }

    /// Returns all writes so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }

    /// Returns the time of the last write.
    pub fn last(&self) -> Option<Duration> {
        self.entries.lock().unwrap().last().map(|entry| entry.at)
    }
}

impl fmt::Display for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.lock().unwrap().iter().try_for_each(|entry| writeln!(f, "{entry}"))
    }
}
