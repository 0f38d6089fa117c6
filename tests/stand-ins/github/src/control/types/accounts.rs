//! Accounts, Apps, installations and tokens.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::control::types::NewHook;

/// Permissions by name, each `read`, `write` or `admin`: `{"deployments": "write"}`.
pub type Permissions = BTreeMap<String, String>;

/// Kind of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountKind {
    /// A person.
    #[default]
    User,
    /// An organization.
    Organization,
    /// A bot; its login ends in `[bot]`.
    Bot,
}

/// An account to create.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// Its kind; a user when left out.
    #[serde(default, rename = "type")]
    pub kind: AccountKind,
    /// Its display name.
    #[serde(default)]
    pub name: Option<String>,
}

/// An account that was created.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    /// Its number.
    pub id: u64,
    /// Its login.
    pub login: String,
}

/// A GitHub App to create.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewApp {
    /// Its name in URLs, such as `matinee`.
    pub slug: String,
    /// The account that owns it; created if missing.
    pub owner: String,
    /// The permissions of its installations.
    pub permissions: Permissions,
    /// The webhook events it gets, when it has a webhook.
    #[serde(default)]
    pub events: Vec<String>,
    /// Its webhook.
    #[serde(default)]
    pub webhook: Option<NewHook>,
}

/// A GitHub App that was created.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AppMade {
    /// Its number, a JWT's `iss`.
    pub id: u64,
    /// Its client id, also valid as a JWT's `iss`.
    pub client_id: String,
    /// Its name in URLs.
    pub slug: String,
    /// The login of its bot, `<slug>[bot]`.
    pub bot: String,
    /// Its private key, PKCS #1 in PEM, as GitHub hands it out.
    pub private_key: String,
    /// The number of its webhook, when it has one.
    pub hook: Option<u64>,
}

/// An installation of an App to create.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewInstallation {
    /// The account it is installed on.
    pub account: String,
    /// The repositories it sees, as `owner/name`; all of the account's when left out.
    #[serde(default)]
    pub repositories: Option<Vec<String>>,
}

/// The number of a created object.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Made {
    /// Its number.
    pub id: u64,
}

/// A personal access token to create.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// The token's user; the account is created if missing.
    pub user: String,
    /// A fine-grained token's permissions; a classic token with the scope `repo` when left out.
    #[serde(default)]
    pub permissions: Option<Permissions>,
    /// The repositories a fine-grained token sees, as `owner/name`; all the user's when left out.
    #[serde(default)]
    pub repositories: Option<Vec<String>>,
    /// Seconds until it expires; never when left out.
    #[serde(default)]
    pub lifetime_seconds: Option<u64>,
}

/// A token that was created.
#[derive(Clone, Serialize, Deserialize)]
pub struct TokenMade {
    /// The token itself.
    pub token: String,
}
