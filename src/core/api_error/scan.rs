//! Removes possible values from a text: it finds them by the words of validation before them, by
//! quotes and by braces.

use super::sent::REMOVED;
use super::typing::path;

/// Longest quoted name, in bytes.
const MAX_NAME: usize = 253;
/// Longest result, in bytes. Nobody would see more.
const MAX_OUT: usize = 16 * 1024;
/// Words of validation before it repeats the value.
const LABELS: [&str; 4] = ["Invalid value", "Unsupported value", "Duplicate value", "Not found"];
/// Beginnings of validation's text after a value without a certain end.
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
/// Words before a quoted name of an object, a kind, a field or a rule.
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
/// Words after a quoted name that follows a kind: `pods "web" is forbidden`.
const AFTER_NAMES: [&str; 7] = [
    " is forbidden",
    " is invalid",
    " not found",
    " already exists",
    " cannot be handled",
    " is being terminated",
    " must set",
];
/// Names of types in schemas, which aren't values.
const TYPES: [&str; 7] = ["string", "integer", "number", "boolean", "object", "array", "null"];

/// Returns the length of the quoted text at the beginning, with its quotes; the whole length if it
/// isn't closed.
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

/// Returns the length of an unescaped text in quotes. A letter or digit after a quote means that
/// the text continues. Returns the whole length if it isn't closed.
fn whole(text: &str, quote: char) -> usize {
    let mut length = quoted(text, quote);
    while text[length..].starts_with(char::is_alphanumeric) {
        let Some(next) = text[length..].find(quote) else { return text.len() };
        length += next + quote.len_utf8();
    }
    length
}

/// Whether a text that begins with a single quote has a closing quote, not only apostrophes.
fn is_closed(text: &str) -> bool {
    let length = quoted(text, '\'');
    length < text.len() && !text[length..].starts_with(char::is_alphanumeric)
}

/// Returns the length of a text in single quotes that may contain apostrophes. If all quotes pair
/// up correctly, it ends at the first closing quote, otherwise at the last one. Returns the whole
/// length if it isn't closed.
fn single_quoted(text: &str) -> usize {
    let mut first = None;
    let mut last = None;
    let mut is_open = true;
    let mut is_well_placed = true;
    let mut before = '\'';
    for (at, c) in text.char_indices().skip(1) {
        let after = text[at + c.len_utf8()..].chars().next();
        if c == '\'' && !(before.is_alphanumeric() && after.is_some_and(char::is_alphanumeric)) {
            let opens = (before.is_whitespace() || "(=[,:".contains(before))
                && after.is_some_and(|after| !after.is_whitespace());
            let closes = !before.is_whitespace() && !after.is_some_and(char::is_alphanumeric);
            is_well_placed &= if is_open { closes } else { opens };
            is_open = !is_open;
            first = first.or(Some(at + 1));
            last = Some(at + 1);
        }
        before = c;
    }
    if is_well_placed && !is_open { first.unwrap_or(text.len()) } else { last.unwrap_or(text.len()) }
}

/// Returns the length of the braces or brackets at the beginning of a text; the whole length if
/// they aren't closed.
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

/// Whether a text can only be a name, a path or an address without user.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_NAME
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/:[]*".contains(c))
}

/// Redacts a word: removes user and query from an address, and anything that looks like a key.
pub(super) fn word(word: &str) -> String {
    if let Some((scheme, rest)) = word.split_once("://") {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        // A password may contain any of these characters, and a query may contain an `@`.
        let host = match rest.rfind('@') {
            Some(at) if at > end => "",
            Some(at) => &rest[at + 1..end],
            None => &rest[..end],
        };
        let host = if is_host(host) { host.to_owned() } else { REMOVED.to_string() };
        return format!("{scheme}://{host}");
    }
    let longest = word.split(|c: char| !c.is_ascii_alphanumeric() && !"+=_".contains(c)).map(str::len).max();
    let has_digit = word.contains(|c: char| c.is_ascii_digit());
    if longest.unwrap_or_default() >= 32 && has_digit { REMOVED.to_string() } else { word.to_owned() }
}

/// Whether a text is a host with or without a port, and punctuation after it.
pub(super) fn is_host(text: &str) -> bool {
    let text = text.trim_end_matches([':', ',', ';', '.', ')', '"', '\'', '`', '>']);
    if let Some(inner) = text.strip_prefix('[') {
        return inner.chars().all(|c| c.is_ascii_hexdigit() || ":.]".contains(c));
    }
    let (host, port) = text.split_once(':').unwrap_or((text, ""));
    !host.is_empty()
        && host.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        && port.len() <= 5
        && port.chars().all(|c| c.is_ascii_digit())
}

/// Removes everything from a text that can only be a value.
pub(super) fn without_values(text: &str) -> String {
    Scanner { text, out: String::new(), holds_names: false }.run()
}

/// Redacts a text whose quotes contain only names: removes every quoted text that isn't one.
pub(super) fn with_names(text: &str) -> String {
    Scanner { text, out: String::new(), holds_names: true }.run()
}

struct Scanner<'a> {
    text: &'a str,
    out: String,
    /// Whether a quoted text is a name wherever it looks like one.
    holds_names: bool,
}

impl Scanner<'_> {
    fn run(mut self) -> String {
        let mut at = 0;
        while let Some(c) = self.text[at..].chars().next().filter(|_| self.out.len() < MAX_OUT) {
            let rest = &self.text[at..];
            at += self.step(rest, c);
        }
        self.out
    }

    /// Copies or removes what `rest` begins with, and returns its length.
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
            // An example of an allowed value, or the regular expression that checks it.
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

    /// Removes the value from `Invalid value: <value>: detail`.
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
            // The end of the value is uncertain.
            None => rest
                .rfind(": ")
                .filter(|at| *at >= start && DETAILS.iter().any(|detail| rest[at + 2..].starts_with(detail)))
                .unwrap_or(rest.len()),
        };
        Some(end)
    }

    fn quoted(&mut self, rest: &str, quote: char) -> usize {
        let before = self.out.as_str();
        let length = match quote {
            '\'' if before.is_empty() || before.ends_with([' ', '\n', '\t', '(', '=']) => single_quoted(rest),
            '\'' if !is_closed(rest) => {
                // An apostrophe.
                self.out.push(quote);
                return quote.len_utf8();
            }
            _ => whole(rest, quote),
        };
        let inner = rest[1..length].trim_end_matches(quote);
        let after = &rest[length..];
        let of_object = AFTER_NAMES.iter().any(|words| after.starts_with(words));
        // Another item of a list: `containers "a", "b" must set`, `supported values: "A", "B"`.
        let listed = ["\", ", "', ", "`, ", "`,"].iter().any(|end| before.ends_with(end))
            || before.ends_with("supported values: ");
        let is_named = self.holds_names
            || listed
            || of_object
            || BEFORE_NAMES.iter().any(|words| before.ends_with(words));
        // Empty quotes aren't a value: they name the core group.
        if inner.is_empty() || (is_named && is_name(inner)) || TYPES.contains(&inner) {
            self.out.push_str(&rest[..length]);
        } else if before.ends_with("field ") {
            let field = path(inner);
            self.out.push(quote);
            self.out.push_str(&field);
            self.out.push(quote);
        } else if inner.contains("://") && before.ends_with("Post ") {
            self.out.push_str(&word(inner));
        } else {
            self.out.push(REMOVED);
        }
        length
    }
}

/// Whether the text after `Invalid value: ` is the detail, because the API server left the value
/// out: several words in which a value can't end.
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

/// Returns the length of the value at the beginning of a text; `None` when its end is uncertain.
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
