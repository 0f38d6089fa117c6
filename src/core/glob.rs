//! Globs for repositories, namespaces, branches and paths.

/// A step of a pattern.
#[derive(Clone, Copy)]
enum Step {
    /// This byte.
    Byte(u8),
    /// Any bytes but `/`.
    Star,
    /// Any bytes.
    Any,
    /// Beginning of any folders: none, or what [`Step::InFolders`] takes. The two come in a row.
    Folders,
    /// Any bytes, up to and with a `/`.
    InFolders,
}

/// Whether `text` fits `pattern`, in which `*` stands for any characters, none included, but `/`; `**` for any characters at all; and `**/`, where
/// a part of the path begins, also for nothing.
///
/// The same meaning as in the filters of GitHub Actions, short of `?`, `+`, `!` and classes:
/// <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet>
pub fn matches(pattern: &str, text: &str) -> bool {
    let steps = steps(pattern);
    // Every step that may come next. Their number is bounded by the pattern's length, so no pattern takes long, as it could where each star is
    // tried anew.
    let mut places = vec![false; steps.len() + 1];
    let mut next = places.clone();
    enter(&steps, 0, &mut places);
    for byte in text.bytes() {
        next.fill(false);
        for (place, step) in steps.iter().enumerate().filter(|(place, _)| places[*place]) {
            match step {
                Step::Byte(wanted) if *wanted == byte => enter(&steps, place + 1, &mut next),
                Step::Star if byte != b'/' => enter(&steps, place, &mut next),
                Step::Any => enter(&steps, place, &mut next),
                Step::InFolders => {
                    next[place] = true;
                    if byte == b'/' {
                        enter(&steps, place + 1, &mut next);
                    }
                }
                Step::Byte(_) | Step::Star | Step::Folders => {}
            }
        }
        std::mem::swap(&mut places, &mut next);
        if !places.contains(&true) {
            return false;
        }
    }
    places[steps.len()]
}

/// Marks a place, and those that can be reached from it without any text.
fn enter(steps: &[Step], place: usize, places: &mut [bool]) {
    if std::mem::replace(&mut places[place], true) {
        return;
    }
    match steps.get(place) {
        Some(Step::Star | Step::Any) => enter(steps, place + 1, places),
        Some(Step::Folders) => {
            places[place + 1] = true;
            enter(steps, place + 2, places);
        }
        _ => {}
    }
}

fn steps(pattern: &str) -> Vec<Step> {
    let mut steps = Vec::with_capacity(pattern.len());
    let mut rest = pattern.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        if *first != b'*' {
            steps.push(Step::Byte(*first));
            rest = others;
            continue;
        }
        let stars = rest.iter().take_while(|byte| **byte == b'*').count();
        let begins = matches!(steps.last(), None | Some(Step::Byte(b'/') | Step::InFolders));
        rest = &rest[stars..];
        match rest.strip_prefix(b"/") {
            Some(after) if stars > 1 && begins => {
                steps.extend([Step::Folders, Step::InFolders]);
                rest = after;
            }
            _ => steps.push(if stars > 1 { Step::Any } else { Step::Star }),
        }
    }
    steps
}

/// Like [`matches`], without regard to case: for names that GitHub compares so.
pub fn matches_ignoring_case(pattern: &str, text: &str) -> bool {
    matches(&pattern.to_lowercase(), &text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            ("grün-*", "grün-é"),
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

    /// Most of these are the examples of GitHub's documentation.
    #[test]
    fn two_stars_stand_for_anything() {
        for (pattern, texts) in [
            ("**", &["all/the/files.md", ""][..]),
            ("docs/**", &["docs/README.md", "docs/mona/octocat.txt"]),
            ("docs/**/*.md", &["docs/README.md", "docs/mona/hello-world.md", "docs/a/markdown/file.md"]),
            ("**/docs/**", &["docs/hello.md", "dir/docs/my-file.txt", "space/docs/plan/space.doc"]),
            ("**/README.md", &["README.md", "js/README.md"]),
            ("**/*src/**", &["a/src/app.js", "my-src/code/js/app.js"]),
            ("**.js", &["index.js", "js/index.js", "src/js/app.js"]),
            ("**/migrate-*.sql", &["migrate-10909.sql", "db/migrate-v1.0.sql", "db/sept/migrate-v1.sql"]),
            ("releases/**-alpha", &["releases/beta/3-alpha", "releases/-alpha"]),
            ("a/**/**/b", &["a/b", "a/x/b", "a/x/y/b"]),
            ("a***b", &["ab", "a/b"]),
        ] {
            for text in texts {
                assert!(matches(pattern, text), "{pattern} should match {text}");
            }
        }
        for (pattern, text) in [
            ("docs/**", "docs"),
            ("docs/**", "mydocs/x"),
            ("docs/**/*.md", "docs/x.txt"),
            ("**/README.md", "OLD-README.md"),
            ("a/**/b", "ab"),
            ("a/**/b", "a/xb"),
            ("x**/b", "xb"),
            ("*.js", "js/index.js"),
        ] {
            assert!(!matches(pattern, text), "{pattern} should not match {text}");
        }
    }

    #[test]
    fn repositories_ignore_case() {
        assert!(matches_ignoring_case("Acme/*", "acme/Shop"));
    }

    #[test]
    fn a_pattern_of_many_stars_is_soon_through() {
        let pattern = "**a".repeat(80) + "b";
        assert!(!matches(&pattern, &"a/".repeat(2_000)));
    }

    /// What a pattern means, said as plainly as can be.
    fn means(pattern: &str, text: &str, begins: bool) -> bool {
        let ends = || (0..=text.len()).filter(|end| text.is_char_boundary(*end));
        if let Some(rest) = pattern.strip_prefix("**") {
            let rest = rest.trim_start_matches('*');
            return match rest.strip_prefix('/').filter(|_| begins) {
                Some(after) => {
                    means(after, text, true)
                        || ends().any(|end| text[..end].ends_with('/') && means(after, &text[end..], true))
                }
                None => ends().any(|end| means(rest, &text[end..], false)),
            };
        }
        if let Some(rest) = pattern.strip_prefix('*') {
            return ends().any(|end| !text[..end].contains('/') && means(rest, &text[end..], false));
        }
        match pattern.chars().next() {
            None => text.is_empty(),
            Some(first) => text
                .strip_prefix(first)
                .is_some_and(|text| means(&pattern[first.len_utf8()..], text, first == '/')),
        }
    }

    proptest! {
        #[test]
        fn a_match_is_what_the_pattern_means(pattern in "[ab/*é]{0,8}", text in "[ab/é]{0,8}") {
            prop_assert_eq!(matches(&pattern, &text), means(&pattern, &text, true));
        }
    }
}
