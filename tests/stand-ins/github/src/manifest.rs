//! GitHub App manifests: their validation, and the code that is exchanged for the App's
//! credentials.
//!
//! <https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest>

use std::net::IpAddr;

use chrono::TimeDelta;
use reqwest::Url;
use serde_json::{Map, Value};

use crate::api::input::Fields;
use crate::control::types::{NewHook, Permissions};
use crate::state::apps::{KeyPair, PERMISSIONS, Profile, permission_for};
use crate::state::hooks::Target;
use crate::state::ids::random_text;
use crate::state::{Moment, Refusal, State, now};

/// Longest name of an App, in characters.
const MOST_NAME: usize = 34;
/// Most callback URLs of an App.
const MOST_CALLBACKS: usize = 10;

/// A manifest that GitHub accepts.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) name: String,
    pub(crate) url: String,
    /// Its webhook's URL, and whether the webhook is active.
    pub(crate) hook: Option<(String, bool)>,
    pub(crate) redirect_url: Option<Url>,
    pub(crate) setup_url: Option<String>,
    pub(crate) description: String,
    pub(crate) public: bool,
    pub(crate) events: Vec<String>,
    pub(crate) permissions: Permissions,
}

/// An App created from a manifest whose credentials have not been fetched yet.
#[derive(Clone, Debug)]
pub(crate) struct Conversion {
    pub(crate) app: u64,
    pub(crate) private_pem: String,
    pub(crate) client_secret: String,
    pub(crate) webhook_secret: Option<String>,
    at: Moment,
}

impl Manifest {
    /// Parses a manifest. Returns all its errors otherwise, in GitHub's words where they are known.
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<String>> {
        let object: Map<String, Value> =
            serde_json::from_str(text).map_err(|_| vec!["Problems parsing JSON".to_owned()])?;
        let mut fields = Fields::of(object);
        fields.only(&[
            "name",
            "url",
            "hook_attributes",
            "redirect_url",
            "callback_urls",
            "setup_url",
            "description",
            "public",
            "default_events",
            "default_permissions",
            "request_oauth_on_install",
            "setup_on_update",
        ]);
        let url = fields.required("url");
        let name = fields.string("name").unwrap_or_default();
        let description = fields.string("description").unwrap_or_default();
        let setup_url = fields.string("setup_url");
        let redirect_url = fields.string("redirect_url");
        let callbacks = fields.strings("callback_urls").unwrap_or_default();
        let public = fields.boolean("public").unwrap_or(false);
        fields.boolean("request_oauth_on_install");
        fields.boolean("setup_on_update");
        let events = fields.strings("default_events").unwrap_or_default();
        let permissions = fields.object("default_permissions").unwrap_or_default();
        let hook = fields.object("hook_attributes");
        let mut wrong = fields.complaints();
        let hook = hook.map(|attributes| {
            let mut fields = Fields::of(attributes);
            fields.only(&["url", "active"]);
            let hook = (fields.required("url"), fields.boolean("active").unwrap_or(true));
            wrong.extend(fields.complaints());
            hook
        });
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let places = [("Url", Some(&url)), ("Setup url", setup_url.as_ref())];
        for (what, place) in places.into_iter().chain(callbacks.iter().map(|url| ("Callback url", Some(url))))
        {
            if place.is_some_and(|place| web_url(place).is_none()) {
                wrong.push(format!("{what} is invalid"));
            }
        }
        if callbacks.len() > MOST_CALLBACKS {
            wrong.push(format!("Callback urls can have at most {MOST_CALLBACKS}"));
        }
        let redirect = redirect_url.as_deref().map(web_url);
        if matches!(redirect, Some(None)) {
            wrong.push("Redirect url is invalid".to_owned());
        }
        wrong.extend(hook.as_ref().and_then(|(url, _)| unreachable(url)));
        let permissions = check_permissions(permissions, &mut wrong);
        check_events(&events, &permissions, &mut wrong);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let redirect_url = redirect.flatten();
        Ok(Self { name, url, hook, redirect_url, setup_url, description, public, events, permissions })
    }

    /// Returns the URL to which the browser is redirected with the code.
    pub(crate) fn redirect(&self, code: &str, state: Option<&str>) -> Option<Url> {
        let mut url = self.redirect_url.clone()?;
        url.query_pairs_mut().append_pair("code", code);
        if let Some(state) = state {
            url.query_pairs_mut().append_pair("state", state);
        }
        Some(url)
    }
}

