//! GitHub's REST API, through octocrab. <https://docs.github.com/rest>

mod account;
mod app;
pub mod circuit_breaker;
mod comments;
mod commits;
mod conditional_get;
mod conditional_list;
mod credentials;
mod diagnostics;
mod doctor;
mod installation;
mod json;
mod path;
pub mod permissions;
mod rate;
mod rate_gate;
mod rate_limits;
pub mod registration;
mod requester;
mod response;
mod single_flight;
mod transport;
pub mod webhook;
pub mod write_order;
mod write_queue;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use self::account::Account;
pub use self::app::{GithubApp, Installed, NewApp, fetch_new_app};
use self::installation::Installation;
use super::sync::locked;
pub use crate::adapters::github::diagnostics::diagnose;
pub use crate::adapters::github::write_order::Pace;
use crate::api::GithubConnection;
use crate::core::forge::RepositoryName;
use crate::metrics::Metrics;
use crate::ports::{Forge, ForgeError, Forges, Secrets};

/// Settings of the connection to GitHub. The defaults suit GitHub; tests use shorter times.
#[derive(Clone, Debug)]
pub struct GithubSettings {
    /// Timeout of one request, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// Limits on the pace of writes.
    pub pace: Pace,
    /// Duration of a secondary rate limit when GitHub doesn't say it; it doubles while the limit
    /// continues.
    pub secondary_wait: Duration,
    /// How long the content of a Secret is used before the Secret is read again.
    pub secret_max_age: Duration,
    /// How long the installation of a repository is cached.
    pub installation_max_age: Duration,
    /// How long a user's permission in a repository is cached.
    pub permission_max_age: Duration,
}

impl Default for GithubSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(20),
            pace: Pace::default(),
            secondary_wait: Duration::from_mins(1),
            secret_max_age: Duration::from_secs(30),
            installation_max_age: Duration::from_mins(10),
            permission_max_age: Duration::from_mins(1),
        }
    }
}

#[derive(Default)]
struct Installations {
    all: HashMap<(String, String, Option<u64>), Arc<Installation>>,
    /// Whether all queues are closed, including those of installations that are created later.
    closed: bool,
}

/// All connections to GitHub: an account for each API URL and Secret, and within it a client with
/// cache, limits and queue for each installation. They live as long as this object; a change of a
/// Secret keeps them.
pub struct GithubForges {
    secrets: Arc<dyn Secrets>,
    settings: GithubSettings,
    metrics: Metrics,
    accounts: Mutex<HashMap<(String, String), Arc<Account>>>,
    installations: Mutex<Installations>,
}

impl GithubForges {
    /// Creates the object without reading a Secret or sending a request.
    pub fn new(secrets: Arc<dyn Secrets>, settings: GithubSettings, metrics: Metrics) -> Self {
        Self { secrets, settings, metrics, accounts: Mutex::default(), installations: Mutex::default() }
    }

    fn account(&self, connection: &GithubConnection) -> Result<Arc<Account>, ForgeError> {
        let key = (connection.url.clone(), connection.secret_name.clone());
        let mut accounts = locked(&self.accounts);
        if let Some(account) = accounts.get(&key) {
            return Ok(Arc::clone(account));
        }
        let (secrets, settings) = (Arc::clone(&self.secrets), self.settings.clone());
        let account = Account::new(connection, secrets, settings, self.metrics.clone())?;
        Ok(Arc::clone(accounts.entry(key).or_insert(Arc::new(account))))
    }
}

#[async_trait]
impl Forges for GithubForges {
    async fn forge(
        &self,
        connection: &GithubConnection,
        repository: &RepositoryName,
    ) -> Result<Arc<dyn Forge>, ForgeError> {
        let account = self.account(connection)?;
        let id = account.installation(repository).await?;
        let key = (connection.url.clone(), connection.secret_name.clone(), id);
        let mut installations = locked(&self.installations);
        let closed = installations.closed;
        let installation =
            installations.all.entry(key).or_insert_with(|| Arc::new(Installation::new(account, id)));
        if closed {
            installation.close();
        }
        Ok(Arc::clone(installation) as Arc<dyn Forge>)
    }

    fn close(&self) {
        let mut installations = locked(&self.installations);
        installations.closed = true;
        installations.all.values().for_each(|installation| installation.close());
    }
}
