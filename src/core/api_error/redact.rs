//! The API server's words without values: known forms are taken apart, and what is in quotes or braces elsewhere stays
//! only where it can be nothing but a name.

use kube::core::Status;
use kube::core::response::StatusCause;

use super::sent::{REMOVED, SentValues};
use crate::core::text::cut;

/// Longest message, in characters: those who repeat it add the object and the remedy.
const MAX: usize = 480;
/// Longest text that is looked at, in bytes.
const MAX_READ: usize = 64 * 1024;
/// Causes that are repeated of an object with many mistakes.
const MAX_CAUSES: usize = 5;
/// Longest quoted name, in bytes.
const MAX_NAME: usize = 253;

/// What validation says before it repeats the value.
const LABELS: [&str; 4] = ["Invalid value", "Unsupported value", "Duplicate value", "Not found"];
/// Beginnings of what validation says after a value whose end can't be told for certain.
const DETAILS: [&str; 8] = [
    "field is immutable",
    "must ",
    "may not ",
    "is immutable",
    "should ",
    "can not ",
    "cannot ",
    "updates to ",
];
/// Words before a quoted name: of an object, a kind, a field, a rule.
const BEFORE_NAMES: [&str; 31] = [
    "webhook ",
    "service ",
    "container ",
    "containers ",
    "PodSecurity ",
    "resource ",
    "group ",
    "namespace ",
    "User ",
    "user ",
    "kind ",
    "version ",
    "field ",
    "fields ",
    "policy ",
    "Policy ",
    "binding ",
    "account ",
    "serviceaccount ",
    "object ",
    "quota: ",
    "volume ",
    "volumes ",
    "rule ",
    "class ",
    "manager ",
    "subresource ",
    "secret ",
    "configmap ",
    "Kind=",
    "than ",
];
/// What follows a quoted name that a kind stands before: `pods "web" is forbidden`.
const AFTER_NAMES: [&str; 7] = [
    " is forbidden",
    " is invalid",
    " not found",
    " already exists",
    " cannot be handled",
    " is being terminated",
    " must set",
];
/// Names of types in schemas, which are no value.
const TYPES: [&str; 7] = ["string", "integer", "number", "boolean", "object", "array", "null"];

/// The message of an error without values, cause first and bounded. `sent` are the values of the object that was sent.
pub fn message(status: &Status, sent: &SentValues) -> String {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    // What validation finds comes field by field, so that no value can be taken for the next field.
    let cleaned =
        if status.code == 422 && causes.iter().all(|cause| !cause.message.is_empty()) && !causes.is_empty() {
            of_causes(causes)
        } else {
            clean(&status.message)
        };
    let known = is_known_without_values(&status.message);
    cut(&if known { cleaned } else { sent.removed_from(&cleaned) }, MAX)
}

/// Any text that the API server wrote, without values, cause first and bounded.
pub fn text(raw: &str) -> String {
    cut(&clean(raw), MAX)
}

/// A name as it may be repeated; `…` when it is none.
pub(super) fn name(text: &str) -> String {
    if is_name(text) { text.to_owned() } else { REMOVED.to_string() }
}

