//! Tests with GitHub's cheat sheets, with mistakes, and against a naive implementation.

use proptest::prelude::*;

use super::*;

fn patterns(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(ToString::to_string).collect()
}

fn filter(of: FilterOf, list: &[&str]) -> Filter {
    Filter::read(of, "paths", &patterns(list)).unwrap()
}

fn problems(of: FilterOf, list: &[&str]) -> Vec<String> {
    Filter::read(of, "paths", &patterns(list)).expect_err(&format!("{list:?}"))
}

/// Patterns, texts that they select, and texts that they don't select.
type Row = (&'static [&'static str], &'static [&'static str], &'static [&'static str]);

fn hold(of: FilterOf, rows: &[Row]) {
    for (list, selected, others) in rows {
        let filter = filter(of, list);
        for text in *selected {
            assert!(filter.selects(text), "{list:?} should select {text}");
        }
        for text in *others {
            assert!(!filter.selects(text), "{list:?} should not select {text}");
        }
    }
}

/// The table "Patterns to match branches and tags" of GitHub's filter pattern cheat sheet, and
/// texts that its descriptions exclude.
#[test]
fn branch_filters_follow_githubs_cheat_sheet() {
    hold(
        FilterOf::Branches,
        &[
            (
                &["feature/*"],
                &["feature/my-branch", "feature/your-branch"],
                &["feature/a/b", "feature", "my-branch"],
            ),
            (
                &["feature/**"],
                &["feature/beta-a/my-branch", "feature/your-branch", "feature/mona/the/octocat"],
                &["feature", "x/feature/a"],
            ),
            (
                &["main", "releases/mona-the-octocat"],
                &["main", "releases/mona-the-octocat"],
                &["mainline", "releases/mona"],
            ),
            (&["*"], &["main", "releases"], &["all/the/branches"]),
            (&["**"], &["all/the/branches", "every/tag"], &[]),
            (&["*feature"], &["mona-feature", "feature", "ver-10-feature"], &["feature-x", "x/feature"]),
            (&["v2*"], &["v2", "v2.0", "v2.9"], &["v1", "v2/0"]),
            (
                &["v[12].[0-9]+.[0-9]+"],
                &["v1.10.1", "v2.0.0"],
                &["v3.0.0", "v1.10", "v1.10.", "v1x10.1", "v12.0.0"],
            ),
            // From the text above the tables.
            (&["[CB]at"], &["Cat", "Bat"], &["at", "Rat", "CBat", "cat"]),
            (&["[1-2]00"], &["100", "200"], &["300", "00"]),
            (&["[0-9a-z]"], &["0", "m", "z"], &["A", "-", "", "ab"]),
            (
                &["releases/**", "!releases/**-alpha"],
                &["releases/10", "releases/beta/mona"],
                &["releases/10-alpha", "releases/beta/3-alpha", "main"],
            ),
            (&["**", "!gh-readonly-queue/**"], &["main", "a/b"], &["gh-readonly-queue/main/pr-7-0123"]),
        ],
    );
}

