//! Tests of deliveries that are events, ignored, or errors.

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

/// Returns a body of each event that Matinee acts on, with the fields that it reads.
fn bodies() -> Vec<(&'static str, Value)> {
    let repository = json!({"id": 1, "full_name": "acme/shop"});
    let deployment = deployment_body("created")["deployment"].clone();
    vec![
        ("pull_request", pull_request_body("synchronize")),
        ("deployment", deployment_body("created")),
        (
            "deployment_status",
            json!({"action": "created", "repository": repository, "deployment": deployment,
                "deployment_status": {"id": 9, "state": "success", "created_at": "2026-01-02T03:04:05Z"}}),
        ),
        (
            "push",
            json!({"ref": "refs/heads/release/1.2", "after": "d".repeat(40), "deleted": false,
                "repository": repository}),
        ),
        (
            "check_run",
            json!({"action": "completed", "check_run": {"head_sha": "e".repeat(40)}, "repository": repository}),
        ),
        (
            "check_suite",
            json!({"action": "completed", "check_suite": {"head_sha": "e".repeat(40)}, "repository": repository}),
        ),
        ("status", json!({"sha": "e".repeat(40), "state": "success", "repository": repository})),
        (
            "issue_comment",
            json!({"action": "created", "issue": {"number": 7, "pull_request": {"url": "x"}}, "repository": repository,
                "sender": {"login": "mona", "type": "User"},
                "comment": {"id": 3, "body": "/deploy staging", "user": {"login": "mona", "type": "User"},
                    "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z"}}),
        ),
    ]
}

fn body(event: &str) -> Value {
    bodies().into_iter().find(|(name, _)| *name == event).unwrap().1
}

/// Returns the event that a body parses to, which must be one of `acme/shop`.
fn event(name: &str, body: &Value) -> Event {
    match parsed(name, body) {
        Ok(Parsed::Event(event)) => {
            assert_eq!(event.repository().unwrap().to_string(), "acme/shop");
            event
        }
        other => panic!("{name} is no event: {other:?}"),
    }
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
fn a_status_of_a_deployment_comes_with_the_deployment() {
    match event("deployment_status", &body("deployment_status")) {
        Event::DeploymentStatus { deployment, status, .. } => {
            assert_eq!((deployment.id, deployment.environment.as_str()), (5, "preview/pr-7"));
            assert_eq!((status.id, status.state.as_str()), (9, "success"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_push_is_an_event_when_a_branch_points_to_a_commit() {
    let mut body = body("push");
    match event("push", &body) {
        Event::Push { branch, sha, .. } => {
            assert_eq!((branch.as_str(), sha), ("release/1.2", "d".repeat(40)));
        }
        other => panic!("{other:?}"),
    }
    body["deleted"] = Value::Null;
    assert!(matches!(event("push", &body), Event::Push { .. }), "null is as good as missing");
    body["ref"] = json!("refs/tags/v1");
    assert!(reason("push", &body).contains("refs/tags/v1"));
    body["ref"] = json!("refs/heads/topic");
    body["deleted"] = json!(true);
    assert!(reason("push", &body).contains("delete a branch"));
    // An ignored push may lack the other fields.
    assert!(reason("push", &json!({"ref": "refs/tags/v1"})).contains("push"));
    assert_eq!(parsed("push", &json!({"ref": "refs/heads/topic"})).unwrap_err().field, ".");
}

#[test]
fn whatever_tells_of_a_check_is_an_event_about_its_commit() {
    let about = |name: &str, body: &Value| match event(name, body) {
        Event::Checks { sha, .. } => assert_eq!(sha, "e".repeat(40)),
        other => panic!("{other:?}"),
    };
    about("status", &body("status"));
    about("check_suite", &body("check_suite"));
    for action in ["created", "completed", "rerequested"] {
        let mut body = body("check_run");
        body["action"] = json!(action);
        about("check_run", &body);
    }
    for (name, action) in [("check_run", "requested_action"), ("check_suite", "requested")] {
        let mut body = body(name);
        body["action"] = json!(action);
        assert!(reason(name, &body).contains(action));
    }
}

#[test]
fn a_new_comment_on_a_pull_request_is_an_event() {
    let said = |change: fn(&mut Value)| {
        let mut body = body("issue_comment");
        change(&mut body);
        match event("issue_comment", &body) {
            Event::Comment { comment, .. } => comment,
            other => panic!("{other:?}"),
        }
    };
    let comment = said(|_| ());
    assert_eq!((comment.id, comment.number, comment.author.as_str()), (3, 7, "mona"));
    assert_eq!(comment.body, "/deploy staging");
    assert!(comment.on_pull_request && !comment.bot && !comment.edited);
    assert!(said(|body| body["comment"]["user"]["type"] = json!("Bot")).bot);
    assert!(said(|body| body["sender"]["type"] = json!("Bot")).bot);
    assert!(said(|body| body["comment"]["performed_via_github_app"] = json!({"id": 1})).bot);
    assert!(!said(|body| body["sender"] = Value::Null).bot);
    for action in ["edited", "deleted"] {
        let mut body = body("issue_comment");
        body["action"] = json!(action);
        assert!(reason("issue_comment", &body).contains(action));
    }
    let mut on_an_issue = body("issue_comment");
    on_an_issue["issue"]["pull_request"] = Value::Null;
    assert!(reason("issue_comment", &on_an_issue).contains("7 is no pull request"));
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
    for event in ["deployment_status", "check_run", "check_suite", "issue_comment"] {
        assert!(reason(event, &json!({"action": "of_tomorrow"})).contains(event));
    }
    assert!(reason("pull_request_review", &json!([])).contains("\"pull_request_review\""));
    assert!(matches!(parse("star", b"not json"), Ok(Parsed::Ignored(reason)) if reason.contains("\"star\"")));
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

/// Collects the JSON pointers to all values within a value.
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
    fn arbitrary_bytes_never_panic(event in "pull_request|deployment(_status)?|push|check_(run|suite)|status|issue_comment|ping|.{0,9}", body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&event, &body);
    }

    /// When one value in a valid body is replaced by any other value, the result is an event,
    /// ignored, or an error that names a field of the body.
    #[test]
    fn arbitrary_json_never_panics(
        which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        replacement in any_json(),
    ) {
        let bodies = bodies();
        let (event, mut body) = which.get(&bodies).clone();
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
