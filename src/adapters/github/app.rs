//! A GitHub App as itself: fetches its credentials after it was created from a manifest, and lists
//! its installations.

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

/// An App that was created from a manifest, with its credentials.
pub struct NewApp {
    /// The App's id (`appId`).
    pub id: u64,
    /// Name of the App in URLs.
    pub slug: String,
    /// Name of the App for people.
    pub name: String,
    /// The private key in PEM format.
    pub pem: SecretString,
    /// Secret that signs the App's webhooks. GitHub creates one if the App has a webhook.
    pub webhook_secret: Option<SecretString>,
}

/// An installation of the App.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The login of the account.
    pub account: String,
    /// Number of repositories that the installation can access.
    pub repositories: u64,
    /// Whether the installation covers all repositories of the account, including future ones.
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

/// Fetches the credentials of an App. GitHub accepts a code once, within an hour of the App's
/// creation.
///
/// # Errors
/// [`ForgeError::NotFound`] for a code that is unknown, used or expired. [`ForgeError::Unknown`]
/// when the code may or may not have been used.
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
    // The parser's message is left out, since it may quote the body.
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

/// A GitHub App, authenticated by its credentials.
pub struct GithubApp(Arc<Account>);

impl GithubApp {
    /// Creates the App without reading the Secret or sending a request.
    pub fn new(
        connection: &GithubConnection,
        secrets: Arc<dyn Secrets>,
        settings: GithubSettings,
    ) -> Result<Self, ForgeError> {
        Ok(Self(Arc::new(Account::new(connection, secrets, settings, Metrics::default())?)))
    }

    /// Sets the secret that signs the App's webhooks, and JSON as their format.
    pub async fn set_webhook_secret(&self, secret: &SecretString) -> Result<(), ForgeError> {
        let body = json!({"secret": secret.expose_secret(), "content_type": "json"}).to_string();
        let set = Call {
            body: Some(body.into()),
            ..Call::new(Method::PATCH, "/app/hook/config".to_owned(), "of an App")
        };
        let answer = self.0.as_app(&set).await?;
        if answer.status.is_success() { Ok(()) } else { Err(answer.error(&set)) }
    }

    /// Lists at most a hundred installations, without the suspended ones.
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
