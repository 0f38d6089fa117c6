//! Matinee's own part of a deployment's payload: `{"matinee": {…}}`.
//!
//! It marks a deployment as asked for by one [`DeploymentRequest`](crate::api::DeploymentRequest) of one cluster, so that a creation whose answer was lost
//! is found again, and so that of two clusters that serve one repository only the one that asked carries it out.

use serde_json::{Map, Value, json};

/// Version of the payload's shape.
const VERSION: i64 = 1;

/// What Matinee writes into a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Identity of the cluster that asked.
    pub cluster: String,
    /// UID of the request; when it ran more than once, a dot and the number of the run after the first.
    pub request: String,
    /// Number of the pull request, where there is one.
    pub pull_request: Option<i64>,
}

impl Mark {
    /// The payload to send.
    pub fn to_payload(&self) -> Value {
        let mut mark = json!({ "version": VERSION, "cluster": self.cluster, "request": self.request });
        if let Some(number) = self.pull_request {
            mark["pullRequest"] = number.into();
        }
        json!({ "matinee": mark })
    }

    /// UID of the request, whichever of its runs this is.
    pub fn request_uid(&self) -> &str {
        self.request.split_once('.').map_or(&self.request, |(uid, _)| uid)
    }

    /// The mark in a payload, if there is one.
    pub fn find(payload: &Value) -> Option<Self> {
        let mark = payload.get("matinee")?;
        Some(Self {
            cluster: mark.get("cluster")?.as_str()?.to_owned(),
            request: mark.get("request")?.as_str()?.to_owned(),
            pull_request: mark.get("pullRequest").and_then(Value::as_i64),
        })
    }
}

/// The payload without Matinee's part, as templates see it: always an object.
pub fn without_mark(payload: &Value) -> Map<String, Value> {
    let mut rest = payload.as_object().cloned().unwrap_or_default();
    rest.remove("matinee");
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_found_again_and_hidden_from_templates() {
        let mark = Mark { cluster: "c-1".into(), request: "u-2".into(), pull_request: Some(3) };
        let mut payload = mark.to_payload();
        payload["image"] = "app:1".into();
        assert_eq!(Mark::find(&payload), Some(mark));
        assert_eq!(Value::Object(without_mark(&payload)), json!({ "image": "app:1" }));
    }

    #[test]
    fn anybodys_payload_is_taken_as_it_is() {
        for payload in [
            json!(null),
            json!("text"),
            json!([1]),
            json!({ "matinee": "yes" }),
            json!({ "matinee": { "cluster": 1 } }),
        ] {
            assert_eq!(Mark::find(&payload), None, "{payload}");
        }
        assert!(without_mark(&json!("text")).is_empty());
    }
}
