//! Telling what happens, and how long it took.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Where lines on the progress go, and a clock for the parts of a start.
#[derive(Clone)]
pub(crate) struct Progress {
    tell: Arc<dyn Fn(&str) + Send + Sync>,
    timings: Arc<Mutex<Vec<(String, Duration)>>>,
}

impl Progress {
    /// Tells every line to `tell`.
    pub(crate) fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { tell: Arc::new(tell), timings: Arc::default() }
    }

    /// Tells one line.
    pub(crate) fn say(&self, line: &str) {
        (self.tell)(line);
    }

    /// Records how long a part took that began at `since`.
    pub(crate) fn took(&self, part: &str, since: Instant) {
        let mut timings = self.timings.lock().unwrap_or_else(PoisonError::into_inner);
        timings.push((part.to_owned(), since.elapsed()));
    }

    /// What was recorded, oldest first.
    pub(crate) fn timings(&self) -> Vec<(String, Duration)> {
        self.timings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
