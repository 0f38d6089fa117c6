//! The manifest of a GitHub App: its permissions and events.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::Serialize;
use url::{Host, Url};

use crate::adapters::github::permissions::{Part, events, permissions};

/// Most characters of a GitHub App's name.
pub const LONGEST_NAME: usize = 34;
/// Path of the URL to which GitHub sends webhooks.
pub const WEBHOOK_PATH: &str = "/webhooks/github";

/// The manifest that is posted to GitHub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Manifest {
    name: String,
    url: &'static str,
    description: &'static str,
    /// Left out without a webhook, since GitHub requires a URL even for an inactive webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    hook_attributes: Option<Hook>,
    redirect_url: String,
    public: bool,
    default_permissions: BTreeMap<&'static str, &'static str>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    default_events: BTreeSet<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Hook {
    url: String,
    active: bool,
}

impl Manifest {
    /// Returns the manifest of an App with these parts. `webhook_url` has been validated. GitHub
    /// sends the browser back to `redirect_url`.
    pub fn new(
        name: String,
        parts: &BTreeSet<Part>,
        webhook_url: Option<String>,
        redirect_url: String,
        public: bool,
    ) -> Self {
        Self {
            name,
            url: env!("CARGO_PKG_REPOSITORY"),
            description: "Gives pull requests environments of their own, and reports their deployments.",
            default_events: if webhook_url.is_some() { events(parts) } else { BTreeSet::new() },
            hook_attributes: webhook_url.map(|url| Hook { url, active: true }),
            redirect_url,
            public,
            default_permissions: permissions(parts),
        }
    }
}

/// Checks that GitHub would accept a name for an App, as far as this is known without asking
/// GitHub.
pub fn check_name(name: &str) -> Result<String, String> {
    let name = name.trim();
    let length = name.chars().count();
    if !name.chars().any(|c| c.is_ascii_alphanumeric()) || name.chars().any(char::is_control) {
        Err(format!("\"{name}\" is not a name: write letters and digits"))
    } else if length > LONGEST_NAME {
        Err(format!("\"{name}\" has {length} characters: GitHub allows {LONGEST_NAME}"))
    } else {
        Ok(name.to_owned())
    }
}

/// Returns the default name. Names are unique on GitHub, so it ends with the owner's name or a
/// random text.
pub fn default_name(organization: Option<&str>, random: &str) -> String {
    let name = format!("Matinee {}", organization.unwrap_or(random));
    name.chars().take(LONGEST_NAME).collect::<String>().trim_end().to_owned()
}

/// Checks the URL for GitHub's webhooks. A URL without a path gets the operator's path.
pub fn check_webhook_url(text: &str) -> Result<String, String> {
    const REMEDY: &str =
        "write it like https://matinee.example.com/webhooks/github, or say --without-webhook";
    // The error doesn't repeat the URL, which may contain a password.
    let mut url = Url::parse(text).map_err(|error| format!("not a URL ({error}): {REMEDY}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("its scheme is neither https nor http: {REMEDY}"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(format!("it holds a user name, a password or a fragment: {REMEDY}"));
    }
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => false,
    };
    if here {
        return Err(format!("GitHub can't reach this machine by that name, and refuses it: {REMEDY}"));
    }
    if url.path() == "/" {
        url.set_path(WEBHOOK_PATH);
    }
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn all() -> BTreeSet<Part> {
        Part::ALL.into()
    }

    #[test]
    fn manifest_requests_all_permissions_unless_excluded() {
        let hook = Some("https://matinee.example.com/webhooks/github".to_owned());
        let manifest =
            Manifest::new("Matinee acme".into(), &all(), hook, "http://127.0.0.1:1/callback".into(), false);
        assert_eq!(
            serde_json::to_value(&manifest).unwrap(),
            json!({
                "name": "Matinee acme",
                "url": "https://github.com/matinee-dev/matinee",
                "description": "Gives pull requests environments of their own, and reports their deployments.",
                "hook_attributes": {"url": "https://matinee.example.com/webhooks/github", "active": true},
                "redirect_url": "http://127.0.0.1:1/callback",
                "public": false,
                "default_permissions": {
                    "checks": "read", "contents": "read", "deployments": "write", "issues": "write",
                    "metadata": "read", "pull_requests": "write", "statuses": "write",
                },
                "default_events": ["check_run", "deployment", "deployment_status", "issue_comment",
                    "pull_request", "push", "status"],
            })
        );
    }

    #[test]
    fn an_app_without_parts_reads_pull_requests_and_writes_deployments() {
        let none = BTreeSet::new();
        assert_eq!(
            permissions(&none),
            BTreeMap::from([("deployments", "write"), ("metadata", "read"), ("pull_requests", "read")])
        );
        let manifest = Manifest::new("M".into(), &none, None, "http://127.0.0.1:1/".into(), true);
        let manifest = serde_json::to_value(&manifest).unwrap();
        assert_eq!((manifest.get("hook_attributes"), manifest.get("default_events")), (None, None));
        assert_eq!(manifest["public"], true);
    }

    #[test]
    fn parts_are_told_by_their_words() {
        for part in Part::ALL {
            assert_eq!(part.word().parse(), Ok(part));
        }
        let error = "command".parse::<Part>().unwrap_err();
        assert!(error.contains("\"command\"") && error.contains("commands, gates, pushes"), "{error}");
    }

    #[test]
    fn names_fit() {
        assert_eq!(default_name(Some("acme"), "1f"), "Matinee acme");
        assert_eq!(default_name(None, "1f2e"), "Matinee 1f2e");
        let long = default_name(Some("an-organization-of-thirty-nine-characters"), "");
        assert_eq!(check_name(&long), Ok(long));
        assert_eq!(check_name(" Acme previews ").as_deref(), Ok("Acme previews"));
        for bad in ["", " ", "…", "a\nb", "an App's name of thirty-five letters"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn webhook_url_is_completed_and_validated() {
        for (given, used) in [
            ("https://matinee.example.com", "https://matinee.example.com/webhooks/github"),
            ("https://matinee.example.com/", "https://matinee.example.com/webhooks/github"),
            ("https://example.com/matinee/webhooks/github", "https://example.com/matinee/webhooks/github"),
            ("http://10.1.2.3:8080/x", "http://10.1.2.3:8080/x"),
        ] {
            assert_eq!(check_webhook_url(given).as_deref(), Ok(used));
        }
        for (bad, why) in [
            ("matinee.example.com", "not a URL"),
            ("ftp://matinee.example.com", "scheme"),
            ("https://u:SECRET@matinee.example.com", "password"),
            ("http://localhost:8080/webhooks/github", "refuses"),
            ("http://a.localhost/", "refuses"),
            ("http://127.0.0.2/", "refuses"),
            ("http://[::1]/", "refuses"),
        ] {
            let error = check_webhook_url(bad).unwrap_err();
            assert!(error.contains(why) && error.contains("--without-webhook"), "{bad}: {error}");
            assert!(!error.contains("SECRET"), "{error}");
        }
    }
}
