//! Checks a connection to GitHub: its credentials, and the App's installations and their
//! permissions.

use jiff::SignedDuration;
use kube::ResourceExt as _;

use super::deliveries::{self, Delivery, Hook};
use crate::adapters::github::doctor::app_permissions::{self, Permissions, Uses};
use crate::api::PreviewRepository;
use crate::core::doctor::kubernetes::off;
use crate::core::doctor::{Finding, some_of};

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

/// Judges a connection that serves these PreviewRepositories.
pub fn check(observed: &Observed, repositories: &[PreviewRepository], uses: &Uses) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &observed.identity {
        None => findings.push(Finding::skipped(
            "credentials",
            "not tried: the Secret can't be used, or not read, as told above",
        )),
        Some(Err(why)) => findings.push(refused(why)),
        Some(Ok(Identity::Token(token))) => findings.extend(of_token(token)),
        Some(Ok(Identity::App(app))) => {
            findings.push(Finding::ok("credentials", format!("GitHub takes them for the App {}", app.slug)));
            findings.extend(app_permissions::permissions(&app.permissions, &app.events, &app.settings, uses));
            findings.extend(installations(app, repositories, uses));
            findings.extend(webhook(app, uses));
        }
    }
    if let Some(ahead) = observed.ahead {
        let is_app = !matches!(observed.identity, Some(Ok(Identity::Token(_))));
        findings.insert(1.min(findings.len()), clock(ahead, is_app));
    }
    findings
}

fn refused(why: &str) -> Finding {
    let remedy = if why.contains("'iat'") || why.contains("'exp'") {
        "set this machine's clock: it differs too much from GitHub's"
    } else if why.contains("did not answer") {
        "see whether spec.forge.github.url is right and reached from here: DNS, proxy, firewall, certificate authorities"
    } else {
        "put a valid token, or the App's appId and privateKey, into the Secret; and see that spec.forge.github.url is theirs"
    };
    Finding::problem("credentials", why, remedy)
}

fn clock(ahead: SignedDuration, is_app: bool) -> Finding {
    const WHAT: &str = "clock";
    if ahead.abs() <= CLOCKS_APART {
        return Finding::ok(WHAT, "this machine's clock agrees with GitHub's");
    }
    let message = format!("this machine's clock is {}", off(ahead, "GitHub's"));
    let remedy = "have it keep time by NTP: GitHub refuses an App whose clock is a minute ahead";
    if is_app && ahead.abs() > CLOCKS_APART * 2 {
        Finding::problem(WHAT, message, remedy)
    } else {
        Finding::warning(WHAT, message, remedy)
    }
}

fn of_token(token: &Token) -> Vec<Finding> {
    let whose = token.login.as_ref().map_or_else(String::new, |login| format!(" of {login}"));
    let mut findings = vec![Finding::ok("credentials", format!("GitHub takes the token{whose}"))];
    findings.push(match &token.scopes {
        Some(scopes) if scopes.iter().any(|scope| scope == "repo") => {
            Finding::ok("permissions", "a classic token with the scope repo; an App would need less")
        }
        Some(scopes) => Finding::problem(
            "permissions",
            format!("a classic token without the scope repo (it has: {})", some_of(scopes, 5)),
            "make one with the scope repo; or better an App, or a fine-grained token",
        ),
        None => Finding::skipped(
            "permissions",
            "GitHub tells only of classic tokens what they may do: the condition Synced of each PreviewRepository says whether it can be read",
        ),
    });
    findings.extend(token.rate.map(|rate| rate_limit("rate limit", rate)));
    findings.push(Finding::skipped(
        "webhook",
        "webhooks of repositories can be read with administration rights only: see their settings, Webhooks, Recent deliveries",
    ));
    findings
}

fn rate_limit(what: impl Into<String>, rate: Rate) -> Finding {
    let message = format!("{} of {} requests are left this hour", rate.remaining, rate.limit);
    if rate.remaining.saturating_mul(10) < rate.limit {
        Finding::warning(
            what,
            message,
            "raise --sweep-interval, have webhooks delivered, or give credentials of its own to whoever else uses these",
        )
    } else {
        Finding::ok(what, message)
    }
}

