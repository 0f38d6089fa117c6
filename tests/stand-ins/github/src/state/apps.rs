//! GitHub Apps, their installations, and tokens of every kind.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use rsa::RsaPrivateKey;
use rsa::pkcs1::{EncodeRsaPrivateKey as _, EncodeRsaPublicKey as _, LineEnding};

use crate::control::types::{AccountKind, Permissions};
use crate::hooks::payload;
use crate::state::ids::{Kind, random_text};
use crate::state::{Moment, Refusal, State, now};

/// Size of an App's key in bits, as on GitHub.
const KEY_BITS: usize = 2_048;

/// A GitHub App.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) id: u64,
    pub(crate) client_id: String,
    pub(crate) profile: Profile,
    pub(crate) slug: String,
    pub(crate) owner: String,
    pub(crate) permissions: Permissions,
    pub(crate) events: Vec<String>,
    /// PKCS #1 in DER.
    pub(crate) public_key: Vec<u8>,
    pub(crate) created_at: Moment,
    pub(crate) hook: Option<u64>,
}

/// An App's public profile, and who may install it.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) description: String,
    /// Its homepage; its page on the stand-in when left out.
    pub(crate) url: Option<String>,
    /// Whether accounts besides its owner may install it.
    pub(crate) public: bool,
    /// Where a person is redirected after installing it.
    pub(crate) setup_url: Option<String>,
}

impl Profile {
    /// A profile with a name only, of an App that everybody may install.
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), description: String::new(), url: None, public: true, setup_url: None }
    }
}

/// An App's installation on an account.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    pub(crate) id: u64,
    pub(crate) app: u64,
    pub(crate) account: String,
    /// The repositories it sees; all of the account's when `None`.
    pub(crate) repositories: Option<BTreeSet<u64>>,
    pub(crate) created_at: Moment,
    pub(crate) suspended_at: Option<Moment>,
}

/// Holder and lifetime of a token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) holder: Holder,
    pub(crate) expires_at: Option<Moment>,
}

/// Holder and scope of a token.
#[derive(Clone, Debug)]
pub(crate) enum Holder {
    /// An installation, with the requested permissions and repositories.
    Installation { id: u64, permissions: Permissions, repositories: Option<BTreeSet<u64>> },
    /// A user: a fine-grained token if it has permissions, else a classic one with the scope
    /// `repo`.
    User { login: String, permissions: Option<Permissions>, repositories: Option<BTreeSet<u64>> },
}

/// A key pair for an App.
pub(crate) struct KeyPair {
    pub(crate) private_pem: String,
    pub(crate) public_der: Vec<u8>,
}

/// Creates a key pair. This takes a good part of a second, so don't hold the lock during it.
pub(crate) fn key_pair() -> Result<KeyPair, Box<dyn std::error::Error + Send + Sync>> {
    let private = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, KEY_BITS)?;
    Ok(KeyPair {
        private_pem: private.to_pkcs1_pem(LineEnding::LF)?.to_string(),
        public_der: private.to_public_key().to_pkcs1_der()?.into_vec(),
    })
}

impl State {
    /// Creates an App with its bot account.
    pub(crate) fn create_app(
        &mut self,
        profile: Profile,
        slug: &str,
        owner: &str,
        permissions: Permissions,
        events: Vec<String>,
        public_key: Vec<u8>,
    ) -> Result<u64, Refusal> {
        if self.apps.values().any(|app| app.slug == slug) {
            return Err(Refusal::Conflict(format!("an App {slug} exists already")));
        }
        check_permissions(&permissions)?;
        if let Some(event) = events.iter().find(|event| permission_for(event).is_none()) {
            let known = EVENTS.map(|(event, _)| event).join(", ");
            let message = format!("an App can't subscribe to `{event}`: name some of {known}");
            return Err(Refusal::invalid("App", "events", message));
        }
        self.put_user(&format!("{slug}[bot]"), AccountKind::Bot, None)?;
        let owner = self.ensure_user(owner).login;
        let id = self.ids.next(Kind::App);
        let mut permissions = permissions;
        permissions.entry("metadata".to_owned()).or_insert_with(|| "read".to_owned());
        let app = App {
            id,
            client_id: format!("Iv23li{}", random_text(14)),
            profile,
            slug: slug.to_owned(),
            owner,
            permissions,
            events,
            public_key,
            created_at: now(),
            hook: None,
        };
        self.apps.insert(id, app);
        Ok(id)
    }

