//! Accounts, Apps, installations and tokens.

use super::{Client, Result};
use crate::control::types::{
    Account, AccountKind, AppMade, Made, NewAccount, NewApp, NewInstallation, NewToken, Permissions,
    TokenMade,
};
use crate::show::segment;

impl Client {
    /// Creates an account, or changes the kind of an existing one with this login.
    pub async fn create_account(&self, login: &str, kind: AccountKind) -> Result<Account> {
        self.put(&format!("/users/{}", segment(login)), &NewAccount { kind, name: None }).await
    }

    /// Creates a GitHub App. This takes a moment, because it gets a real key.
    pub async fn create_app(&self, new: NewApp) -> Result<AppMade> {
        self.post("/apps", &new).await
    }

    /// Returns the id of an App's webhook, by the App's slug.
    pub async fn app_hook(&self, app: &str) -> Result<u64> {
        let made: Made = self.get(&format!("/apps/{app}/hook")).await?;
        Ok(made.id)
    }

    /// Installs an App on an account. Returns the installation's id.
    pub async fn install_app(&self, app: u64, new: NewInstallation) -> Result<u64> {
        let made: Made = self.post(&format!("/apps/{app}/installations"), &new).await?;
        Ok(made.id)
    }

    /// Suspends an installation: its tokens get 403.
    pub async fn suspend_installation(&self, id: u64) -> Result<()> {
        self.put(&format!("/installations/{id}/suspended"), &()).await
    }

    /// Ends an installation's suspension.
    pub async fn resume_installation(&self, id: u64) -> Result<()> {
        self.delete(&format!("/installations/{id}/suspended")).await
    }

    /// Creates a classic personal token with the scope `repo`.
    pub async fn create_classic_token(&self, user: &str) -> Result<String> {
        self.create_token(NewToken { user: user.to_owned(), ..NewToken::default() }).await
    }

    /// Creates a fine-grained personal token for all repositories that its user sees.
    pub async fn create_fine_grained_token(&self, user: &str, permissions: Permissions) -> Result<String> {
        let permissions = Some(permissions);
        self.create_token(NewToken { user: user.to_owned(), permissions, ..NewToken::default() }).await
    }

    /// Creates a personal token.
    pub async fn create_token(&self, new: NewToken) -> Result<String> {
        let made: TokenMade = self.post("/tokens", &new).await?;
        Ok(made.token)
    }

    /// Makes every installation token expire at once.
    pub async fn expire_installation_tokens(&self) -> Result<()> {
        self.delete("/tokens").await
    }
}
