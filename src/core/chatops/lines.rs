//! Finds the command lines in a comment.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::WORDS;
use crate::core::truncate::cut;

/// Most commands in one comment. Further commands are ignored.
pub const MAX_LINES: usize = 5;
/// Most characters of a line, the limit of a DeploymentCommand's `spec.text`.
pub(super) const MAX_LINE: usize = 1_000;

/// Returns the command lines of a comment: lines that begin, without indentation, with `/` and a
/// command word, outside of quotes, code, lists, tables and HTML comments. There are at most
/// [`MAX_LINES`]. A line of more than 1000 characters is cut, and later rejected as not understood.
///
/// The comment is parsed as GitHub's Markdown, so everything that GitHub shows as a quote or as
/// code is skipped. A line directly below a quote, without an empty line between, belongs to the
/// quote. <https://github.github.com/gfm/#phase-1-block-structure>
pub fn lines(body: &str) -> Vec<String> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_GFM;
    let mut found = Vec::new();
    // The nesting depth, and whether the current block may contain commands.
    let (mut depth, mut open) = (0_usize, false);
    for (event, range) in Parser::new_ext(body, options).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                depth += 1;
                if depth == 1 {
                    // Markdown reads a paragraph above `---` or `-- ` as a heading, but most people
                    // mean a signature.
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
    // The word must follow the slash directly.
    let joined = line.chars().nth(1).is_some_and(|c| !c.is_whitespace());
    joined && word.is_some_and(|word| WORDS.iter().any(|known| known.name.eq_ignore_ascii_case(word)))
}
