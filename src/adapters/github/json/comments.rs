//! Comments, and the permissions of their authors.
//!
//! Schemas: <https://docs.github.com/rest/issues/comments>,
//! <https://docs.github.com/rest/collaborators/collaborators>.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{UserJson, or_default};
use crate::core::forge::{Comment, RepositoryRole};

/// A comment in GitHub's JSON. It doesn't say what it belongs to; a webhook has that in another
/// field.
#[derive(Clone, Debug, Deserialize)]
pub struct CommentJson {
    id: i64,
    #[serde(default, deserialize_with = "or_default")]
    body: String,
    #[serde(default)]
    user: Option<UserJson>,
    #[serde(default)]
    performed_via_github_app: Option<serde::de::IgnoredAny>,
    #[serde(default, deserialize_with = "or_default")]
    created_at: String,
    #[serde(default, deserialize_with = "or_default")]
    updated_at: String,
}

/// A comment as the REST API lists it. Its URLs say what it belongs to.
#[derive(Clone, Debug, Deserialize)]
pub struct ListedCommentJson {
    #[serde(rename = "issue_url", deserialize_with = "last_number")]
    number: i64,
    #[serde(default, deserialize_with = "or_default")]
    html_url: String,
    #[serde(flatten)]
    comment: CommentJson,
}

/// Reads the number at the end of a URL.
fn last_number<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let url = String::deserialize(from)?;
    let last = url.rsplit('/').next().unwrap_or_default();
    last.parse().map_err(|_| D::Error::custom(format!("issue_url \"{url}\" doesn't end in a number")))
}

/// Returns whether a comment's page is a pull request's: `…/pull/7#issuecomment-1`. An owner or a
/// repository may be called `pull` too.
fn is_of_pull_request(html_url: &str) -> bool {
    html_url.split('#').next().unwrap_or_default().rsplit('/').nth(1) == Some("pull")
}

impl CommentJson {
    /// Returns the comment on the issue or pull request with that number. A comment that an App
    /// wrote in a user's name counts as a bot's, since that user did not write it.
    pub fn on(self, number: i64, on_pull_request: bool) -> Comment {
        let user = self.user.unwrap_or_default();
        Comment {
            id: self.id,
            number,
            on_pull_request,
            bot: user.is_bot() || self.performed_via_github_app.is_some(),
            author: user.login,
            edited: !self.updated_at.is_empty() && self.updated_at != self.created_at,
            body: self.body,
            created_at: self.created_at,
        }
    }
}

impl From<ListedCommentJson> for Comment {
    fn from(json: ListedCommentJson) -> Self {
        json.comment.on(json.number, is_of_pull_request(&json.html_url))
    }
}

/// A user's permission in a repository, in GitHub's JSON.
#[derive(Clone, Debug, Deserialize)]
pub struct PermissionJson {
    #[serde(default, deserialize_with = "or_default")]
    permission: String,
    #[serde(default, deserialize_with = "or_default")]
    role_name: String,
}

