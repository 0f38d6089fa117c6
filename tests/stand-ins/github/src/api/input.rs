//! Parses JSON bodies as GitHub does: `400` for invalid JSON, `422` with the names of all fields of
//! a wrong type.

use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::api::call::{Call, Problem};

/// Fields of a body, and the errors found so far.
#[derive(Debug)]
pub(crate) struct Fields {
    fields: Map<String, Value>,
    wrong: Vec<String>,
}

impl Fields {
    /// Parses the body of a call; an empty body is an object without fields.
    pub(crate) fn read(call: &Call) -> Result<Self, Problem> {
        if call.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self { fields: Map::new(), wrong: Vec::new() });
        }
        match serde_json::from_slice(&call.body) {
            Ok(Value::Object(fields)) => Ok(Self { fields, wrong: Vec::new() }),
            Ok(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "Body should be a JSON object")),
            Err(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "Problems parsing JSON")),
        }
    }

    /// Wraps fields that didn't come as a JSON body.
    pub(crate) fn of(fields: Map<String, Value>) -> Self {
        Self { fields, wrong: Vec::new() }
    }

    /// Returns the errors found so far.
    pub(crate) fn complaints(self) -> Vec<String> {
        self.wrong
    }

    /// Returns any value, including null.
    pub(crate) fn any(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// Returns a required string.
    pub(crate) fn required(&mut self, name: &str) -> String {
        if !self.fields.contains_key(name) {
            self.wrong.push(format!("\"{name}\" wasn't supplied."));
        }
        match self.fields.get(name) {
            Some(Value::Null) => {
                self.wrong.push(format!("For 'properties/{name}', nil is not a string."));
                String::new()
            }
            _ => self.string(name).unwrap_or_default(),
        }
    }

    /// Returns a string; null counts as missing.
    pub(crate) fn string(&mut self, name: &str) -> Option<String> {
        let found = self.take(name, "a string", Value::is_string)?;
        found.as_str().map(str::to_owned)
    }

    /// Returns a boolean; null counts as missing.
    pub(crate) fn boolean(&mut self, name: &str) -> Option<bool> {
        self.take(name, "a boolean", Value::is_boolean)?.as_bool()
    }

    /// Returns a number that is not negative; null counts as missing.
    pub(crate) fn integer(&mut self, name: &str) -> Option<u64> {
        self.take(name, "an integer", Value::is_u64)?.as_u64()
    }

    /// Returns a list of strings; null counts as missing.
    pub(crate) fn strings(&mut self, name: &str) -> Option<Vec<String>> {
        let found = self.take(name, "an array", Value::is_array)?;
        let items = found.as_array().cloned().unwrap_or_default();
        let mut strings = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match item.as_str() {
                Some(text) => strings.push(text.to_owned()),
                None => self.wrong.push(format!("For 'items/{index}', {item} is not a string.")),
            }
        }
        Some(strings)
    }

    /// Returns an object; null counts as missing.
    pub(crate) fn object(&mut self, name: &str) -> Option<Map<String, Value>> {
        self.take(name, "an object", Value::is_object)?.as_object().cloned()
    }

    /// Returns a string that must be one of `words`; null counts as missing.
    pub(crate) fn word(&mut self, name: &str, words: &[&str]) -> Option<String> {
        let text = self.string(name)?;
        if words.contains(&text.as_str()) {
            return Some(text);
        }
        let list = words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        self.wrong.push(format!("For 'properties/{name}', \"{text}\" is not a member of [{list}]."));
        None
    }

    /// Adds an error.
    pub(crate) fn complain(&mut self, complaint: String) {
        self.wrong.push(complaint);
    }

    /// Rejects all other fields, where GitHub's description forbids them.
    pub(crate) fn only(&mut self, known: &[&str]) {
        let unknown: Vec<String> =
            self.fields.keys().filter(|name| !known.contains(&name.as_str())).cloned().collect();
        for name in unknown {
            self.wrong.push(format!("\"{name}\" is not a permitted key."));
        }
    }

    /// Fails if there are errors.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.wrong.is_empty() {
            return Ok(());
        }
        Err(Problem::unprocessable(format!("Invalid request.\n\n{}", self.wrong.join("\n"))))
    }

    fn take(&mut self, name: &str, wanted: &str, fits: fn(&Value) -> bool) -> Option<Value> {
        let found = self.fields.get(name)?;
        if found.is_null() {
            return None;
        }
        if fits(found) {
            return Some(found.clone());
        }
        self.wrong.push(format!("For 'properties/{name}', {found} is not {wanted}."));
        None
    }
}