fn of_causes(causes: &[StatusCause]) -> String {
    let mut all: Vec<String> = Vec::new();
    for cause in causes {
        let body = clean(&cause.message);
        let field = path(&cause.field);
        let line = if field.is_empty() { body } else { format!("{field}: {body}") };
        if !all.contains(&line) {
            all.push(line);
        }
    }
    let more = all.len().saturating_sub(MAX_CAUSES);
    all.truncate(MAX_CAUSES);
    let mut text = all.join("; ");
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

/// Quotas and Pod Security speak of names, amounts and fields alone.
fn is_known_without_values(message: &str) -> bool {
    let inner = without_wrappers(message);
    inner.starts_with("exceeded quota: ") || inner.starts_with("violates PodSecurity \"")
}

fn clean(raw: &str) -> String {
    let raw = &raw[..raw.floor_char_boundary(MAX_READ)];
    let inner = without_wrappers(raw);
    if is_typing(inner) {
        return typing(inner);
    }
    // A difference of two objects follows in further lines. A webhook's words may have several lines.
    let line =
        if inner.contains("denied the request") { inner } else { inner.lines().next().unwrap_or_default() };
    let line = line.find("error found in #").map_or(line, |at| &line[..at]);
    let cleaned = Scanner { text: line, out: String::new() }.run();
    let cleaned = cleaned.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    cleaned.trim_end_matches([':', ',', ' ']).to_owned()
}

/// Without the names and kinds that only wrap the cause: whoever repeats it names the object.
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

/// The cause in `pods "web" is forbidden: cause`.
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

/// Whether the message is what server-side apply says of a field: `.data.PORT: expected string, got …`.
pub(super) fn is_typing(message: &str) -> bool {
    message.starts_with("errors:\n")
        || (message.starts_with('.') && field_of(message).is_some_and(|(_, rest)| typed(rest).is_some()))
}

/// Each line is taken apart by its form; what has none is left out, since a value may have lines of its own.
fn typing(message: &str) -> String {
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
    let more = all.len().saturating_sub(MAX_CAUSES);
    all.truncate(MAX_CAUSES);
    let mut text = all.join("; ");
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
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
        return Some(Scanner { text: rest, out: String::new() }.run());
    }
    None
}

/// A field's path, of which the keys that choose an item stay when they are names.
fn path(field: &str) -> String {
    let mut out = String::new();
    let mut at = 0;
    while let Some(c) = field[at..].chars().next() {
        if c == '"' {
            let length = quoted(&field[at..], '"');
            let inner = field[at..at + length].trim_matches('"');
            // `[name="web"]`; an item of a set, `[="…"]`, is a value.
            let is_key = ["name=", "key=", "type=", "protocol=", "kind=", "uid=", "path="]
                .iter()
                .any(|it| out.ends_with(it));
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

/// Length of a text in quotes at the beginning of another, with them; all of it when they have no end.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Length of what is in braces or brackets at the beginning of a text; all of it when they have no end.
fn braced(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' => {
                at += quoted(&text[at..], '"');
                continue;
            }
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += c.len_utf8();
    }
    text.len()
}

/// Whether a text can be nothing but a name, a path or an address without user.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_NAME
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/:[]*".contains(c))
}

/// A word as it may be repeated: an address without user and query, and nothing that looks like a key.
fn word(word: &str) -> String {
    if let Some((scheme, rest)) = word.split_once("://") {
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let end = rest.find('/').unwrap_or(rest.len());
        let host = rest[..end].rsplit('@').next().unwrap_or_default();
        return format!("{scheme}://{host}");
    }
    let longest = word.split(|c: char| !c.is_ascii_alphanumeric() && !"+=_".contains(c)).map(str::len).max();
    let has_digit = word.contains(|c: char| c.is_ascii_digit());
    if longest.unwrap_or_default() >= 32 && has_digit { REMOVED.to_string() } else { word.to_owned() }
}

struct Scanner<'a> {
    text: &'a str,
    out: String,
}

