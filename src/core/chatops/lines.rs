//! Where in a comment the commands stand.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::WORDS;
use crate::core::truncate::cut;

/// Commands that one comment may give; those after them are not read.
pub const MAX_LINES: usize = 5;
/// Longest line, in characters, as a DeploymentCommand's `spec.text` may have.
pub(super) const MAX_LINE: usize = 1_000;

/// The command lines of a comment: those that begin, without any indentation, with `/` and a command word, in text that isn't quoted, code, part of
/// a list or table, or an HTML comment. At most [`MAX_LINES`]; one that is longer than 1000 characters is cut, and not understood later.
///
/// The text is read as GitHub reads it, so what is shown as a quote or code is none, however it is written. A line right below a quote, without
/// an empty one between, belongs to the quote. <https://github.github.com/gfm/#phase-1-block-structure>
pub fn lines(body: &str) -> Vec<String> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_GFM;
    let mut found = Vec::new();
    // How deep the present text is, and whether the block it is in may have commands.
    let (mut depth, mut open) = (0_usize, false);
    for (event, range) in Parser::new_ext(body, options).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                depth += 1;
                if depth == 1 {
                    // A paragraph above `---` or `-- ` is a heading; nobody means that by a signature.
                    open = matches!(tag, Tag::Paragraph | Tag::Heading { .. });
                }
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                open = open && !(depth == 0 && matches!(end, TagEnd::Paragraph | TagEnd::Heading(_)));
            }
            Event::Text(_) if depth == 1 && open => {
                let begins_line =
                    body[..range.start].chars().next_back().is_none_or(|c| matches!(c, '\n' | '\r'));
                let line = body[range.start..].split(['\n', '\r']).next().unwrap_or_default().trim_end();
                if begins_line && is_command(line) {
                    found.push(cut(line, MAX_LINE));
                }
            }
            _ => {}
        }
        if found.len() == MAX_LINES {
            break;
        }
    }
    found
}

fn is_command(line: &str) -> bool {
    let word = line.strip_prefix('/').and_then(|rest| rest.split_whitespace().next());
    // Nothing may stand between the slash and the word.
    let joined = line.chars().nth(1).is_some_and(|c| !c.is_whitespace());
    joined && word.is_some_and(|word| WORDS.iter().any(|known| known.name.eq_ignore_ascii_case(word)))
}
