//! Patterns: the filter patterns of GitHub Actions for branches and paths ([`Filter`]), and plain
//! globs for names ([`matches`]).

mod filter;
mod pattern;
#[cfg(test)]
mod tests;

pub use self::filter::{Filter, FilterOf};

use self::pattern::Pattern;

/// Returns whether a text matches a glob, in which `*` stands for any characters but `/`, `**` for
/// any characters at all, and `**/`, where a part of the path begins, also for nothing. Every other
/// character stands for itself.
///
/// For names in which nothing else has a meaning: repositories and namespaces of a class, hosts of
/// registries.
pub fn matches(glob: &str, text: &str) -> bool {
    Pattern::glob(glob).is_some_and(|pattern| pattern.matches(text))
}

/// Like [`matches`], without regard to case: for names that GitHub compares so.
pub fn matches_ignoring_case(glob: &str, text: &str) -> bool {
    matches(&glob.to_lowercase(), &text.to_lowercase())
}
