//! The proxy that the environment sets for HTTPS. Matinee opens a tunnel through it (CONNECT), so
//! the proxy sees only the target's host. Plain HTTP never uses the proxy.

use std::env;
use std::sync::Arc;

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

/// This machine, which is never reached through a proxy.
const HERE: &str = "localhost,127.0.0.0/8,::1";

pub(super) const UNUSABLE: &str = "HTTPS_PROXY names no proxy that can be used: write it like http://proxy.example.com:3128, or https:// where the proxy itself speaks TLS";

/// The proxy settings from `HTTPS_PROXY` and `NO_PROXY`. They must not be logged, since they may
/// contain a password.
#[derive(Clone)]
pub(in crate::adapters) struct Proxies {
    matcher: Arc<Matcher>,
    /// URL in `HTTPS_PROXY`, with a scheme and credentials.
    pub(super) url: Option<Uri>,
}

impl Proxies {
    /// Reads the settings from the environment.
    ///
    /// # Errors
    /// `HTTPS_PROXY` is not usable. The message doesn't repeat it.
    pub fn from_environment() -> Result<Self, String> {
        Self::new(|name| env::var(name).ok())
    }

    /// Reads the settings from these variables.
    pub fn new(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let first = |names: [&str; 2]| {
            let mut values = names.into_iter().filter_map(&variable);
            values.find(|value| !value.trim().is_empty()).unwrap_or_default().trim().to_owned()
        };
        let mut proxy = first(["HTTPS_PROXY", "https_proxy"]);
        if !proxy.is_empty() && !proxy.contains("://") {
            proxy.insert_str(0, "http://");
        }
        let url = match proxy.parse::<Uri>() {
            Ok(url) if matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some() => {
                Some(url)
            }
            _ if proxy.is_empty() => None,
            _ => return Err(UNUSABLE.into()),
        };
        // "*.example.com" is often written for ".example.com", the syntax here.
        let except = first(["NO_PROXY", "no_proxy"]);
        let except = except.split(',').map(|entry| {
            entry.trim().strip_prefix('*').filter(|rest| !rest.is_empty()).unwrap_or(entry.trim())
        });
        let except = except.chain([HERE]).collect::<Vec<_>>().join(",");
        let matcher = Arc::new(Matcher::builder().https(proxy).no(except).build());
        Ok(Self { matcher, url })
    }

    /// Returns the proxy for a target, if it needs one.
    pub fn on_the_way(&self, to: &Uri) -> Option<Intercept> {
        self.matcher.intercept(to)
    }

    /// Returns the URL of the proxy for a target, with credentials.
    pub fn url(&self, to: &Uri) -> Option<Uri> {
        self.on_the_way(to).and_then(|_| self.url.clone())
    }

    /// Returns whether a URL is that of the proxy in the environment.
    pub fn names(&self, url: &Uri) -> bool {
        self.url.as_ref().is_some_and(|own| own.authority() == url.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, String> {
        let value = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Proxies::new(|name| value(name).map(|(_, value)| (*value).to_owned()))
    }

    fn way(variables: &[(&str, &str)], to: &'static str) -> Option<String> {
        let found = proxies(variables).unwrap().on_the_way(&Uri::from_static(to));
        found.map(|proxy| proxy.uri().to_string())
    }

    #[test]
    fn https_takes_the_proxy_and_plain_http_does_not() {
        let there = Some("http://proxy:3128/".to_owned());
        for given in
            ["http://proxy:3128", "proxy:3128", " http://proxy:3128/ ", "http://mona:s3cret@proxy:3128"]
        {
            assert_eq!(way(&[("HTTPS_PROXY", given)], "https://api.github.com/x"), there, "{given}");
            assert_eq!(way(&[("https_proxy", given)], "https://api.github.com/x"), there, "{given}");
            assert_eq!(way(&[("HTTPS_PROXY", given)], "http://api.github.com/x"), None, "{given}");
            assert_eq!(way(&[("HTTP_PROXY", given)], "http://api.github.com/x"), None, "{given}");
        }
        assert_eq!(way(&[("HTTPS_PROXY", "")], "https://api.github.com"), None);
        assert_eq!(
            way(&[("HTTPS_PROXY", ""), ("https_proxy", "proxy:3128")], "https://api.github.com"),
            there
        );
        assert_eq!(way(&[], "https://api.github.com"), None);
    }

    #[test]
    fn no_proxy_and_this_machine_are_left_out() {
        let except = "ghe.example.com, .corp.example.com,*.svc,10.0.0.0/8,192.168.1.7,";
        let way = |to| way(&[("HTTPS_PROXY", "proxy:3128"), ("NO_PROXY", except)], to);
        for direct in [
            "https://ghe.example.com",
            "https://registry.corp.example.com",
            "https://registry.tools.svc:5000",
            "https://10.96.0.1",
            "https://192.168.1.7",
            "https://localhost:6443",
            "https://api.localhost",
            "https://127.0.0.1:6443",
            "https://[::1]:6443",
        ] {
            assert_eq!(way(direct), None, "{direct}");
        }
        for proxied in ["https://notghe.example.com", "https://api.github.com", "https://192.168.1.8"] {
            assert!(way(proxied).is_some(), "{proxied}");
        }
        assert_eq!(
            super::tests::way(&[("HTTPS_PROXY", "proxy:3128"), ("NO_PROXY", "*")], "https://api.github.com"),
            None
        );
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_told_without_its_password() {
        for given in ["socks5://mona:s3cret@proxy:1080", "http://mona:s3cret@", "mona:s3cret @proxy", "://"] {
            let error = proxies(&[("HTTPS_PROXY", given)]).err().unwrap();
            assert!(
                error.contains("HTTPS_PROXY") && error.contains("http://proxy.example.com:3128"),
                "{error}"
            );
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn the_url_keeps_what_the_kubernetes_client_needs() {
        let proxies = proxies(&[("HTTPS_PROXY", "mona:s3cret@proxy:3128")]).unwrap();
        let url = proxies.url(&Uri::from_static("https://api.example.com:6443")).unwrap();
        assert_eq!(url, "http://mona:s3cret@proxy:3128/");
        assert!(proxies.names(&Uri::from_static("mona:s3cret@proxy:3128")));
        assert!(!proxies.names(&Uri::from_static("http://other:3128")));
        assert_eq!(proxies.url(&Uri::from_static("https://127.0.0.1:6443")), None);
    }
}
