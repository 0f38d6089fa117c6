//! Cause of a failure, in parts, so that a short form can drop the least important part and always
//! keep the cause itself.

use std::fmt;
use std::ops::Deref;

use crate::core::truncate::cut;

/// Shortest useful form of a detail, in characters.
const MIN_DETAIL: usize = 16;
/// Shortest useful form of a subject, in characters.
const MIN_SUBJECT: usize = 8;
/// Longest subject in front of a cause that doesn't fit in full, in characters.
const MAX_SUBJECT: usize = 40;
/// Length of an abbreviated commit or digest, in characters.
const SHORT_HASH: usize = 7;

/// Cause of a failure, the object that failed, and further details.
///
/// It reads as one sentence with the parts in order of importance:
/// `Deployment/web, container web: image not found (registry.example.com/acme/shop:1): push it`.
/// Two causes are equal when their texts are equal.
#[derive(Clone, Debug, Default)]
pub struct Cause {
    parts: Box<Parts>,
    text: String,
}

#[derive(Clone, Debug, Default)]
struct Parts {
    object: Option<Object>,
    container: Option<Container>,
    what: String,
    detail: String,
    remedy: String,
    said: String,
}

#[derive(Clone, Debug)]
struct Object {
    kind: String,
    name: String,
}

#[derive(Clone, Debug)]
struct Container {
    title: &'static str,
    name: String,
}

impl Cause {
    /// Creates a cause from a few words that are never left out, such as `image not found`.
    pub fn new(what: impl Into<String>) -> Self {
        let parts = Parts { what: what.into(), ..Parts::default() };
        Self { parts: Box::new(parts), text: String::new() }.written()
    }

    /// Sets the detail: the image, address or field. An empty text means no detail. The short form
    /// cuts a single word in its middle and several words at their end.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.parts.detail = detail.into();
        self.written()
    }

    /// Sets the remedy: what the reader can do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.parts.remedy = remedy.into();
        self.written()
    }

    /// Sets the output of the program that failed. The short form leaves it out.
    #[must_use]
    pub fn said(mut self, said: impl Into<String>) -> Self {
        self.parts.said = said.into();
        self.written()
    }

    /// Sets the object that failed.
    #[must_use]
    pub fn of(mut self, kind: &str, name: &str) -> Self {
        self.parts.object = Some(Object { kind: kind.to_owned(), name: name.to_owned() });
        self.written()
    }

    /// Sets the container that failed.
    #[must_use]
    pub fn in_container(mut self, name: &str) -> Self {
        self.parts.container = Some(Container { title: "container", name: name.to_owned() });
        self.written()
    }

    /// Sets the init container that failed.
    #[must_use]
    pub fn in_init_container(mut self, name: &str) -> Self {
        self.parts.container = Some(Container { title: "init container", name: name.to_owned() });
        self.written()
    }

    /// Adds a consequence of the cause, such as `not ready within 10m`.
    #[must_use]
    pub fn and(mut self, consequence: &str) -> Self {
        if self.parts.what.is_empty() {
            consequence.clone_into(&mut self.parts.what);
        } else if !consequence.is_empty() {
            self.parts.what = format!("{}, {consequence}", self.parts.what);
        }
        self.written()
    }

    /// Cuts the whole text to at most `max` characters.
    #[must_use]
    pub fn bounded(mut self, max: usize) -> Self {
        self.text = cut(&self.text, max);
        self
    }

    /// Returns the whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the text on one line, in at most `limit` characters. It shortens in this order: it
    /// drops the remedy, abbreviates commits and digests, cuts the middle of an image or address,
    /// then cuts the detail and the subject. It cuts the cause only when the cause alone is too
    /// long.
    pub fn short(&self, limit: usize) -> String {
        let what = one_line(&self.parts.what);
        let detail = one_line(&self.parts.detail);
        let remedy = one_line(&self.parts.remedy);
        let briefly = short_hashes(&detail);
        let what = if length(&what) > limit { short_hashes(&what) } else { what };
        for subject in self.subjects(limit.saturating_sub(length(&what))) {
            let head = joined(&subject, &what);
            let Some(room) = limit.checked_sub(length(&head)) else { continue };
            let forms = [(&detail, &remedy), (&briefly, &remedy), (&briefly, &String::new())];
            let fits = forms.iter().map(|(detail, remedy)| sentence(&head, detail, remedy));
            return fits.into_iter().find(|form| length(form) <= limit).unwrap_or_else(|| {
                // Room for the parentheses and the space before them.
                let room = room.saturating_sub(3);
                if room < MIN_DETAIL { head } else { sentence(&head, &elided(&briefly, room), "") }
            });
        }
        let subject = self.subjects(0).into_iter().find(|subject| length(subject) <= MAX_SUBJECT);
        cut(&joined(&subject.unwrap_or_default(), &short_hashes(&what)), limit)
    }

    /// Names of the failed object, from the most informative one to none. `room` is the number of
    /// characters that the rest of the text leaves.
    fn subjects(&self, room: usize) -> Vec<String> {
        let object = self.parts.object.as_ref();
        let name = object.map(|object| object.name.clone()).unwrap_or_default();
        let titled = object.map(Object::title).unwrap_or_default();
        let mut subjects = match &self.parts.container {
            Some(container) if container.name == name => vec![name],
            Some(container) => {
                let title = container.title();
                let both = |object: &str| {
                    if object.is_empty() { title.clone() } else { format!("{object}, {title}") }
                };
                vec![both(&titled), both(&name), title.clone(), container.name.clone()]
            }
            None => vec![titled, name],
        };
        if let Some(last) = subjects.last()
            && let Some(room) = room.checked_sub(2).filter(|room| *room >= MIN_SUBJECT)
        {
            subjects.push(elided(last, room));
        }
        subjects.push(String::new());
        subjects
    }

    fn written(mut self) -> Self {
        let object = self.parts.object.as_ref().map(Object::title);
        let container = self.parts.container.as_ref().map(Container::title);
        let subject: Vec<String> = object.into_iter().chain(container).collect();
        // Don't repeat output that the cause already ends with.
        let parts = &self.parts;
        let said = if parts.what.ends_with(&parts.said) { "" } else { parts.said.as_str() };
        let more = [parts.remedy.as_str(), said];
        let more: Vec<&str> = more.into_iter().filter(|part| !part.is_empty()).collect();
        self.text =
            sentence(&joined(&subject.join(", "), &self.parts.what), &self.parts.detail, &more.join("; "));
        self
    }
}

