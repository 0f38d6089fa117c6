//! A webhook's body becomes an [`Event`], or is ignored with the reason.
//! Shapes: <https://docs.github.com/webhooks/webhook-events-and-payloads>.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use crate::core::event::{Event, Parsed};
use crate::core::forge::RepositoryName;
use crate::core::wire::{DeploymentJson, PullRequestJson};

/// A body that can't be what its event says it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body of the {event} event can't be read at {field}: {problem}")]
pub struct ParseError {
    /// The event, as the header `X-GitHub-Event` names it.
    pub event: String,
    /// Path of the field; `.` is the whole body.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What a delivery means to Matinee. Events and actions it doesn't act on are [`Parsed::Ignored`] whatever their body holds, since GitHub
/// adds new ones at any time; only the body of an event and action that it does act on can be wrong.
pub fn parse(event: &str, body: &[u8]) -> Result<Parsed, ParseError> {
    match event {
        "ping" => Ok(Parsed::Event(Event::Ping)),
        "pull_request" => pull_request(body),
        "deployment" => deployment(body),
        // The names of GitHub's events are short; what else comes in this header is not worth repeating in full.
        other => Ok(Parsed::Ignored(format!("Matinee does not act on {} events", shortened(other)))),
    }
}

#[derive(Deserialize)]
struct ActionBody {
    action: String,
}

#[derive(Deserialize)]
struct PullRequestBody {
    pull_request: PullRequestJson,
    repository: RepositoryJson,
}

#[derive(Deserialize)]
struct DeploymentBody {
    deployment: DeploymentJson,
    repository: RepositoryJson,
}

/// Only the keys of `changes` matter.
#[derive(Deserialize)]
struct EditedBody {
    changes: ChangesJson,
}

#[derive(Deserialize)]
struct ChangesJson {
    base: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct RepositoryJson {
    #[serde(deserialize_with = "repository_name")]
    full_name: RepositoryName,
}

fn repository_name<'de, D: Deserializer<'de>>(from: D) -> Result<RepositoryName, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

/// Actions after which something about a preview may have to change. `edited` matters only when the base branch did.
fn pull_request(body: &[u8]) -> Result<Parsed, ParseError> {
    const EVENT: &str = "pull_request";
    let ActionBody { action } = read(EVENT, body)?;
    match action.as_str() {
        "opened" | "reopened" | "synchronize" | "closed" | "labeled" | "unlabeled" | "ready_for_review"
        | "converted_to_draft" => {}
        "edited" if read::<EditedBody>(EVENT, body)?.changes.base.is_some() => {}
        "edited" => {
            return Ok(Parsed::Ignored("the pull request was edited but keeps its base branch".to_owned()));
        }
        _ => return Ok(ignored(EVENT, &action)),
    }
    let PullRequestBody { pull_request, repository } = read(EVENT, body)?;
    Ok(Parsed::Event(Event::PullRequest {
        repository: repository.full_name,
        pull_request: pull_request.into(),
    }))
}

fn deployment(body: &[u8]) -> Result<Parsed, ParseError> {
    const EVENT: &str = "deployment";
    let ActionBody { action } = read(EVENT, body)?;
    if action != "created" {
        return Ok(ignored(EVENT, &action));
    }
    let DeploymentBody { deployment, repository } = read(EVENT, body)?;
    Ok(Parsed::Event(Event::Deployment { repository: repository.full_name, deployment: deployment.into() }))
}

fn ignored(event: &str, action: &str) -> Parsed {
    Parsed::Ignored(format!("Matinee does not act on {event} events with action {}", shortened(action)))
}

fn shortened(word: &str) -> String {
    const LONGEST: usize = 60;
    match word.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("\"{}…\"", word[..end].escape_debug()),
        None => format!("\"{}\"", word.escape_debug()),
    }
}

fn read<T: DeserializeOwned>(event: &str, body: &[u8]) -> Result<T, ParseError> {
    let wrong = |field: String, problem: String| ParseError { event: event.to_owned(), field, problem };
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| wrong(error.path().to_string(), error.inner().to_string()))?;
    json.end().map_err(|error| wrong(".".to_owned(), error.to_string()))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn pull_request_body(action: &str) -> Value {
        json!({
            "action": action,
            "number": 7,
            "pull_request": {
                "number": 7, "state": "open", "draft": false, "updated_at": "2026-01-02T03:04:05Z",
                "user": {"login": "mona", "type": "User"},
                "labels": [{"name": "preview"}],
                "head": {"sha": "a".repeat(40), "ref": "feature", "repo": {"id": 1}},
                "base": {"sha": "b".repeat(40), "ref": "main", "repo": {"id": 1}},
            },
            "repository": {"id": 1, "full_name": "acme/shop"},
        })
    }

    fn deployment_body(action: &str) -> Value {
        json!({
            "action": action,
            "deployment": {"id": 5, "sha": "c".repeat(40), "environment": "preview/pr-7", "payload": {"image": "x"},
                "creator": {"login": "mona"}, "created_at": "2026-01-02T03:04:05Z"},
            "repository": {"id": 1, "full_name": "acme/shop"},
        })
    }

    fn parsed(event: &str, body: &Value) -> Result<Parsed, ParseError> {
        parse(event, body.to_string().as_bytes())
    }

    fn reason(event: &str, body: &Value) -> String {
        match parsed(event, body) {
            Ok(Parsed::Ignored(reason)) => reason,
            other => panic!("{event} was not ignored: {other:?}"),
        }
    }

