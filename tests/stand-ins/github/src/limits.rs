//! Rate limits: the primary one per hour, and the secondary ones on content, points and concurrency.
//!
//! <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::control::types::Limits;
use crate::state::now;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// Counters of all callers.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    limits: Limits,
    accounts: HashMap<String, Account>,
}

/// Counters of one installation or user.
#[derive(Debug)]
struct Account {
    /// When the primary window ends, in seconds since 1970.
    reset: i64,
    used: u64,
    /// Times at which content was created, oldest first, for the last hour.
    created: VecDeque<Instant>,
    /// Spent points with their times, oldest first, for the last minute.
    points: VecDeque<(Instant, u64)>,
}

/// State of a caller's primary limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) limit: u64,
    pub(crate) used: u64,
    /// End of the window, in seconds since 1970.
    pub(crate) reset: i64,
}

impl Standing {
    /// Returns how many requests are left.
    pub(crate) fn remaining(self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// The rejection of a request that exceeds a secondary limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded {
    /// Whether it was the limit on creating content.
    pub(crate) content: bool,
    /// Seconds until the caller may try again.
    pub(crate) retry_after: u64,
}

impl Limiter {
    /// Returns the limits in force.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Sets other limits and keeps the counters.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Resets all counters.
    pub(crate) fn forget(&mut self) {
        self.accounts.clear();
    }

    /// Returns the state of a caller's primary limit in the current window.
    pub(crate) fn standing(&mut self, who: &str, anonymous: bool) -> Standing {
        let limit = if anonymous { self.limits.anonymous } else { self.limits.primary };
        let account = self.account(who);
        Standing { limit, used: account.used.min(limit), reset: account.reset }
    }

    /// Counts a request against the primary limit.
    pub(crate) fn count(&mut self, who: &str) {
        self.account(who).used += 1;
    }

    /// Counts a request against the secondary limits, or fails with the limit that it exceeds.
    pub(crate) fn admit(&mut self, who: &str, writes: bool, content: bool) -> Result<(), Exceeded> {
        let limits = self.limits.clone();
        let moment = Instant::now();
        let account = self.account(who);
        while account.created.front().is_some_and(|at| moment.duration_since(*at) >= HOUR) {
            account.created.pop_front();
        }
        while account.points.front().is_some_and(|(at, _)| moment.duration_since(*at) >= MINUTE) {
            account.points.pop_front();
        }
        let wait = |since: Instant, span: Duration| {
            let left = span.saturating_sub(moment.duration_since(since));
            limits.retry_after.unwrap_or(left.as_secs() + 1)
        };
        if content {
            let recent = account.created.iter().rev().take_while(|at| moment.duration_since(**at) < MINUTE);
            let recent = recent.count();
            let exceeds = |limit: u64, count: usize| count as u64 >= limit;
            if exceeds(limits.content_per_minute, recent) {
                let oldest =
                    account.created.iter().rev().nth(recent.saturating_sub(1)).copied().unwrap_or(moment);
                return Err(Exceeded { content: true, retry_after: wait(oldest, MINUTE) });
            }
            if exceeds(limits.content_per_hour, account.created.len()) {
                let oldest = account.created.front().copied().unwrap_or(moment);
                return Err(Exceeded { content: true, retry_after: wait(oldest, HOUR) });
            }
        }
        let points = if writes { 5 } else { 1 };
        let spent: u64 = account.points.iter().map(|(_, points)| points).sum();
        if spent + points > limits.points_per_minute {
            let oldest = account.points.front().map_or(moment, |(at, _)| *at);
            return Err(Exceeded { content: false, retry_after: wait(oldest, MINUTE) });
        }
        account.points.push_back((moment, points));
        if content {
            account.created.push_back(moment);
        }
        Ok(())
    }

    fn account(&mut self, who: &str) -> &mut Account {
        let window = i64::try_from(self.limits.window_seconds).unwrap_or(3_600);
        let moment = now().timestamp();
        let account = self.accounts.entry(who.to_owned()).or_insert_with(|| Account {
            reset: moment + window,
            used: 0,
            created: VecDeque::new(),
            points: VecDeque::new(),
        });
        if account.reset <= moment {
            account.reset = moment + window;
            account.used = 0;
        }
        account
    }
}
