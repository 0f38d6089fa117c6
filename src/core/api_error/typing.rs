//! What server-side apply says of an object that doesn't have the types of its schema.

use super::redact::listed;
use super::scan::{self, is_name, quoted};
use super::sent::REMOVED;
use crate::core::text::cut;

/// Keys of lists that hold names. Those of other lists may hold anything.
const KEYS: [&str; 7] = ["name", "key", "type", "protocol", "kind", "uid", "mountPath"];

/// Whether the message is what server-side apply says of a field: `.data.PORT: expected string, got …`.
pub(super) fn is_typing(message: &str) -> bool {
    message.starts_with("errors:\n")
        || (message.starts_with('.') && field_of(message).is_some_and(|(_, rest)| typed(rest).is_some()))
}

/// Each line is taken apart by its form; what has none is left out, since a value may have lines of its own.
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

/// A path as `.spec.containers[name="web"].env`, and what is said of it.
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

/// What server-side apply says of a field, without what it got.
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

/// A field's path, of which the keys that choose an item stay when they are names.
pub(super) fn path(field: &str) -> String {
    let mut out = String::new();
    let mut at = 0;
    while let Some(c) = field[at..].chars().next() {
        if c == '"' {
            let length = quoted(&field[at..], '"');
            let inner = field[at..at + length].trim_matches('"');
            // `[name="web"]`; an item of a set, `[="…"]`, is a value.
            let key = out.strip_suffix('=').and_then(|out| out.rsplit(['[', ',']).next()).unwrap_or_default();
            let is_key = KEYS.contains(&key);
            if is_key && is_name(inner) {
                out.push_str(&field[at..at + length]);
            } else {
                out.push(REMOVED);
            }
            at += length;
            continue;
        }
        let fits = c.is_alphanumeric() || "._-/[]=*$~, ()'".contains(c);
        out.push(if fits { c } else { REMOVED });
        at += c.len_utf8();
    }
    cut(out.trim(), 200)
}
