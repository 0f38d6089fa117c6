//! What goes wrong in a run, and how often.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

/// Probabilities of faults, and the outages that last until a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// Of a call to the API server that fails without an effect.
    pub cluster_fails: f64,
    /// Of a call to the API server whose answer is lost after its effect.
    pub cluster_answers_lost: f64,
    /// Of a call to GitHub that fails without an effect.
    pub forge_fails: f64,
    /// Of a call to GitHub whose answer is lost after its effect.
    pub forge_answers_lost: f64,
    /// Of a webhook that never arrives.
    pub webhooks_lost: f64,
    /// Of a webhook that arrives twice.
    pub webhooks_doubled: f64,
    /// Of a webhook that arrives after up to a minute and a half, so that later ones overtake it.
    pub webhooks_late: f64,
    /// Of a watch that shows nothing for up to 20 seconds.
    pub watches_stale: f64,
    /// Of a watch that lists everything again instead of showing each change.
    pub watches_relist: f64,
}

impl Forecast {
    /// Returns a forecast without faults.
    pub const fn calm() -> Self {
        Self {
            cluster_fails: 0.0,
            cluster_answers_lost: 0.0,
            forge_fails: 0.0,
            forge_answers_lost: 0.0,
            webhooks_lost: 0.0,
            webhooks_doubled: 0.0,
            webhooks_late: 0.0,
            watches_stale: 0.0,
            watches_relist: 0.0,
        }
    }

    /// Returns a forecast in which each of the faults may occur.
    pub const fn stormy() -> Self {
        Self {
            cluster_fails: 0.02,
            cluster_answers_lost: 0.02,
            forge_fails: 0.03,
            forge_answers_lost: 0.05,
            webhooks_lost: 0.15,
            webhooks_doubled: 0.1,
            webhooks_late: 0.15,
            watches_stale: 0.03,
            watches_relist: 0.02,
        }
    }
}

struct State {
    forecast: Forecast,
    cluster_down_until: Option<Instant>,
    forge_down_until: Option<Instant>,
    forge_limited_until: Option<Instant>,
}

/// The faults of a run. A story changes them.
pub struct Weather(Mutex<State>);

impl Default for Weather {
    fn default() -> Self {
        Self(Mutex::new(State {
            forecast: Forecast::calm(),
            cluster_down_until: None,
            forge_down_until: None,
            forge_limited_until: None,
        }))
    }
}

impl Weather {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Returns the present probabilities.
    pub fn forecast(&self) -> Forecast {
        self.lock().forecast.clone()
    }

    /// Changes the probabilities.
    pub fn set(&self, forecast: Forecast) {
        self.lock().forecast = forecast;
    }

    /// Makes the API server fail for this time.
    pub fn cluster_outage(&self, lasts: Duration) {
        self.lock().cluster_down_until = Some(Instant::now() + lasts);
    }

    /// Makes GitHub fail for this time.
    pub fn forge_outage(&self, lasts: Duration) {
        self.lock().forge_down_until = Some(Instant::now() + lasts);
    }

    /// Makes GitHub answer with a rate limit for this time.
    pub fn forge_rate_limit(&self, lasts: Duration) {
        self.lock().forge_limited_until = Some(Instant::now() + lasts);
    }

    /// Whether the API server is down.
    pub fn is_cluster_down(&self) -> bool {
        self.lock().cluster_down_until.is_some_and(|until| Instant::now() < until)
    }

    /// Whether GitHub is down.
    pub fn is_forge_down(&self) -> bool {
        self.lock().forge_down_until.is_some_and(|until| Instant::now() < until)
    }

    /// Returns the remaining time of GitHub's rate limit.
    pub fn forge_limit(&self) -> Option<Duration> {
        let until = self.lock().forge_limited_until?;
        until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }
}
