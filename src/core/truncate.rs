//! Truncates text for display.

/// Returns the text in at most `max` characters; a longer text is cut and ends in `…`.
pub fn cut(text: &str, max: usize) -> String {
    if text.chars().nth(max).is_none() {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// Returns the first seven characters of a commit's SHA, as GitHub shows it.
pub fn short_sha(sha: &str) -> String {
    sha.chars().take(7).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_only_long_text_at_a_character_boundary() {
        assert_eq!(cut("four", 4), "four");
        assert_eq!(cut("fifth", 4), "fif…");
        assert_eq!(cut("ééééé", 4), "ééé…");
        assert_eq!(cut("two words", 5), "two…");
        assert_eq!(cut("", 4), "");
    }
}
