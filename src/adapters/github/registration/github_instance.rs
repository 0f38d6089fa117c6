//! The GitHub on which an App is created.

use url::Url;

/// A GitHub: github.com, a tenant of GHE.com, or an Enterprise Server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GithubInstance {
    /// Base URL of the web pages, without a trailing slash.
    pages: String,
    api: String,
}

impl GithubInstance {
    /// Parses the base URL of the web pages, which may have a path.
    pub fn parse(text: &str) -> Result<Self, String> {
        const REMEDY: &str = "write it like https://github.com or https://ghe.example.com";
        // The error doesn't repeat the URL, which may contain a password.
        let url = Url::parse(text).map_err(|error| format!("not a URL ({error}): {REMEDY}"))?;
        let Some(host) = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")) else {
            return Err(format!("its scheme is neither https nor http: {REMEDY}"));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!("it holds a user name or a password: {REMEDY}"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("it has a query or a fragment: {REMEDY}"));
        }
        let pages = url.as_str().trim_end_matches('/').to_owned();
        if host == "api.github.com" || pages.ends_with("/api/v3") {
            return Err(format!("that is the REST API, not where people see pages: {REMEDY}"));
        }
        // github.com and GHE.com have a host for the API, Enterprise Server a path.
        let api = match host {
            "github.com" | "www.github.com" => "https://api.github.com".to_owned(),
            tenant if tenant.ends_with(".ghe.com") => format!("https://api.{tenant}"),
            _ => format!("{pages}/api/v3"),
        };
        Ok(Self { pages, api })
    }

    /// Returns the base URL of the REST API, as in a class's `spec.forge.github.url`.
    pub fn api(&self) -> &str {
        &self.api
    }

    /// Returns the URL to which a manifest is posted.
    pub fn new_app(&self, organization: Option<&str>, state: &str) -> String {
        let pages = &self.pages;
        let owner = organization.map_or_else(String::new, |login| format!("/organizations/{login}"));
        format!("{pages}{owner}/settings/apps/new?state={state}")
    }

    /// Returns the URL of the list of the owner's Apps.
    pub fn apps(&self, organization: Option<&str>) -> String {
        let owner = organization.map_or_else(String::new, |login| format!("/organizations/{login}"));
        format!("{}{owner}/settings/apps", self.pages)
    }

    /// Returns the URL on which to install the App with that slug.
    pub fn install(&self, slug: &str) -> String {
        format!("{}/apps/{slug}/installations/new", self.pages)
    }
}

/// Checks the login of an organization.
pub fn check_organization(login: &str) -> Result<String, String> {
    let good = (1..=39).contains(&login.len())
        && login.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if good {
        Ok(login.to_owned())
    } else {
        Err(format!(
            "\"{login}\" is not the login of an organization: write what follows github.com/ in its URL"
        ))
    }
}

/// Returns whether a text can be an App's slug, which becomes part of a URL and of a file name.
pub fn is_slug(slug: &str) -> bool {
    (1..=100).contains(&slug.len())
        && slug.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_where_each_kind_of_github_has_it() {
        for (pages, api) in [
            ("https://github.com", "https://api.github.com"),
            ("https://github.com/", "https://api.github.com"),
            ("https://acme.ghe.com", "https://api.acme.ghe.com"),
            ("https://ghe.example.com", "https://ghe.example.com/api/v3"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000/api/v3"),
            ("https://example.com/github/", "https://example.com/github/api/v3"),
        ] {
            assert_eq!(GithubInstance::parse(pages).unwrap().api(), api);
        }
    }

    #[test]
    fn pages_are_below_the_base() {
        let github = GithubInstance::parse("https://example.com:8443/github").unwrap();
        assert_eq!(
            github.new_app(Some("acme"), "s"),
            "https://example.com:8443/github/organizations/acme/settings/apps/new?state=s"
        );
        assert_eq!(github.new_app(None, "s"), "https://example.com:8443/github/settings/apps/new?state=s");
        assert_eq!(github.apps(None), "https://example.com:8443/github/settings/apps");
        assert_eq!(github.install("m"), "https://example.com:8443/github/apps/m/installations/new");
    }

    #[test]
    fn what_is_no_github_is_told() {
        for (bad, why) in [
            ("github.com", "not a URL"),
            ("ssh://github.com", "scheme"),
            ("https://u:SECRET@github.com", "password"),
            ("https://github.com/?a", "query"),
            ("https://api.github.com", "REST API"),
            ("https://ghe.example.com/api/v3/", "REST API"),
        ] {
            let error = GithubInstance::parse(bad).unwrap_err();
            assert!(error.contains(why) && !error.contains("SECRET"), "{bad}: {error}");
        }
    }

    #[test]
    fn organizations_and_slugs_lead_nowhere_else() {
        assert!(check_organization("acme-inc").is_ok() && is_slug("matinee-acme"));
        for bad in ["", "a/b", "../x", "a b", "a?b", "ä"] {
            assert!(check_organization(bad).is_err() && !is_slug(bad), "{bad}");
        }
    }
}
