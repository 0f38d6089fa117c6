//! Patterns: the filter patterns of GitHub Actions for branches and paths ([`Filter`]), and plain
//! globs for names ([`matches`]).

mod filter;
mod pattern;
#[cfg(test)]
mod tests;

pub use self::filter::{Filter, FilterOf};

use self::pattern::Pattern;

/// Returns whether a text matches a glob. `*` matches any characters except `/`, `**` any
/// characters, and `**/` at the beginning of a path segment also nothing. Every other character
/// matches itself.
///
/// Globs are used for names in which only `*` has a meaning: repositories and namespaces of a
/// class, and hosts of registries.
pub fn matches(glob: &str, text: &str) -> bool {
    if !glob.contains('*') {
        return glob == text;
    }
    Pattern::glob(glob).is_some_and(|pattern| pattern.matches(text))
}

/// Like [`matches`], but ignores case, for names that GitHub compares without regard to case.
pub fn matches_ignoring_case(glob: &str, text: &str) -> bool {
    matches(&glob.to_lowercase(), &text.to_lowercase())
}
