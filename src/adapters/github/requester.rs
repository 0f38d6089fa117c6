//! Sends requests as an installation or with a token: adds the credentials and respects the rate
//! limits.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{StatusCode, header};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::account::Account;
use super::credentials::Identity;
use super::locked;
use crate::adapters::github::circuit_breaker::{Admission, CircuitBreaker};
use crate::adapters::github::rate_gate::Gate;
use crate::adapters::github::rate_limits::Lane;
use crate::adapters::github::response::{Answer, Call};
use crate::adapters::github::single_flight::Single;
use crate::ports::ForgeError;

/// Most concurrent requests; GitHub's secondary limit is 100.
const CONCURRENT: usize = 10;
/// Margin before its expiry at which a token is replaced: one minute or a tenth of its life,
/// whichever is shorter.
const MARGIN: Duration = Duration::from_mins(1);
/// Resolution of GitHub's times.
const RESOLUTION: Duration = Duration::from_secs(1);

/// Sends requests as one installation, or with a token.
pub(super) struct Requester {
    pub account: Arc<Account>,
    /// The installation; `None` with a token.
    installation: Option<u64>,
    token: Single<Bearer>,
    pub gate: Gate,
    places: Semaphore,
    breaker: Mutex<CircuitBreaker>,
}

/// A request that the circuit breaker admitted. Its result is recorded even if the caller drops it.
struct Admitted<'a> {
    breaker: &'a Mutex<CircuitBreaker>,
    admission: Admission,
    is_answered: Option<bool>,
}

impl Admitted<'_> {
    fn note(mut self, is_answered: Option<bool>) {
        self.is_answered = is_answered;
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        locked(self.breaker).note(self.admission, self.is_answered);
    }
}

#[derive(Clone)]
struct Bearer {
    value: SecretString,
    /// Digest of the Secret that the token comes from.
    digest: [u8; 32],
    /// When to replace the token; `None` for a token from the Secret.
    until: Option<Instant>,
    /// When the token was requested; identifies it without comparing the secret value.
    issued: Instant,
}

#[derive(Deserialize)]
struct TokenJson {
    token: String,
    expires_at: Option<Timestamp>,
}

impl Requester {
    pub fn new(account: Arc<Account>, installation: Option<u64>) -> Self {
        Self {
            gate: Gate::new(account.settings.secondary_wait),
            account,
            installation,
            token: Single::default(),
            places: Semaphore::new(CONCURRENT),
            breaker: Mutex::default(),
        }
    }

    /// Sends a request. If GitHub rejects the token (401, so nothing was done), the token is
    /// replaced once.
    ///
    /// Returns a 2xx, a 304 to a conditional request, or an answer that the resource doesn't exist
    /// if `call.absent` accepts it.
    ///
    /// # Errors
    /// The error that corresponds to any other answer.
    pub async fn send(&self, call: &Call, lane: Lane) -> Result<Answer, ForgeError> {
        self.gate.check(lane)?;
        // An unreadable Secret must not count as an unanswered request.
        self.account.credentials().await?;
        let _place = self.places.acquire().await.map_err(|error| call.unknown(error))?;
        // While this request waited, others may have met a rate limit or had no answer.
        let admitted = self.admit(call, lane)?;
        let answer = self.exchange(call, lane).await;
        let is_answered = match &answer {
            Ok(_) => Some(true),
            Err(ForgeError::Unknown(_)) => Some(false),
            Err(_) => None,
        };
        admitted.note(is_answered);
        let answer = answer?;
        self.account.rates.note(self.installation, &answer, &self.account.secret_name, &self.account.metrics);
        self.gate.note(lane, &answer)?;
        let not_modified = answer.status == StatusCode::NOT_MODIFIED && call.etag.is_some();
        let absent = (call.absent)(&answer);
        if answer.status.is_success() || not_modified || absent {
            Ok(answer)
        } else {
            Err(answer.error(call))
        }
    }

