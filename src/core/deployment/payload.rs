//! Matinee's own part of a deployment's payload: `{"matinee": {…}}`.
//!
//! It identifies the [`DeploymentRequest`](crate::api::DeploymentRequest) and the cluster that
//! created the deployment. With it, Matinee finds a deployment again when the response to its
//! creation was lost. When two clusters serve one repository, only the cluster that created the
//! deployment deploys it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::Parameter;
use crate::core::mistake::{Mistake, Reason};

/// Version of the payload's shape.
const VERSION: i64 = 1;
/// Most parameters that are read, and most characters of a name and of a value: the limits in the
/// schema of [`Parameter`] and of the objects that have parameters.
const MOST_PARAMETERS: usize = 50;
const LONGEST_NAME: usize = 63;
const LONGEST_VALUE: usize = 4_096;

/// The part that Matinee writes into a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Identity of the cluster that created the deployment.
    pub cluster: String,
    /// UID of the request. From its second run on, a dot and the number of runs before it follow.
    pub request: String,
    /// Number of the pull request, if there is one.
    pub pull_request: Option<i64>,
    /// Values for the template's parameters, by name.
    pub parameters: BTreeMap<String, String>,
}

impl Mark {
    /// Returns the payload to send.
    pub fn to_payload(&self) -> Value {
        let mut mark = json!({ "version": VERSION, "cluster": self.cluster, "request": self.request });
        if let Some(number) = self.pull_request {
            mark["pullRequest"] = number.into();
        }
        if !self.parameters.is_empty() {
            mark["parameters"] = json!(self.parameters);
        }
        json!({ "matinee": mark })
    }

    /// Returns the UID of the request without the number of the run.
    pub fn request_uid(&self) -> &str {
        self.request.split_once('.').map_or(&self.request, |(uid, _)| uid)
    }

    /// Returns the parameters in the form that the API objects have.
    pub fn values(&self) -> Vec<Parameter> {
        let values = self.parameters.iter();
        values.map(|(name, value)| Parameter { name: name.clone(), value: value.clone() }).collect()
    }

    /// Reads the mark in a payload, if there is one. Anybody may write a payload, so parameters
    /// that no API object could have are left out.
    pub fn find(payload: &Value) -> Option<Self> {
        let mark = payload.get("matinee")?;
        Some(Self {
            cluster: mark.get("cluster")?.as_str()?.to_owned(),
            request: mark.get("request")?.as_str()?.to_owned(),
            pull_request: mark.get("pullRequest").and_then(Value::as_i64),
            parameters: parameters(mark),
        })
    }
}

/// Returns the first fifty parameters, by name, of those that an API object may have.
fn parameters(mark: &Value) -> BTreeMap<String, String> {
    let all = mark.get("parameters").and_then(Value::as_object).into_iter().flatten();
    let texts = all.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let fitting: BTreeMap<_, _> =
        texts.filter(|(name, value)| is_name(name) && value.chars().nth(LONGEST_VALUE).is_none()).collect();
    let kept = fitting.into_iter().take(MOST_PARAMETERS);
    kept.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Returns whether a text matches `^[A-Za-z_][A-Za-z0-9_]*$`, the pattern of the schema.
fn is_name(text: &str) -> bool {
    text.len() <= LONGEST_NAME
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Returns the payload without Matinee's part; `None` when nothing else is in it. A payload that
/// isn't an object is returned unchanged, so that a template that reads its fields gets an error.
pub fn without_mark(payload: &Value) -> Option<Value> {
    match payload {
        Value::Null => None,
        Value::Object(fields) => {
            let mut rest = fields.clone();
            rest.remove("matinee");
            (!rest.is_empty()).then_some(Value::Object(rest))
        }
        other => Some(other.clone()),
    }
}

/// The error for a template that reads fields of a payload that isn't an object. `reads` is the
/// expression, for example `payload.image`, and `field` is the field that contains it. The message
/// doesn't repeat the payload.
pub fn no_object(payload: &Value, reads: &str, field: &str) -> Mistake {
    let what = match payload {
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Number(_) => "a number",
        Value::Bool(_) => "a boolean",
        Value::Null => "null",
        Value::Object(_) => "an object",
    };
    let message = format!(
        "the deployment's payload is {what}, not a JSON object as {reads} needs: create the deployment with one, as {{\"name\": \"value\"}} ({field})"
    );
    Mistake { reason: Reason::PayloadInvalid, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_found_again_and_hidden_from_templates() {
        let parameters = BTreeMap::from([("image".to_owned(), "app:2".to_owned())]);
        let mark = Mark { cluster: "c-1".into(), request: "u-2".into(), pull_request: Some(3), parameters };
        let mut payload = mark.to_payload();
        payload["image"] = "app:1".into();
        assert_eq!(Mark::find(&payload), Some(mark));
        assert_eq!(without_mark(&payload), Some(json!({ "image": "app:1" })));
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
    }

    #[test]
    fn a_payload_that_is_no_object_stays_and_one_without_content_does_not() {
        for nothing in [json!(null), json!({}), json!({ "matinee": {} })] {
            assert_eq!(without_mark(&nothing), None, "{nothing}");
        }
        for kept in [json!("text"), json!([1]), json!(1)] {
            assert_eq!(without_mark(&kept), Some(kept));
        }
    }

    #[test]
    fn a_payload_that_is_no_object_is_told_without_its_content() {
        let Mistake { reason, message } = no_object(&json!("s3cret"), "payload.image", "resources[0].spec");
        assert_eq!(reason, "PayloadInvalid");
        assert!(
            message
                .starts_with("the deployment's payload is a text, not a JSON object as payload.image needs")
        );
        assert!(message.ends_with("(resources[0].spec)") && !message.contains("s3cret"), "{message}");
        let shown = crate::core::publish::deployment_status::description(&message);
        assert!(shown.contains("create the deployment with one"), "{shown}");
    }

    fn given(parameters: &Value) -> Vec<Parameter> {
        let payload = json!({ "matinee": { "cluster": "c", "request": "u", "parameters": parameters } });
        Mark::find(&payload).unwrap().values()
    }

    #[test]
    fn parameters_that_no_object_could_have_are_left_out() {
        let long = "é".repeat(LONGEST_VALUE);
        let kept = given(&json!({
            "_a1": "", "long": long, "n".repeat(63): "x",
            "": "x", "1a": "x", "a-b": "x", "é": "x", "n".repeat(64): "x", "longer": format!("{long}é"), "number": 1, "none": null,
        }));
        let names: Vec<_> = kept.iter().map(|parameter| parameter.name.as_str()).collect();
        assert_eq!(names, ["_a1", "long", &"n".repeat(63)]);
        for no_map in [json!(null), json!("a=b"), json!([{"name": "a", "value": "b"}])] {
            assert_eq!(given(&no_map), [], "{no_map}");
        }
        let many: serde_json::Map<_, _> =
            (0..60).rev().map(|number| (format!("p{number:02}"), json!("x"))).collect();
        let kept = given(&many.into());
        assert_eq!((kept.len(), kept[0].name.as_str(), kept[49].name.as_str()), (50, "p00", "p49"));
    }
}
