//! The state and its surroundings: the lock, and the HTTP client for commands.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::state::State;

/// Everything that belongs to a running stand-in.
#[derive(Debug)]
pub(crate) struct World {
    state: Mutex<State>,
    pub(crate) client: reqwest::Client,
    /// The base of every response URL, without a trailing slash.
    pub(crate) url: String,
    /// Lifetime of a response URL.
    pub(crate) response_window: Duration,
}

impl World {
    pub(crate) fn new(
        url: String,
        response_window: Duration,
        client: Option<reqwest::Client>,
    ) -> reqwest::Result<Self> {
        // reqwest panics without a provider where the workspace builds it with TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let usual = || reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        let client = client.map_or_else(usual, Ok)?;
        Ok(Self { state: Mutex::new(State::new()), client, url, response_window })
    }

    /// Locks the state. A panic of another holder doesn't stop the stand-in.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
