//! Caches of challenges, tokens and rate limits of registries. They only save requests.

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use http::HeaderValue;
use jiff::Timestamp;
use lru::LruCache;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use crate::adapters::sync::locked;
use crate::core::image::{Challenge, Credentials};

/// Most entries of each cache; the least recently used one is dropped first.
const MOST: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// Longest use of a token, even if the answer says more.
const LONGEST_LIFE: Duration = Duration::from_hours(1);
/// A token isn't used in the last tenth of its life, which is at most this long.
const LONGEST_MARGIN: Duration = Duration::from_secs(10);

/// Digest of the credentials, to compare them without storing them.
pub(super) type Identity = Option<[u8; 32]>;

pub(super) fn identity(credentials: Option<&Credentials>) -> Identity {
    credentials.map(|credentials| {
        let mut digest = Sha256::new();
        for part in [&credentials.username, &credentials.password] {
            let part = part.expose_secret();
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    })
}

/// Key of a token. It contains the registry: otherwise a registry could obtain a token for another
/// one by naming that one's token endpoint and service.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct TokenKey {
    /// Origin of the registry.
    pub registry: String,
    /// The token endpoint with service and scope.
    pub url: String,
    /// The credentials that requested the token.
    pub identity: Identity,
}

/// Caches by registry (scheme, host and port) and repository.
pub(super) struct Memory {
    challenges: Mutex<LruCache<(String, String), Challenge>>,
    /// Tokens, each with the time after which it isn't used.
    tokens: Mutex<LruCache<TokenKey, (HeaderValue, Instant)>>,
    limits: Mutex<LruCache<(String, Identity), Timestamp>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { challenges: empty(), tokens: empty(), limits: empty() }
    }
}

impl Memory {
    pub fn challenge(&self, origin: &str, repository: &str) -> Option<Challenge> {
        locked(&self.challenges).get(&(origin.to_owned(), repository.to_owned())).cloned()
    }

    pub fn remember_challenge(&self, origin: &str, repository: &str, challenge: Challenge) {
        locked(&self.challenges).put((origin.to_owned(), repository.to_owned()), challenge);
    }

    pub fn forget_challenge(&self, origin: &str, repository: &str) {
        locked(&self.challenges).pop(&(origin.to_owned(), repository.to_owned()));
    }

    pub fn token(&self, key: &TokenKey, now: Instant) -> Option<HeaderValue> {
        locked(&self.tokens).get(key).filter(|(_, until)| now < *until).map(|(token, _)| token.clone())
    }

    /// Stores a token. `asked` is when it was requested, `life` its lifetime from the answer.
    pub fn remember_token(&self, key: TokenKey, token: HeaderValue, asked: Instant, life: Duration) {
        if let Some(until) = asked.checked_add(usable(life)) {
            locked(&self.tokens).put(key, (token, until));
        }
    }

    pub fn forget_token(&self, key: &TokenKey) {
        locked(&self.tokens).pop(key);
    }

    pub fn limit(&self, origin: &str, identity: Identity, now: Timestamp) -> Option<Timestamp> {
        locked(&self.limits).get(&(origin.to_owned(), identity)).copied().filter(|until| now < *until)
    }

    pub fn remember_limit(&self, origin: &str, identity: Identity, until: Timestamp) {
        locked(&self.limits).put((origin.to_owned(), identity), until);
    }
}

fn usable(life: Duration) -> Duration {
    let life = life.min(LONGEST_LIFE);
    life.saturating_sub(LONGEST_MARGIN.min(life / 10))
}

fn empty<K: Hash + Eq, V>() -> Mutex<LruCache<K, V>> {
    Mutex::new(LruCache::new(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(registry: &str, url: &str, password: &str) -> TokenKey {
        let credentials = Credentials { username: "mona".into(), password: password.into() };
        TokenKey { registry: registry.into(), url: url.into(), identity: identity(Some(&credentials)) }
    }

    #[test]
    fn a_token_is_used_until_shortly_before_its_end_and_only_for_what_it_was_made() {
        let (memory, now) = (Memory::default(), Instant::now());
        let own = key("https://a", "https://t", "p");
        memory.remember_token(own.clone(), HeaderValue::from_static("Bearer x"), now, Duration::from_mins(1));
        assert!(memory.token(&own, now + Duration::from_secs(53)).is_some());
        assert!(memory.token(&own, now + Duration::from_secs(54)).is_none());
        let anonymous = TokenKey { identity: None, ..own.clone() };
        for other in [
            key("https://b", "https://t", "p"),
            key("https://a", "https://u", "p"),
            key("https://a", "https://t", "q"),
            anonymous,
        ] {
            assert!(memory.token(&other, now).is_none());
        }
        memory.forget_token(&own);
        assert!(memory.token(&own, now).is_none());
    }

    #[test]
    fn lives_are_bounded() {
        assert_eq!(usable(Duration::ZERO), Duration::ZERO);
        assert_eq!(usable(Duration::from_secs(10)), Duration::from_secs(9));
        assert_eq!(usable(Duration::from_mins(5)), Duration::from_secs(290));
        assert_eq!(usable(Duration::MAX), Duration::from_secs(3590));
    }

    #[test]
    fn no_two_credentials_are_the_same() {
        let of = |username: &str, password: &str| {
            identity(Some(&Credentials { username: username.into(), password: password.into() }))
        };
        assert_ne!(of("a", "bc"), of("ab", "c"));
        assert_eq!(of("a", "b"), of("a", "b"));
    }
}
