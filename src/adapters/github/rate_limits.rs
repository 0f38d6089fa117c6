//! GitHub's rate limits: until when no request may be sent.
//!
//! The primary limit (5,000 requests an hour) stops all requests until it is reset. A secondary
//! limit on a write stops writes; one on a read stops everything. GitHub says how long it lasts;
//! otherwise it lasts a minute, doubling while it continues.
//! <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>
//!
//! The caller gives the time as a duration since any fixed moment; it must never go backwards.

use std::time::Duration;

/// Longest duration that is accepted for a limit. GitHub's windows last an hour.
const LONGEST: Duration = Duration::from_hours(2);
/// Shortest duration of a limit. Without it, a limit that ends now by a slightly different clock
/// would cause a busy loop.
const SHORTEST: Duration = Duration::from_secs(1);

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A request that changes nothing.
    Read,
    /// A request that changes something.
    Write,
}

/// Information about rate limits in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimitSignal {
    /// No limit.
    Open,
    /// The request was answered and used up the primary limit, which is reset after this time.
    LastOne(Duration),
    /// The primary limit rejected the request. It is reset after this time.
    Primary(Duration),
    /// A secondary limit rejected the request, for this time if GitHub gave one.
    Secondary(Option<Duration>),
}

/// Until when no request may be sent.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Duration of a secondary limit when GitHub doesn't say it.
    minute: Duration,
    reads: Strikes,
    writes: Strikes,
}

#[derive(Clone, Copy, Debug, Default)]
struct Strikes {
    until: Duration,
    in_a_row: u32,
}

impl Limits {
    /// Creates the state without any limit. `minute` is the duration of a secondary limit when
    /// GitHub doesn't say it; GitHub documents a minute.
    pub fn new(minute: Duration) -> Self {
        Self { minute, reads: Strikes::default(), writes: Strikes::default() }
    }

    /// Returns when a request of that kind may be sent. The time isn't in the future if it may be
    /// sent now.
    pub fn until(&self, lane: Lane) -> Duration {
        match lane {
            Lane::Read => self.reads.until,
            Lane::Write => self.writes.until,
        }
    }

    /// Records an answer. Returns until when to wait if a limit rejected the request.
    pub fn note(&mut self, now: Duration, lane: Lane, verdict: RateLimitSignal) -> Option<Duration> {
        let strikes = match lane {
            Lane::Read => &mut self.reads,
            Lane::Write => &mut self.writes,
        };
        match verdict {
            RateLimitSignal::Open => {
                strikes.in_a_row = 0;
                None
            }
            RateLimitSignal::LastOne(reset) => {
                strikes.in_a_row = 0;
                self.stop(now + reset.clamp(SHORTEST, LONGEST), true);
                None
            }
            RateLimitSignal::Primary(reset) => {
                let until = now + reset.clamp(SHORTEST, LONGEST);
                self.stop(until, true);
                Some(until)
            }
            RateLimitSignal::Secondary(said) => {
                let growing = self.minute.saturating_mul(1 << strikes.in_a_row.min(6));
                strikes.in_a_row = strikes.in_a_row.saturating_add(1);
                let until = now + said.map_or(growing, |said| said.max(SHORTEST)).min(LONGEST);
                self.stop(until, lane == Lane::Read);
                Some(until)
            }
        }
    }

    fn stop(&mut self, until: Duration, reads_too: bool) {
        self.writes.until = self.writes.until.max(until);
        if reads_too {
            self.reads.until = self.reads.until.max(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn limits() -> Limits {
        Limits::new(seconds(60))
    }

    #[test]
    fn the_primary_limit_stops_everything_until_its_reset() {
        let mut limits = limits();
        assert_eq!(
            limits.note(seconds(10), Lane::Read, RateLimitSignal::Primary(seconds(300))),
            Some(seconds(310))
        );
        assert_eq!(limits.until(Lane::Read), seconds(310));
        assert_eq!(limits.until(Lane::Write), seconds(310));
    }

    #[test]
    fn the_last_request_before_the_limit_stops_everything_too() {
        let mut limits = limits();
        assert_eq!(limits.note(seconds(10), Lane::Write, RateLimitSignal::LastOne(seconds(30))), None);
        assert_eq!(limits.until(Lane::Read), seconds(40));
    }

    #[test]
    fn a_secondary_limit_on_a_write_leaves_reads_alone() {
        let mut limits = limits();
        limits.note(seconds(0), Lane::Write, RateLimitSignal::Secondary(Some(seconds(7))));
        assert_eq!(limits.until(Lane::Write), seconds(7));
        assert_eq!(limits.until(Lane::Read), seconds(0));
        limits.note(seconds(1), Lane::Read, RateLimitSignal::Secondary(Some(seconds(9))));
        assert_eq!(limits.until(Lane::Write), seconds(10));
        assert_eq!(limits.until(Lane::Read), seconds(10));
    }

    #[test]
    fn secondary_limit_without_duration_doubles_from_a_minute() {
        let mut limits = limits();
        let mut waits = Vec::new();
        for _ in 0..9 {
            waits.push(
                limits.note(seconds(0), Lane::Write, RateLimitSignal::Secondary(None)).unwrap().as_secs(),
            );
        }
        assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3840, 3840, 3840]);
        limits.note(seconds(0), Lane::Read, RateLimitSignal::Open);
        assert_eq!(
            limits.note(seconds(0), Lane::Write, RateLimitSignal::Secondary(None)),
            Some(seconds(3840)),
            "a read that gets through says nothing about writes"
        );
        limits.note(seconds(0), Lane::Write, RateLimitSignal::Open);
        assert_eq!(limits.note(seconds(0), Lane::Write, RateLimitSignal::Secondary(None)), Some(seconds(60)));
    }

    #[test]
    fn a_later_end_is_never_moved_forward_and_absurd_ones_are_bounded() {
        let mut limits = limits();
        limits.note(seconds(0), Lane::Read, RateLimitSignal::Primary(seconds(100)));
        limits.note(seconds(1), Lane::Write, RateLimitSignal::Secondary(Some(seconds(1))));
        assert_eq!(limits.until(Lane::Write), seconds(100));
        assert_eq!(
            limits.note(seconds(0), Lane::Read, RateLimitSignal::Primary(Duration::ZERO)),
            Some(seconds(1))
        );
        assert_eq!(
            limits.note(seconds(0), Lane::Read, RateLimitSignal::Primary(seconds(1 << 40))),
            Some(LONGEST)
        );
    }
}
