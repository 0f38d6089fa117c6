//! Finds the placeholders in a string.

use minijinja::{Environment, Expression};

use super::limits::{ENDS, EXPRESSION};
use crate::core::truncate::cut;

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
/// The remedy for strings whose braces belong to another tool: External Secrets, Prometheus and
/// Argo Workflows use them too.
pub(super) const OWN_BRACES: &str = "for braces that belong to the object itself, write {{ \"{{\" }} for {{";

/// A part of a string.
pub(super) enum Piece<'a> {
    Text(&'a str),
    Placeholder(Placeholder<'a>),
}

/// A placeholder.
pub(super) struct Placeholder<'a> {
    /// The expression, without the braces.
    source: &'a str,
    pub(super) expression: Expression<'a, 'a>,
}

impl Placeholder<'_> {
    /// Returns the placeholder for a message.
    pub(super) fn shown(&self) -> String {
        shown(self.source)
    }
}

/// Splits a string at its placeholders. A placeholder ends at the first `}}` that follows a
/// complete expression, so braces in the expression's strings and maps don't end it.
pub(super) fn pieces<'a>(
    environment: &'a Environment<'static>,
    text: &'a str,
) -> Result<Vec<Piece<'a>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(OPEN) {
        if start > 0 {
            pieces.push(Piece::Text(&rest[..start]));
        }
        let (placeholder, length) = placeholder(environment, &rest[start + OPEN.len()..])?;
        pieces.push(Piece::Placeholder(placeholder));
        rest = &rest[start + OPEN.len() + length + CLOSE.len()..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

/// Returns whether a text contains a placeholder.
pub(super) fn has_placeholder(text: &str) -> bool {
    text.contains(OPEN)
}

/// Parses the placeholder whose `{{` comes directly before `text`. Returns it with the length of
/// its expression.
fn placeholder<'a>(
    environment: &'a Environment<'static>,
    text: &'a str,
) -> Result<(Placeholder<'a>, usize), String> {
    // Any two braces in a row may be the end: `{{ {"a": 1}}}`.
    let ends = text.as_bytes().windows(CLOSE.len()).enumerate();
    let ends = ends.filter(|(_, bytes)| *bytes == CLOSE.as_bytes()).map(|(end, _)| end);
    let mut problem = None;
    for end in ends.take(ENDS).take_while(|end| *end <= EXPRESSION) {
        let source = &text[..end];
        if source.starts_with(['-', '+']) && !source[1..].starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!(
                "{}: a placeholder doesn't trim the space around it; remove the sign, and {OWN_BRACES}",
                shown(source)
            ));
        }
        match environment.compile_expression(source) {
            Ok(expression) => return Ok((Placeholder { source, expression }, end)),
            Err(error) if problem.is_none() => {
                let detail = error.detail().unwrap_or("is not an expression");
                problem = Some(format!("{}: {detail}; {OWN_BRACES}", shown(source)));
            }
            Err(_) => {}
        }
    }
    Err(problem.unwrap_or_else(|| {
        format!(
            "{}: the placeholder has no end within {EXPRESSION} bytes; close it with }}}}; {OWN_BRACES}",
            cut(&format!("{OPEN}{}", text.trim_end()), 60)
        )
    }))
}

fn shown(source: &str) -> String {
    format!("{OPEN} {} {CLOSE}", cut(source.trim(), 100))
}
