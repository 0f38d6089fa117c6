//! Requests in the name of an installation or a token: authenticated, within the limits.

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

/// Requests at the same time; GitHub's secondary limit is at 100.
const CONCURRENT: usize = 10;
/// A token is replaced this long before it expires, or when a tenth of its life is left, whichever is later.
const MARGIN: Duration = Duration::from_mins(1);
/// GitHub's times are in whole seconds.
const RESOLUTION: Duration = Duration::from_secs(1);

/// Sends requests in the name of one installation, or of a token.
pub(super) struct Requester {
    pub account: Arc<Account>,
    /// `None` with a token.
    installation: Option<u64>,
    token: Single<Bearer>,
    pub gate: Gate,
    places: Semaphore,
    breaker: Mutex<CircuitBreaker>,
}

/// A request that the circuit breaker let pass. Its end is noted also when its caller goes away.
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
    /// Of the Secret it comes from.
    digest: [u8; 32],
    /// When it is to be replaced; `None` for a token out of the Secret.
    until: Option<Instant>,
    /// Tells one from another without looking at it.
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

    /// Sends a request. A token that GitHub refuses (401: nothing was done) is replaced once. The answer is a 2xx or, to a conditional
    /// request, a 304, or says that the thing isn't there, where the call takes that for an answer; everything else is the error it
    /// stands for.
    pub async fn send(&self, call: &Call, lane: Lane) -> Result<Answer, ForgeError> {
        self.gate.check(lane)?;
        // A Secret that can't be read is no silence of GitHub's.
        self.account.credentials().await?;
        let _place = self.places.acquire().await.map_err(|error| call.unknown(error))?;
        // Others may have met a server that doesn't answer, or a limit, while this one waited.
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

    /// Whether a request may be sent to a server that has not answered others. A read occupies the
    /// place of a reconcile while it waits. Writes come one at a time as it is.
    fn admit(&self, call: &Call, lane: Lane) -> Result<Admitted<'_>, ForgeError> {
        let admission = match lane {
            Lane::Read => locked(&self.breaker).admit(),
            Lane::Write => Admission::Open,
        };
        if admission == Admission::Refused {
            let why = "not sent: GitHub has not answered the requests before, and is asked by one at a time";
            return Err(call.unknown(why));
        }
        Ok(Admitted { breaker: &self.breaker, admission, is_answered: None })
    }

    /// Sends a request, once more with another token if that one is refused.
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

    /// An installation that gives no token may have made room for another: next time it is looked up again.
    async fn bearer_for(&self, call: &Call, refused: Option<&Bearer>) -> Result<Bearer, ForgeError> {
        let bearer = self.bearer(refused).await;
        if let (Err(ForgeError::Credentials(_) | ForgeError::Forbidden(_)), Some(repository)) =
            (&bearer, &call.repository)
        {
            self.account.forget_installation(repository);
        }
        bearer
    }

    /// A token that is good for a while, and isn't the one refused.
    async fn bearer(&self, refused: Option<&Bearer>) -> Result<Bearer, ForgeError> {
        let credentials = match refused {
            Some(bearer) if bearer.until.is_none() => self.account.newer_credentials(&bearer.digest).await?,
            _ => self.account.credentials().await?,
        };
        let fresh = |known: &Bearer, _| {
            known.digest == credentials.digest
                && known.until.is_none_or(|until| Instant::now() < until)
                // A token out of the Secret can't be replaced from here.
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
                "the Secret changed between a token and an App: the next attempt uses what it holds now"
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
                "{}: {}; installation {id} of the App is gone: install the App again, or correct \"installationId\"",
                call.name(),
                answer.message()
            )));
        }
        if !answer.status.is_success() {
            return Err(answer.error(&call));
        }
        // Without the reason, which may quote the body.
        let json: TokenJson = serde_json::from_slice(&answer.body)
            .map_err(|_| call.unknown("answered without a token that can be read"))?;
        // By GitHub's clock both: this machine's may be off.
        let date = answer.header(header::DATE).and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
        let date = date.map_or_else(Timestamp::now, |date| date.timestamp());
        let life = json.expires_at.map_or(Duration::from_hours(1), |at| {
            Duration::try_from(at.duration_since(date)).unwrap_or_default()
        });
        let until = Some(issued + life.saturating_sub(MARGIN.min(life / 10) + RESOLUTION));
        Ok(Bearer { value: SecretString::from(json.token), digest, until, issued })
    }
}