impl From<PermissionJson> for RepositoryRole {
    /// `permission` has only four levels. `role_name` is finer, but may be the name of a custom
    /// role, which can be any name.
    fn from(json: PermissionJson) -> Self {
        match (json.permission.as_str(), json.role_name.as_str()) {
            ("admin", _) => Self::Admin,
            ("write", "maintain") => Self::Maintain,
            ("write", _) => Self::Write,
            ("read", "triage") => Self::Triage,
            ("read", _) => Self::Read,
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn comment(change: impl FnOnce(&mut Value)) -> Result<Comment, serde_json::Error> {
        let mut value = json!({
            "id": 1, "issue_url": "https://api.github.com/repos/acme/shop/issues/7",
            "html_url": "https://github.com/acme/shop/pull/7#issuecomment-1", "body": "/deploy",
            "user": {"login": "mona", "type": "User"},
            "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z",
        });
        change(&mut value);
        serde_json::from_value::<ListedCommentJson>(value).map(Into::into)
    }

    #[test]
    fn a_comment_is_read() {
        let read = comment(|_| ()).unwrap();
        assert_eq!((read.id, read.number, read.author.as_str()), (1, 7, "mona"));
        assert_eq!((read.body.as_str(), read.created_at.as_str()), ("/deploy", "2026-01-02T03:04:05Z"));
        assert!(read.on_pull_request && !read.bot && !read.edited);
        assert!(comment(|json| json["updated_at"] = json!("2026-01-02T03:04:06Z")).unwrap().edited);
        assert!(comment(|json| json["user"]["type"] = json!("Bot")).unwrap().bot);
        assert!(comment(|json| json["performed_via_github_app"] = json!({"id": 1})).unwrap().bot);
    }

    #[test]
    fn comments_of_bots_and_apps_are_bot_comments() {
        let read = |change: Value| {
            let mut json = json!({"id": 9, "body": "/deploy", "user": {"login": "mona", "type": "User"},
                "performed_via_github_app": null, "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z"});
            for (name, value) in change.as_object().unwrap() {
                json[name] = value.clone();
            }
            serde_json::from_value::<CommentJson>(json).unwrap().on(7, true)
        };
        let plain = read(json!({}));
        assert_eq!(
            (plain.id, plain.number, plain.author.as_str(), plain.body.as_str()),
            (9, 7, "mona", "/deploy")
        );
        assert!(plain.on_pull_request && !plain.bot && !plain.edited);
        assert!(read(json!({"user": {"login": "ci[bot]", "type": "Bot"}})).bot);
        assert!(read(json!({"performed_via_github_app": {"id": 1}})).bot);
        assert!(read(json!({"updated_at": "2026-01-02T03:04:06Z"})).edited);
        let ghost = read(json!({"user": null, "body": null, "updated_at": null}));
        assert_eq!((ghost.author.as_str(), ghost.body.as_str(), ghost.edited), ("", "", false));
    }

    #[test]
    fn a_comment_on_an_issue_is_none_on_a_pull_request_whatever_the_names() {
        for (url, of_pull_request) in [
            ("https://github.com/acme/shop/issues/7#issuecomment-1", false),
            ("https://github.com/pull/shop/issues/7#issuecomment-1", false),
            ("https://ghe.example.com/acme/pull/issues/7#issuecomment-1", false),
            ("https://ghe.example.com/acme/issues/pull/7#issuecomment-1", true),
            ("https://github.com/acme/shop/issues/7#/pull/7", false),
            ("", false),
        ] {
            let read = comment(|json| json["html_url"] = json!(url)).unwrap();
            assert_eq!(read.on_pull_request, of_pull_request, "{url}");
        }
    }

    #[test]
    fn what_is_missing_is_tolerated_but_not_the_number() {
        let read = comment(|json| {
            *json = json!({"id": 1, "issue_url": "x/issues/7", "user": null, "body": null});
        })
        .unwrap();
        assert_eq!((read.author.as_str(), read.body.as_str(), read.on_pull_request), ("", "", false));
        let error = comment(|json| json["issue_url"] = json!("https://x/issues/seven")).unwrap_err();
        assert!(error.to_string().contains("issue_url"), "{error}");
    }

    #[test]
    fn a_role_is_never_more_than_the_permission() {
        for (permission, role_name, role) in [
            ("admin", "admin", RepositoryRole::Admin),
            ("write", "maintain", RepositoryRole::Maintain),
            ("write", "write", RepositoryRole::Write),
            ("read", "triage", RepositoryRole::Triage),
            ("read", "read", RepositoryRole::Read),
            ("none", "none", RepositoryRole::None),
            // Custom roles, one of them named like a built-in role.
            ("write", "release-manager", RepositoryRole::Write),
            ("read", "admin", RepositoryRole::Read),
            ("none", "maintain", RepositoryRole::None),
            ("of tomorrow", "admin", RepositoryRole::None),
        ] {
            let json = json!({"permission": permission, "role_name": role_name, "user": {"login": "mona"}});
            assert_eq!(RepositoryRole::from(serde_json::from_value::<PermissionJson>(json).unwrap()), role);
        }
        let nothing = serde_json::from_value::<PermissionJson>(json!({"role_name": null})).unwrap();
        assert_eq!(RepositoryRole::from(nothing), RepositoryRole::None);
    }
}