    /// Asks the circuit breaker about a request. It applies to reads only, since a waiting read
    /// blocks a reconcile. Writes are sent one at a time anyway.
    fn admit(&self, call: &Call, lane: Lane) -> Result<Admitted<'_>, ForgeError> {
        let admission = match lane {
            Lane::Read => locked(&self.breaker).admit(),
            Lane::Write => Admission::Open,
        };
        if admission == Admission::Refused {
            let why = "not sent: GitHub did not answer earlier requests, so Matinee sends one request at a time until it answers";
            return Err(call.unknown(why));
        }
        Ok(Admitted { breaker: &self.breaker, admission, is_answered: None })
    }

    /// Sends a request, and repeats it with another token if the first token is rejected.
    async fn exchange(&self, call: &Call, lane: Lane) -> Result<Answer, ForgeError> {
        let bearer = self.bearer_for(call, None).await?;
        self.gate.check(lane)?;
        let answer = self.account.transport.send(call, &bearer.value).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            let next = self.bearer_for(call, Some(&bearer)).await?;
            if next.issued != bearer.issued {
                return self.account.transport.send(call, &next.value).await;
            }
        }
        Ok(answer)
    }

    /// Returns a token. If the installation gives none, it may have been replaced, so it is removed
    /// from the cache.
    async fn bearer_for(&self, call: &Call, refused: Option<&Bearer>) -> Result<Bearer, ForgeError> {
        let bearer = self.bearer(refused).await;
        if let (Err(ForgeError::Credentials(_) | ForgeError::Forbidden(_)), Some(repository)) =
            (&bearer, &call.repository)
        {
            self.account.forget_installation(repository);
        }
        bearer
    }

    /// Returns a token that isn't about to expire and isn't the rejected one.
    async fn bearer(&self, refused: Option<&Bearer>) -> Result<Bearer, ForgeError> {
        let credentials = match refused {
            Some(bearer) if bearer.until.is_none() => self.account.newer_credentials(&bearer.digest).await?,
            _ => self.account.credentials().await?,
        };
        let fresh = |known: &Bearer, _| {
            known.digest == credentials.digest
                && known.until.is_none_or(|until| Instant::now() < until)
                // Only an edit of the Secret replaces a token from the Secret.
                && (known.until.is_none() || refused.is_none_or(|refused| refused.issued != known.issued))
        };
        match (&credentials.identity, self.installation) {
            (Identity::Token(token), None) => {
                let bearer = Bearer {
                    value: token.clone(),
                    digest: credentials.digest,
                    until: None,
                    issued: Instant::now(),
                };
                self.token.get(fresh, |_| async { Ok(bearer) }).await
            }
            (Identity::App(_), Some(id)) => {
                self.token.get(fresh, |_| self.installation_token(id, credentials.digest)).await
            }
            _ => Err(ForgeError::Unknown(
                "the Secret changed from a token to an App or back: the next attempt uses the new credentials"
                    .into(),
            )),
        }
    }

    async fn installation_token(&self, id: u64, digest: [u8; 32]) -> Result<Bearer, ForgeError> {
        let call = Account::token_call(id);
        let issued = Instant::now();
        let answer = self.account.as_app(&call).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Err(ForgeError::Credentials(format!(
                "{}: {}; installation {id} of the App has been deleted: install the App again, or correct \"installationId\"",
                call.name(),
                answer.message()
            )));
        }
        if !answer.status.is_success() {
            return Err(answer.error(&call));
        }
        // The parser's message is left out, since it may quote the body.
        let json: TokenJson = serde_json::from_slice(&answer.body)
            .map_err(|_| call.unknown("answered without a token that can be read"))?;
        // Both times are by GitHub's clock, since this machine's clock may be wrong.
        let date = answer.header(header::DATE).and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
        let date = date.map_or_else(Timestamp::now, |date| date.timestamp());
        let life = json.expires_at.map_or(Duration::from_hours(1), |at| {
            Duration::try_from(at.duration_since(date)).unwrap_or_default()
        });
        let until = Some(issued + life.saturating_sub(MARGIN.min(life / 10) + RESOLUTION));
        Ok(Bearer { value: SecretString::from(json.token), digest, until, issued })
    }
}