    /// Installs an App on an account and sends the App an event.
    pub(crate) fn install(
        &mut self,
        app: u64,
        account: &str,
        repositories: Option<&[String]>,
    ) -> Result<u64, Refusal> {
        if !self.apps.contains_key(&app) {
            return Err(Refusal::Missing(format!("no App has the id {app}")));
        }
        let repositories = repositories.map(|names| self.repo_ids(names)).transpose()?;
        let account = self.ensure_user(account).login;
        let id = self.ids.next(Kind::Installation);
        let installation = Installation {
            id,
            app,
            account: account.clone(),
            repositories,
            created_at: now(),
            suspended_at: None,
        };
        self.installations.insert(id, installation);
        let body = payload::installation(self, id);
        self.emit_to_app(app, id, "installation", Some("created"), body, &account);
        Ok(id)
    }

    /// Returns the App of that slug.
    pub(crate) fn app_named(&self, slug: &str) -> Option<&App> {
        self.apps.values().find(|app| app.slug == slug)
    }

    /// Returns the ids of repositories named `owner/name`.
    pub(crate) fn repo_ids(&self, names: &[String]) -> Result<BTreeSet<u64>, Refusal> {
        names.iter().map(|name| Ok(self.named_repo(name)?.id)).collect()
    }

    /// Returns the App that owns check runs set by the control API: the first one there is.
    pub(crate) fn some_app(&self) -> Option<u64> {
        self.apps.keys().next().copied()
    }

    /// Returns whether an installation sees a repository.
    pub(crate) fn installation_sees(&self, installation: &Installation, repo: u64) -> bool {
        self.repos.get(&repo).is_some_and(|found| {
            found.owner.eq_ignore_ascii_case(&installation.account)
                && installation.repositories.as_ref().is_none_or(|ids| ids.contains(&repo))
        })
    }

    /// Creates an installation token. Returns the token and its expiry.
    pub(crate) fn installation_token(
        &mut self,
        id: u64,
        permissions: Permissions,
        repositories: Option<BTreeSet<u64>>,
    ) -> (String, Moment) {
        let limits = self.limiter.limits();
        let lifetime = i64::try_from(limits.token_lifetime_seconds).unwrap_or(3_600);
        let expires_at = now() + TimeDelta::seconds(lifetime);
        let token = format!("ghs_{}", random_text(limits.token_length.saturating_sub(4)));
        let holder = Holder::Installation { id, permissions, repositories };
        self.tokens.insert(token.clone(), Token { holder, expires_at: Some(expires_at) });
        (token, expires_at)
    }

    /// Creates a personal access token.
    pub(crate) fn personal_token(
        &mut self,
        user: &str,
        permissions: Option<Permissions>,
        repositories: Option<&[String]>,
        lifetime_seconds: Option<u64>,
    ) -> Result<String, Refusal> {
        if let Some(permissions) = &permissions {
            check_permissions(permissions)?;
        }
        let login = self.ensure_user(user).login;
        let repositories = repositories.map(|names| self.repo_ids(names)).transpose()?;
        let prefix = if permissions.is_some() { "github_pat_" } else { "ghp_" };
        let token = format!("{prefix}{}", random_text(if permissions.is_some() { 82 } else { 36 }));
        let expires_at = lifetime_seconds
            .and_then(|seconds| i64::try_from(seconds).ok())
            .map(|seconds| now() + TimeDelta::seconds(seconds));
        let holder = Holder::User { login, permissions, repositories };
        self.tokens.insert(token.clone(), Token { holder, expires_at });
        Ok(token)
    }
}

/// Rejects permissions that don't exist, so that a typo doesn't lead to a token without rights.
fn check_permissions(permissions: &Permissions) -> Result<(), Refusal> {
    for (name, level) in permissions {
        if !PERMISSIONS.contains(&name.as_str()) || !matches!(level.as_str(), "read" | "write" | "admin") {
            let message = format!("`{name}: {level}` is no permission of a GitHub App");
            return Err(Refusal::invalid("App", "permissions", message));
        }
    }
    Ok(())
}

/// Events to which an App can subscribe, each with the required permission; `ping` and
/// `installation` need no subscription.
const EVENTS: [(&str, &str); 8] = [
    ("check_run", "checks"),
    ("check_suite", "checks"),
    ("deployment", "deployments"),
    ("deployment_status", "deployments"),
    ("issue_comment", "issues"),
    ("pull_request", "pull_requests"),
    ("push", "contents"),
    ("status", "statuses"),
];

/// Returns the permission that a subscription to an event requires; `None` when no App can
/// subscribe to it.
pub(crate) fn permission_for(event: &str) -> Option<&'static str> {
    EVENTS.iter().find(|(name, _)| *name == event).map(|(_, permission)| *permission)
}

/// Repository permissions that the stand-in knows.
pub(crate) const PERMISSIONS: [&str; 12] = [
    "actions",
    "administration",
    "checks",
    "contents",
    "deployments",
    "environments",
    "issues",
    "metadata",
    "pull_requests",
    "repository_hooks",
    "statuses",
    "workflows",
];
