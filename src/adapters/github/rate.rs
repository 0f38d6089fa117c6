//! Metrics of GitHub's rate limits. Each installation has its own limit; the metric of a Secret
//! shows the scarcest of its installations' limits.

use std::collections::HashMap;
use std::sync::Mutex;

use super::locked;
use crate::adapters::github::response::Answer;
use crate::metrics::Metrics;

/// The state of one rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    remaining: u64,
    limit: u64,
    /// When the limit is reset, in Unix time by GitHub's clock.
    reset: u64,
}

impl Left {
    /// Reads the limit from an answer; `None` when the answer has none, or one for another resource
    /// than the REST API's `core`.
    /// <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#checking-the-status-of-your-rate-limit>
    fn of(answer: &Answer) -> Option<Self> {
        if answer.header("x-ratelimit-resource").is_some_and(|resource| resource != "core") {
            return None;
        }
        let number = |name: &str| answer.header(name)?.parse::<u64>().ok();
        Some(Self {
            remaining: number("x-ratelimit-remaining")?,
            limit: number("x-ratelimit-limit")?,
            reset: number("x-ratelimit-reset")?,
        })
    }

    /// Returns whether a smaller share of this limit is left than of the other.
    fn is_scarcer_than(&self, other: &Self) -> bool {
        u128::from(self.remaining) * u128::from(other.limit)
            < u128::from(other.remaining) * u128::from(self.limit)
    }
}

/// The rate limits of the installations of one Secret.
#[derive(Default)]
pub(super) struct Rates(Mutex<HashMap<Option<u64>, Left>>);

impl Rates {
    /// Records the limit in an answer to an installation.
    pub fn note(&self, installation: Option<u64>, answer: &Answer, credentials: &str, metrics: &Metrics) {
        let Some(left) = Left::of(answer) else { return };
        let scarcest = self.scarcest(installation, left);
        metrics.github_rate_limit(credentials, scarcest.remaining, scarcest.limit);
    }

    fn scarcest(&self, installation: Option<u64>, left: Left) -> Left {
        let mut known = locked(&self.0);
        known.insert(installation, left);
        // A limit that was reset before this limit's hour began is full again. Its installation may
        // no longer exist.
        let hour_began = left.reset.saturating_sub(3_600);
        known.retain(|_, other| other.reset > hour_began);
        known.values().copied().fold(
            left,
            |scarcest, other| {
                if other.is_scarcer_than(&scarcest) { other } else { scarcest }
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;

    const fn left(remaining: u64, limit: u64, reset: u64) -> Left {
        Left { remaining, limit, reset }
    }

    #[test]
    fn of_several_installations_the_scarcest_is_shown_until_its_hour_is_over() {
        let rates = Rates::default();
        let (low, high) = (left(100, 5_000, 10_000), left(4_000, 12_500, 10_100));
        assert_eq!(rates.scarcest(Some(1), low), low);
        assert_eq!(rates.scarcest(Some(2), high), low);
        assert_eq!(rates.scarcest(Some(1), left(4_999, 5_000, 13_600)), high);
        // The second installation sends no more requests.
        let later = left(4_998, 5_000, 17_200);
        assert_eq!(rates.scarcest(Some(1), later), later);
        let nothing = left(0, 0, 17_300);
        assert_eq!(rates.scarcest(Some(3), nothing), nothing, "no division");
    }

    #[test]
    fn only_the_limit_of_the_rest_api_counts() {
        let answer = |headers: &[(&'static str, &'static str)]| {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
                .collect();
            Left::of(&Answer { status: StatusCode::OK, headers, body: bytes::Bytes::new() })
        };
        let said = [("x-ratelimit-remaining", "7"), ("x-ratelimit-limit", "60"), ("x-ratelimit-reset", "99")];
        assert_eq!(answer(&said), Some(left(7, 60, 99)));
        assert_eq!(answer(&[&said[..], &[("x-ratelimit-resource", "core")]].concat()), Some(left(7, 60, 99)));
        assert_eq!(answer(&[&said[..], &[("x-ratelimit-resource", "search")]].concat()), None);
        assert_eq!(answer(&said[1..]), None);
    }
}
