//! The stand-in for GitHub with a repository and an installed App, and an adapter for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use github_stand_in::control::Client;
use github_stand_in::control::types::{
    AppMade, NewApp, NewInstallation, NewRepository, Permissions, Request,
};
use github_stand_in::{Settings, StandIn};
use matinee::adapters::github::{GithubForges, GithubSettings};
use matinee::core::forge::RepositoryName;
use matinee::metrics::Metrics;
use matinee::ports::{Forge, ForgeError, Forges};

use crate::support::{Memory, connection, hurried, shop};

pub struct World {
    pub stand_in: StandIn,
    pub control: Client,
    pub app: AppMade,
    pub installation: u64,
    pub secrets: Arc<Memory>,
    pub forges: GithubForges,
}

/// Returns the App permissions that the adapter needs.
pub fn permissions() -> Permissions {
    let pairs = [
        ("checks", "read"),
        ("contents", "read"),
        ("deployments", "write"),
        ("issues", "write"),
        ("metadata", "read"),
        ("pull_requests", "write"),
        ("statuses", "write"),
    ];
    BTreeMap::from(pairs.map(|(name, level)| (name.to_owned(), level.to_owned())))
}

/// Returns these permissions without one of them.
pub fn permissions_without(name: &str) -> Permissions {
    let mut permissions = permissions();
    assert!(permissions.remove(name).is_some(), "{name}");
    permissions
}

/// Returns the name of a private repository.
pub fn secret() -> RepositoryName {
    "acme/secret".parse().unwrap()
}

impl World {
    pub async fn new() -> Self {
        Self::with(Settings::default(), hurried(), permissions()).await
    }

    pub async fn with(at: Settings, settings: GithubSettings, permissions: Permissions) -> Self {
        let stand_in = StandIn::start(at).await.unwrap();
        let control = stand_in.control();
        control
            .create_repository(NewRepository { full_name: "acme/shop".into(), ..NewRepository::default() })
            .await
            .unwrap();
        let new = NewApp { slug: "matinee".into(), owner: "acme".into(), permissions, ..NewApp::default() };
        let app = control.create_app(new).await.unwrap();
        let new = NewInstallation { account: "acme".into(), repositories: None };
        let installation = control.install_app(app.id, new).await.unwrap();
        let secrets = Memory::with(&[("appId", &app.id.to_string()), ("privateKey", &app.private_key)]);
        let forges = GithubForges::new(Arc::clone(&secrets) as _, settings, Metrics::default());
        control.reset_requests().await.unwrap();
        Self { stand_in, control, app, installation, secrets, forges }
    }

    pub async fn forge(&self) -> Result<Arc<dyn Forge>, ForgeError> {
        self.forges.forge(&connection(self.stand_in.api_url()), &shop()).await
    }

    /// Returns the requests so far with this method and path, in which `*` at the end matches any
    /// rest.
    pub async fn requests(&self, method: &str, path: &str) -> Vec<Request> {
        let all = self.control.requests().await.unwrap();
        let fits = |request: &Request| match path.strip_suffix('*') {
            Some(start) => request.path.starts_with(start),
            None => request.path == path,
        };
        all.into_iter().filter(|request| request.method == method && fits(request)).collect()
    }

    /// Creates a world whose App lacks a permission, with the private repository [`secret`].
    pub async fn lacking(permission: &str) -> (Self, Arc<dyn Forge>) {
        let world = Self::with(Settings::default(), hurried(), permissions_without(permission)).await;
        let new =
            NewRepository { full_name: "acme/secret".into(), private: true, ..NewRepository::default() };
        world.control.create_repository(new).await.unwrap();
        let forge = world.forges.forge(&connection(world.stand_in.api_url()), &secret()).await.unwrap();
        (world, forge)
    }

    /// Deletes the record of requests.
    pub async fn forget(&self) {
        self.control.reset_requests().await.unwrap();
    }

    /// Returns the statuses of answers since [`Self::forget`], and how many requests counted
    /// against the rate limit.
    pub async fn answers(&self) -> (Vec<u16>, usize) {
        let all = self.control.requests().await.unwrap();
        let counted = all.iter().filter(|request| request.counted).count();
        (all.into_iter().map(|request| request.status).collect(), counted)
    }

    /// Returns the number of requests for tokens.
    pub async fn tokens(&self) -> usize {
        self.requests("POST", "/app/installations/*").await.len()
    }
}
