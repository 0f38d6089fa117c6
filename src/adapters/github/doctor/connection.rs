//! Checks a connection to GitHub: its credentials, and the App's installations and their
//! permissions.

use jiff::SignedDuration;
use kube::ResourceExt as _;

use super::deliveries::{self, Delivery, Hook};
use crate::adapters::github::doctor::app_permissions::{self, Permissions, Uses};
use crate::api::PreviewRepository;
use crate::core::doctor::{Finding, Subject, some_of};

/// Largest clock difference that GitHub accepts: an App's token is dated one minute back.
const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(30);
/// Most objects that one finding names.
const NAMED: usize = 3;

/// The observations through one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// By how much this machine's clock is ahead of GitHub's; `None` when GitHub didn't answer.
    pub ahead: Option<SignedDuration>,
    /// The identity, or why it is unknown.
    pub identity: Option<Result<Identity, String>>,
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
    /// Scopes of a classic token; `None` for others.
    pub scopes: Option<Vec<String>>,
    /// Rate limit of the token, if GitHub reported it.
    pub rate: Option<Rate>,
}

/// A rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests per hour.
    pub limit: u64,
    /// Requests that remain now.
    pub remaining: u64,
}

/// A GitHub App.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct App {
    /// Its name in URLs.
    pub slug: String,
    /// URL of the App's settings.
    pub settings: String,
    /// Permissions that the App requests.
    pub permissions: Permissions,
    /// Events that the App is subscribed to.
    pub events: Vec<String>,
    /// The only installation to use, if the Secret names one.
    pub only: Option<u64>,
    /// The App's installations, or why they are unknown.
    pub installations: Option<Result<Vec<Installation>, String>>,
    /// The App's webhook, or why it is unknown. The inner `None` means that there is no webhook.
    pub hook: Option<Result<Option<Hook>, String>>,
    /// The App's newest webhook deliveries, newest first.
    pub deliveries: Option<Result<Vec<Delivery>, String>>,
}

/// An installation of the App.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installation {
    /// Id of the installation.
    pub id: u64,
    /// The account on which the App is installed.
    pub account: String,
    /// URL of the installation's settings.
    pub settings: String,
    /// Permissions that the account accepted.
    pub permissions: Permissions,
    /// Whether it is suspended.
    pub suspended: bool,
    /// Rate limit of the installation, or why no token could be obtained; `None` when none was
    /// requested.
    pub rate: Option<Result<Rate, String>>,
}

/// Checks a connection that serves these PreviewRepositories.
pub fn check(observed: &Observed, repositories: &[PreviewRepository], uses: &Uses) -> Vec<Finding> {
    let subject = Subject::new("credentials");
    let mut findings = match &observed.identity {
        None => vec![subject.skipped("not checked: the Secret can't be read or used, see above")],
        Some(Err(why)) => vec![subject.problem(why, rejected(why))],
        Some(Ok(Identity::Token(token))) => of_token(&subject, token),
        Some(Ok(Identity::App(app))) => {
            let mut findings = vec![subject.ok(format!("valid for the App {}", app.slug))];
            findings.extend(app_permissions::permissions(&app.permissions, &app.events, &app.settings, uses));
            findings.extend(installations(app, repositories, uses));
            findings.extend(webhook(app, uses));
            findings
        }
    };
    if let Some(ahead) = observed.ahead {
        let is_app = !matches!(observed.identity, Some(Ok(Identity::Token(_))));
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
        Some(scopes) if scopes.iter().any(|scope| scope == "repo") => {
            permissions.ok("classic token with the scope repo; an App would need less")
        }
        Some(scopes) => permissions.problem(
            format!("classic token without the scope repo (it has: {})", some_of(scopes, 5)),
            "create one with the scope repo; or better an App, or a fine-grained token",
        ),
        None => permissions.skipped(
            "unknown: GitHub reports them of classic tokens only; see the condition Synced of each PreviewRepository",
        ),
    });
    findings.extend(token.rate.map(|rate| rate_limit("rate limit", rate)));
    findings.push(Subject::new("webhook").skipped(
        "not checked: only administrators of a repository may read its webhooks; see its settings under Webhooks, Recent deliveries",
    ));
    findings
}

