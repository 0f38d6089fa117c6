//! Examines a connection for `matinee doctor` and changes nothing. Like the operator, it requests a
//! token of each installation.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use http::{HeaderMap, Method, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::GithubSettings;
use super::account::Account;
use super::credentials::{self, Identity};
use crate::adapters::github::doctor::app_permissions::Permissions;
use crate::adapters::github::doctor::connection::{self, App, Installation, Observed, Rate, Token};
use crate::adapters::github::doctor::deliveries::{Delivery, Hook};
use crate::adapters::github::response::{Answer, Call};
use crate::api::GithubConnection;
use crate::metrics::Metrics;
use crate::ports::{ForgeError, Secrets};

/// Most pages of installations that are read, of a hundred each.
const PAGES: usize = 10;
/// Most installations whose tokens are requested.
const TRIED: usize = 20;

#[derive(Deserialize)]
struct AppJson {
    slug: String,
    owner: Option<AccountJson>,
    #[serde(default)]
    html_url: String,
    #[serde(default)]
    permissions: Permissions,
    #[serde(default)]
    events: Vec<String>,
}

#[derive(Deserialize)]
struct AccountJson {
    #[serde(default)]
    login: String,
    #[serde(default, rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct InstallationJson {
    id: u64,
    account: Option<AccountJson>,
    #[serde(default)]
    html_url: String,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
    suspended_at: Option<String>,
}

#[derive(Deserialize)]
struct HookJson {
    url: Option<String>,
    content_type: Option<String>,
    secret: Option<String>,
    /// A string or a number.
    #[serde(default)]
    insecure_ssl: serde_json::Value,
}

#[derive(Deserialize)]
struct DeliveryJson {
    guid: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    status_code: u16,
}

#[derive(Deserialize)]
struct RateJson {
    rate: RateFields,
}

#[derive(Deserialize)]
struct RateFields {
    limit: u64,
    remaining: u64,
}

#[derive(Deserialize)]
struct TokenJson {
    token: String,
}

/// Collects everything that can be observed through the connection. The result contains no secrets.
pub async fn examine(
    connection: &GithubConnection,
    secrets: Arc<dyn Secrets>,
    settings: GithubSettings,
) -> Observed {
    let mut observed = Observed::default();
    observed.identity = Some(match Examination::new(connection, secrets, settings).await {
        Ok(examination) => examination.identity(&mut observed.ahead).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    });
    observed
}

struct Examination {
    account: Account,
    credentials: Arc<credentials::Credentials>,
}

fn get(path: &str) -> Call {
    Call::new(Method::GET, path.to_owned(), "of an installed App")
}

/// Returns by how much this machine's clock is ahead of the `Date` header, which has whole seconds.
/// `asked` and `answered` are this machine's times.
fn ahead(headers: &HeaderMap, asked: Timestamp, answered: Timestamp) -> Option<SignedDuration> {
    let date = headers.get(header::DATE)?.to_str().ok()?;
    let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    let middle = asked + answered.duration_since(asked) / 2;
    Some(SignedDuration::from_secs(middle.duration_since(theirs).as_secs()))
}

impl Examination {
    async fn new(
        connection: &GithubConnection,
        secrets: Arc<dyn Secrets>,
        settings: GithubSettings,
    ) -> Result<Self, ForgeError> {
        let account = Account::new(connection, secrets, settings, Metrics::default())?;
        let credentials = account.credentials().await?;
        Ok(Self { account, credentials })
    }

    async fn identity(&self, clock: &mut Option<SignedDuration>) -> Result<connection::Identity, ForgeError> {
        Ok(match &self.credentials.identity {
            Identity::Token(token) => connection::Identity::Token(self.token(token, clock).await?),
            Identity::App(app) => {
                let seen = self.app(&app.jwt()?, app.installation, clock).await?;
                connection::Identity::App(Box::new(seen))
            }
        })
    }

    async fn send(&self, call: &Call, bearer: &SecretString) -> Result<Answer, ForgeError> {
        self.account.transport.send(call, bearer).await
    }

    /// Sends the first request and compares clocks by its answer, even if that is an error.
    async fn first(
        &self,
        call: &Call,
        bearer: &SecretString,
        clock: &mut Option<SignedDuration>,
    ) -> Result<Answer, ForgeError> {
        let asked = Timestamp::now();
        let answer = self.send(call, bearer).await?;
        *clock = ahead(&answer.headers, asked, Timestamp::now());
        Ok(answer)
    }

    async fn read<T: DeserializeOwned>(&self, call: &Call, bearer: &SecretString) -> Result<T, ForgeError> {
        let answer = self.send(call, bearer).await?;
        if answer.status.is_success() { answer.json(call) } else { Err(answer.error(call)) }
    }

    async fn token(
        &self,
        token: &SecretString,
        clock: &mut Option<SignedDuration>,
    ) -> Result<Token, ForgeError> {
        let call = get("/user");
        let answer = self.first(&call, token, clock).await?;
        let login = match answer.status {
            StatusCode::OK => Some(answer.json::<AccountJson>(&call)?.login),
            // Tokens of installations belong to no user.
            StatusCode::FORBIDDEN => None,
            _ => return Err(answer.error(&call)),
        };
        let scopes = answer.header("x-oauth-scopes").map(|scopes| {
            scopes.split(',').map(|scope| scope.trim().to_owned()).filter(|scope| !scope.is_empty()).collect()
        });
        Ok(Token { login, scopes, rate: self.rate(token).await? })
    }

