//! Examines a connection for `matinee doctor` and changes nothing. Like the operator, it requests a
//! token of each installation.

use std::collections::BTreeMap;
use std::iter::zip;

use futures::future::join_all;
use http::{Method, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::GithubSettings;
use super::account::Account;
use super::credentials;
use super::transport::Transport;
use crate::adapters::github::doctor::connection::{
    App, Identity, Installation, Login, Observed, Rate, Token,
};
use crate::adapters::github::response::{Answer, Call, http_date};
use crate::api::GithubConnection;
use crate::metrics::Metrics;
use crate::ports::ForgeError;

/// Most pages of installations that are read, of a hundred each.
const PAGES: usize = 10;
/// Most installations whose tokens are requested.
const TRIED: usize = 20;

#[derive(Deserialize)]
struct RateJson {
    rate: Rate,
}

#[derive(Deserialize)]
struct TokenJson {
    token: String,
}

/// Collects everything that can be observed through the connection with its Secret. The result
/// contains no secrets.
pub async fn examine(
    connection: &GithubConnection,
    secret: &BTreeMap<String, Vec<u8>>,
    settings: &GithubSettings,
) -> Observed {
    let mut ahead = None;
    let identity = identity(connection, secret, settings, &mut ahead).await;
    Observed { ahead, identity: identity.map_err(|error| error.to_string()) }
}

async fn identity(
    connection: &GithubConnection,
    secret: &BTreeMap<String, Vec<u8>>,
    settings: &GithubSettings,
    clock: &mut Option<SignedDuration>,
) -> Result<Identity, ForgeError> {
    let transport = Transport::new(&connection.url, settings, Metrics::default())?;
    let (bearer, call, app) = match credentials::parse(&connection.secret_name, secret)?.identity {
        credentials::Identity::Token(token) => (token, get("/user"), None),
        credentials::Identity::App(app) => (app.jwt()?, get("/app"), Some(app)),
    };
    let answer = transport.send(&call, &bearer).await?;
    *clock = ahead(&answer, Timestamp::now());
    let examination = Examination { transport, bearer };
    Ok(match app {
        None => Identity::Token(examination.token(&call, &answer).await?),
        Some(app) => Identity::App(Box::new(examination.app(&call, &answer, app.installation).await?)),
    })
}

fn get(path: &str) -> Call {
    Call::new(Method::GET, path.to_owned(), "of an installed App")
}

/// Returns by how much this machine's clock is ahead of the `Date` header.
fn ahead(answer: &Answer, now: Timestamp) -> Option<SignedDuration> {
    let theirs = answer.header(header::DATE).and_then(http_date)?;
    Some(SignedDuration::from_secs(now.duration_since(theirs).as_secs()))
}

struct Examination {
    transport: Transport,
    /// The token of the user, or the one that authenticates as the App itself.
    bearer: SecretString,
}

impl Examination {
    /// Returns the answer's body; the default for 404.
    async fn read<T: DeserializeOwned + Default>(
        &self,
        path: &str,
        bearer: &SecretString,
    ) -> Result<T, ForgeError> {
        let call = get(path);
        let answer = self.transport.send(&call, bearer).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(T::default()),
            status if status.is_success() => answer.json(&call),
            _ => Err(answer.error(&call)),
        }
    }

    async fn token(&self, call: &Call, answer: &Answer) -> Result<Token, ForgeError> {
        let login = match answer.status {
            StatusCode::OK => Some(answer.json::<Login>(call)?.login),
            // Tokens of installations belong to no user.
            StatusCode::FORBIDDEN => None,
            _ => return Err(answer.error(call)),
        };
        let scopes = answer.header("x-oauth-scopes").map(str::to_owned);
        Ok(Token { login, scopes, rate: self.rate(&self.bearer).await? })
    }

    /// Returns the rate limit; `None` when there is none, as on an Enterprise Server without
    /// limits.
    async fn rate(&self, bearer: &SecretString) -> Result<Option<Rate>, ForgeError> {
        let answer: Option<RateJson> = self.read("/rate_limit", bearer).await?;
        Ok(answer.map(|answer| answer.rate))
    }

    async fn app(&self, call: &Call, answer: &Answer, only: Option<u64>) -> Result<App, ForgeError> {
        if !answer.status.is_success() {
            // GitHub answers 404 to an unknown App.
            return Err(ForgeError::Credentials(format!("{}: {}", call.name(), answer.message())));
        }
        let (installations, hook, deliveries) = tokio::try_join!(
            self.installations(only),
            self.read("/app/hook/config", &self.bearer),
            self.read("/app/hook/deliveries?per_page=100", &self.bearer),
        )?;
        Ok(App { registration: answer.json(call)?, only, installations, hook, deliveries })
    }

    async fn installations(&self, only: Option<u64>) -> Result<Vec<Installation>, ForgeError> {
        let mut call = get("/app/installations?per_page=100");
        let mut all: Vec<Installation> = Vec::new();
        for _ in 0..PAGES {
            let answer = self.transport.send(&call, &self.bearer).await?;
            if !answer.status.is_success() {
                return Err(answer.error(&call));
            }
            all.extend(answer.json::<Vec<Installation>>(&call)?);
            let Some(next) = answer.next_query() else { break };
            call = get(&format!("/app/installations?{next}"));
        }
        all.retain(|one| only.is_none_or(|only| only == one.id));
        let rates = join_all(all.iter().take(TRIED).map(|one| self.installation_rate(one.id))).await;
        for (installation, rate) in zip(&mut all, rates) {
            installation.rate = rate.map_err(|error| error.to_string()).transpose();
        }
        Ok(all)
    }

    async fn installation_rate(&self, id: u64) -> Result<Option<Rate>, ForgeError> {
        let call = Account::token_call(id);
        let answer = self.transport.send(&call, &self.bearer).await?;
        if !answer.status.is_success() {
            return Err(answer.error(&call));
        }
        // The parser's message is left out, since it may quote the body.
        let json: TokenJson = serde_json::from_slice(&answer.body)
            .map_err(|_| call.unknown("answered without a token that can be read"))?;
        self.rate(&SecretString::from(json.token)).await
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn clock_is_compared_with_the_date_of_the_answer() {
        let mut answer = Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: "".into() };
        let now = Timestamp::from_second(784_111_777 + 60).unwrap();
        assert_eq!(ahead(&answer, now), None);
        answer.headers.insert(header::DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        assert_eq!(ahead(&answer, now), Some(SignedDuration::from_secs(60)));
    }
}
