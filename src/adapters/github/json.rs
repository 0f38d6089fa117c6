//! GitHub's JSON, in REST answers and webhook bodies. Only the fields that identify an object are
//! required. All others may be missing or null, since GitHub sends null for deleted objects (a
//! user, a fork) and may add fields at any time.
//!
//! Schemas: <https://docs.github.com/rest/pulls/pulls>,
//! <https://docs.github.com/rest/deployments/deployments>,
//! <https://docs.github.com/rest/deployments/statuses>,
//! <https://docs.github.com/rest/issues/comments>.

pub mod comments;
pub mod commits;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::core::forge::{Deployment, DeploymentStatus, PullRequest};

/// A pull request in GitHub's JSON.
#[derive(Clone, Debug, Deserialize)]
pub struct PullRequestJson {
    number: i64,
    state: String,
    head: HeadJson,
    base: BaseJson,
    #[serde(default, deserialize_with = "or_default")]
    draft: bool,
    #[serde(default)]
    user: Option<UserJson>,
    #[serde(default, deserialize_with = "or_default")]
    labels: Vec<LabelJson>,
    #[serde(default)]
    merge_commit_sha: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    updated_at: String,
}

#[derive(Clone, Debug, Deserialize)]
struct HeadJson {
    sha: String,
    #[serde(default, rename = "ref", deserialize_with = "or_default")]
    branch: String,
    #[serde(default)]
    repo: Option<IdJson>,
}

#[derive(Clone, Debug, Deserialize)]
struct BaseJson {
    #[serde(rename = "ref")]
    branch: String,
    repo: IdJson,
}

