//! The simulated time: tokio's paused clock, which jumps to the next timer while everything waits.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::ports::Clock;

/// Time at which every run begins: a Tuesday, 2026-12-01 09:00 UTC.
const EPOCH: i64 = 1_796_115_600;

/// Clock of a run.
#[derive(Clone, Copy)]
pub struct SimulatedClock(Instant);

impl SimulatedClock {
    /// Starts the clock. The runtime's time must be paused.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(EPOCH).unwrap() + self.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_passes_only_in_sleeps() {
        let clock = SimulatedClock::start();
        assert_eq!(clock.now().to_string(), "2026-12-01T09:00:00Z");
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert_eq!(clock.now().to_string(), "2026-12-01T10:00:00Z");
    }
}
