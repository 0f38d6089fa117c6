//! A GitHub App as itself: fetching its credentials once it was made from a manifest, and where it is installed.

use std::sync::Arc;

use http::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::GithubSettings;
use super::account::Account;
use super::path::{encode, query};
use super::requester::Requester;
use super::transport::Transport;
use crate::adapters::github::rate_limits::Lane;
use crate::adapters::github::response::{CONVERSIONS, Call};
use crate::api::GithubConnection;
use crate::metrics::Metrics;
use crate::ports::{ForgeError, Secrets};

/// An App that was made from a manifest, with its credentials.
pub struct NewApp {
    /// `appId`.
    pub id: u64,
    /// As it stands in URLs.
    pub slug: String,
    /// As people see it.
    pub name: String,
    /// The private key, PEM.
    pub pem: SecretString,
    /// What its webhooks are signed with; GitHub makes one when there is a webhook.
    pub webhook_secret: Option<SecretString>,
}

/// Where an App is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The login of the account.
    pub account: String,
    /// How many repositories it sees.
    pub repositories: u64,
    /// Whether it sees all of the account's, those that come later too.
    pub all: bool,
}

#[derive(Deserialize)]
struct NewAppJson {
    id: u64,
    slug: String,
    name: String,
    pem: String,
    webhook_secret: Option<String>,
}

#[derive(Deserialize)]
struct InstallationJson {
    id: u64,
    account: AccountJson,
    repository_selection: String,
    suspended_at: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct AccountJson {
    login: String,
}

#[derive(Deserialize)]
struct RepositoriesJson {
    total_count: u64,
}

/// Fetches the credentials of an App, which works once, and for an hour from when it was made.
///
/// # Errors
/// [`ForgeError::NotFound`] for a code that GitHub doesn't know, or not any more. [`ForgeError::Unknown`] when it may or may not
/// have been used up.
pub async fn fetch_new_app(
    api_url: &str,
    code: &str,
    settings: &GithubSettings,
) -> Result<NewApp, ForgeError> {
    let path = format!("{CONVERSIONS}{}/conversions", encode(code));
    let convert = Call::new(Method::POST, path, "of nobody");
    let answer = Transport::new(api_url, settings, Metrics::default())?.send(&convert, None).await?;
    if !answer.status.is_success() {
        return Err(answer.error(&convert));
    }
    // Without the reason, which may quote the body.
    let json: NewAppJson = serde_json::from_slice(&answer.body)
        .map_err(|_| ForgeError::Invalid(format!("{}: answered without credentials", convert.name())))?;
    Ok(NewApp {
        id: json.id,
        slug: json.slug,
        name: json.name,
        pem: json.pem.into(),
        webhook_secret: json.webhook_secret.map(SecretString::from),
    })
}

/// An App, by its credentials.
pub struct GithubApp(Arc<Account>);

impl GithubApp {
    /// Nothing is read or sent yet.
    pub fn new(
        connection: &GithubConnection,
        secrets: Arc<dyn Secrets>,
        settings: GithubSettings,
    ) -> Result<Self, ForgeError> {
        Ok(Self(Arc::new(Account::new(connection, secrets, settings, Metrics::default())?)))
    }

    /// Has its webhooks signed with this secret, and sent as JSON.
    pub async fn set_webhook_secret(&self, secret: &SecretString) -> Result<(), ForgeError> {
        let body = json!({"secret": secret.expose_secret(), "content_type": "json"}).to_string();
        let set = Call {
            body: Some(body.into()),
            ..Call::new(Method::PATCH, "/app/hook/config".to_owned(), "of an App")
        };
        let answer = self.0.as_app(&set).await?;
        if answer.status.is_success() { Ok(()) } else { Err(answer.error(&set)) }
    }

    /// Where it is installed, a hundred places at most, those left out where it is suspended.
    pub async fn installed(&self) -> Result<Vec<Installed>, ForgeError> {
        let path = format!("/app/installations{}", query(&[("per_page", "100")]));
        let list = Call::new(Method::GET, path, "of an App");
        let answer = self.0.as_app(&list).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.error(&list));
        }
        let mut found = Vec::new();
        for one in answer.json::<Vec<InstallationJson>>(&list)? {
            if one.suspended_at.is_some() {
                continue;
            }
            let repositories = self.repositories(one.id).await?;
            let all = one.repository_selection == "all";
            found.push(Installed { account: one.account.login, repositories, all });
        }
        Ok(found)
    }

    async fn repositories(&self, installation: u64) -> Result<u64, ForgeError> {
        let path = format!("/installation/repositories{}", query(&[("per_page", "1")]));
        let count = Call::new(Method::GET, path, "Metadata: read");
        let requester = Requester::new(Arc::clone(&self.0), Some(installation));
        let answer = requester.send(&count, Lane::Read).await?;
        Ok(answer.json::<RepositoriesJson>(&count)?.total_count)
    }
}