impl Scanner<'_> {
    fn run(mut self) -> String {
        let mut at = 0;
        while let Some(c) = self.text[at..].chars().next() {
            let rest = &self.text[at..];
            at += self.step(rest, c);
        }
        self.out
    }

    /// Takes over what the text begins with; how much that was.
    fn step(&mut self, rest: &str, c: char) -> usize {
        if let Some(taken) = self.labelled(rest) {
            return taken;
        }
        match c {
            '"' | '\'' | '`' if c == '"' || !self.out.ends_with(char::is_alphanumeric) => {
                self.quoted(rest, c)
            }
            '{' => {
                self.out.push(REMOVED);
                braced(rest)
            }
            // An example of what may be written, with the expression that it is checked by.
            '(' if rest.starts_with("(e.g. ") || rest.starts_with("(regex used ") => {
                rest.find("')").map_or(rest.len(), |end| end + 2)
            }
            _ if rest.starts_with("map[") => {
                self.out.push(REMOVED);
                3 + braced(&rest[3..])
            }
            _ if rest.starts_with("cannot unmarshal number ") => {
                self.out.push_str("cannot unmarshal number");
                let value = &rest["cannot unmarshal number ".len()..];
                let number =
                    if value.starts_with("into ") { 0 } else { value.find(' ').unwrap_or(value.len()) };
                "cannot unmarshal number".len() + number + usize::from(number > 0)
            }
            _ if rest.starts_with(", got ") => {
                self.out.push_str(", got ");
                self.out.push(REMOVED);
                ", got ".len() + value(&rest[", got ".len()..]).unwrap_or(rest.len() - ", got ".len())
            }
            _ => {
                self.out.push(c);
                c.len_utf8()
            }
        }
    }

    /// `Invalid value: <value>: detail` without the value.
    fn labelled(&mut self, rest: &str) -> Option<usize> {
        let label =
            LABELS.iter().find(|label| rest.starts_with(*label) && rest[label.len()..].starts_with(": "))?;
        let start = label.len() + 2;
        self.out.push_str(label);
        if *label == "Invalid value" && is_detail(&rest[start..]) {
            self.out.push_str(": ");
            return Some(start);
        }
        let end = match value(&rest[start..]) {
            Some(length) => start + length,
            // Its end can't be told for certain.
            None => rest
                .rfind(": ")
                .filter(|at| *at >= start && DETAILS.iter().any(|detail| rest[at + 2..].starts_with(detail)))
                .unwrap_or(rest.len()),
        };
        Some(end)
    }

    fn quoted(&mut self, rest: &str, quote: char) -> usize {
        let length = quoted(rest, quote);
        let end = rest[length..].chars().next();
        if quote == '\'' && (length == rest.len() || end.is_some_and(char::is_alphanumeric)) {
            // An apostrophe.
            self.out.push(quote);
            return quote.len_utf8();
        }
        let inner = rest[1..length].trim_end_matches(quote);
        let before = self.out.as_str();
        let after = &rest[length..];
        let of_object = AFTER_NAMES.iter().any(|words| after.starts_with(words));
        // A list goes on: `containers "a", "b" must set`, `supported values: "A", "B"`.
        let listed = ["\", ", "', ", "`, ", "`,"].iter().any(|end| before.ends_with(end))
            || before.ends_with("supported values: ");
        let is_named = listed || of_object || BEFORE_NAMES.iter().any(|words| before.ends_with(words));
        if (is_named && is_name(inner)) || TYPES.contains(&inner) {
            self.out.push_str(&rest[..length]);
        } else if inner.contains("://") && before.ends_with("Post ") {
            self.out.push_str(&word(inner));
        } else {
            self.out.push(REMOVED);
        }
        length
    }
}

/// Whether what follows `Invalid value: ` is what is said of a value that the API server leaves out: several words, none
/// of which a value could end before.
fn is_detail(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let Some(end) = text.find(|c: char| !plain(c)) else { return false };
    let next = [": ", ", ", "]"].iter().filter_map(|end| text.find(end).map(|at| (at, *end))).min();
    let whole = next.map_or(text, |(at, _)| &text[..at]);
    text[end..].starts_with(' ')
        && end > 0
        && next.is_none_or(|(_, end)| end != ": ")
        && !whole.contains(['{', '['])
}

/// Length of the value at the beginning of a text; `None` when its end can't be told for certain.
fn value(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    let length = match first {
        '"' => quoted(text, '"'),
        '{' | '[' => braced(text),
        '&' => return None,
        'm' if text.starts_with("map[") && !text.starts_with("map[string]") => 3 + braced(&text[3..]),
        _ => {
            // A Go type with its fields, or a word.
            let type_end = text
                .find(|c: char| !c.is_ascii_alphanumeric() && !"._*[]".contains(c))
                .filter(|end| text[*end..].starts_with('{') || text[*end..].starts_with('('));
            match type_end {
                Some(end) => end + braced(&text[end..]),
                None => {
                    let end = [": ", ", ", "]", "\n"]
                        .iter()
                        .filter_map(|end| text.find(end))
                        .min()
                        .unwrap_or(text.len());
                    if text[..end].contains(char::is_whitespace) {
                        return None;
                    }
                    end
                }
            }
        }
    };
    let rest = &text[length..];
    let ends = rest.is_empty() || [": ", ", ", "]"].iter().any(|end| rest.starts_with(end));
    ends.then_some(length)
}
