//! Redacts messages of the API server. It parses known forms. In any other text it keeps the
//! content of quotes and braces only if that can only be a name.

use kube::core::Status;
use kube::core::response::StatusCause;

use super::scan::{self, is_name, word};
use super::sent::{REMOVED, SentValues};
use super::typing::{is_typing, path, typing};
use crate::core::truncate::cut;

/// Longest message, in characters. It leaves room for the object and the remedy, which callers add.
const MAX: usize = 480;
/// Longest text that is parsed, in bytes.
const MAX_READ: usize = 64 * 1024;
/// Most causes to repeat for an object with many mistakes.
const MAX_CAUSES: usize = 5;

/// Returns the redacted message of an error, cause first and bounded. `sent` are the values in the
/// request.
pub fn message(status: &Status, sent: &SentValues) -> String {
    if is_known_without_values(&status.message) {
        return text(&status.message);
    }
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    // Validation reports each field separately, so no value can be mistaken for the next field.
    let cleaned =
        if status.code == 422 && causes.iter().all(|cause| !cause.message.is_empty()) && !causes.is_empty() {
            of_causes(causes, sent)
        } else {
            clean(&sent.removed_from_raw(read(&status.message)))
        };
    cut(&sent.removed_from(&cleaned), MAX)
}

/// Redacts any text of the API server, cause first and bounded.
pub fn text(raw: &str) -> String {
    cut(&clean(raw), MAX)
}

/// Redacts a text about objects that were sent. It removes their values before parsing, which could
/// split a value, and again from the result.
pub fn text_about(raw: &str, sent: &SentValues) -> String {
    if is_known_without_values(raw) {
        return text(raw);
    }
    cut(&sent.removed_from(&clean(&sent.removed_from_raw(read(raw)))), MAX)
}

/// Returns as much of a text as is parsed.
fn read(raw: &str) -> &str {
    &raw[..raw.floor_char_boundary(MAX_READ)]
}

/// Returns the text if it is a name, otherwise `…`.
pub(super) fn name(text: &str) -> String {
    if is_name(text) { text.to_owned() } else { REMOVED.to_string() }
}

fn of_causes(causes: &[StatusCause], sent: &SentValues) -> String {
    let mut all: Vec<String> = Vec::new();
    for cause in causes {
        let body = clean(&sent.removed_from_raw(read(&cause.message)));
        let field = path(&sent.removed_from_raw(&cause.field));
        let line = if field.is_empty() { body } else { format!("{field}: {body}") };
        if !all.contains(&line) {
            all.push(line);
        }
    }
    listed(all)
}

/// Joins the first causes and the number of the others.
pub(super) fn listed(mut all: Vec<String>) -> String {
    let more = all.len().saturating_sub(MAX_CAUSES);
    all.truncate(MAX_CAUSES);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all.join("; ")
}

/// Whether the message contains no values: messages about quotas and Pod Security contain only
/// names, amounts and fields.
fn is_known_without_values(message: &str) -> bool {
    let inner = without_wrappers(message);
    inner.starts_with("exceeded quota: ") || inner.starts_with("violates PodSecurity \"")
}

fn clean(raw: &str) -> String {
    let raw = read(raw);
    let inner = without_wrappers(raw);
    if is_typing(inner) {
        return typing(inner);
    }
    // Further lines show the difference of two objects. A webhook's message may have several lines.
    let line =
        if inner.contains("denied the request") { inner } else { inner.lines().next().unwrap_or_default() };
    let line = line.find("error found in #").map_or(line, |at| &line[..at]);
    let cleaned =
        if is_known_without_values(raw) { scan::with_names(line) } else { scan::without_values(line) };
    let cleaned = cleaned.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    cleaned.trim_end_matches([':', ',', ' ']).to_owned()
}

/// Removes the names and kinds that only wrap the cause. The caller names the object.
pub(super) fn without_wrappers(message: &str) -> &str {
    let mut text = message.trim_start();
    loop {
        if let Some(rest) = text.strip_prefix("Internal error occurred: ") {
            text = rest;
            continue;
        }
        let conversion =
            ["failed to create typed ", "failed to convert "].iter().any(|start| text.starts_with(start));
        if conversion
            && let Some((wrapper, rest)) = text.split_once("): ")
            && wrapper.contains(" (")
        {
            text = rest;
            continue;
        }
        if let Some(rest) = object(text) {
            text = rest;
            continue;
        }
        return text;
    }
}

/// Returns the cause in `pods "web" is forbidden: cause`.
fn object(text: &str) -> Option<&str> {
    let (kind, rest) = text.split_once(" \"")?;
    if kind.is_empty() || !kind.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '/')) {
        return None;
    }
    let (name, rest) = rest.split_once('"')?;
    if !is_name(name) {
        return None;
    }
    rest.strip_prefix(" is invalid: ").or_else(|| rest.strip_prefix(" is forbidden: "))
}