fn rate_limit(what: impl Into<String>, rate: Rate) -> Finding {
    let subject = Subject::new(what);
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
    let all = match &app.installations {
        None => return Vec::new(),
        Some(Err(why)) => {
            return vec![subject.problem(format!("can't be listed: {why}"), "run the doctor again")];
        }
        Some(Ok(all)) => all,
    };
    let install = format!("install it: {}/installations", app.settings);
    let chosen: Vec<&Installation> =
        all.iter().filter(|one| app.only.is_none_or(|only| only == one.id)).collect();
    if chosen.is_empty() {
        return vec![match app.only {
            Some(id) => subject.problem(
                format!("the App has no installation {id}"),
                "correct installationId in the Secret, or remove it: Matinee finds the installation by the repository",
            ),
            None => subject.problem("the App is not installed", install),
        }];
    }
    let serves = |one: &Installation, repository: &PreviewRepository| {
        let owner = repository.spec.repository.split('/').next().unwrap_or_default();
        one.account.eq_ignore_ascii_case(owner)
    };
    let mut findings = Vec::new();
    let left_out: Vec<String> = repositories
        .iter()
        .filter(|repository| !chosen.iter().any(|one| serves(one, repository)))
        .map(|repository| {
            let (namespace, name) = (repository.namespace().unwrap_or_default(), repository.name_any());
            format!("PreviewRepository {namespace}/{name} ({})", repository.spec.repository)
        })
        .collect();
    if !left_out.is_empty() {
        findings.push(subject.problem(
            format!("the App is not installed on the owner of {}", some_of(left_out, NAMED)),
            format!("{install}; or correct spec.repository"),
        ));
    }
    for one in &chosen {
        let is_needed = repositories.iter().any(|repository| serves(one, repository));
        findings.extend(suspended(&subject, one, is_needed));
        findings.extend(pending(&subject, app, one, is_needed, uses));
    }
    if findings.is_empty() {
        findings.push(subject.ok(format!("on {}", some_of(chosen.iter().map(|one| &one.account), 5))));
    }
    for one in chosen {
        let what = format!("rate limit of the installation on {}", one.account);
        match &one.rate {
            Some(Ok(rate)) => findings.push(rate_limit(what, *rate)),
            // Another finding reports the suspension already.
            Some(Err(_)) if one.suspended => {}
            Some(Err(why)) => findings.push(
                Subject(what).problem(format!("can't get a token: {why}"), format!("see {}", one.settings)),
            ),
            None => {}
        }
    }
    findings
}

/// Creates a problem if a PreviewRepository needs the installation, otherwise a warning.
fn trouble(subject: &Subject, is_needed: bool, message: String, remedy: String) -> Finding {
    if is_needed { subject.problem(message, remedy) } else { subject.warning(message, remedy) }
}

fn suspended(subject: &Subject, one: &Installation, is_needed: bool) -> Option<Finding> {
    let remedy = format!("ask its owner to unsuspend it: {}", one.settings);
    one.suspended.then(|| {
        trouble(subject, is_needed, format!("the installation on {} is suspended", one.account), remedy)
    })
}

/// Reports permissions that the App requests and this account hasn't accepted.
fn pending(
    subject: &Subject,
    app: &App,
    one: &Installation,
    is_needed: bool,
    uses: &Uses,
) -> Option<Finding> {
    let rank = |level: Option<&String>| match level.map(String::as_str) {
        None => 0,
        Some("read") => 1,
        Some("write") => 2,
        Some(_) => 3,
    };
    let open: Vec<String> = app
        .permissions
        .iter()
        .filter(|(word, level)| rank(one.permissions.get(*word)) < rank(Some(level)))
        .map(|(word, level)| format!("{word}: {level}"))
        .collect();
    let message = format!("{} hasn't accepted the App's new permissions: {}", one.account, open.join(", "));
    let remedy = format!("ask its owner to accept them: {}", one.settings);
    let is_needed = is_needed && !app_permissions::missing(&one.permissions, uses).is_empty();
    (!open.is_empty()).then(|| trouble(subject, is_needed, message, remedy))
}

fn webhook(app: &App, uses: &Uses) -> Vec<Finding> {
    let again = "run the doctor again";
    let hook = match &app.hook {
        None => return Vec::new(),
        Some(Err(why)) => {
            return vec![Subject::new("webhook").problem(format!("can't be read: {why}"), again)];
        }
        Some(Ok(hook)) => hook.as_ref(),
    };
    let mut findings = deliveries::hook(hook, &app.settings);
    if hook.is_some_and(|hook| !hook.url.is_empty()) {
        findings.extend(app_permissions::events(&app.events, &app.settings, uses));
        findings.extend(app.deliveries.as_ref().map(|all| match all {
            Ok(all) => deliveries::deliveries(all, &app.settings),
            Err(why) => Subject::new("deliveries").problem(format!("can't be listed: {why}"), again),
        }));
    }
    findings
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
