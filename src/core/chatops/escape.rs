//! Text that people wrote, so that it is only text where it is repeated: it mentions nobody, links nowhere and formats nothing.

/// Shown as nothing, and keeps apart what would otherwise be taken together: `@` and a login, `#` and a number.
pub(super) const APART: char = '\u{200b}';

/// Whether it can't be seen, or turns the direction of writing around.
pub(super) const fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// One line, without what can't be seen.
fn visible(text: &str) -> String {
    let kept: String =
        text.chars().filter(|c| !is_unseen(*c)).map(|c| if c.is_control() { ' ' } else { c }).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text with what would be taken for a mention, a reference or an address kept apart, and each
/// character as `escape` has it, which knows the character after it and all that was written
/// before.
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

/// As text in GitHub's Markdown, also in a cell of a table. One line.
///
/// A backslash before punctuation takes its meaning
/// (<https://github.github.com/gfm/#backslash-escapes>). Only what would have a meaning where it
/// stands gets one, since answers are read as plain text too, in mails and notifications. Mentions,
/// references to issues and bare addresses are looked for in what is shown; they are kept apart by
/// a character that is not shown.
/// <https://docs.github.com/get-started/writing-on-github/working-with-advanced-formatting/autolinked-references-and-urls>
pub fn escape_markdown(text: &str) -> String {
    apart(text, |c, next, out| {
        let is_special = match c {
            '\\' | '`' | '*' | '~' | '[' | '<' | '|' | '$' | '^' => true,
            // Within a word it formats nothing.
            '_' => !(out.ends_with(char::is_alphanumeric) && next.is_some_and(char::is_alphanumeric)),
            // An entity.
            '&' => next.is_some_and(|next| next == '#' || next.is_ascii_alphanumeric()),
            // A list, a heading, a quote, a line.
            '-' | '+' | '=' | '#' | '>' | ':' => out.is_empty(),
            // A numbered list.
            '.' | ')' => !out.is_empty() && out.bytes().all(|byte| byte.is_ascii_digit()),
            _ => false,
        };
        if is_special {
            out.push('\\');
        }
        out.push(c);
    })
}

/// As text in Slack's mrkdwn. One line.
///
/// Mentions, channels and links are between `<` and `>`, and entities take their meaning; what formats has no escape and is kept apart.
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