impl Object {
    fn title(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

impl Container {
    fn title(&self) -> String {
        format!("{} {}", self.title, self.name)
    }
}

impl From<String> for Cause {
    fn from(what: String) -> Self {
        Self::new(what)
    }
}

impl From<&str> for Cause {
    fn from(what: &str) -> Self {
        Self::new(what)
    }
}

impl From<Cause> for String {
    fn from(cause: Cause) -> Self {
        cause.text
    }
}

impl Deref for Cause {
    type Target = str;
    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl PartialEq for Cause {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Cause {}

impl PartialEq<str> for Cause {
    fn eq(&self, other: &str) -> bool {
        self.text == other
    }
}

impl PartialEq<&str> for Cause {
    fn eq(&self, other: &&str) -> bool {
        self.text == *other
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn joined(subject: &str, what: &str) -> String {
    match (subject, what) {
        (part, "") | ("", part) => part.to_owned(),
        (subject, what) => format!("{subject}: {what}"),
    }
}

fn sentence(head: &str, detail: &str, more: &str) -> String {
    let mut text = head.to_owned();
    if !detail.is_empty() {
        text.push_str(if text.is_empty() { "(" } else { " (" });
        text.push_str(detail);
        text.push(')');
    }
    if !more.is_empty() {
        text.push_str(if text.is_empty() { "" } else { ": " });
        text.push_str(more);
    }
    text
}

/// Abbreviates commits and digests (40 or 64 hexadecimal digits) to their first digits.
fn short_hashes(text: &str) -> String {
    let mut short = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars().chain(std::iter::once(' ')) {
        if c.is_ascii_hexdigit() {
            run.push(c);
            continue;
        }
        let kept = if matches!(run.len(), 40 | 64) { SHORT_HASH } else { run.len() };
        short.push_str(run.get(..kept).unwrap_or(&run));
        run.clear();
        short.push(c);
    }
    short.pop();
    short
}

/// Shortens the text to `max` characters. Of an image or address it keeps the beginning and the
/// end, of a sentence the first words.
fn elided(text: &str, max: usize) -> String {
    if length(text) <= max {
        return text.to_owned();
    }
    if text.contains(' ') {
        return cut(text, max);
    }
    if let (Some((first, _)), Some((_, last))) = (text.split_once('/'), text.rsplit_once('/')) {
        for shorter in [format!("{first}/…/{last}"), format!("…/{last}")] {
            if length(&shorter) <= max && length(&shorter) < length(text) {
                return shorter;
            }
        }
    }
    let Some(kept) = max.checked_sub(1) else { return String::new() };
    let first = kept / 3;
    let last = length(text) - (kept - first);
    text.chars().take(first).chain(std::iter::once('…')).chain(text.chars().skip(last)).collect()
}

#[cfg(test)]
#[path = "cause_tests.rs"]
mod tests;
