//! The operator's identities on the stand-in: a user with a token, and an App.

use std::fs::File;
use std::io::Read as _;

use anyhow::{Context as _, Result};
use github_stand_in::control::Client;
use github_stand_in::control::types::{AccountKind, NewApp, NewInstallation, Permissions};

use super::OWNER;

/// The user whose token the operator has.
pub(super) const USER: &str = "matinee-bot";

/// Credentials that GitHub gives to the person who sets up Matinee.
pub(super) struct Accounts {
    pub(super) token: String,
    pub(super) app_id: u64,
    pub(super) private_key: String,
    pub(super) webhook_secret: String,
}

/// Creates the accounts.
pub(super) async fn make(github: Client) -> Result<Accounts> {
    github.create_account(OWNER, AccountKind::Organization).await?;
    github.create_account(USER, AccountKind::User).await?;
    let app = github
        .create_app(NewApp {
            slug: "matinee".to_owned(),
            owner: OWNER.to_owned(),
            permissions: permissions(),
            events: Vec::new(),
            // On the stage each GitHub repository has a webhook of its own, whose deliveries tests
            // can lose and double.
            webhook: None,
        })
        .await?;
    github.install_app(app.id, NewInstallation { account: OWNER.to_owned(), repositories: None }).await?;
    Ok(Accounts {
        token: github.create_classic_token(USER).await?,
        app_id: app.id,
        private_key: app.private_key,
        webhook_secret: random()?,
    })
}

/// Returns the App's permissions.
fn permissions() -> Permissions {
    [
        ("checks", "read"),
        ("contents", "read"),
        ("deployments", "write"),
        ("issues", "write"),
        ("metadata", "read"),
        ("pull_requests", "write"),
        ("statuses", "write"),
    ]
    .map(|(name, level)| (name.to_owned(), level.to_owned()))
    .into()
}

fn random() -> Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).context("/dev/urandom")?;
    Ok(hex::encode(bytes))
}
