//! Shares one request among many callers.

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lru::LruCache;

use super::locked;
use crate::ports::ForgeError;

/// A cached value that only one caller at a time requests. Callers that waited share the result or
/// the failure if the request began after they came, so nobody gets an older result than from a
/// request of their own.
pub(super) struct Single<T> {
    state: tokio::sync::Mutex<State<T>>,
}

struct State<T> {
    value: Option<(Instant, T)>,
    failure: Option<(Instant, ForgeError)>,
}

impl<T> Default for Single<T> {
    fn default() -> Self {
        Self { state: tokio::sync::Mutex::new(State { value: None, failure: None }) }
    }
}

impl<T: Clone> Single<T> {
    /// Returns the value if `fresh` accepts it and its age; else the result of `fetch`, which gets
    /// the last value.
    pub async fn get<F>(
        &self,
        fresh: impl Fn(&T, Duration) -> bool,
        fetch: impl FnOnce(Option<T>) -> F,
    ) -> Result<T, ForgeError>
    where
        F: Future<Output = Result<T, ForgeError>>,
    {
        let called = Instant::now();
        let mut state = self.state.lock().await;
        if let Some((asked, value)) = &state.value
            && (*asked >= called || fresh(value, called.saturating_duration_since(*asked)))
        {
            return Ok(value.clone());
        }
        if let Some((asked, failure)) = &state.failure
            && *asked >= called
        {
            return Err(failure.clone());
        }
        let asked = Instant::now();
        let last = state.value.as_ref().map(|(_, value)| value.clone());
        match fetch(last).await {
            Ok(value) => {
                state.value = Some((asked, value.clone()));
                Ok(value)
            }
            Err(failure) => {
                state.failure = Some((asked, failure.clone()));
                Err(failure)
            }
        }
    }
}

/// A bounded number of [`Single`]s by key. The least recently used one is dropped first.
pub(super) struct Singles<K: Hash + Eq, T> {
    cells: Mutex<LruCache<K, Arc<Single<T>>>>,
}

impl<K: Hash + Eq, T> Singles<K, T> {
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self { cells: Mutex::new(LruCache::new(capacity)) }
    }

    pub fn of(&self, key: K) -> Arc<Single<T>> {
        Arc::clone(locked(&self.cells).get_or_insert(key, Arc::default))
    }

    pub fn forget(&self, key: &K) {
        locked(&self.cells).pop(key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;

    use super::*;

    async fn fetch(count: &AtomicUsize) -> Result<usize, ForgeError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(count.fetch_add(1, Ordering::SeqCst))
    }

    #[tokio::test]
    async fn callers_at_the_same_time_share_one_answer_and_a_later_one_asks_again() {
        let (single, count) = (Single::default(), AtomicUsize::new(0));
        let ask = || single.get(|_, _| false, |_| fetch(&count));
        let answers = join_all((0..100).map(|_| ask())).await;
        // All callers except the first came after the first request began, and share the second
        // one.
        assert_eq!(answers[0], Ok(0));
        assert!(answers[1..].iter().all(|answer| *answer == Ok(1)), "{answers:?}");
        assert_eq!(ask().await, Ok(2));
        let known = || single.get(|_, age| age < Duration::from_mins(1), |_| fetch(&count));
        assert!(join_all((0..100).map(|_| known())).await.iter().all(|answer| *answer == Ok(2)));
    }

    #[tokio::test]
    async fn who_comes_after_the_question_gets_another_answer() {
        let (single, count) = (Single::default(), AtomicUsize::new(0));
        let ask = || single.get(|_, _| false, |_| fetch(&count));
        let late = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            ask().await
        };
        assert_eq!(futures::join!(ask(), late), (Ok(0), Ok(1)));
    }

    #[tokio::test]
    async fn a_failure_is_shared_too_and_keeps_the_value() {
        let (single, count) = (Single::default(), AtomicUsize::new(0));
        assert_eq!(single.get(|_, _| false, async |_| Ok(7)).await, Ok(7));
        let failing = |last: Option<usize>| {
            assert_eq!(last, Some(7));
            count.fetch_add(1, Ordering::SeqCst);
            async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(ForgeError::Unknown("down".into()))
            }
        };
        let answers = join_all((0..10).map(|_| single.get(|_, _| false, failing))).await;
        assert!(answers.iter().all(Result::is_err));
        assert_eq!(count.load(Ordering::SeqCst), 2);
        assert_eq!(single.get(|value, _| *value == 7, failing).await, Ok(7));
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_while_asking_leaves_it_to_the_next() {
        let (single, count) = (Single::default(), AtomicUsize::new(0));
        let ask = || single.get(|_, _| false, |_| fetch(&count));
        let never = single.get(|_, _| false, |_| std::future::pending());
        assert!(tokio::time::timeout(Duration::from_millis(5), never).await.is_err());
        assert_eq!(ask().await, Ok(0));
    }
}