    #[test]
    fn each_handled_action_of_a_pull_request_is_an_event() {
        for action in [
            "opened",
            "reopened",
            "synchronize",
            "closed",
            "labeled",
            "unlabeled",
            "ready_for_review",
            "converted_to_draft",
        ] {
            match parsed("pull_request", &pull_request_body(action)) {
                Ok(Parsed::Event(Event::PullRequest { repository, pull_request })) => {
                    assert_eq!(repository.to_string(), "acme/shop");
                    assert_eq!((pull_request.number, pull_request.head_branch.as_str()), (7, "feature"));
                }
                other => panic!("{action}: {other:?}"),
            }
        }
    }

    #[test]
    fn an_edit_is_an_event_only_when_the_base_changed() {
        let mut body = pull_request_body("edited");
        body["changes"] = json!({"title": {"from": "old"}});
        assert!(reason("pull_request", &body).contains("keeps its base branch"));
        body["changes"] = json!({"base": {"ref": {"from": "old"}, "sha": {"from": "0"}}});
        assert!(matches!(
            parsed("pull_request", &body),
            Ok(Parsed::Event(Event::PullRequest { pull_request, .. })) if pull_request.base_branch == "main"
        ));
    }

    #[test]
    fn a_created_deployment_is_an_event() {
        match parsed("deployment", &deployment_body("created")) {
            Ok(Parsed::Event(Event::Deployment { repository, deployment })) => {
                assert_eq!(repository.to_string(), "acme/shop");
                assert_eq!((deployment.id, deployment.payload), (5, json!({"image": "x"})));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_ping_needs_no_body() {
        assert_eq!(parse("ping", b""), Ok(Parsed::Event(Event::Ping)));
    }

    #[test]
    fn everything_else_is_ignored_with_its_name_whatever_the_body() {
        assert!(reason("pull_request", &pull_request_body("assigned")).contains("\"assigned\""));
        assert!(reason("pull_request", &json!({"action": "of_tomorrow"})).contains("\"of_tomorrow\""));
        assert!(reason("deployment", &deployment_body("updated")).contains("\"updated\""));
        assert!(reason("deployment_status", &json!([])).contains("\"deployment_status\""));
        assert!(
            matches!(parse("push", b"not json"), Ok(Parsed::Ignored(reason)) if reason.contains("\"push\""))
        );
        let long = reason("pull_request", &json!({"action": "é\n".repeat(5_000)}));
        assert!(long.len() < 300 && !long.contains('\n'), "{long}");
    }

    #[test]
    fn a_broken_body_of_a_handled_event_is_an_error_that_names_the_field() {
        let without = |path: &[&str]| {
            let mut body = pull_request_body("opened");
            let (last, parents) = path.split_last().unwrap();
            let parent = parents.iter().fold(&mut body, |at, key| &mut at[*key]);
            parent.as_object_mut().unwrap().remove(*last);
            body
        };
        let with = |path: &str, value: Value| {
            let mut body = pull_request_body("opened");
            *body.pointer_mut(path).unwrap() = value;
            body
        };
        for (body, field, problem) in [
            (without(&["action"]), ".", "missing field `action`"),
            (without(&["repository"]), ".", "missing field `repository`"),
            (without(&["pull_request", "head"]), "pull_request", "missing field `head`"),
            (with("/pull_request/number", json!("7")), "pull_request.number", "expected i64"),
            (with("/pull_request/labels", json!([1])), "pull_request.labels[0]", "invalid type"),
            (with("/repository/full_name", json!("acme")), "repository.full_name", "owner/name"),
            (json!([]), ".", "invalid"),
        ] {
            let error = parsed("pull_request", &body).unwrap_err();
            assert_eq!(error.field, field, "{error}");
            assert!(error.to_string().contains(problem), "{error}");
            assert!(error.to_string().contains("pull_request event"), "{error}");
        }
        let error = parsed("deployment", &json!({"action": "created", "deployment": {}})).unwrap_err();
        assert_eq!(error.field, "deployment", "{error}");
        for cut in [&b""[..], b"{", b"{\"action\":\"created\"", b"{\"action\":\"created\"} {}", b"\xff"] {
            assert_eq!(parse("deployment", cut).unwrap_err().event, "deployment");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z_]{1,8}", inner, 0..4)
                    .prop_map(|map| Value::from(serde_json::Map::from_iter(map))),
            ]
        })
    }

    /// Every place in a value, as JSON pointers.
    fn pointers(value: &Value, at: &str, into: &mut Vec<String>) {
        into.push(at.to_owned());
        match value {
            Value::Object(map) => {
                map.iter().for_each(|(key, inner)| pointers(inner, &format!("{at}/{key}"), into));
            }
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(i, inner)| pointers(inner, &format!("{at}/{i}"), into));
            }
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(event in "pull_request|deployment|ping|.{0,9}", body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&event, &body);
        }

        /// A real body with one place replaced by anything: an event, an "ignored" or an error that names a field of the body.
        #[test]
        fn no_json_makes_it_panic(
            deployment in any::<bool>(),
            place in any::<prop::sample::Index>(),
            replacement in any_json(),
        ) {
            let (event, mut body) = if deployment {
                ("deployment", deployment_body("created"))
            } else {
                ("pull_request", pull_request_body("synchronize"))
            };
            let mut places = Vec::new();
            pointers(&body, "", &mut places);
            let pointer = place.get(&places);
            *body.pointer_mut(pointer).unwrap() = replacement;
            if let Err(error) = parsed(event, &body) {
                let changed = pointer.trim_start_matches('/').split('/').next().unwrap_or_default();
                prop_assert!(error.field == "." || error.field.starts_with(changed), "{} at {}", error, pointer);
            }
        }
    }
}
