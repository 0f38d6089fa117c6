//! Users, organizations and bots.

use crate::state::ids::Kind as Id;
use crate::state::{Moment, Refusal, State, now};

/// The account that replaces deleted accounts.
pub(crate) const GHOST: &str = "ghost";

pub use crate::control::types::AccountKind;

/// An account.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) login: String,
    pub(crate) kind: AccountKind,
    pub(crate) name: Option<String>,
    pub(crate) created_at: Moment,
}

impl State {
    /// Returns the account with this login; the case doesn't matter.
    pub(crate) fn user(&self, login: &str) -> Option<&User> {
        self.users.get(&login.to_lowercase())
    }

    /// Adds an account or changes the kind and name of the one with this login.
    pub(crate) fn put_user(
        &mut self,
        login: &str,
        kind: AccountKind,
        name: Option<String>,
    ) -> Result<User, Refusal> {
        if !is_login(login) {
            return Err(Refusal::invalid(
                "User",
                "login",
                format!(
                    "`{login}` is no login: use letters, digits and single hyphens, and `[bot]` for bots"
                ),
            ));
        }
        let id = match self.user(login) {
            Some(user) => user.id,
            None => self.ids.next(Id::User),
        };
        let user = User { id, login: login.to_owned(), kind, name, created_at: now() };
        self.users.insert(login.to_lowercase(), user.clone());
        Ok(user)
    }

    /// Returns the account with this login, which is created if missing: a bot when the login ends
    /// in `[bot]`, else a user.
    pub(crate) fn ensure_user(&mut self, login: &str) -> User {
        if let Some(user) = self.user(login) {
            return user.clone();
        }
        let kind = if login.ends_with("[bot]") { AccountKind::Bot } else { AccountKind::User };
        let user = User {
            id: self.ids.next(Id::User),
            login: login.to_owned(),
            kind,
            name: None,
            created_at: now(),
        };
        self.users.insert(login.to_lowercase(), user.clone());
        user
    }
}

fn is_login(login: &str) -> bool {
    let stem = login.strip_suffix("[bot]").unwrap_or(login);
    !stem.is_empty()
        && stem.len() <= 39
        && stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        && !RESERVED.contains(&stem.to_lowercase().as_str())
        && !SETTINGS.contains(&stem.to_lowercase().as_str())
}

/// First path segments of pages that are not an account's.
pub(crate) const SETTINGS: [&str; 2] = ["settings", "organizations"];

/// First path segments of the REST API, which are not an account's page.
pub(crate) const RESERVED: [&str; 17] = [
    "repos",
    "repositories",
    "users",
    "user",
    "orgs",
    "app",
    "apps",
    "app-manifests",
    "installation",
    "installations",
    "rate_limit",
    "meta",
    "zen",
    "_control",
    "api",
    "versions",
    "_assets",
];
