//! Seeded random numbers. Each user has a stream of its own, so that one more number in one place
//! doesn't change the numbers in all others.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::time::Duration;

/// A stream of random numbers that the seed and the stream's name determine.
pub struct Random(Mutex<fastrand::Rng>);

impl Random {
    /// Creates the stream of that name.
    pub fn new(seed: u64, name: &str) -> Self {
        // `DefaultHasher::new` has fixed keys.
        let mut hasher = DefaultHasher::new();
        (seed, name).hash(&mut hasher);
        Self(Mutex::new(fastrand::Rng::with_seed(hasher.finish())))
    }

    /// Returns `true` with this probability. A probability of zero draws no number.
    pub fn chance(&self, probability: f64) -> bool {
        probability > 0.0 && self.0.lock().unwrap().f64() < probability
    }

    /// Returns a number in the range.
    pub fn number(&self, range: RangeInclusive<u64>) -> u64 {
        self.0.lock().unwrap().u64(range)
    }

    /// Returns a time in the range, in whole milliseconds.
    pub fn time(&self, milliseconds: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.number(milliseconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_name_determine_the_numbers() {
        let numbers = |seed, name| {
            let random = Random::new(seed, name);
            (0..8).map(|_| random.number(0..=u64::MAX)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(1, "watch"), numbers(1, "watch"));
        assert_ne!(numbers(1, "watch"), numbers(2, "watch"));
        assert_ne!(numbers(1, "watch"), numbers(1, "forge"));
    }

    #[test]
    fn a_probability_of_zero_draws_no_number() {
        let [one, other] = [(); 2].map(|()| Random::new(7, "faults"));
        assert!((0..100).all(|_| !one.chance(0.0)));
        assert_eq!(one.number(0..=u64::MAX), other.number(0..=u64::MAX));
    }
}
