//! Checks a connection to GitHub: its credentials, and the App's installations and their
//! permissions.

use jiff::SignedDuration;
use serde::Deserialize;

use super::deliveries::{self, Delivery, Hook};
use crate::adapters::github::doctor::app_permissions::{self, Permissions, Uses};
use crate::api::PreviewRepository;
use crate::core::doctor::{Finding, Subject, some_of};

/// Largest clock difference that GitHub accepts: an App's token is dated one minute back.
const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(30);

/// The identity that Matinee has on GitHub, with everything that GitHub reports about it.
#[derive(Clone, Debug)]
pub enum Identity {
    /// A valid token of a user. `login` is `None` when the token may not read it, and `scopes` when
    /// it isn't a classic token.
    Token {
        login: Option<String>,
        scopes: Option<String>,
    },
    App(Box<App>),
}

/// A user or an organization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Login {
    pub login: String,
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Clone, Debug)]
pub struct App {
    pub registration: Registration,
    /// The only installation to use, if the Secret names one.
    pub only: Option<u64>,
    /// The App's installations; at most the one to use, if the Secret names one.
    pub installations: Vec<Installation>,
    pub hook: Option<Hook>,
    /// The App's newest webhook deliveries, newest first.
    pub deliveries: Vec<Delivery>,
}

/// The App itself. <https://docs.github.com/rest/apps/apps#get-the-authenticated-app>
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Registration {
    pub slug: String,
    pub owner: Option<Login>,
    pub html_url: String,
    /// Permissions that the App requests.
    pub permissions: Permissions,
    pub events: Vec<String>,
}

impl Registration {
    /// Returns the URL of the App's settings: `https://github.com/settings/apps/<slug>`, or the one
    /// below its organization.
    pub fn settings(&self) -> String {
        let host = self.html_url.split('/').take(3).collect::<Vec<_>>().join("/");
        match &self.owner {
            Some(owner) if owner.kind == "Organization" => {
                format!("{host}/organizations/{}/settings/apps/{}", owner.login, self.slug)
            }
            _ => format!("{host}/settings/apps/{}", self.slug),
        }
    }
}

/// An installation of the App.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Installation {
    pub id: u64,
    pub account: Option<Login>,
    /// URL of the installation's settings.
    pub html_url: String,
    /// Permissions that the account accepted.
    pub permissions: Permissions,
    pub suspended_at: Option<String>,
}

/// Checks a connection that serves these PreviewRepositories. `identity` is the reason if it is
/// unknown, and `ahead` by how much this machine's clock is ahead of GitHub's, if GitHub answered.
pub fn check(
    identity: &Result<Identity, String>,
    ahead: Option<SignedDuration>,
    repositories: &[PreviewRepository],
    uses: &Uses,
) -> Vec<Finding> {
    let subject = Subject::new("credentials");
    let mut findings = match identity {
        Err(why) => vec![subject.problem(why, rejected(why))],
        Ok(Identity::Token { login, scopes }) => of_token(&subject, login.as_deref(), scopes.as_deref()),
        Ok(Identity::App(app)) => {
            let App { registration, hook, deliveries, .. } = &**app;
            let mut findings = vec![subject.ok(format!("valid for the App {}", registration.slug))];
            findings.extend(app_permissions::permissions(registration, uses));
            findings.extend(installations(app, repositories, uses));
            findings.push(deliveries::hook(hook.as_ref(), &registration.settings()));
            if hook.is_some() {
                findings.extend(app_permissions::events(registration, uses));
                findings.push(deliveries::deliveries(deliveries, &registration.settings()));
            }
            findings
        }
    };
    if let Some(ahead) = ahead {
        findings.insert(1, clock(ahead, !matches!(identity, Ok(Identity::Token { .. }))));
    }
    findings
}

