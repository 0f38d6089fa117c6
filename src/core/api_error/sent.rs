//! The values of an object that is sent, so that they can be found in whatever is answered, however they are put there.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Put in the place of a value.
pub(super) const REMOVED: char = '…';
/// Shorter values of other kinds than Secrets are words and numbers that stand in every message.
const SHORTEST: usize = 5;
/// Fields that hold values in kinds of Kubernetes itself. Other fields hold names, numbers and words of the API.
const VALUES: [&str; 7] = ["data", "stringData", "binaryData", "value", "args", "command", "annotations"];
/// Fields that hold names in kinds of others, of which nothing else is known.
const NAMES: [&str; 6] = ["name", "namespace", "kind", "apiVersion", "group", "version"];

/// Values of an object that was sent to the API server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentValues {
    /// Longest first, so that no part of one is left.
    values: Vec<String>,
}

impl SentValues {
    /// The values in an object of any kind: every value of a Secret; elsewhere what people put keys, passwords and
    /// addresses into.
    pub fn of(
        api_version: &str,
        kind: &str,
        data: &Value,
        annotations: impl Iterator<Item = String>,
    ) -> Self {
        let mut found = BTreeSet::new();
        let secret = kind == "Secret";
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        // Groups of Kubernetes have no dot, or end in k8s.io.
        let foreign = group.contains('.') && !group.ends_with(".k8s.io");
        collect(data, secret || foreign, &mut found);
        found.extend(annotations);
        let mut values = BTreeSet::new();
        for value in found {
            if secret
                && let Some(plain) = STANDARD.decode(&value).ok().and_then(|it| String::from_utf8(it).ok())
            {
                values.insert(plain);
            }
            // The line that is said may be any.
            values.extend(value.lines().map(|line| line.trim().to_owned()));
            values.insert(value);
        }
        let shortest = if secret { 1 } else { SHORTEST };
        values.retain(|value| value.chars().count() >= shortest);
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self { values }
    }

    /// The text without these values, where they stand as a word of their own.
    pub fn removed_from(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for value in &self.values {
            if text.contains(value.as_str()) {
                text = without(&text, value);
            }
        }
        text
    }
}

fn collect(value: &Value, all: bool, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if matches!(name.as_str(), "apiVersion" | "kind" | "metadata") && !all {
                    continue;
                }
                let named = NAMES.contains(&name.as_str());
                collect(field, (all && !named) || VALUES.contains(&name.as_str()), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, all, found)),
        Value::String(text) if all => {
            found.insert(text.clone());
        }
        Value::Number(number) if all => {
            found.insert(number.to_string());
        }
        _ => {}
    }
}

fn without(text: &str, value: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(value) {
        let (before, after) = (&rest[..at], &rest[at + value.len()..]);
        let inner = |c: Option<char>, edge: Option<char>| {
            c.is_some_and(char::is_alphanumeric) && edge.is_some_and(char::is_alphanumeric)
        };
        let last = kept.chars().next_back();
        let is_part = inner(before.chars().next_back().or(last), value.chars().next())
            || inner(after.chars().next(), value.chars().next_back());
        kept.push_str(before);
        if is_part {
            // Only its first character is passed by, so that what overlaps is found.
            let first = value.chars().next().map_or(1, char::len_utf8);
            kept.push_str(&rest[at..at + first]);
            rest = &rest[at + first..];
        } else {
            kept.push(REMOVED);
            rest = after;
        }
    }
    kept.push_str(rest);
    kept
}
