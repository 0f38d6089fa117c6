//! Values of an object in a request. Redaction finds them in the response in any form.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use kube::core::DynamicObject;
use serde_json::Value;

use crate::api::GROUP;

/// Replacement for a value.
pub(super) const REMOVED: char = '…';
/// Shortest value, in characters, that is removed outside of Secrets. Shorter values, and shorter
/// parts of any value, are words and numbers that occur in every message.
const SHORTEST: usize = 5;
/// Shortest user in an address that counts as a token, in bytes.
const MIN_TOKEN: usize = 16;
/// Longest line whose parts are collected, in bytes.
const MAX_LINE: usize = 4096;
/// Fields with values in Kubernetes' own kinds. Other fields hold names, numbers and words of the
/// API.
const VALUES: [&str; 8] =
    ["data", "stringData", "binaryData", "value", "args", "command", "annotations", "volumeAttributes"];
/// Fields whose values contain a name and a value, such as `--token=…`.
const PAIRS: [&str; 3] = ["value", "args", "command"];
/// Fields with names in custom resources, about whose fields nothing else is known.
const NAMES: [&str; 6] = ["name", "namespace", "kind", "apiVersion", "group", "version"];

/// Values of objects that were sent to the API server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentValues {
    /// Longest first, so that no part of a longer value remains.
    values: Vec<String>,
}

impl SentValues {
    /// Collects the values in several objects.
    pub fn of_objects<'a>(objects: impl IntoIterator<Item = &'a DynamicObject>) -> Self {
        Self::sorted(objects.into_iter().flat_map(|object| Self::of_object(object).values).collect())
    }

    /// Collects the values in an object. It collects none of Matinee's own kinds, whose validation
    /// repeats no values.
    pub fn of_object(object: &DynamicObject) -> Self {
        let Some(types) = &object.types else { return Self::default() };
        if types.api_version.split('/').next() == Some(GROUP) {
            return Self::default();
        }
        let annotations = object.metadata.annotations.iter().flatten().map(|(_, value)| value.clone());
        Self::of(&types.api_version, &types.kind, &object.data, annotations)
    }

    /// Collects the values in an object of any kind: every value of a Secret, and in other kinds
    /// the fields that people use for keys, passwords and addresses.
    pub fn of(
        api_version: &str,
        kind: &str,
        data: &Value,
        annotations: impl Iterator<Item = String>,
    ) -> Self {
        let secret = kind == "Secret";
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        // Kubernetes' own groups have no dot, or end in k8s.io.
        let foreign = group.contains('.') && !group.ends_with(".k8s.io");
        let mut found = Found { secret, ..Found::default() };
        found.collect(data, if secret || foreign { Holds::Most } else { Holds::Names }, secret);
        for annotation in annotations {
            found.add(&annotation, secret);
        }
        Self::sorted(found.values)
    }

    fn sorted(values: BTreeSet<String>) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self { values }
    }

    /// Removes these values from the text where they are whole words.
    pub fn removed_from(&self, text: &str) -> String {
        without_each(text, self.values.iter())
    }

    /// Removes the long values from a text that is still to be parsed. Short values and punctuation
    /// stay, because they may be quotes or words of the API.
    pub(super) fn removed_from_raw(&self, text: &str) -> String {
        let is_long = |value: &&String| {
            value.chars().count() >= SHORTEST && value.contains(|c: char| c.is_alphanumeric())
        };
        let long = self.values.iter().filter(is_long);
        let text = without_each(text, long.clone().filter(|value| value.contains('\n')));
        // Normalize white space as messages do, so that no part remains of a value with other white
        // space.
        let lines: Vec<_> = text.split('\n').map(collapsed).collect();
        without_each(&lines.join("\n"), long)
    }
}

/// Content of an object's fields.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Names and words of the API, except in [`VALUES`].
    Names,
    /// Values, except in [`NAMES`].
    Most,
    /// Only values.
    Values,
}

#[derive(Default)]
struct Found {
    secret: bool,
    values: BTreeSet<String>,
}

