//! Paths and queries of GitHub's API.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::core::forge::RepositoryName;
use crate::ports::ForgeError;

/// All characters except RFC 3986's unreserved ones, so that `/` in a name becomes `%2F`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes a segment of a path or a value of a query.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Returns whether a name can be a segment of a path. Dot segments can't, even when they are
/// encoded, since they would change the path.
pub(super) fn is_segment(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
}

/// Returns `/repos/<owner>/<name><rest>`. It is an error when a segment would change the path.
pub(super) fn in_repository(repository: &RepositoryName, rest: &str) -> Result<String, ForgeError> {
    for part in [&repository.owner, &repository.name] {
        if !is_segment(part) {
            return Err(ForgeError::Invalid(format!("\"{repository}\" is not a repository's name")));
        }
    }
    Ok(format!("/repos/{}/{}{rest}", encode(&repository.owner), encode(&repository.name)))
}

/// Fixed segments in the paths of GitHub's API.
const WORDS: [&str; 18] = [
    "access_tokens",
    "app",
    "branches",
    "check-runs",
    "collaborators",
    "comments",
    "commits",
    "deployments",
    "files",
    "installation",
    "installations",
    "issues",
    "permission",
    "pulls",
    "reactions",
    "repos",
    "status",
    "statuses",
];

/// Returns the template of a path: the path with `{}` for every name and id, and without the query,
/// as GitHub documents it.
pub(super) fn template(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let segments = path.split('/').enumerate().map(|(place, segment)| {
        // The two segments after `/repos` are owner and name, even if they equal a fixed segment.
        let is_name = path.starts_with("/repos/") && matches!(place, 2 | 3);
        if segment.is_empty() || (!is_name && WORDS.contains(&segment)) { segment } else { "{}" }
    });
    segments.collect::<Vec<_>>().join("/")
}

/// Returns a query with its `?`.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        let start = if text.is_empty() { '?' } else { '&' };
        let _ = write!(text, "{start}{name}={}", encode(value));
    }
    text
}

/// Returns the query of the `rel="next"` link in a `Link` header (RFC 8288). The rest of the link
/// is ignored: its host and path are GitHub's own, which are wrong behind a proxy or with a base
/// path, and it may name the repository by id.
pub(super) fn next_query(link: &str) -> Option<String> {
    let mut rest = link;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        let parameters = after.split('<').next().unwrap_or_default();
        let is_next = parameters.split([';', ',']).any(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("rel")
                    && value
                        .trim()
                        .trim_matches('"')
                        .split_ascii_whitespace()
                        .any(|relation| relation == "next")
            })
        });
        if is_next {
            return target
                .split_once('?')
                .map(|(_, query)| query.split('#').next().unwrap_or_default().to_owned());
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_has_no_name_and_no_id() {
        for (path, expected) in [
            ("/repos/acme/shop/pulls/7/files?per_page=100", "/repos/{}/{}/pulls/{}/files"),
            ("/repos/files/pulls/deployments", "/repos/{}/{}/deployments"),
            ("/repos/acme/shop/branches/feature%2Fx", "/repos/{}/{}/branches/{}"),
            ("/repos/acme/shop/commits/0abc/check-runs?page=2", "/repos/{}/{}/commits/{}/check-runs"),
            ("/app/installations/12/access_tokens", "/app/installations/{}/access_tokens"),
        ] {
            assert_eq!(template(path), expected, "{path}");
        }
    }

    #[test]
    fn names_are_encoded() {
        assert_eq!(encode("preview/pr-7"), "preview%2Fpr-7");
        assert_eq!(encode("größe &=?#+ %"), "gr%C3%B6%C3%9Fe%20%26%3D%3F%23%2B%20%25");
        assert_eq!(
            query(&[("environment", "a b&c"), ("per_page", "100")]),
            "?environment=a%20b%26c&per_page=100"
        );
        assert_eq!(query(&[]), "");
    }

    #[test]
    fn a_repository_cannot_lead_elsewhere() {
        let name = |owner: &str, name: &str| RepositoryName { owner: owner.into(), name: name.into() };
        assert_eq!(in_repository(&name("acme", "shop.js"), "/pulls").unwrap(), "/repos/acme/shop.js/pulls");
        assert_eq!(in_repository(&name("a/b", "c?d#e"), "").unwrap(), "/repos/a%2Fb/c%3Fd%23e");
        for (owner, repository) in [("..", "x"), ("x", ".."), (".", "x"), ("", "x")] {
            assert!(in_repository(&name(owner, repository), "").is_err());
        }
    }

    #[test]
    fn the_next_page_is_found() {
        let link = r#"<https://ghe/api/v3/repositories/1/pulls?state=open&page=1>; rel="prev", <https://ghe/api/v3/repositories/1/pulls?state=open&page=3>; rel="next", <https://ghe/x?page=9>; rel="last""#;
        assert_eq!(next_query(link).as_deref(), Some("state=open&page=3"));
        assert_eq!(
            next_query(r#"<https://h/p?a=1,2;b&page=2>; title="x"; rel=next"#).as_deref(),
            Some("a=1,2;b&page=2")
        );
        assert_eq!(next_query(r#"<https://h/p?page=9>; rel="last""#), None);
        assert_eq!(next_query(r#"<https://h/p>; rel="next""#), None);
        assert_eq!(next_query("nonsense"), None);
        assert_eq!(next_query("<broken"), None);
    }
}
