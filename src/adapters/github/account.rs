//! An account: one API URL with one Secret.

use std::num::NonZeroUsize;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde::Deserialize;

use super::GithubSettings;
use super::credentials::{App, Credentials, Identity, parse};
use super::path::in_repository;
use super::rate::Rates;
use super::transport::Transport;
use crate::adapters::github::rate_gate::Gate;
use crate::adapters::github::rate_limits::Lane;
use crate::adapters::github::response::{Answer, Call};
use crate::adapters::github::single_flight::{Single, Singles};
use crate::api::GithubConnection;
use crate::core::forge::RepositoryName;
use crate::metrics::Metrics;
use crate::ports::{ClusterError, ForgeError, Secrets};

/// Number of repositories whose installation is cached.
const REPOSITORIES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// The connection to GitHub at one URL with the credentials of one Secret.
pub(super) struct Account {
    pub settings: GithubSettings,
    pub transport: Transport,
    pub metrics: Metrics,
    pub rates: Rates,
    /// Name of the Secret.
    pub secret_name: String,
    secrets: Arc<dyn Secrets>,
    credentials: Single<Arc<Credentials>>,
    /// Rate limits of requests as the App itself. Each installation has its own.
    gate: Gate,
    installations: Singles<RepositoryName, Option<u64>>,
}

#[derive(Deserialize)]
struct InstallationJson {
    id: u64,
}

impl Account {
    pub fn new(
        connection: &GithubConnection,
        secrets: Arc<dyn Secrets>,
        settings: GithubSettings,
        metrics: Metrics,
    ) -> Result<Self, ForgeError> {
        Ok(Self {
            transport: Transport::new(&connection.url, &settings, metrics.clone())?,
            metrics,
            rates: Rates::default(),
            secrets,
            secret_name: connection.secret_name.clone(),
            credentials: Single::default(),
            gate: Gate::new(settings.secondary_wait),
            installations: Singles::new(REPOSITORIES),
            settings,
        })
    }

    /// Returns the Secret's credentials, cached for `secret_max_age`.
    pub async fn credentials(&self) -> Result<Arc<Credentials>, ForgeError> {
        let most = self.settings.secret_max_age;
        self.credentials.get(|_, age| age < most, |last| self.read(last)).await
    }

    /// Returns the Secret's credentials after GitHub rejected those with the digest `refused`.
    pub async fn newer_credentials(&self, refused: &[u8; 32]) -> Result<Arc<Credentials>, ForgeError> {
        let most = self.settings.secret_max_age;
        let newer = |known: &Arc<Credentials>, age| age < most && known.digest != *refused;
        self.credentials.get(newer, |last| self.read(last)).await
    }

    async fn read(&self, last: Option<Arc<Credentials>>) -> Result<Arc<Credentials>, ForgeError> {
        let name = &self.secret_name;
        let data = match (self.secrets.secret(name).await, last) {
            (Ok(Some(data)), _) => data,
            (Ok(None), _) => {
                return Err(ForgeError::Credentials(format!(
                    "there is no Secret \"{name}\" in the operator's namespace: create it with \"token\", or \"appId\" and \"privateKey\""
                )));
            }
            (Err(ClusterError::Refused { message, .. }), _) => {
                return Err(ForgeError::Credentials(format!("Secret \"{name}\" can't be read: {message}")));
            }
            // The API server doesn't answer, so the previous credentials stay in use.
            (Err(_), Some(last)) => return Ok(last),
            (Err(error), None) => {
                return Err(ForgeError::Unknown(format!("Secret \"{name}\" was not read: {error}")));
            }
        };
        parse(name, &data).map(Arc::new)
    }

    /// Sends a request as the App itself. If GitHub rejects the key, the Secret is read again and
    /// the request is repeated, since the key may have been replaced.
    pub async fn as_app(&self, call: &Call) -> Result<Answer, ForgeError> {
        let credentials = self.credentials().await?;
        let answer = self.signed(call, self.app(&credentials)?).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let newer = self.newer_credentials(&credentials.digest).await?;
        let answer = if newer.digest == credentials.digest {
            answer
        } else {
            self.signed(call, self.app(&newer)?).await?
        };
        if answer.status == StatusCode::UNAUTHORIZED {
            return Err(ForgeError::Credentials(format!(
                "{}: {}; check \"appId\" and \"privateKey\" in Secret \"{}\", and this machine's clock",
                call.name(),
                answer.message(),
                self.secret_name
            )));
        }
        Ok(answer)
    }

    fn app<'a>(&self, credentials: &'a Credentials) -> Result<&'a App, ForgeError> {
        match &credentials.identity {
            Identity::App(app) => Ok(app),
            // This happens only while somebody replaces an App by a token in the Secret.
            Identity::Token(_) => {
                Err(ForgeError::Unknown(format!("Secret \"{}\" holds a token now", self.secret_name)))
            }
        }
    }

    async fn signed(&self, call: &Call, app: &App) -> Result<Answer, ForgeError> {
        self.gate.check(Lane::Read)?;
        let answer = self.transport.send(call, &app.jwt()?).await?;
        self.gate.note(Lane::Read, &answer)?;
        Ok(answer)
    }

    /// Returns the installation that serves the repository; `None` when the Secret has a token. It
    /// is [`ForgeError::NotFound`] when the App isn't installed there.
    pub async fn installation(&self, repository: &RepositoryName) -> Result<Option<u64>, ForgeError> {
        let credentials = self.credentials().await?;
        let Identity::App(app) = &credentials.identity else { return Ok(None) };
        if let Some(id) = app.installation {
            return Ok(Some(id));
        }
        let (found, missing) = (self.settings.installation_max_age, self.settings.secret_max_age);
        let fresh = |id: &Option<u64>, age| age < if id.is_some() { found } else { missing };
        match self.installations.of(repository.clone()).get(fresh, |_| self.find(repository)).await? {
            Some(id) => Ok(Some(id)),
            None => Err(ForgeError::NotFound(format!(
                "the App isn't installed on {repository}: install it, and give it access to the repository"
            ))),
        }
    }

    async fn find(&self, repository: &RepositoryName) -> Result<Option<u64>, ForgeError> {
        let call = Call::get(repository, in_repository(repository, "/installation")?, "Metadata: read");
        let answer = self.as_app(&call).await?;
        match answer.status {
            StatusCode::OK => Ok(Some(answer.json::<InstallationJson>(&call)?.id)),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(answer.error(&call)),
        }
    }

    /// Removes the installation from the cache, since it no longer exists.
    pub fn forget_installation(&self, repository: &RepositoryName) {
        self.installations.forget(repository);
    }

    /// Returns the request for a token of the installation.
    pub fn token_call(installation: u64) -> Call {
        let path = format!("/app/installations/{installation}/access_tokens");
        Call::new(Method::POST, path, "of an installed App")
    }
}
