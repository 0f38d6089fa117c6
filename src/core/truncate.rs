//! Text bounded for those who read it.

/// The text, at most `max` characters long; one that is longer ends in `…`.
pub fn cut(text: &str, max: usize) -> String {
    if text.chars().nth(max).is_none() {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_only_what_is_too_long_and_on_a_character() {
        assert_eq!(cut("four", 4), "four");
        assert_eq!(cut("fifth", 4), "fif…");
        assert_eq!(cut("ééééé", 4), "ééé…");
        assert_eq!(cut("two words", 5), "two…");
        assert_eq!(cut("", 4), "");
    }
}
