//! Rate limits with a clock.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::locked;
use crate::adapters::github::rate_limits::{Lane, Limits};
use crate::adapters::github::response::Answer;
use crate::ports::ForgeError;

/// Holds back requests while a rate limit lasts.
pub(super) struct Gate {
    start: Instant,
    limits: Mutex<Limits>,
}

impl Gate {
    pub fn new(minute: Duration) -> Self {
        Self { start: Instant::now(), limits: Mutex::new(Limits::new(minute)) }
    }

    /// Returns the present time, in the time base of the limits and the queue.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub fn until(&self, lane: Lane) -> Duration {
        locked(&self.limits).until(lane)
    }

    pub fn check(&self, lane: Lane) -> Result<(), ForgeError> {
        match self.until(lane).checked_sub(self.now()) {
            Some(after) if !after.is_zero() => Err(limited(after)),
            _ => Ok(()),
        }
    }

    /// Records an answer. It is an error when a rate limit rejected the request.
    pub fn note(&self, lane: Lane, answer: &Answer) -> Result<(), ForgeError> {
        let (verdict, now) = (answer.verdict(Timestamp::now()), self.now());
        match locked(&self.limits).note(now, lane, verdict) {
            Some(until) => {
                let wait = until.saturating_sub(now);
                tracing::warn!(?lane, ?verdict, seconds = wait.as_secs(), "GitHub rate limit reached");
                Err(limited(wait))
            }
            None => Ok(()),
        }
    }

    /// Returns the end of the rate limit that an error reports, which may be a limit outside of
    /// this gate; zero for other errors.
    pub fn wait_for(&self, error: &ForgeError) -> Duration {
        let ForgeError::RateLimited { until } = error else { return Duration::ZERO };
        let wait = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
        self.now() + wait.max(Duration::from_millis(100))
    }
}

/// Returns the error for a limit that ends after this time.
pub(super) fn limited(after: Duration) -> ForgeError {
    let after = SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
    ForgeError::RateLimited { until: Timestamp::now().saturating_add(after).unwrap_or(Timestamp::MAX) }
}