/// The table "Patterns to match file paths" of the same page.
#[test]
fn path_filters_follow_githubs_cheat_sheet() {
    hold(
        FilterOf::Paths,
        &[
            (&["*"], &["README.md", "server.rb"], &["docs/README.md"]),
            (&["*.jsx?"], &["page.js", "page.jsx"], &["page.jsxx", "page.j", "src/page.js"]),
            (&["**"], &["all/the/files.md"], &[]),
            (&["*.js"], &["app.js", "index.js"], &["js/index.js"]),
            (&["**.js"], &["index.js", "js/index.js", "src/js/app.js"], &["index.jsx"]),
            (&["docs/*"], &["docs/README.md", "docs/file.txt"], &["docs/mona/octocat.txt", "docs"]),
            (&["docs/**"], &["docs/README.md", "docs/mona/octocat.txt"], &["docs", "mydocs/x"]),
            (
                &["docs/**/*.md"],
                &["docs/README.md", "docs/mona/hello-world.md", "docs/a/markdown/file.md"],
                &["docs/x.txt"],
            ),
            (
                &["**/docs/**"],
                &["docs/hello.md", "dir/docs/my-file.txt", "space/docs/plan/space.doc"],
                &["mydocs/x"],
            ),
            (&["**/README.md"], &["README.md", "js/README.md"], &["OLD-README.md"]),
            (&["**/*src/**"], &["a/src/app.js", "my-src/code/js/app.js"], &["src"]),
            (&["**/*-post.md"], &["my-post.md", "path/their-post.md"], &["my-posts.md"]),
            (
                &["**/migrate-*.sql"],
                &["migrate-10909.sql", "db/migrate-v1.0.sql", "db/sept/migrate-v1.sql"],
                &["db/migrate.sql"],
            ),
            (&["*.md", "!README.md"], &["hello.md"], &["README.md", "docs/hello.md"]),
            (
                &["*.md", "!README.md", "README*"],
                &["hello.md", "README.md", "README.doc"],
                &["docs/hello.md"],
            ),
        ],
    );
}

#[test]
fn the_last_filter_pattern_that_matches_decides() {
    hold(
        FilterOf::Paths,
        &[
            (&["**", "!docs/**", "!**/*.md"], &["src/app.ts"], &["docs/a.txt", "src/a.md", "a.md"]),
            (&["**", "!docs/**", "docs/api/**"], &["docs/api/x", "src"], &["docs/x"]),
            (&["!docs/**", "**"], &["docs/x", "src"], &[]),
            (&["!docs/**", "docs/api/*"], &["docs/api/x"], &["docs/x", "src"]),
        ],
    );
}

#[test]
fn escaped_character_matches_itself() {
    hold(
        FilterOf::Paths,
        &[
            (&["\\*"], &["*"], &["a", ""]),
            (&["what\\?"], &["what?"], &["what", "wha"]),
            (&["c\\+\\+/*"], &["c++/x"], &["c/x", "ccc/x"]),
            (&["\\[id\\].tsx", "x/\\[id].tsx"], &["[id].tsx", "x/[id].tsx"], &["i.tsx"]),
            (&["\\!x", "a!b"], &["!x", "a!b"], &["x"]),
            (&["a\\\\b"], &["a\\b"], &["ab"]),
        ],
    );
}

#[test]
fn quantifier_applies_to_the_previous_character() {
    hold(
        FilterOf::Branches,
        &[
            (&["colou?r"], &["color", "colour"], &["colouur", "colo"]),
            (&["ab+"], &["ab", "abbb"], &["a", "abab"]),
            (&["v[0-9]?"], &["v", "v1"], &["v12"]),
            (&["grün?e"], &["grüe", "grüne"], &["gre"]),
            (&["ü+"], &["ü", "üü"], &["", "u"]),
            (&["a/?b"], &["ab", "a/b"], &["a//b"]),
            (&["**/?b"], &["b", "/b", "a/b", "ab"], &["a"]),
            (&["x\\*?"], &["x", "x*"], &["xx"]),
        ],
    );
}

#[test]
fn every_malformed_filter_pattern_is_named_with_a_remedy() {
    for (pattern, wanted) in [
        ("[a", "[ is not closed"),
        ("[a-", "[ is not closed"),
        ("a[]b", "[] holds no character"),
        ("[!a]", "\"!\" is none"),
        ("[a.]", "\".\" is none"),
        ("[z-a]", "z-a is no range"),
        ("[a-Z]", "a-Z is no range"),
        ("[0-a]", "0-a is no range"),
        ("?a", "write \\? for the character itself"),
        ("*?", "zero or one of the character before it"),
        ("+", "one or more of the character before it"),
        ("a++", "one or more of the character before it"),
        ("**+", "one or more"),
        ("a\\", "\\ is the last character"),
        ("\\d+", "\\d means nothing"),
        ("!", "there is no pattern"),
        ("/docs/**", "write docs/**"),
        ("./docs/**", "write docs/**"),
        ("docs/", "write docs/**"),
    ] {
        let found = problems(FilterOf::Paths, &["**", pattern]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("paths[1] \"{pattern}\": ")), "{found:?}");
        assert!(found[0].contains(wanted), "{found:?}");
    }
    let found = problems(FilterOf::Branches, &["refs/heads/main", "[", "docs/", "!"]);
    assert_eq!(found.len(), 3, "a branch may be called so, as far as this knows: {found:?}");
    assert!(found[0].contains("write main"), "{found:?}");
}

