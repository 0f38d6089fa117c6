//! Splits text into words, with the substitutions that keyboards make: phones, macOS and Slack turn
//! straight quotes into curly ones and two hyphens into one long dash.

/// Returns whether two characters are quotes of the same kind, double or single, straight or curly.
fn is_quote(c: char, of: char) -> bool {
    const DOUBLE: &str = "\"\u{201c}\u{201d}\u{201e}\u{201f}";
    const SINGLE: &str = "'\u{2018}\u{2019}\u{201a}\u{201b}";
    [DOUBLE, SINGLE].iter().any(|kind| kind.contains(c) && kind.contains(of))
}

/// Splits a text at white space outside of quotes. A quote opens at the start of a word or directly
/// after its first `=`, and closes at the end of a word. Other quote characters are kept as text.
/// The opening and closing quotes are removed.
///
/// # Errors
/// The word whose quote isn't closed.
pub(super) fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let value = rest[..end].find('=').map_or(0, |equals| equals + 1);
        let start = [0, value].into_iter().find_map(|start| {
            let quote = rest[start..].chars().next().filter(|c| is_quote(*c, *c))?;
            Some((start, quote))
        });
        let Some((start, quote)) = start else {
            words.push(rest[..end].to_owned());
            rest = rest[end..].trim_start();
            continue;
        };
        let inside = start + quote.len_utf8();
        let close = rest[inside..].char_indices().find(|(index, c)| {
            let after = rest[inside + index + c.len_utf8()..].chars().next();
            is_quote(*c, quote) && after.is_none_or(char::is_whitespace)
        });
        let Some((length, close)) = close else { return Err(rest[..end].to_owned()) };
        words.push(format!("{}{}", &rest[..start], &rest[inside..inside + length]));
        rest = rest[inside + length + close.len_utf8()..].trim_start();
    }
    Ok(words)
}

/// Removes the quotes around a text if they enclose all of it.
pub(super) fn unquoted(text: &str) -> &str {
    let mut inner = text.chars();
    let (Some(first), Some(last)) = (inner.next(), inner.next_back()) else { return text };
    let inner = inner.as_str();
    let wraps = is_quote(first, last) && !inner.contains(|c| is_quote(c, first));
    if wraps && !inner.trim().is_empty() { inner.trim() } else { text }
}

/// Returns the name of a flag, for example `force` for `--force`. A long dash counts as two
/// hyphens.
pub(super) fn flag(word: &str) -> Option<&str> {
    let is_long = |c: char| matches!(c, '\u{2012}'..='\u{2015}' | '\u{2212}' | '\u{fe58}');
    let name = word.trim_start_matches(|c| c == '-' || is_long(c));
    let dashes = &word[..word.len() - name.len()];
    (dashes == "--" || dashes.contains(is_long)).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_split_outside_of_quotes() {
        for (text, wanted) in [
            ("a  b\tc", &["a", "b", "c"][..]),
            ("m=\"hello world\" n=1", &["m=hello world", "n=1"]),
            ("m=\u{201c}hello world\u{201d}", &["m=hello world"]),
            ("m=\u{201e}hallo Welt\u{201c} n=1", &["m=hallo Welt", "n=1"]),
            ("m='a b' 'n=c d'", &["m=a b", "n=c d"]),
            ("m=\u{2018}it\u{2019}s fine\u{2019}", &["m=it\u{2019}s fine"]),
            ("m=it's n=5\"", &["m=it's", "n=5\""]),
            ("m=a\"b\"c", &["m=a\"b\"c"]),
            ("m={\"a\":1} n=x=\"y\"", &["m={\"a\":1}", "n=x=\"y\""]),
            ("m=\"\"", &["m="]),
            ("", &[]),
        ] {
            assert_eq!(words(text).unwrap(), wanted, "{text}");
        }
        assert_eq!(words("a m=\"b c"), Err("m=\"b".to_owned()));
        assert_eq!(words("m=\u{201c}b\u{201d}c"), Err("m=\u{201c}b\u{201d}c".to_owned()));
    }

    #[test]
    fn quotes_around_the_whole_are_taken_off() {
        for (text, wanted) in [
            ("\u{201c}the database moves\u{201d}", "the database moves"),
            ("\"a\"", "a"),
            ("'it is'", "it is"),
            ("\u{2018}it\u{2019}s\u{2019}", "\u{2018}it\u{2019}s\u{2019}"),
            ("\"a\" and \"b\"", "\"a\" and \"b\""),
            ("\"a'", "\"a'"),
            ("\"\"", "\"\""),
            ("\"", "\""),
            ("a", "a"),
        ] {
            assert_eq!(unquoted(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_long_dash_stands_for_two() {
        for text in ["--force", "\u{2014}force", "\u{2013}force", "\u{2013}-force", "\u{2212}\u{2212}force"] {
            assert_eq!(flag(text), Some("force"), "{text}");
        }
        for text in ["force", "-force", "---force", "a--force", "a\u{2014}force"] {
            assert_eq!(flag(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "[a =\"'\u{201c}\u{201d}\u{2019}\u{2014}-]{0,20}|\\PC{0,30}") {
            let _ = words(&text);
            unquoted(&text);
            flag(&text);
        }
    }
}
