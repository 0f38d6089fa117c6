//! The machine's clock.

use jiff::Timestamp;

use crate::ports::Clock;

/// A clock that returns the machine's time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
