//! A single pattern, translated into a regular expression. The crate `regex` matches in a time that
//! grows only with the length of the text, for any pattern. Texts and patterns with a single star
//! need none: reconciles read the patterns of classes and triggers each time, and compiling takes
//! longer than everything else in many of them.

use std::iter::Peekable;
use std::str::Chars;

use regex::Regex;

/// A parsed pattern.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    /// Only this text.
    Text(String),
    /// Texts that begin with the first part and end with the second one, with any characters except
    /// `/` in between.
    Star(String, String),
    /// Everything else.
    Expression(Regex),
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(text), Self::Text(other)) => text == other,
            (Self::Star(start, end), Self::Star(other_start, other_end)) => {
                start == other_start && end == other_end
            }
            (Self::Expression(expression), Self::Expression(other)) => expression.as_str() == other.as_str(),
            _ => false,
        }
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
        Regex::new(&whole)
            .map(Pattern::Expression)
            .map_err(|_| "it is too long; use fewer characters".to_owned())
    }
}

impl Pattern {
    /// Parses a pattern without special characters, or with a single star.
    fn simple(text: &str, is_special: impl Fn(char) -> bool) -> Option<Self> {
        if text.chars().any(|c| c != '*' && is_special(c)) {
            return None;
        }
        match text.split_once('*') {
            None => Some(Self::Text(text.to_owned())),
            Some((start, end)) if !end.contains('*') => Some(Self::Star(start.to_owned(), end.to_owned())),
            Some(_) => None,
        }
    }

    /// Parses a glob, in which only `*` is special; `None` when the glob is too long.
    pub(super) fn glob(text: &str) -> Option<Self> {
        Self::simple(text, |_| false).or_else(|| Self::expression_of_glob(text))
    }

    fn expression_of_glob(text: &str) -> Option<Self> {
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
        let simple = Self::simple(text, |c| matches!(c, '?' | '+' | '[' | ']' | '\\'));
        simple.map_or_else(|| Self::expression_of_actions(text), Ok)
    }

    fn expression_of_actions(text: &str) -> Result<Self, String> {
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
        match self {
            Self::Text(own) => own == text,
            Self::Star(start, end) => {
                let rest = text.strip_prefix(start.as_str());
                let between = rest.and_then(|rest| rest.strip_suffix(end.as_str()));
                between.is_some_and(|between| !between.contains('/'))
            }
            Self::Expression(expression) => expression.is_match(text),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_patterns_match_as_their_expressions_do() {
        let patterns = [
            "",
            "main",
            "*",
            "a*",
            "*a",
            "a*a",
            "acme/*",
            "*/shop",
            "a.b",
            "é*",
            "release/*",
            "**",
            "a**",
            "a*b*",
        ];
        let texts = [
            "",
            "main",
            "a",
            "aa",
            "aba",
            "a/a",
            "acme/",
            "acme/shop",
            "acme/shop/x",
            "/shop",
            "axb",
            "a.b",
            "é",
            "éa",
            "release/1",
            "release/1/2",
            "a\nb",
            "ab",
            "abb",
        ];
        for pattern in patterns {
            let [glob, actions] = [Pattern::glob(pattern).unwrap(), Pattern::actions(pattern).unwrap()];
            let [as_glob, as_actions] = [
                Pattern::expression_of_glob(pattern).unwrap(),
                Pattern::expression_of_actions(pattern).unwrap(),
            ];
            assert!(matches!(as_glob, Pattern::Expression(_)));
            for text in texts {
                assert_eq!(glob.matches(text), as_glob.matches(text), "{pattern:?} {text:?}");
                assert_eq!(actions.matches(text), as_actions.matches(text), "{pattern:?} {text:?}");
            }
        }
    }
}
