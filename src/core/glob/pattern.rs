//! A single pattern, translated into a regular expression. The crate `regex` matches in a time that
//! grows only with the length of the text, for any pattern.

use std::iter::Peekable;
use std::str::Chars;

use regex::Regex;

/// A parsed pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

/// A regular expression under construction.
#[derive(Default)]
struct Expression {
    text: String,
    /// Start of the last single character in `text`, to which a following `?` or `+` applies.
    unit: Option<usize>,
    /// Whether a path segment begins here.
    begins_part: bool,
}

impl Expression {
    fn new() -> Self {
        Self { begins_part: true, ..Self::default() }
    }

    fn character(&mut self, c: char) {
        self.unit = Some(self.text.len());
        self.text.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
        self.begins_part = c == '/';
    }

    /// Appends any character in one of these inclusive ranges of ASCII letters or digits.
    fn class(&mut self, ranges: &[(char, char)]) {
        self.unit = Some(self.text.len());
        self.text.push('[');
        for (first, last) in ranges {
            self.text.extend([*first, '-', *last]);
        }
        self.text.push(']');
        self.begins_part = false;
    }

    /// Appends an expression for any number of characters.
    fn any(&mut self, expression: &str, begins_part: bool) {
        self.text.push_str(expression);
        self.unit = None;
        self.begins_part = begins_part;
    }

    /// Appends `?` or `+` to the last character. Returns false when there is no such character.
    fn repeat(&mut self, how: char) -> bool {
        let is_unit = self.unit.take().is_some();
        self.text.push(how);
        self.begins_part = false;
        is_unit
    }

    fn pattern(&self) -> Result<Pattern, String> {
        let whole = format!(r"\A(?s:{})\z", self.text);
        Regex::new(&whole).map(Pattern).map_err(|_| "it is too long; use fewer characters".to_owned())
    }
}

impl Pattern {
    /// Parses a glob, in which only `*` is special; `None` when the glob is too long.
    pub(super) fn glob(text: &str) -> Option<Self> {
        let mut expression = Expression::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            if c == '*' {
                stars(&mut expression, &mut rest, |_| false);
            } else {
                expression.character(c);
            }
        }
        expression.pattern().ok()
    }

    /// Parses a filter pattern of GitHub Actions, without a leading `!`. The error says what is
    /// wrong, and the remedy.
    pub(super) fn actions(text: &str) -> Result<Self, String> {
        let mut expression = Expression::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '*' => stars(&mut expression, &mut rest, |c| matches!(c, '?' | '+')),
                '?' | '+' => {
                    if !expression.repeat(c) {
                        let number = if c == '?' { "zero or one" } else { "one or more" };
                        return Err(format!(
                            "{c} stands for {number} of the character before it, and there is none; write \\{c} for the character itself, or * for \
                             any characters"
                        ));
                    }
                }
                '[' => expression.class(&class(&mut rest)?),
                '\\' => match rest.next() {
                    Some(escaped) if !escaped.is_ascii_alphanumeric() => expression.character(escaped),
                    Some(escaped) => {
                        return Err(format!(
                            "\\{escaped} means nothing; \\ comes before a special character that stands for itself, as \\*"
                        ));
                    }
                    None => return Err("\\ is the last character; write \\\\ for a backslash".to_owned()),
                },
                _ => expression.character(c),
            }
        }
        expression.pattern()
    }

    /// Returns whether the whole text matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// Parses a run of stars whose first star has been consumed. Two or more stars include a following
/// `/` if they are at the beginning of a path segment, unless the character after that `/` modifies
/// it.
fn stars(
    expression: &mut Expression,
    rest: &mut Peekable<Chars<'_>>,
    is_about_the_slash: impl Fn(char) -> bool,
) {
    let mut count = 1;
    while rest.next_if_eq(&'*').is_some() {
        count += 1;
    }
    if count == 1 {
        expression.any("[^/]*", false);
        return;
    }
    let mut after = rest.clone();
    if expression.begins_part
        && after.next() == Some('/')
        && !after.peek().copied().is_some_and(is_about_the_slash)
    {
        *rest = after;
        expression.any("(?:.*/)?", true);
    } else {
        expression.any(".*", false);
    }
}

/// Parses a bracket expression whose opening bracket has been consumed.
fn class(rest: &mut Peekable<Chars<'_>>) -> Result<Vec<(char, char)>, String> {
    const OWN: &str = "write \\[ for the character itself";
    let mut ranges = Vec::new();
    loop {
        match rest.next() {
            Some(']') if ranges.is_empty() => {
                return Err(format!("[] holds no character; {OWN}"));
            }
            Some(']') => return Ok(ranges),
            Some(first) if first.is_ascii_alphanumeric() => {
                if rest.next_if_eq(&'-').is_none() {
                    ranges.push((first, first));
                    continue;
                }
                match rest.next() {
                    Some(last) if is_range(first, last) => ranges.push((first, last)),
                    Some(last) => {
                        return Err(format!(
                            "{first}-{last} is no range; there are a-z, A-Z, 0-9 and parts of them"
                        ));
                    }
                    None => return Err(format!("[ is not closed; add ], or {OWN}")),
                }
            }
            Some(other) => {
                return Err(format!(
                    "[…] holds letters, digits and ranges of them, and \"{other}\" is none; remove it, or {OWN}"
                ));
            }
            None => return Err(format!("[ is not closed; add ], or {OWN}")),
        }
    }
}

fn is_range(first: char, last: char) -> bool {
    let of = |is: fn(&char) -> bool| is(&first) && is(&last);
    first <= last
        && (of(char::is_ascii_digit) || of(char::is_ascii_lowercase) || of(char::is_ascii_uppercase))
}
