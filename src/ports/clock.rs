//! The time.

use jiff::Timestamp;

/// Provides the time.
pub trait Clock: Send + Sync {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}
