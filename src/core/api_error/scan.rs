//! Looks through a text for what may be a value: by what validation says before it, by quotes and by braces.

use super::sent::REMOVED;

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

/// Length of a text in quotes at the beginning of another, with them; all of it when they have no end.
pub(super) fn quoted(text: &str, quote: char) -> usize {
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
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_NAME
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/:[]*".contains(c))
}

/// A word as it may be repeated: an address without user and query, and nothing that looks like a key.
pub(super) fn word(word: &str) -> String {
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

/// A text without what can't be but a value.
pub(super) fn without_values(text: &str) -> String {
    Scanner { text, out: String::new() }.run()
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
            if let Some(end) = type_end {
                end + braced(&text[end..])
            } else {
                let ends = [": ", ", ", "]", "\n"];
                let end = ends.iter().filter_map(|end| text.find(end)).min().unwrap_or(text.len());
                if text[..end].contains(char::is_whitespace) {
                    return None;
                }
                end
            }
        }
    };
    let rest = &text[length..];
    let ends = rest.is_empty() || [": ", ", ", "]"].iter().any(|end| rest.starts_with(end));
    ends.then_some(length)
}