impl Found {
    fn collect(&mut self, value: &Value, holds: Holds, pairs: bool) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    self.field(name, field, holds, pairs);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect(item, holds, pairs)),
            Value::String(text) if holds != Holds::Names => self.add(text, pairs),
            Value::Number(number) if holds != Holds::Names => self.add(&number.to_string(), false),
            _ => {}
        }
    }

    fn field(&mut self, name: &str, field: &Value, holds: Holds, pairs: bool) {
        if holds == Holds::Names {
            match name {
                "apiVersion" | "kind" => return,
                "metadata" => {
                    if let Some(annotations) = field.get("annotations") {
                        self.collect(annotations, Holds::Values, false);
                    }
                    return;
                }
                // The path of a probe may have a query.
                "path" if field.is_string() => {
                    if let Some((_, query)) = field.as_str().and_then(|path| path.split_once('?')) {
                        self.add(field.as_str().unwrap_or_default(), false);
                        query.split('&').for_each(|pair| self.add(pair, true));
                    }
                    return;
                }
                _ => {}
            }
        } else if !is_key(name) {
            // Somebody wrote the value in the place of its key.
            self.add(name, pairs);
        }
        // The options of a flexVolume are a map; those of DNS are a list.
        let holds_values = VALUES.contains(&name) || (name == "options" && field.is_object());
        let holds = match holds {
            _ if holds_values => Holds::Values,
            Holds::Most if NAMES.contains(&name) => Holds::Names,
            holds => holds,
        };
        self.collect(field, holds, pairs || PAIRS.contains(&name));
    }

    /// Adds a value in each form in which the API server may repeat it.
    fn add(&mut self, value: &str, pairs: bool) {
        self.add_plain(value, pairs);
        if self.secret {
            if let Some(plain) = STANDARD.decode(value).ok().and_then(|it| String::from_utf8(it).ok()) {
                self.add_plain(&plain, pairs);
            }
            // `stringData` reaches webhooks as `data`.
            self.insert(&STANDARD.encode(value));
            self.insert(&STANDARD_NO_PAD.encode(value));
            self.insert(value.trim_end_matches('='));
        }
    }

    fn add_plain(&mut self, value: &str, pairs: bool) {
        self.insert(value);
        self.insert(&collapsed(value));
        // JSON and Go escape the value in quotes.
        let escaped = Value::from(value).to_string();
        let escaped = escaped.trim_start_matches('"');
        let escaped = escaped.strip_suffix('"').unwrap_or(escaped);
        self.insert(escaped);
        self.insert(&escaped.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"));
        // A message may repeat any line of the value.
        for line in value.lines() {
            self.insert(line.trim());
            self.insert(&collapsed(line));
            if line.len() > MAX_LINE {
                continue;
            }
            for part in parts(line, pairs) {
                if part.chars().count() >= SHORTEST {
                    self.insert(part);
                    self.insert(&collapsed(part));
                }
            }
        }
    }

    fn insert(&mut self, value: &str) {
        let shortest = if self.secret { 1 } else { SHORTEST };
        if value.chars().count() >= shortest && !self.values.contains(value) {
            self.values.insert(value.to_owned());
        }
    }
}

/// Whether a text can be a key of a Secret, a label or an annotation.
fn is_key(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c))
}

/// Replaces every run of white space with one space, as messages do.
fn collapsed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the parts of a line that are values on their own: passwords in addresses, and in pairs
/// of a name and a value the values.
fn parts(line: &str, pairs: bool) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, mark) in line.match_indices("://") {
        let rest = &line[at + mark.len()..];
        // The password may contain any character.
        for end in rest.match_indices('@').map(|(end, _)| end) {
            let user = &rest[..end];
            match user.split_once(':') {
                Some((_, password)) => found.push(password),
                None if user.len() >= MIN_TOKEN => found.push(user),
                None => {}
            }
        }
    }
    if pairs {
        let mut level: Vec<&str> = std::iter::once(line).chain(line.split_whitespace()).collect();
        // `Authorization: Bearer …` has two names before its value.
        for _ in 0..2 {
            level = level
                .iter()
                .flat_map(|text| ['=', ' ', ':'].map(|mark| text.split_once(mark)))
                .flatten()
                .map(|(_, value)| value.trim_matches(|c: char| c.is_whitespace() || "'\"".contains(c)))
                .collect();
            found.extend(&level);
        }
    }
    found
}

fn without_each<'v>(text: &str, values: impl Iterator<Item = &'v String>) -> String {
    let mut text = text.to_owned();
    for value in values {
        if text.contains(value.as_str()) {
            text = without(&text, value);
        }
    }
    text
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
            // Skip only the first character, so that overlapping values are found.
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
