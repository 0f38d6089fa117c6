//! The annotation `matinee.dev/ready-when` of a custom resource in a template. It says when the
//! object is ready, for controllers that don't write a condition `Ready`.
//!
//! Its value is `exists`, or requirements joined by commas, all of which must hold:
//! - `condition=Available`: the condition has the status `True`; `condition=Degraded=False`: it has
//!   the given status.
//! - `status.phase=Running`: the field has this value; `status.phase=Running|Ready`: it has one of
//!   these values.

use serde_json::Value;

/// Longest value of the annotation, in bytes.
const MAX_LENGTH: usize = 256;

/// Requirements that make an object ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyWhen(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    Condition { kind: String, status: String },
    Field { path: Vec<String>, values: Vec<String> },
}

impl ReadyWhen {
    /// Parses the annotation's value.
    ///
    /// # Errors
    /// When the value is invalid; the text says how to write it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!("must have at most {MAX_LENGTH} bytes"));
        }
        if text.trim() == "exists" {
            return Ok(Self(Vec::new()));
        }
        let requirements = text.split(',').map(|part| requirement(part.trim()));
        requirements.collect::<Option<Vec<_>>>().map(Self).ok_or_else(|| {
            "write it like condition=Available, condition=Degraded=False, status.phase=Running|Ready, or exists; \
             join several by commas"
                .to_owned()
        })
    }

    /// Whether the object is ready as soon as it exists.
    pub fn exists(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the first requirement that the object doesn't meet, as the annotation writes it.
    pub fn unmet(&self, object: &Value) -> Option<String> {
        self.0.iter().find(|requirement| !requirement.holds(object)).map(Requirement::written)
    }
}

fn requirement(text: &str) -> Option<Requirement> {
    let (left, right) = text.split_once('=')?;
    if left == "condition" {
        let (kind, status) = right.split_once('=').unwrap_or((right, "True"));
        let fits = is_word(kind) && matches!(status, "True" | "False" | "Unknown");
        return fits.then(|| Requirement::Condition { kind: kind.to_owned(), status: status.to_owned() });
    }
    let path: Vec<String> = left.split('.').map(str::to_owned).collect();
    let values: Vec<String> = right.split('|').map(str::to_owned).collect();
    let fits = path.len() >= 2
        && path[0] == "status"
        && path.iter().all(|field| is_word(field))
        && values.iter().all(|value| !value.is_empty() && !value.contains('='));
    fits.then_some(Requirement::Field { path, values })
}

/// Whether the text can be the name of a field or of a condition.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/'))
}

impl Requirement {
    fn holds(&self, object: &Value) -> bool {
        match self {
            Self::Condition { kind, status } => {
                let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
                conditions.into_iter().flatten().any(|condition| {
                    condition["type"].as_str() == Some(kind) && condition["status"].as_str() == Some(status)
                })
            }
            Self::Field { path, values } => {
                let found = path.iter().try_fold(object, |value, field| value.get(field));
                let found = match found {
                    Some(Value::String(text)) => text.clone(),
                    Some(other @ (Value::Number(_) | Value::Bool(_))) => other.to_string(),
                    _ => return false,
                };
                values.contains(&found)
            }
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Condition { kind, status } if status == "True" => format!("condition={kind}"),
            Self::Condition { kind, status } => format!("condition={kind}={status}"),
            Self::Field { path, values } => format!("{}={}", path.join("."), values.join("|")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unmet(text: &str, status: &Value) -> Option<String> {
        ReadyWhen::parse(text).unwrap().unmet(&json!({"status": status}))
    }

    #[test]
    fn every_requirement_has_to_hold() {
        let status = json!({
            "phase": "Running", "replicas": 3, "cluster": {"healthy": true},
            "conditions": [{"type": "Available", "status": "True"}, {"type": "Degraded", "status": "False"}],
        });
        for text in [
            "exists",
            "condition=Available",
            "condition=Degraded=False",
            "status.phase=Running",
            "status.phase=Ready|Running",
            "status.replicas=3, status.cluster.healthy=true,condition=Available=True",
        ] {
            assert_eq!(unmet(text, &status), None, "{text}");
        }
        for (text, first) in [
            ("condition=Degraded", "condition=Degraded"),
            ("condition=Other=Unknown", "condition=Other=Unknown"),
            ("condition=Available,status.phase=Ready|Done", "status.phase=Ready|Done"),
            ("status.cluster=true", "status.cluster=true"),
        ] {
            assert_eq!(unmet(text, &status).as_deref(), Some(first), "{text}");
        }
        assert!(ReadyWhen::parse("exists").unwrap().exists());
    }

    #[test]
    fn a_value_that_cannot_be_read_is_an_error() {
        let long = format!("status.phase={}", "x".repeat(MAX_LENGTH));
        for text in [
            "",
            "Ready",
            "condition=",
            "condition=A=Maybe",
            "phase=Running",
            "spec.replicas=1",
            "status.=x",
            "status.phase=",
            "status.phase=a|",
            "condition=A,",
            "exists,condition=A",
            &long,
        ] {
            assert!(ReadyWhen::parse(text).is_err(), "{text}");
        }
    }
}