#[test]
fn a_filter_that_only_excludes_is_refused() {
    let found = problems(FilterOf::Paths, &["!docs/**", "!**.md"]);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("nothing is selected") && found[0].contains("**"), "{found:?}");
    assert!(!filter(FilterOf::Paths, &[]).selects("x"));
}

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

/// Mostly the examples in GitHub's documentation.
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

/// A naive implementation of the patterns.
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

#[test]
fn characters_that_only_filters_know_stand_for_themselves_in_globs() {
    assert!(matches("a?[b]+\\", "a?[b]+\\"));
    assert!(!matches("ab?", "a"));
}

#[test]
fn no_filter_pattern_takes_long() {
    for pattern in ["a?".repeat(100) + &"a".repeat(55), "[a-z]+".repeat(42), "**a".repeat(80) + "b"] {
        assert!(pattern.len() <= 255);
        let filter = filter(FilterOf::Branches, &[&pattern]);
        filter.selects(&"a".repeat(4_000));
    }
}

/// Generates parts of a pattern for the comparison with the naive implementation.
fn parts() -> impl Strategy<Value = Vec<&'static str>> {
    let part =
        prop::sample::select(vec!["a", "b", "/", "*", "**", "[ab]", "a?", "b+", "[ab]?", "[ab]+", "\\*"]);
    prop::collection::vec(part, 0..7)
}

fn parts_mean(parts: &[&str], text: &str, begins: bool) -> bool {
    let ends = || 0..=text.len();
    let Some((part, rest)) = parts.split_first() else { return text.is_empty() };
    match *part {
        // A run of stars is one part; two stars mean the same as more.
        "*" | "**" => {
            let stars = parts.iter().take_while(|part| part.starts_with('*')).count();
            let rest = &parts[stars..];
            if stars == 1 && *part == "*" {
                return ends().any(|end| !text[..end].contains('/') && parts_mean(rest, &text[end..], false));
            }
            match rest.split_first() {
                Some((&"/", after)) if begins => {
                    parts_mean(after, text, true)
                        || ends()
                            .any(|end| text[..end].ends_with('/') && parts_mean(after, &text[end..], true))
                }
                _ => ends().any(|end| parts_mean(rest, &text[end..], false)),
            }
        }
        _ => {
            let is = |c: char| match part.as_bytes()[0] {
                b'[' => matches!(c, 'a' | 'b'),
                b'\\' => c == '*',
                byte => c == char::from(byte),
            };
            let most = if part.ends_with('+') { text.len() } else { 1 };
            let least = usize::from(!part.ends_with('?'));
            (least..=most.min(text.len()))
                .filter(|end| text[..*end].chars().all(is))
                .any(|end| parts_mean(rest, &text[end..], *part == "/"))
        }
    }
}

proptest! {
    #[test]
    fn a_filter_selects_what_its_parts_mean(parts in parts(), text in "[ab/*]{0,7}") {
        let pattern = parts.concat();
        prop_assume!(!pattern.is_empty());
        let filter = filter(FilterOf::Branches, &[&pattern]);
        prop_assert_eq!(filter.selects(&text), parts_mean(&parts, &text, true), "{}", pattern);
    }

    #[test]
    fn no_pattern_makes_a_filter_panic(list in prop::collection::vec("[!ab/*?+\\[\\]\\\\é-]{0,12}", 0..4), text in "[ab/é]{0,12}") {
        for of in [FilterOf::Branches, FilterOf::Paths] {
            if let Ok(filter) = Filter::read(of, "paths", &list) {
                filter.selects(&text);
            }
        }
    }
}
