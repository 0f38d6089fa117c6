//! Escapes text that users wrote, so that it stays plain text in an answer: it mentions nobody,
//! contains no links and formats nothing.

/// A zero-width space. It separates characters that would have a meaning together: `@` and a login,
/// `#` and a number.
pub(super) const APART: char = '\u{200b}';

/// Returns whether a character is invisible or changes the writing direction.
pub(super) const fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Returns the text in one line, without invisible characters.
fn visible(text: &str) -> String {
    let kept: String =
        text.chars().filter(|c| !is_unseen(*c)).map(|c| if c.is_control() { ' ' } else { c }).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the text with mentions, references and addresses broken up by [`APART`]. `escape` writes
/// each character; it receives the next character and the text written so far.
fn apart(text: &str, escape: impl Fn(char, Option<char>, &mut String)) -> String {
    let text = visible(text);
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text.chars();
    let mut before = String::new();
    while let Some(c) = rest.next() {
        let next = rest.clone().next();
        let address = c == '.' && before.ends_with("www");
        let reference = c == '-' && before.ends_with("gh");
        if address || reference {
            out.push(APART);
        }
        escape(c, next, &mut out);
        if matches!(c, '@' | '#') || c == ':' && next == Some('/') {
            out.push(APART);
        }
        if c.is_alphanumeric() {
            before.push(c.to_ascii_lowercase());
        } else {
            before.clear();
        }
    }
    out
}

/// Escapes text for GitHub's Markdown, also within a cell of a table. Returns one line.
///
/// A backslash before punctuation removes its meaning
/// (<https://github.github.com/gfm/#backslash-escapes>). Only characters that would have a meaning
/// at their position are escaped, since people also read answers as plain text in mails and
/// notifications. GitHub looks for mentions, issue references and bare addresses in the rendered
/// text, where a backslash has no effect; an invisible character breaks them up instead.
/// <https://docs.github.com/get-started/writing-on-github/working-with-advanced-formatting/autolinked-references-and-urls>
pub fn escape_markdown(text: &str) -> String {
    apart(text, |c, next, out| {
        let is_special = match c {
            '\\' | '`' | '*' | '~' | '[' | '<' | '|' | '$' | '^' => true,
            // An underscore within a word formats nothing.
            '_' => !(out.ends_with(char::is_alphanumeric) && next.is_some_and(char::is_alphanumeric)),
            // The start of an entity.
            '&' => next.is_some_and(|next| next == '#' || next.is_ascii_alphanumeric()),
            // The start of a list, a heading, a quote or a thematic break.
            '-' | '+' | '=' | '#' | '>' | ':' => out.is_empty(),
            // The start of a numbered list.
            '.' | ')' => !out.is_empty() && out.bytes().all(|byte| byte.is_ascii_digit()),
            _ => false,
        };
        if is_special {
            out.push('\\');
        }
        out.push(c);
    })
}

/// Escapes text for Slack's mrkdwn. Returns one line.
///
/// Slack writes mentions, channels and links between `<` and `>`, so these become entities. The
/// formatting characters have no escape; an invisible character breaks them up.
/// <https://docs.slack.dev/messaging/formatting-message-text#escaping>
pub fn escape_mrkdwn(text: &str) -> String {
    apart(text, |c, _, out| match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '*' | '_' | '~' | '`' => out.extend([APART, c, APART]),
        _ => out.push(c),
    })
}
