//! Checks a connection to GitHub: its credentials, and the App's installations and their
//! permissions.

use jiff::SignedDuration;
use serde::Deserialize;

use super::deliveries::{self, Delivery, Hook};
use crate::adapters::github::doctor::app_permissions::{self, Permissions, Uses};
use crate::adapters::github::permissions::Level;
use crate::api::PreviewRepository;
use crate::core::doctor::{Finding, Subject};

/// Largest clock difference that GitHub accepts: an App's token is dated one minute back.
const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(30);

/// The observations through one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// By how much this machine's clock is ahead of GitHub's; `None` when GitHub didn't answer.
    pub ahead: Option<SignedDuration>,
    /// The identity, or why it is unknown.
    pub identity: Result<Identity, String>,
}

/// The identity that Matinee has on GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A token of a user.
    Token(Token),
    /// A GitHub App.
    App(Box<App>),
}

/// A valid token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Token {
    /// Login of the token's user; `None` when the token may not read it.
    pub login: Option<String>,
    /// Scopes of a classic token, separated by commas; `None` for others.
    pub scopes: Option<String>,
    /// Rate limit of the token, if GitHub reported it.
    pub rate: Option<Rate>,
}

/// A rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Rate {
    /// Requests per hour.
    pub limit: u64,
    /// Requests that remain now.
    pub remaining: u64,
}

/// A user or an organization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Login {
    /// Its name.
    pub login: String,
    /// `User` or `Organization`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A GitHub App, with everything that it may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// The App itself.
    pub registration: Registration,
    /// The only installation to use, if the Secret names one.
    pub only: Option<u64>,
    /// The App's installations; at most the one to use, if the Secret names one.
    pub installations: Vec<Installation>,
    /// The App's webhook. GitHub may also report one without a URL.
    pub hook: Option<Hook>,
    /// The App's newest webhook deliveries, newest first.
    pub deliveries: Vec<Delivery>,
}

/// A GitHub App. <https://docs.github.com/rest/apps/apps#get-the-authenticated-app>
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Registration {
    /// Its name in URLs.
    pub slug: String,
    /// The account that owns it.
    pub owner: Option<Login>,
    /// URL of its public page.
    pub html_url: String,
    /// Permissions that the App requests.
    pub permissions: Permissions,
    /// Events that the App is subscribed to.
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
    /// Id of the installation.
    pub id: u64,
    /// The account on which the App is installed.
    pub account: Option<Login>,
    /// URL of the installation's settings.
    pub html_url: String,
    /// Permissions that the account accepted.
    pub permissions: Permissions,
    /// Rate limit of the installation, or why no token could be obtained; `None` when none was
    /// requested.
    #[serde(skip)]
    pub rate: Option<Result<Rate, String>>,
}

/// Checks a connection that serves these PreviewRepositories.
pub fn check(observed: &Observed, repositories: &[PreviewRepository], uses: &Uses) -> Vec<Finding> {
    let subject = Subject::new("credentials");
    let mut findings = match &observed.identity {
        Err(why) => vec![subject.problem(why, rejected(why))],
        Ok(Identity::Token(token)) => of_token(&subject, token),
        Ok(Identity::App(app)) => {
            let App { registration, hook, deliveries, .. } = &**app;
            let mut findings = vec![subject.ok(format!("valid for the App {}", registration.slug))];
            findings.extend(app_permissions::permissions(registration, uses));
            findings.extend(installations(app, repositories, uses));
            findings.extend(deliveries::hook(hook.as_ref(), &registration.settings()));
            if hook.as_ref().is_some_and(Hook::has_url) {
                findings.extend(app_permissions::events(registration, uses));
                findings.push(deliveries::deliveries(deliveries, &registration.settings()));
            }
            findings
        }
    };
    if let Some(ahead) = observed.ahead {
        let is_app = !matches!(observed.identity, Ok(Identity::Token(_)));
        findings.insert(1, clock(ahead, is_app));
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

fn of_token(credentials: &Subject, token: &Token) -> Vec<Finding> {
    let user = token.login.as_deref().unwrap_or("an unknown user");
    let permissions = Subject::new("permissions");
    let mut findings = vec![credentials.ok(format!("valid token of {user}"))];
    findings.push(match &token.scopes {
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
    });
    findings.extend(token.rate.map(|rate| rate_limit(&Subject::new("rate limit"), rate)));
    findings.push(Subject::new("webhook").skipped(
        "not checked: only administrators of a repository may read its webhooks; see its settings under Webhooks, Recent deliveries",
    ));
    findings
}

fn rate_limit(subject: &Subject, rate: Rate) -> Finding {
    let message = format!("{} of {} requests remain this hour", rate.remaining, rate.limit);
    if rate.remaining.saturating_mul(10) < rate.limit {
        subject.warning(
            message,
            "raise --sweep-interval, set up webhooks, or create separate credentials for other programs that use these",
        )
    } else {
        subject.ok(message)
    }
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
    let serves = |account: &str, repository: &PreviewRepository| {
        let owner = repository.spec.repository.split('/').next();
        owner.is_some_and(|owner| owner.eq_ignore_ascii_case(account))
    };
    let of = |one: &Installation| {
        let account = one.account.as_ref().map_or("an unknown account", |account| &account.login);
        let is_needed = repositories.iter().any(|repository| serves(account, repository));
        installation(account, one, app, is_needed, uses)
    };
    app.installations.iter().flat_map(of).collect()
}

/// Checks one installation. Its failures are problems if it serves a PreviewRepository, and
/// otherwise warnings.
fn installation(account: &str, one: &Installation, app: &App, is_needed: bool, uses: &Uses) -> Vec<Finding> {
    let subject = Subject::new(format!("installation on {account}"));
    let trouble = |is_needed, message: String, remedy: String| {
        if is_needed { subject.problem(message, remedy) } else { subject.warning(message, remedy) }
    };
    let mut findings = vec![match &one.rate {
        None => subject.ok("installed"),
        Some(Ok(rate)) => rate_limit(&subject, *rate),
        Some(Err(why)) => {
            trouble(is_needed, format!("can't get a token: {why}"), format!("see {}", one.html_url))
        }
    }];
    let level = |level: Option<&String>| level.and_then(|level| Level::of(level));
    let requested = app.registration.permissions.iter();
    let open: Vec<String> = requested
        .filter(|(word, requested)| level(one.permissions.get(*word)) < level(Some(requested)))
        .map(|(word, level)| format!("{word}: {level}"))
        .collect();
    if !open.is_empty() {
        findings.push(trouble(
            is_needed && app_permissions::are_insufficient(&one.permissions, uses),
            format!("{account} hasn't accepted the App's new permissions: {}", open.join(", ")),
            format!("ask its owner to accept them: {}", one.html_url),
        ));
    }
    findings
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