fn installations(app: &App, repositories: &[PreviewRepository], uses: &Uses) -> Vec<Finding> {
    const WHAT: &str = "installations";
    let all = match &app.installations {
        None => return Vec::new(),
        Some(Err(why)) => {
            return vec![Finding::problem(WHAT, format!("could not be listed: {why}"), "run it again")];
        }
        Some(Ok(all)) => all,
    };
    let install = format!("install it: {}/installations", app.settings);
    let chosen: Vec<&Installation> =
        all.iter().filter(|one| app.only.is_none_or(|only| only == one.id)).collect();
    if chosen.is_empty() {
        return vec![match app.only {
            Some(id) => Finding::problem(
                WHAT,
                format!("the App has no installation {id}"),
                "correct installationId in the Secret, or remove it: the installation is found by the repository",
            ),
            None => Finding::problem(WHAT, "the App is installed nowhere", install),
        }];
    }
    let owner_of = |repository: &PreviewRepository| {
        repository.spec.repository.split('/').next().unwrap_or_default().to_owned()
    };
    let serves = |one: &Installation, repository: &PreviewRepository| {
        one.account.eq_ignore_ascii_case(&owner_of(repository))
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
        findings.push(Finding::problem(
            WHAT,
            format!("not installed where {} needs it", some_of(&left_out, NAMED)),
            format!("{install}; or correct spec.repository"),
        ));
    }
    let accounts: Vec<&str> = chosen.iter().map(|one| one.account.as_str()).collect();
    for one in &chosen {
        let needed = repositories.iter().any(|repository| serves(one, repository));
        findings.extend(suspended(one, needed));
        findings.extend(pending(app, one, needed, uses));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(WHAT, format!("on {}", some_of(&accounts, 5))));
    }
    for one in chosen {
        let what = format!("rate limit of the installation on {}", one.account);
        match &one.rate {
            Some(Ok(rate)) => findings.push(rate_limit(what, *rate)),
            // Another finding reports the suspension already.
            Some(Err(_)) if one.suspended => {}
            Some(Err(why)) => findings.push(Finding::problem(
                what,
                format!("there is no token for it: {why}"),
                format!("see {}", one.settings),
            )),
            None => {}
        }
    }
    findings
}

fn suspended(one: &Installation, needed: bool) -> Option<Finding> {
    one.suspended.then(|| {
        let message = format!("the one on {} is suspended", one.account);
        let remedy = format!("have its owner end the suspension: {}", one.settings);
        if needed {
            Finding::problem("installations", message, remedy)
        } else {
            Finding::warning("installations", message, remedy)
        }
    })
}

/// Reports permissions that the App requests and this account hasn't accepted.
fn pending(app: &App, one: &Installation, needed: bool, uses: &Uses) -> Option<Finding> {
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
    (!open.is_empty()).then(|| {
        let message = format!("{} hasn't accepted what the App asks for: {}", one.account, open.join(", "));
        let remedy = format!("have its owner accept the new permissions: {}", one.settings);
        if needed && !app_permissions::missing(&one.permissions, uses).is_empty() {
            Finding::problem("installations", message, remedy)
        } else {
            Finding::warning("installations", message, remedy)
        }
    })
}

fn webhook(app: &App, uses: &Uses) -> Vec<Finding> {
    let hook = match &app.hook {
        None => return Vec::new(),
        Some(Err(why)) => {
            return vec![Finding::problem("webhook", format!("could not be read: {why}"), "run it again")];
        }
        Some(Ok(hook)) => hook.as_ref(),
    };
    let mut findings = deliveries::hook(hook, &app.settings);
    if hook.is_none_or(|hook| hook.url.is_empty()) {
        return findings;
    }
    findings.extend(app_permissions::events(&app.events, &app.settings, uses));
    match &app.deliveries {
        None => {}
        Some(Ok(all)) => findings.push(deliveries::deliveries(all, &app.settings)),
        Some(Err(why)) => {
            findings.push(Finding::problem(
                "deliveries",
                format!("could not be listed: {why}"),
                "run it again",
            ));
        }
    }
    findings
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
