//! When GitHub says that something happened, so that it can be told how long after that it was applied.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// The times of an event, as far as one has any. What is missing, null or of another kind is no time; it is never an error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Times {
    action: Value,
    pull_request: Option<Thing>,
    deployment: Option<Thing>,
    deployment_status: Option<Thing>,
    check_run: Option<Thing>,
    check_suite: Option<Thing>,
    comment: Option<Thing>,
    repository: Option<Thing>,
    /// Of a commit status, which is the whole body.
    updated_at: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_field_names)] // GitHub's names
struct Thing {
    created_at: Value,
    updated_at: Value,
    started_at: Value,
    completed_at: Value,
    pushed_at: Value,
}

/// When an event happened, by GitHub's clock; `None` where its body doesn't say. Of a check that is to run again nothing tells when
/// somebody asked for it, and of a push only the repository does.
pub fn happened_at(event: &str, body: &[u8]) -> Option<Timestamp> {
    let times: Times = serde_json::from_slice(body).ok()?;
    let time = match event {
        "pull_request" => times.pull_request?.updated_at,
        "deployment" => times.deployment?.created_at,
        "deployment_status" => times.deployment_status?.created_at,
        "push" => times.repository?.pushed_at,
        // Its times are those of the run before.
        "check_run" if times.action == "rerequested" => return None,
        "check_run" => {
            let run = times.check_run?;
            if run.completed_at.is_null() { run.started_at } else { run.completed_at }
        }
        "check_suite" => times.check_suite?.updated_at,
        "status" => times.updated_at,
        "issue_comment" => times.comment?.created_at,
        _ => return None,
    };
    match time {
        Value::String(text) => text.parse().ok(),
        // The one time in seconds of Unix time.
        Value::Number(seconds) if event == "push" => Timestamp::from_second(seconds.as_i64()?).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TIME: &str = "2026-01-02T03:04:05Z";

    fn at(event: &str, body: &Value) -> Option<String> {
        happened_at(event, body.to_string().as_bytes()).map(|time| time.to_string())
    }

    #[test]
    fn each_event_has_its_time_in_a_place_of_its_own() {
        let earlier = "2026-01-01T00:00:00Z";
        for (event, body) in [
            ("pull_request", json!({"pull_request": {"created_at": earlier, "updated_at": TIME}})),
            ("deployment", json!({"deployment": {"created_at": TIME}})),
            (
                "deployment_status",
                json!({"deployment": {"created_at": earlier}, "deployment_status": {"created_at": TIME}}),
            ),
            ("push", json!({"repository": {"created_at": 1, "pushed_at": 1_767_323_045}})),
            ("check_run", json!({"check_run": {"started_at": earlier, "completed_at": TIME}})),
            ("check_run", json!({"check_run": {"started_at": TIME, "completed_at": null}})),
            ("check_suite", json!({"check_suite": {"created_at": earlier, "updated_at": TIME}})),
            ("status", json!({"created_at": earlier, "updated_at": TIME})),
            ("issue_comment", json!({"comment": {"created_at": TIME}})),
        ] {
            assert_eq!(at(event, &body).as_deref(), Some(TIME), "{event}: {body}");
        }
    }

    #[test]
    fn what_has_no_time_is_no_error() {
        for (event, body) in [
            ("ping", json!({"updated_at": TIME})),
            ("star", json!({"updated_at": TIME})),
            ("check_run", json!({"action": "rerequested", "check_run": {"completed_at": TIME}})),
            ("push", json!({"repository": {"pushed_at": "yesterday"}})),
            ("push", json!({"repository": {"pushed_at": 1.5}})),
            ("push", json!({"repository": {"pushed_at": i64::MAX}})),
            ("deployment", json!({"deployment": null})),
            ("deployment", json!({"deployment": [1]})),
            ("deployment", json!([])),
            ("pull_request", json!({"pull_request": {"updated_at": {"at": TIME}}})),
        ] {
            assert_eq!(at(event, &body), None, "{event}: {body}");
        }
        assert_eq!(happened_at("push", b"\xff"), None);
    }
}
