//! Reports progress, and measures durations.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Receiver of progress lines, and a record of durations.
#[derive(Clone)]
pub(crate) struct Progress {
    tell: Arc<dyn Fn(&str) + Send + Sync>,
    timings: Arc<Mutex<Vec<(String, Duration)>>>,
}

impl Progress {
    /// Creates a progress that passes every line to `tell`.
    pub(crate) fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { tell: Arc::new(tell), timings: Arc::default() }
    }

    /// Reports one line.
    pub(crate) fn say(&self, line: &str) {
        (self.tell)(line);
    }

    /// Records the duration of a part that began at `since`.
    pub(crate) fn took(&self, part: &str, since: Instant) {
        let mut timings = self.timings.lock().unwrap_or_else(PoisonError::into_inner);
        timings.push((part.to_owned(), since.elapsed()));
    }

    /// Returns the recorded durations, oldest first.
    pub(crate) fn timings(&self) -> Vec<(String, Duration)> {
        self.timings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
