//! A single pattern: parses it into steps and matches text against them.

use std::iter::Peekable;
use std::str::Chars;

/// A parsed pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    steps: Vec<Step>,
}

/// A step of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// One character.
    One(Unit),
    /// Zero or one character.
    Optional(Unit),
    /// One or more characters.
    Repeated(Unit),
    /// Any characters but `/`.
    Star,
    /// Any characters.
    Any,
    /// Start of any number of folders: skips them, or enters [`Step::InFolders`], which always
    /// follows.
    Folders,
    /// Any characters up to and including a `/`.
    InFolders,
}

/// A matcher for one character.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Unit {
    /// This character.
    Char(char),
    /// Any character in one of these inclusive ranges.
    Class(Vec<(char, char)>),
}

impl Unit {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Char(wanted) => *wanted == c,
            Self::Class(ranges) => ranges.iter().any(|(first, last)| (*first..=*last).contains(&c)),
        }
    }
}

impl Pattern {
    /// Parses a glob, in which only `*` is special.
    pub(super) fn glob(text: &str) -> Self {
        let mut steps = Vec::with_capacity(text.len());
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            if c == '*' {
                stars(&mut steps, &mut rest, |_| false);
            } else {
                steps.push(Step::One(Unit::Char(c)));
            }
        }
        Self { steps }
    }

    /// Parses a filter pattern of GitHub Actions, without a leading `!`. The error says what is
    /// wrong, and the remedy.
    pub(super) fn actions(text: &str) -> Result<Self, String> {
        let mut steps = Vec::with_capacity(text.len());
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '*' => stars(&mut steps, &mut rest, |c| matches!(c, '?' | '+')),
                '?' | '+' => {
                    let Some(Step::One(unit)) = steps.pop() else {
                        let number = if c == '?' { "zero or one" } else { "one or more" };
                        return Err(format!(
                            "{c} stands for {number} of the character before it, and there is none; write \\{c} for the character itself, or * for \
                             any characters"
                        ));
                    };
                    steps.push(if c == '?' { Step::Optional(unit) } else { Step::Repeated(unit) });
                }
                '[' => steps.push(Step::One(Unit::Class(class(&mut rest)?))),
                '\\' => match rest.next() {
                    Some(escaped) if !escaped.is_ascii_alphanumeric() => {
                        steps.push(Step::One(Unit::Char(escaped)));
                    }
                    Some(escaped) => {
                        return Err(format!(
                            "\\{escaped} means nothing; \\ comes before a special character that stands for itself, as \\*"
                        ));
                    }
                    None => return Err("\\ is the last character; write \\\\ for a backslash".to_owned()),
                },
                _ => steps.push(Step::One(Unit::Char(c))),
            }
        }
        Ok(Self { steps })
    }

    /// Returns whether the whole text matches. It follows all paths through the pattern at once and
    /// never backtracks, so it takes at most the text's length times the pattern's length steps.
    pub(super) fn matches(&self, text: &str) -> bool {
        let mut states = States::new(self.steps.len());
        let mut next = States::new(self.steps.len());
        self.enter(0, &mut states);
        for c in text.chars() {
            next.clear();
            for &state in &states.active {
                match self.steps.get(state) {
                    Some(Step::One(unit) | Step::Optional(unit)) if unit.takes(c) => {
                        self.enter(state + 1, &mut next);
                    }
                    Some(Step::Repeated(unit)) if unit.takes(c) => {
                        next.add(state);
                        self.enter(state + 1, &mut next);
                    }
                    Some(Step::Star) if c != '/' => self.enter(state, &mut next),
                    Some(Step::Any) => self.enter(state, &mut next),
                    Some(Step::InFolders) => {
                        next.add(state);
                        if c == '/' {
                            self.enter(state + 1, &mut next);
                        }
                    }
                    _ => {}
                }
            }
            std::mem::swap(&mut states, &mut next);
            if states.active.is_empty() {
                return false;
            }
        }
        states.active.contains(&self.steps.len())
    }

    /// Adds a state, and the states that can be reached from it without consuming a character.
    fn enter(&self, state: usize, states: &mut States) {
        let mut open = vec![state];
        while let Some(state) = open.pop() {
            if !states.add(state) {
                continue;
            }
            match self.steps.get(state) {
                Some(Step::Optional(_) | Step::Star | Step::Any) => open.push(state + 1),
                Some(Step::Folders) => open.extend([state + 1, state + 2]),
                _ => {}
            }
        }
    }
}

/// The set of active states.
struct States {
    active: Vec<usize>,
    is_active: Vec<bool>,
}

impl States {
    fn new(steps: usize) -> Self {
        Self { active: Vec::with_capacity(steps + 1), is_active: vec![false; steps + 1] }
    }

    fn clear(&mut self) {
        for state in self.active.drain(..) {
            self.is_active[state] = false;
        }
    }

    /// Adds a state and returns whether it was new.
    fn add(&mut self, state: usize) -> bool {
        if std::mem::replace(&mut self.is_active[state], true) {
            return false;
        }
        self.active.push(state);
        true
    }
}

/// Parses a run of stars whose first star has been consumed. Two or more stars include a following
/// `/` if they are at the beginning of a path segment, unless the character after that `/` modifies
/// it.
fn stars(steps: &mut Vec<Step>, rest: &mut Peekable<Chars<'_>>, is_about_the_slash: impl Fn(char) -> bool) {
    let mut count = 1;
    while rest.next_if_eq(&'*').is_some() {
        count += 1;
    }
    if count == 1 {
        steps.push(Step::Star);
        return;
    }
    let begins = matches!(steps.last(), None | Some(Step::One(Unit::Char('/')) | Step::InFolders));
    let mut after = rest.clone();
    if begins && after.next() == Some('/') && !after.peek().copied().is_some_and(is_about_the_slash) {
        *rest = after;
        steps.extend([Step::Folders, Step::InFolders]);
    } else {
        steps.push(Step::Any);
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
