//! The state with what surrounds it: the lock and the HTTP client for commands.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::state::State;

/// Everything one running stand-in consists of.
#[derive(Debug)]
pub(crate) struct World {
    state: Mutex<State>,
    pub(crate) client: reqwest::Client,
    /// What every response URL begins with, without a trailing slash.
    pub(crate) url: String,
    /// How long a response URL is good.
    pub(crate) response_window: Duration,
}

impl World {
    pub(crate) fn new(
        url: String,
        response_window: Duration,
        client: Option<reqwest::Client>,
    ) -> reqwest::Result<Self> {
        let usual = || reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        let client = client.map_or_else(usual, Ok)?;
        Ok(Self { state: Mutex::new(State::new()), client, url, response_window })
    }

    /// Returns the state. A panic elsewhere while it was locked is no reason to stop everything.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
