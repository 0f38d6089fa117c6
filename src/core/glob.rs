//! Globs for repositories, namespaces and branches.

/// Whether `text` fits `pattern`, in which `*` stands for any characters, none included, but `/`.
///
/// The same meaning as in GitHub's branch filters and protection rules, short of `**`, `?` and classes.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut pattern = pattern.split('*');
    let first = pattern.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pattern.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        // The leftmost place is the best one: it leaves the most for the pieces that follow.
        match rest.find(piece) {
            Some(at) if !rest[..at].contains('/') => rest = &rest[at + piece.len()..],
            _ => return false,
        }
    }
    rest.strip_suffix(last).is_some_and(|middle| !middle.contains('/'))
}

/// Like [`matches`], without regard to case: for names that GitHub compares so.
pub fn matches_ignoring_case(pattern: &str, text: &str) -> bool {
    matches(&pattern.to_lowercase(), &text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_but_a_slash() {
        for (pattern, text) in [
            ("main", "main"),
            ("*", "main"),
            ("release-*", "release-1.2"),
            ("acme/*", "acme/shop"),
            ("*/shop", "acme/shop"),
            ("a*c*e", "abcde"),
            ("release/*-rc", "release/1.2-rc"),
            ("a*", "a"),
            ("*aab", "aaab"),
        ] {
            assert!(matches(pattern, text), "{pattern} should match {text}");
        }
        for (pattern, text) in [
            ("main", "mainline"),
            ("main", "domain"),
            ("release-*", "release/1"),
            ("acme/*", "acme-evil/shop"),
            ("acme/*", "acme/shop/x"),
            ("*", "feature/x"),
            ("a*c", "ab"),
            ("ab*ba", "aba"),
            ("", "x"),
        ] {
            assert!(!matches(pattern, text), "{pattern} should not match {text}");
        }
    }

    #[test]
    fn repositories_ignore_case() {
        assert!(matches_ignoring_case("Acme/*", "acme/Shop"));
    }
}
