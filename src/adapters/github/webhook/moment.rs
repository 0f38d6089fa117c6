//! The time of an event by GitHub's clock, from which Matinee measures how long it took to act on
//! it.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// The times in an event's body. A time that is missing, null or of another type is ignored and
/// never an error.
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
    /// Time of a commit status, which is the whole body.
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

/// Returns when an event happened, by GitHub's clock; `None` when its body doesn't say. A
/// rerequested check has no time of the request. A push has a time only in its repository.
pub fn happened_at(event: &str, body: &[u8]) -> Option<Timestamp> {
    let times: Times = serde_json::from_slice(body).ok()?;
    let time = match event {
        "pull_request" => times.pull_request?.updated_at,
        "deployment" => times.deployment?.created_at,
        "deployment_status" => times.deployment_status?.created_at,
        "push" => times.repository?.pushed_at,
        // The times in the body are those of the previous run.
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
        // `pushed_at` is the only time in Unix seconds.
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
