//! The names that expressions can use.

use std::collections::BTreeMap;

use minijinja::Value;
use minijinja::value::Serde;
use serde_json::json;

use super::placeholder::OWN_BRACES;
use crate::core::environment::resolved::Target;
use crate::core::truncate::short_sha;

/// Top-level names. The first one doesn't exist without a pull request.
pub(super) const TOP: [&str; 11] = [
    "pr",
    "sha",
    "shortSha",
    "repository",
    "environment",
    "host",
    "url",
    "namespace",
    "parameters",
    "payload",
    // A literal, which messages do not list.
    "none",
];
const OF_PULL_REQUEST: [&str; 4] = ["number", "branch", "author", "labels"];

/// Returns the message for an unknown top-level name.
pub(super) fn no_such(name: &str) -> String {
    format!("there is no \"{name}\"; there are {}", TOP[..TOP.len() - 1].join(", "))
}

/// The names for the expressions of one target.
pub(super) struct Names {
    /// The values, by name.
    pub(super) context: Value,
    parameters: Vec<String>,
    pull_request: bool,
}

impl Names {
    pub(super) fn of(target: &Target) -> Self {
        let parameters: BTreeMap<&str, serde_json::Value> =
            target.parameters.iter().map(|(name, value)| (name.as_str(), typed(value))).collect();
        // A payload that isn't an object has no attributes, so `default` would fail on it.
        let payload = if target.payload.is_object() { target.payload.clone() } else { json!({}) };
        let mut context = json!({
            "sha": target.sha,
            "shortSha": short_sha(&target.sha),
            "repository": target.repository,
            "environment": target.environment,
            "host": target.host,
            "url": target.url,
            "namespace": target.namespace,
            "parameters": parameters,
            "payload": payload,
        });
        if let Some(pull_request) = &target.pull_request {
            context["pr"] = json!({
                "number": pull_request.number,
                "branch": pull_request.branch,
                "author": pull_request.author,
                "labels": pull_request.labels,
            });
        }
        Self {
            context: Value::from(Serde(&context)),
            parameters: target.parameters.keys().cloned().collect(),
            pull_request: target.pull_request.is_some(),
        }
    }

    /// Checks a name that an expression reads (`sha`, `pr.number`). It is an error if no target
    /// like this one has the name, even if the expression uses `default`.
    pub(super) fn check(&self, read: &str) -> Result<(), String> {
        let mut parts = read.split('.');
        let (top, attribute) = (parts.next().unwrap_or_default(), parts.next());
        match (top, attribute) {
            (top, _) if !TOP.contains(&top) => Err(format!("{}; {OWN_BRACES}", no_such(top))),
            ("parameters", Some(name)) if !self.parameters.iter().any(|declared| declared == name) => {
                Err(format!("there is no parameter \"{name}\"; declare it in spec.parameters"))
            }
            ("pr", Some(name)) if !OF_PULL_REQUEST.contains(&name) => {
                Err(format!("there is no \"pr.{name}\"; there are pr.{}", OF_PULL_REQUEST.join(", pr.")))
            }
            _ => Ok(()),
        }
    }

    /// Returns the remedy for an expression with an undefined value.
    pub(super) fn remedy(&self, reads: &[String]) -> &'static str {
        let reads_pull_request = reads.iter().any(|read| read == "pr" || read.starts_with("pr."));
        if reads_pull_request && !self.pull_request {
            "pr is undefined without a pull request; write \"... if pr is defined else ...\""
        } else {
            "set the value, or use the filter default"
        }
    }
}

/// Returns a parameter's value. Whole numbers and booleans in canonical form get that type, which
/// doesn't change them as text.
fn typed(text: &str) -> serde_json::Value {
    match text {
        "true" => true.into(),
        "false" => false.into(),
        _ => match text.parse::<i64>() {
            Ok(number) if number.to_string() == text => number.into(),
            _ => text.into(),
        },
    }
}
