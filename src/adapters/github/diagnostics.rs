//! Examines a connection for `matinee doctor` and changes nothing.

use std::collections::BTreeMap;

use http::{Method, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::de::DeserializeOwned;

use super::GithubSettings;
use super::credentials;
use super::transport::Transport;
use crate::adapters::github::doctor::app_permissions::Uses;
use crate::adapters::github::doctor::connection::{self, App, Identity, Installation, Login, Registration};
use crate::adapters::github::doctor::deliveries::Hook;
use crate::adapters::github::response::{Answer, Call, http_date};
use crate::api::{GithubConnection, PreviewClass, PreviewRepository};
use crate::core::doctor::Finding;
use crate::metrics::Metrics;
use crate::ports::ForgeError;

/// Most pages of installations that are read.
const PAGES: usize = 10;
/// Installations in a page, the most that GitHub permits.
const PER_PAGE: usize = 100;

/// Checks a connection with its Secret, for the classes that use it and their PreviewRepositories.
/// No finding contains a secret.
pub async fn diagnose(
    connection: &GithubConnection,
    secret: &BTreeMap<String, Vec<u8>>,
    settings: &GithubSettings,
    classes: &[PreviewClass],
    repositories: &[PreviewRepository],
) -> Vec<Finding> {
    let mut ahead = None;
    let identity = identity(connection, secret, settings, &mut ahead).await;
    let identity = identity.map_err(|error| error.to_string());
    connection::check(&identity, ahead, repositories, &Uses::of(repositories, classes))
}

async fn identity(
    connection: &GithubConnection,
    secret: &BTreeMap<String, Vec<u8>>,
    settings: &GithubSettings,
    clock: &mut Option<SignedDuration>,
) -> Result<Identity, ForgeError> {
    let transport = Transport::new(&connection.url, settings, Metrics::default())?;
    let (bearer, call, only) = match credentials::parse(&connection.secret_name, secret)?.identity {
        credentials::Identity::Token(token) => (token, get("/user"), None),
        credentials::Identity::App(app) => (app.jwt()?, get("/app"), Some(app.installation)),
    };
    let answer = transport.send(&call, &bearer).await?;
    *clock = ahead(&answer, Timestamp::now());
    match only {
        None => token(&call, &answer),
        Some(only) if answer.status.is_success() => {
            let app = app(&transport, &bearer, only, answer.json(&call)?).await?;
            Ok(Identity::App(Box::new(app)))
        }
        // GitHub answers 404 to an unknown App.
        Some(_) => Err(ForgeError::Credentials(format!("{}: {}", call.name(), answer.message()))),
    }
}

fn token(call: &Call, answer: &Answer) -> Result<Identity, ForgeError> {
    let login = match answer.status {
        StatusCode::OK => Some(answer.json::<Login>(call)?.login),
        // Tokens of installations belong to no user.
        StatusCode::FORBIDDEN => None,
        _ => return Err(answer.error(call)),
    };
    Ok(Identity::Token { login, scopes: answer.header("x-oauth-scopes").map(str::to_owned) })
}

fn get(path: &str) -> Call {
    Call::new(Method::GET, path.to_owned(), "of an installed App")
}

/// Returns by how much this machine's clock is ahead of the `Date` header.
fn ahead(answer: &Answer, now: Timestamp) -> Option<SignedDuration> {
    let theirs = answer.header(header::DATE).and_then(http_date)?;
    Some(SignedDuration::from_secs(now.duration_since(theirs).as_secs()))
}

/// Returns the answer's body; the default for 404.
async fn read<T: DeserializeOwned + Default>(
    transport: &Transport,
    jwt: &SecretString,
    path: &str,
) -> Result<T, ForgeError> {
    let call = get(path);
    let answer = transport.send(&call, jwt).await?;
    match answer.status {
        StatusCode::NOT_FOUND => Ok(T::default()),
        status if status.is_success() => answer.json(&call),
        _ => Err(answer.error(&call)),
    }
}

async fn app(
    transport: &Transport,
    jwt: &SecretString,
    only: Option<u64>,
    registration: Registration,
) -> Result<App, ForgeError> {
    let (installations, hook, deliveries) = tokio::try_join!(
        installations(transport, jwt, only),
        read::<Option<Hook>>(transport, jwt, "/app/hook/config"),
        read(transport, jwt, "/app/hook/deliveries?per_page=100"),
    )?;
    // GitHub may also report a webhook without a URL.
    let hook = hook.filter(|hook| hook.url.as_ref().is_some_and(|url| !url.is_empty()));
    Ok(App { registration, only, installations, hook, deliveries })
}

async fn installations(
    transport: &Transport,
    jwt: &SecretString,
    only: Option<u64>,
) -> Result<Vec<Installation>, ForgeError> {
    let mut all: Vec<Installation> = Vec::new();
    for page in 1..=PAGES {
        let path = format!("/app/installations?per_page={PER_PAGE}&page={page}");
        let found: Vec<Installation> = read(transport, jwt, &path).await?;
        let is_last = found.len() < PER_PAGE;
        all.extend(found);
        if is_last {
            break;
        }
    }
    all.retain(|one| only.is_none_or(|only| only == one.id));
    Ok(all)
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
