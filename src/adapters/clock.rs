//! The machine's clock.

use jiff::Timestamp;

use crate::ports::Clock;

/// The time as the machine has it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