#[derive(Clone, Debug, Deserialize)]
struct IdJson {
    id: i64,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct UserJson {
    #[serde(default, deserialize_with = "or_default")]
    login: String,
    #[serde(default, rename = "type", deserialize_with = "or_default")]
    kind: String,
}

#[derive(Clone, Debug, Deserialize)]
struct LabelJson {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
}

/// A deployment in GitHub's JSON.
#[derive(Clone, Debug, Deserialize)]
pub struct DeploymentJson {
    id: i64,
    sha: String,
    environment: String,
    #[serde(default)]
    payload: Value,
    #[serde(default)]
    creator: Option<UserJson>,
    #[serde(default, deserialize_with = "or_default")]
    created_at: String,
}

/// A status of a deployment in GitHub's JSON.
#[derive(Clone, Debug, Deserialize)]
pub struct DeploymentStatusJson {
    id: i64,
    state: String,
    #[serde(default, deserialize_with = "or_default")]
    description: String,
    #[serde(default)]
    environment_url: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    created_at: String,
}

/// Reads null as the default. `#[serde(default)]` alone covers only a missing field.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

impl UserJson {
    pub(super) fn is_bot(&self) -> bool {
        self.kind == "Bot"
    }
}

impl From<PullRequestJson> for PullRequest {
    fn from(json: PullRequestJson) -> Self {
        let user = json.user.unwrap_or_default();
        Self {
            number: json.number,
            open: json.state == "open",
            head_sha: json.head.sha,
            head_branch: json.head.branch,
            head_repository_id: json.head.repo.map(|repository| repository.id),
            base_repository_id: json.base.repo.id,
            base_branch: json.base.branch,
            draft: json.draft,
            bot: user.is_bot(),
            author: user.login,
            labels: json.labels.into_iter().map(|label| label.name).filter(|name| !name.is_empty()).collect(),
            merge_commit_sha: json.merge_commit_sha,
            updated_at: json.updated_at,
        }
    }
}

impl From<DeploymentJson> for Deployment {
    fn from(json: DeploymentJson) -> Self {
        Self {
            id: json.id,
            sha: json.sha,
            environment: json.environment,
            payload: payload(json.payload),
            creator: json.creator.unwrap_or_default().login,
            created_at: json.created_at,
        }
    }
}

impl From<DeploymentStatusJson> for DeploymentStatus {
    fn from(json: DeploymentStatusJson) -> Self {
        Self {
            id: json.id,
            state: json.state.as_str().into(),
            description: json.description,
            environment_url: json.environment_url.filter(|url| !url.is_empty()),
            created_at: json.created_at,
        }
    }
}

/// Most times that a payload may be encoded as a string. Clients encode once too often, and some of
/// them call each other.
const ENCODINGS: usize = 4;

/// Decodes a payload. GitHub stores it as it was sent: an object, or a string into which many
/// clients put JSON, sometimes more than once. A missing payload is returned as `""` or `{}`; the
/// empty string becomes null here. Any other string is returned unchanged.
fn payload(value: Value) -> Value {
    let Value::String(text) = &value else { return value };
    if text.trim().is_empty() {
        return Value::Null;
    }
    let mut inner = text.clone();
    for _ in 0..ENCODINGS {
        match serde_json::from_str(&inner) {
            Ok(parsed @ (Value::Object(_) | Value::Array(_) | Value::Null)) => return parsed,
            Ok(Value::String(text)) => inner = text,
            _ => break,
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pull_request(change: impl FnOnce(&mut Value)) -> PullRequest {
        let mut value = json!({
            "number": 7, "state": "open", "draft": true, "updated_at": "2026-01-02T03:04:05Z",
            "user": {"login": "mona", "type": "User"},
            "labels": [{"name": "preview"}, {"name": "bug"}],
            "head": {"sha": "a".repeat(40), "ref": "feature/x", "repo": {"id": 1}},
            "base": {"ref": "main", "repo": {"id": 1}},
            "something_new": {"of": "tomorrow"},
        });
        change(&mut value);
        serde_json::from_value::<PullRequestJson>(value).unwrap().into()
    }

    #[test]
    fn a_pull_request_is_read() {
        let read = pull_request(|_| ());
        assert_eq!(read.number, 7);
        assert!(read.open && read.draft && !read.bot && !read.is_fork());
        assert_eq!(read.head_branch, "feature/x");
        assert_eq!(read.base_branch, "main");
        assert_eq!(read.labels, ["preview", "bug"]);
        assert_eq!(read.author, "mona");
    }

    #[test]
    fn what_was_deleted_reads_as_a_fork_by_nobody() {
        let read = pull_request(|json| {
            json["head"]["repo"] = Value::Null;
            json["user"] = Value::Null;
            json["labels"] = Value::Null;
            json["draft"] = Value::Null;
        });
        assert!(read.is_fork());
        assert_eq!(read.head_repository_id, None);
        assert_eq!((read.author.as_str(), read.bot, read.draft), ("", false, false));
        assert!(read.labels.is_empty());
    }

    #[test]
    fn a_fork_is_told_by_id_and_a_bot_by_type() {
        let read = pull_request(|json| {
            json["head"]["repo"]["id"] = json!(2);
            json["user"] = json!({"login": "dependabot[bot]", "type": "Bot"});
            json["state"] = json!("closed");
        });
        assert!(read.is_fork() && read.bot && !read.open);
    }

    #[test]
    fn a_pull_request_without_a_head_is_an_error_that_names_the_field() {
        let error =
            serde_json::from_value::<PullRequestJson>(json!({"number": 1, "state": "open"})).unwrap_err();
        assert!(error.to_string().contains("head"), "{error}");
    }

    fn deployment(payload: impl Into<Value>) -> Deployment {
        let payload = payload.into();
        let json = json!({"id": 9_007_199_254_740_993_i64, "sha": "b", "environment": "preview/pr-7", "payload": payload,
            "creator": null, "created_at": null});
        serde_json::from_value::<DeploymentJson>(json).unwrap().into()
    }

    #[test]
    fn payload_is_an_object_or_a_json_string() {
        let object = json!({"matinee": {"cluster": "c"}});
        assert_eq!(deployment(object.clone()).payload, object);
        assert_eq!(deployment(Value::String(object.to_string())).payload, object);
        assert_eq!(deployment(json!("")).payload, Value::Null);
        assert_eq!(deployment(json!("null")).payload, Value::Null);
        assert_eq!(deployment(json!("12")).payload, json!("12"), "a string does not become a number");
        assert_eq!(deployment(json!("{broken")).payload, json!("{broken"));
        assert_eq!(deployment(Value::Null).payload, Value::Null);
        assert_eq!(deployment(json!(" \n")).payload, Value::Null);
        assert_eq!(deployment(json!("nightly")).payload, json!("nightly"));
        assert_eq!(deployment(json!("[1]")).payload, json!([1]));
        assert_eq!(deployment(Value::Null).id, 9_007_199_254_740_993, "ids exceed the precision of a float");
    }

    #[test]
    fn a_payload_may_have_been_encoded_several_times() {
        let object = json!({"matinee": {"cluster": "c"}, "image": "app:\"1\""});
        let mut encoded = Value::String(object.to_string());
        for times in 1..=4 {
            assert_eq!(deployment(encoded.clone()).payload, object, "encoded {times} times");
            encoded = Value::String(encoded.to_string());
        }
        assert_eq!(deployment(encoded.clone()).payload, encoded, "decoding stops");
        let word = Value::String(json!("nightly").to_string());
        assert_eq!(deployment(word.clone()).payload, word);
    }

    #[test]
    fn a_status_needs_no_more_than_its_state() {
        let read = |json: Value| -> DeploymentStatus {
            serde_json::from_value::<DeploymentStatusJson>(json).unwrap().into()
        };
        let full = read(
            json!({"id": 5, "state": "success", "description": "live", "environment_url": "https://x.example",
            "created_at": "2026-01-02T03:04:05Z"}),
        );
        assert_eq!((full.id, full.state.as_str(), full.description.as_str()), (5, "success", "live"));
        assert_eq!(full.environment_url.as_deref(), Some("https://x.example"));
        assert_eq!(full.created_at, "2026-01-02T03:04:05Z");
        let bare = read(json!({"id": 5, "state": "error", "description": null, "environment_url": ""}));
        assert_eq!(
            (bare.environment_url, bare.description, bare.created_at),
            (None, String::new(), String::new())
        );
    }
}