    /// Returns the rate limit; `None` when there is none, as on an Enterprise Server without
    /// limits.
    async fn rate(&self, bearer: &SecretString) -> Result<Option<Rate>, ForgeError> {
        match self.read::<RateJson>(&get("/rate_limit"), bearer).await {
            Ok(RateJson { rate: RateFields { limit, remaining } }) => Ok(Some(Rate { limit, remaining })),
            Err(ForgeError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn app(
        &self,
        jwt: &SecretString,
        only: Option<u64>,
        clock: &mut Option<SignedDuration>,
    ) -> Result<App, ForgeError> {
        let call = get("/app");
        let answer = self.first(&call, jwt, clock).await?;
        if !answer.status.is_success() {
            // GitHub answers 404 to an unknown App.
            return Err(ForgeError::Credentials(format!("{}: {}", call.name(), answer.message())));
        }
        let app: AppJson = answer.json(&call)?;
        let (installations, hook, deliveries) =
            tokio::join!(self.installations(jwt, only), self.hook(jwt), self.deliveries(jwt));
        Ok(App {
            settings: settings_of(&app),
            slug: app.slug,
            permissions: app.permissions,
            events: app.events,
            only,
            installations: Some(installations.map_err(|error| error.to_string())),
            hook: Some(hook.map_err(|error| error.to_string())),
            deliveries: Some(deliveries.map_err(|error| error.to_string())),
        })
    }

    async fn installations(
        &self,
        jwt: &SecretString,
        only: Option<u64>,
    ) -> Result<Vec<Installation>, ForgeError> {
        let mut call = get("/app/installations?per_page=100");
        let mut all = Vec::new();
        for _ in 0..PAGES {
            let answer = self.send(&call, jwt).await?;
            if !answer.status.is_success() {
                return Err(answer.error(&call));
            }
            all.extend(answer.json::<Vec<InstallationJson>>(&call)?);
            let Some(next) = answer.next_query() else { break };
            call = get(&format!("/app/installations?{next}"));
        }
        let is_tried =
            |one: &InstallationJson| only.is_none_or(|only| only == one.id) && one.suspended_at.is_none();
        let tried: Vec<u64> = all.iter().filter(|one| is_tried(one)).take(TRIED).map(|one| one.id).collect();
        let rates =
            join_all(tried.iter().map(async |id| (*id, self.installation_rate(*id, jwt).await))).await;
        let mut rates: BTreeMap<u64, Result<Option<Rate>, ForgeError>> = rates.into_iter().collect();
        Ok(all
            .into_iter()
            .map(|one| Installation {
                id: one.id,
                account: one.account.map(|account| account.login).unwrap_or_default(),
                settings: one.html_url,
                permissions: one.permissions,
                suspended: one.suspended_at.is_some(),
                rate: rates
                    .remove(&one.id)
                    .and_then(|rate| rate.map_err(|error| error.to_string()).transpose()),
            })
            .collect())
    }

    async fn installation_rate(&self, id: u64, jwt: &SecretString) -> Result<Option<Rate>, ForgeError> {
        let call = Account::token_call(id);
        let answer = self.send(&call, jwt).await?;
        if !answer.status.is_success() {
            return Err(answer.error(&call));
        }
        // The parser's message is left out, since it may quote the body.
        let json: TokenJson = serde_json::from_slice(&answer.body)
            .map_err(|_| call.unknown("answered without a token that can be read"))?;
        self.rate(&SecretString::from(json.token)).await
    }

    async fn hook(&self, jwt: &SecretString) -> Result<Option<Hook>, ForgeError> {
        let hook = match self.read::<HookJson>(&get("/app/hook/config"), jwt).await {
            Ok(hook) => hook,
            Err(ForgeError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(Hook {
            url: hook.url.unwrap_or_default(),
            content_type: hook.content_type.unwrap_or_else(|| "form".to_owned()),
            signed: hook.secret.is_some_and(|secret| !secret.is_empty()),
            insecure: hook.insecure_ssl == "1" || hook.insecure_ssl == 1,
        }))
    }

    async fn deliveries(&self, jwt: &SecretString) -> Result<Vec<Delivery>, ForgeError> {
        let all: Vec<DeliveryJson> = self.read(&get("/app/hook/deliveries?per_page=100"), jwt).await?;
        Ok(all
            .into_iter()
            .map(|one| Delivery { guid: one.guid, status: one.status, code: one.status_code })
            .collect())
    }
}

/// Returns the URL of an App's settings: `https://github.com/settings/apps/<slug>`, or the one
/// below its organization.
fn settings_of(app: &AppJson) -> String {
    let host = app.html_url.split('/').take(3).collect::<Vec<_>>().join("/");
    match &app.owner {
        Some(owner) if owner.kind == "Organization" => {
            format!("{host}/organizations/{}/settings/apps/{}", owner.login, app.slug)
        }
        _ => format!("{host}/settings/apps/{}", app.slug),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organizations_app_is_set_up_there() {
        let app = |kind: &str| {
            let json = format!(
                r#"{{"slug": "m", "html_url": "https://ghe.example.com/github-apps/m", "owner": {{"login": "acme", "type": "{kind}"}}}}"#
            );
            settings_of(&serde_json::from_str(&json).unwrap())
        };
        assert_eq!(app("Organization"), "https://ghe.example.com/organizations/acme/settings/apps/m");
        assert_eq!(app("User"), "https://ghe.example.com/settings/apps/m");
    }

    #[test]
    fn clocks_are_compared_in_the_middle_of_the_request() {
        let mut headers = HeaderMap::new();
        let asked = Timestamp::from_second(784_111_777 + 60).unwrap();
        assert_eq!(ahead(&headers, asked, asked), None);
        headers.insert(header::DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        assert_eq!(ahead(&headers, asked, asked), Some(SignedDuration::from_secs(60)));
        let answered = asked + SignedDuration::from_secs(4);
        assert_eq!(ahead(&headers, asked, answered), Some(SignedDuration::from_secs(62)));
    }
}
