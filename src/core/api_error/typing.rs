//! Redacts the errors of server-side apply about fields whose type differs from the schema.

use super::redact::listed;
use super::scan::{self, is_name, quoted, word};
use super::sent::REMOVED;
use crate::core::truncate::cut;

/// Keys of list items that hold names. Other keys may hold anything.
const KEYS: [&str; 7] = ["name", "key", "type", "protocol", "kind", "uid", "mountPath"];

/// Keys of list items that hold ports.
const PORTS: [&str; 2] = ["port", "containerPort"];

/// Whether the message is such an error: `.data.PORT: expected string, got …`.
pub(super) fn is_typing(message: &str) -> bool {
    message.starts_with("errors:\n")
        || (message.starts_with('.') && field_of(message).is_some_and(|(_, rest)| typed(rest).is_some()))
}

/// Redacts each line by its form and drops unknown lines, because a value may span several lines.
pub(super) fn typing(message: &str) -> String {
    let mut all: Vec<String> = Vec::new();
    for line in message.lines() {
        let Some((field, rest)) = field_of(line.trim()) else { continue };
        let Some(cause) = typed(rest) else { continue };
        let line = format!("{}: {cause}", path(field));
        if !all.contains(&line) {
            all.push(line);
        }
    }
    if all.is_empty() {
        return "the object doesn't have the types of its schema".to_owned();
    }
    listed(all)
}

/// Splits a line into a path such as `.spec.containers[name="web"].env` and the error.
fn field_of(line: &str) -> Option<(&str, &str)> {
    if !line.starts_with('.') {
        return None;
    }
    let mut at = 0;
    while let Some(c) = line[at..].chars().next() {
        match c {
            '"' => at += quoted(&line[at..], '"'),
            ':' if line[at..].starts_with(": ") => return Some((&line[..at], &line[at + 2..])),
            _ => at += c.len_utf8(),
        }
    }
    None
}

/// Returns the error about a field without the value.
fn typed(rest: &str) -> Option<String> {
    if let Some(expected) = rest.strip_prefix("expected ") {
        let expected =
            expected.split(", got").next().unwrap_or_default().split(", found").next().unwrap_or_default();
        let plain =
            expected.len() < 40 && expected.chars().all(|c| c.is_ascii_alphanumeric() || " ()".contains(c));
        return plain.then(|| format!("expected {expected}"));
    }
    if let Some(key) = rest.strip_prefix("duplicate entries for key ") {
        return Some(format!("duplicate entries for key {}", path(key)));
    }
    if rest.starts_with("field not declared in schema") {
        return Some("field not declared in schema".to_owned());
    }
    if rest.contains("associative list with") || rest.contains("associative list without") {
        return Some(scan::without_values(rest));
    }
    None
}

/// Redacts a field's path. It keeps names of fields, and keys of list items that can be a name or a
/// port.
pub(super) fn path(field: &str) -> String {
    let mut out = String::new();
    let mut rest = field.trim();
    while let Some(c) = rest.chars().next() {
        let end = match c {
            '.' => {
                out.push(c);
                rest = &rest[1..];
                continue;
            }
            '[' => selector_end(rest),
            _ => rest.find(['.', '[']).or(Some(rest.len())),
        };
        // The end of a key that may contain any character is unknown.
        let part = end.map(|end| &rest[..end]).filter(|part| match part.strip_prefix('[') {
            Some(inner) => is_followed(&rest[part.len()..]) && !inner.is_empty(),
            None => is_field(part),
        });
        let Some(part) = part else {
            out.push(REMOVED);
            break;
        };
        if c == '[' {
            out.push_str(&selector(part));
        } else {
            out.push_str(part);
        }
        rest = &rest[part.len()..];
    }
    cut(&out, 200)
}

/// Whether the rest of a path can follow a list item.
fn is_followed(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['.', '['])
}

/// Whether a text looks like the name of a field, or like a key that Kubernetes allows.
fn is_field(text: &str) -> bool {
    is_name(text)
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-/*".contains(c))
        && word(text) == text
}

/// Returns the length of the brackets at the beginning of a path.
fn selector_end(text: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' => at += quoted(&text[at..], '"'),
            ']' => return Some(at + 1),
            _ => at += c.len_utf8(),
        }
    }
    None
}

/// Redacts `[0]`, `[*]`, `[key]` or `[name="web",port=80]`. An item of a set, `[="…"]`, is a value.
fn selector(text: &str) -> String {
    let inner = text.trim_start_matches('[').trim_end_matches(']');
    let is_number = |text: &str| text.len() <= 5 && text.chars().all(|c| c.is_ascii_digit());
    let chooses = |part: &str| {
        part.split_once('=').is_some_and(|(key, value)| {
            let name = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            match name {
                Some(name) => KEYS.contains(&key) && is_name(name) && word(name) == name,
                None => PORTS.contains(&key) && is_number(value),
            }
        })
    };
    let is_key = inner.split('.').all(is_field);
    if is_key || (!inner.is_empty() && inner.split(',').all(chooses)) {
        return text.to_owned();
    }
    // `[name=…]` is more informative than `[…]`.
    let key = inner.split_once('=').map(|(key, _)| key).filter(|key| KEYS.contains(key));
    key.map_or_else(|| format!("[{REMOVED}]"), |key| format!("[{key}={REMOVED}]"))
}
