//! Rate limits, kept with a clock.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::locked;
use crate::adapters::github::rate_limits::{Lane, Limits};
use crate::adapters::github::response::Answer;
use crate::ports::ForgeError;

/// Lets nothing through while a limit lasts.
pub(super) struct Gate {
    start: Instant,
    limits: Mutex<Limits>,
}

impl Gate {
    pub fn new(minute: Duration) -> Self {
        Self { start: Instant::now(), limits: Mutex::new(Limits::new(minute)) }
    }

    /// The time that limits and queue count in.
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

    /// Takes note of an answer; an error when a limit turned the request away.
    pub fn note(&self, lane: Lane, answer: &Answer) -> Result<(), ForgeError> {
        let (verdict, now) = (answer.verdict(Timestamp::now()), self.now());
        match locked(&self.limits).note(now, lane, verdict) {
            Some(until) => {
                let wait = until.saturating_sub(now);
                tracing::warn!(?lane, ?verdict, seconds = wait.as_secs(), "GitHub rate limit");
                Err(limited(wait))
            }
            None => Ok(()),
        }
    }

    /// A limit met elsewhere on the way to this request.
    pub fn wait_for(&self, error: &ForgeError) -> Duration {
        let ForgeError::RateLimited { until } = error else { return Duration::ZERO };
        let wait = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
        self.now() + wait.max(Duration::from_millis(100))
    }
}

/// The error for a limit that ends after this time.
pub(super) fn limited(after: Duration) -> ForgeError {
    let after = SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
    ForgeError::RateLimited { until: Timestamp::now().saturating_add(after).unwrap_or(Timestamp::MAX) }
}
