//! Base URLs that limit where requests are sent.

use url::Url;

/// A base URL. Requests are only sent below it.
#[derive(Debug)]
pub(super) struct Base(Url);

impl Base {
    /// Parses a base URL. `what` names the setting in errors.
    pub fn new(what: &str, text: &str) -> Result<Self, String> {
        let bad = |why: &str| format!("{what} {why}: write it like https://hooks.slack.com/");
        // The error doesn't repeat the URL, which may contain a password.
        let mut url = Url::parse(text).map_err(|error| bad(&format!("is no URL ({error})")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("is neither http:// nor https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("must not hold credentials"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("must not have a query or fragment"));
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self(url))
    }

    /// Returns the normalized URL if it is below this base. The error doesn't repeat the URL, which
    /// may be a secret.
    pub fn admit(&self, text: &str) -> Result<Url, String> {
        let foreign = || format!("the response_url is not below {}: it isn't Slack's", self.0);
        let url = Url::parse(text).map_err(|_| "the response_url is no URL".to_owned())?;
        let same = url.scheme() == self.0.scheme()
            && url.host() == self.0.host()
            && url.port_or_known_default() == self.0.port_or_known_default();
        let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if same && plain && url.path().starts_with(self.0.path()) { Ok(url) } else { Err(foreign()) }
    }

    /// Returns the URL of a method of the Web API.
    pub fn join(&self, method: &str) -> Result<Url, String> {
        self.0.join(method).map_err(|error| format!("{method}: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slack() -> Base {
        Base::new("the base URL", "https://hooks.slack.com").unwrap()
    }

    #[test]
    fn response_urls_of_slack_are_accepted() {
        for url in [
            "https://hooks.slack.com/commands/T1/2/abc",
            "https://hooks.slack.com:443/commands/T1/2/abc",
            "HTTPS://HOOKS.SLACK.COM/commands/T1/2/abc?x=1",
        ] {
            slack().admit(url).unwrap();
        }
        let below = Base::new("the base URL", "http://127.0.0.1:3000/slack").unwrap();
        below.admit("http://127.0.0.1:3000/slack/commands/T1/2/abc").unwrap();
        assert_eq!(below.join("chat.update").unwrap().as_str(), "http://127.0.0.1:3000/slack/chat.update");
    }

    #[test]
    fn what_only_looks_like_slacks_is_not() {
        for url in [
            "",
            "/commands/T1/2/SECRET",
            "http://hooks.slack.com/commands/T1/2/SECRET",
            "https://slack.com/commands/T1/2/SECRET",
            "https://hooks.slack.com:8443/commands/T1/2/SECRET",
            "https://hooks.slack.com.evil.example/commands/T1/2/SECRET",
            "https://hooks.slack.com@evil.example/commands/T1/2/SECRET",
            "https://SECRET@hooks.slack.com/commands/T1/2/3",
            "https://evil.example/https://hooks.slack.com/SECRET",
            "https://evil.example#https://hooks.slack.com/SECRET",
            "https://evil.example\\@hooks.slack.com/SECRET",
            "https://169.254.169.254/latest/meta-data/SECRET",
            "file:///SECRET",
        ] {
            let error = slack().admit(url).unwrap_err();
            assert!(!error.contains("SECRET") && !error.contains("evil"), "{url}: {error}");
        }
        let below = Base::new("the base URL", "http://127.0.0.1:3000/slack/").unwrap();
        for url in [
            "http://127.0.0.1:3000/slackers/x",
            "http://127.0.0.1:3000/slack/../admin",
            "http://127.0.0.1:3000/slack/%2e%2e/admin",
        ] {
            below.admit(url).unwrap_err();
        }
    }

    #[test]
    fn a_base_that_is_none_is_told() {
        for text in [
            "",
            "hooks.slack.com",
            "ftp://hooks.slack.com/",
            "https://u:SECRET@hooks.slack.com/",
            "https://x/?y",
        ] {
            let error = Base::new("the base URL", text).unwrap_err();
            assert!(error.starts_with("the base URL ") && !error.contains("SECRET"), "{error}");
        }
    }
}