fn web_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Returns GitHub's error for a webhook that it could never reach.
fn unreachable(url: &str) -> Option<String> {
    let Some(parsed) = web_url(url) else { return Some("Hook url is not a valid URL".to_owned()) };
    let host = parsed.host_str().unwrap_or_default();
    let local = match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(address)) => {
            address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_unspecified()
        }
        Ok(IpAddr::V6(address)) => address.is_loopback() || address.is_unspecified(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    };
    let message = "Hook url is not supported because it isn't reachable over the public Internet";
    local.then(|| format!("{message} ({host})"))
}

fn check_permissions(given: Map<String, Value>, wrong: &mut Vec<String>) -> Permissions {
    let mut permissions = Permissions::new();
    for (name, level) in given {
        let level = level.as_str().unwrap_or_default();
        // GitHub offers only reading for metadata, and at most writing for administration.
        let levels: &[&str] = if name == "metadata" { &["read"] } else { &["read", "write"] };
        if !PERMISSIONS.contains(&name.as_str()) {
            wrong.push("Default permission records resource is not included in the list".to_owned());
        } else if !levels.contains(&level) {
            wrong.push("Default permission records action is not included in the list".to_owned());
        } else {
            permissions.insert(name, level.to_owned());
        }
    }
    permissions
}

fn check_events(events: &[String], permissions: &Permissions, wrong: &mut Vec<String>) {
    let without = |keep: &dyn Fn(Option<&'static str>) -> bool| {
        let found: Vec<&str> =
            events.iter().map(String::as_str).filter(|event| keep(permission_for(event))).collect();
        found.join(" and ")
    };
    let unknown = without(&|permission| permission.is_none());
    if !unknown.is_empty() {
        wrong.push(format!("Default events unsupported: {unknown}"));
    }
    let barred = without(&|permission| permission.is_none_or(|name| !permissions.contains_key(name)));
    if !barred.is_empty() {
        wrong.push(format!("Default events are not supported by permissions: {barred}"));
    }
}

/// Returns an App's name as it appears in URLs.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

impl State {
    /// Creates the App of a manifest under a name. Returns the code for its credentials.
    pub(crate) fn register(
        &mut self,
        manifest: &Manifest,
        name: &str,
        owner: &str,
        keys: KeyPair,
    ) -> Result<String, Refusal> {
        let refuse = |message: String| Err(Refusal::invalid("App", "name", message));
        let (name, slug) = (name.trim(), slug(name));
        if slug.is_empty() {
            return refuse("Name can't be blank".to_owned());
        }
        if name.chars().count() > MOST_NAME {
            return refuse(format!("Name is too long (maximum is {MOST_NAME} characters)"));
        }
        let somebodys = self.user(&slug).is_some() && !slug.eq_ignore_ascii_case(owner);
        if self.app_named(&slug).is_some() || somebodys {
            return refuse("Name has already been taken".to_owned());
        }
        let profile = Profile {
            name: name.to_owned(),
            description: manifest.description.clone(),
            url: Some(manifest.url.clone()),
            public: manifest.public,
            setup_url: manifest.setup_url.clone(),
        };
        let (permissions, events) = (manifest.permissions.clone(), manifest.events.clone());
        let app = self.create_app(profile, &slug, owner, permissions, events, keys.public_der)?;
        let webhook_secret = manifest.hook.as_ref().map(|_| random_text(40));
        if let Some((url, active)) = &manifest.hook {
            let new = NewHook { url: url.clone(), secret: webhook_secret.clone(), ..NewHook::default() };
            let hook = self.create_hook(Target::App(app), new, owner)?;
            if let Some(hook) = self.hooks.get_mut(&hook).filter(|_| !active) {
                hook.active = false;
                hook.queue.clear();
            }
        }
        let code = random_text(40);
        let conversion = Conversion {
            app,
            private_pem: keys.private_pem,
            client_secret: random_text(40),
            webhook_secret,
            at: now(),
        };
        self.conversions.insert(code.clone(), conversion);
        Ok(code)
    }

    /// Exchanges a code for its App. A code is valid once, and for an hour.
    pub(crate) fn take_conversion(&mut self, code: &str) -> Option<Conversion> {
        let life = i64::try_from(self.limiter.limits().manifest_code_lifetime_seconds).unwrap_or(i64::MAX);
        self.conversions.remove(code).filter(|conversion| {
            now() - conversion.at < TimeDelta::try_seconds(life).unwrap_or(TimeDelta::MAX)
        })
    }
}