/// Returns the remedy for credentials that GitHub rejects.
fn rejected(why: &str) -> &'static str {
    if why.contains("'iat'") || why.contains("'exp'") {
        "set this machine's clock: it differs too much from GitHub's"
    } else if why.contains("did not answer") {
        "check spec.forge.github.url, and that this machine can reach it: DNS, proxy, firewall, certificate authorities"
    } else {
        "put a valid token, or the App's appId and privateKey, into the Secret; spec.forge.github.url must be of the same GitHub"
    }
}

fn clock(ahead: SignedDuration, is_app: bool) -> Finding {
    let subject = Subject::new("clock");
    if ahead.abs() <= CLOCKS_APART {
        return subject.ok("this machine's clock agrees with GitHub's");
    }
    let side = if ahead.is_negative() { "behind" } else { "ahead of" };
    let message = format!("this machine's clock is {} s {side} GitHub's", ahead.abs().as_secs());
    let remedy = "synchronize it, for example with NTP: GitHub rejects an App whose clock is a minute ahead";
    if is_app && ahead.abs() > CLOCKS_APART * 2 {
        subject.problem(message, remedy)
    } else {
        subject.warning(message, remedy)
    }
}

fn of_token(credentials: &Subject, login: Option<&str>, scopes: Option<&str>) -> Vec<Finding> {
    let permissions = Subject::new("permissions");
    let permissions = match scopes {
        Some(scopes) if scopes.split(',').any(|scope| scope.trim() == "repo") => {
            permissions.ok("classic token with the scope repo; an App would need less")
        }
        Some(scopes) => permissions.problem(
            format!("classic token without the scope repo (it has: {scopes})"),
            "create one with the scope repo; or better an App, or a fine-grained token",
        ),
        None => permissions.skipped(
            "unknown: GitHub reports them of classic tokens only; see the condition Synced of each PreviewRepository",
        ),
    };
    let webhook = Subject::new("webhook").skipped(
        "not checked: only administrators of a repository may read its webhooks; see its settings under Webhooks, Recent deliveries",
    );
    let user = login.unwrap_or("an unknown user");
    vec![credentials.ok(format!("valid token of {user}")), permissions, webhook]
}

fn installations(app: &App, repositories: &[PreviewRepository], uses: &Uses) -> Vec<Finding> {
    let subject = Subject::new("installations");
    if let (Some(id), []) = (app.only, &*app.installations) {
        return vec![subject.problem(
            format!("the App has no installation {id}"),
            "correct installationId in the Secret, or remove it: Matinee finds the installation by the repository",
        )];
    }
    if app.installations.is_empty() {
        let install = format!("install it: {}/installations", app.registration.settings());
        return vec![subject.problem("the App is not installed", install)];
    }
    let mut findings = Vec::new();
    for one in &app.installations {
        let account = one.account.as_ref().map_or("an unknown account", |account| &account.login);
        let is_needed = repositories.iter().any(|repository| {
            let owner = repository.spec.repository.split('/').next();
            owner.is_some_and(|owner| owner.eq_ignore_ascii_case(account))
        });
        // Without a PreviewRepository that needs it, nothing fails yet.
        let trouble = |is_needed, message: String, remedy: String| {
            if is_needed { subject.problem(message, remedy) } else { subject.warning(message, remedy) }
        };
        if one.suspended_at.is_some() {
            findings.push(trouble(
                is_needed,
                format!("the installation on {account} is suspended"),
                format!("ask its owner to unsuspend it: {}", one.html_url),
            ));
        }
        let open = app_permissions::above(&app.registration.permissions, |word| {
            app_permissions::granted(&one.permissions, word)
        });
        if !open.is_empty() {
            findings.push(trouble(
                is_needed && app_permissions::are_insufficient(&one.permissions, uses),
                format!("{account} hasn't accepted the App's new permissions: {}", open.join(", ")),
                format!("ask its owner to accept them: {}", one.html_url),
            ));
        }
    }
    if findings.is_empty() {
        let accounts = app.installations.iter().flat_map(|one| &one.account).map(|account| &account.login);
        findings.push(subject.ok(format!("on {}", some_of(accounts, 5))));
    }
    findings
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
