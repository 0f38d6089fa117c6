//! Accounts, Apps, installations and tokens.

use super::{Client, Result};
use crate::control::types::{
    Account, AccountKind, AppMade, Made, NewAccount, NewApp, NewInstallation, NewToken, Permissions,
    TokenMade,
};
use crate::show::segment;

impl Client {
    /// Makes an account, or changes what the one with this login is.
    pub async fn create_account(&self, login: &str, kind: AccountKind) -> Result<Account> {
        self.put(&format!("/users/{}", segment(login)), &NewAccount { kind, name: None }).await
    }

    /// Makes a GitHub App. Takes a moment: its key is a real one.
    pub async fn create_app(&self, new: NewApp) -> Result<AppMade> {
        self.post("/apps", &new).await
    }

    /// The id of the webhook of an App, by its slug.
    pub async fn app_hook(&self, app: &str) -> Result<u64> {
        let made: Made = self.get(&format!("/apps/{app}/hook")).await?;
        Ok(made.id)
    }

    /// Installs an App on an account; answers the installation's id.
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

    /// Makes a classic personal token with the scope `repo`.
    pub async fn create_classic_token(&self, user: &str) -> Result<String> {
        self.create_token(NewToken { user: user.to_owned(), ..NewToken::default() }).await
    }

    /// Makes a fine-grained personal token for all repositories its user sees.
    pub async fn create_fine_grained_token(&self, user: &str, permissions: Permissions) -> Result<String> {
        let permissions = Some(permissions);
        self.create_token(NewToken { user: user.to_owned(), permissions, ..NewToken::default() }).await
    }

    /// Makes a personal token.
    pub async fn create_token(&self, new: NewToken) -> Result<String> {
        let made: TokenMade = self.post("/tokens", &new).await?;
        Ok(made.token)
    }

    /// Makes every installation token expire at once.
    pub async fn expire_installation_tokens(&self) -> Result<()> {
        self.delete("/tokens").await
    }
}
