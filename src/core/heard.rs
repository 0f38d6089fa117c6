//! Word of a pull request, as it stands on objects (in the annotation `matinee.dev/pull-request-updated-at`): [its version](PullRequest::version),
//! and, where GitHub told of a change, when that was heard.
//!
//! GitHub's times are whole seconds, and a pull request may be closed, reopened and closed again within one: then its version is what it was
//! before. So whatever GitHub tells is a word of its own, while what a sweep finds is compared with what was heard last, or every sweep would
//! have everything looked at again.
//!
//! [`PullRequest::version`]: super::forge::PullRequest::version

use jiff::Timestamp;

/// Stands for the version of a pull request that isn't among the open ones any more.
const GONE: &str = "- gone";

/// GitHub told of a change, at `now`, after which the pull request has this version.
pub fn told(version: &str, now: Timestamp) -> String {
    format!("{version} {now}")
}

/// A sweep at `now` missed it among the open ones.
pub fn gone(now: Timestamp) -> String {
    told(GONE, now)
}

/// What was heard last, to be looked at once more.
pub fn again(known: Option<&str>, now: Timestamp) -> String {
    let mut parts = known.unwrap_or("- -").splitn(3, ' ');
    let version = [parts.next().unwrap_or("-"), parts.next().unwrap_or("-")].join(" ");
    told(&version, now)
}

/// Whether a word is news to whoever knows another one: not the same, and of no earlier state.
pub fn is_news(known: Option<&str>, word: &str) -> bool {
    known.is_none_or(|known| known != word && (is_gone(word) || time(known) <= time(word)))
}

/// Whether a version that a sweep found is news to whoever knows a word: a later one, or another of the same second.
pub fn is_new_version(known: Option<&str>, version: &str) -> bool {
    known.is_none_or(|known| {
        time(known) < time(version) || (time(known) == time(version) && !known.starts_with(version))
    })
}

fn is_gone(word: &str) -> bool {
    word.starts_with(GONE)
}

/// Whether a sweep missed it after that time.
pub fn is_gone_since(word: &str, since: Timestamp) -> bool {
    let when = word.strip_prefix(GONE).and_then(|when| when.trim_start().parse::<Timestamp>().ok());
    when.is_some_and(|when| when > since)
}

/// GitHub's time, which sorts as text: RFC 3339 in UTC and whole seconds. What is gone has the earliest.
fn time(word: &str) -> &str {
    word.split(' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: &str = "2026-01-02T03:04:05Z 00000000";
    const CLOSED: &str = "2026-01-02T03:04:05Z ffffffff";
    const BEFORE: &str = "2026-01-02T03:04:04Z ffffffff";
    const AFTER: &str = "2026-01-02T03:04:06Z 00000000";

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    #[test]
    fn the_same_state_told_twice_is_news_twice() {
        let words = [told(CLOSED, at(1)), told(OPEN, at(2)), told(CLOSED, at(3))];
        assert!(is_news(None, &words[0]));
        assert!(words.windows(2).all(|pair| is_news(Some(&pair[0]), &pair[1])));
        assert!(is_news(Some(&words[0]), &words[2]), "closed, reopened and closed within a second");
        assert!(!is_news(Some(&words[0]), &words[0]), "another replica's word, read twice");
        assert!(!is_news(Some(&words[0]), &told(BEFORE, at(4))), "an old event sent again");
    }

    #[test]
    fn a_sweep_that_finds_what_was_told_finds_nothing_new() {
        let word = told(OPEN, at(1));
        assert!(is_new_version(None, OPEN));
        assert!(!is_new_version(Some(OPEN), OPEN));
        assert!(!is_new_version(Some(&word), OPEN));
        assert!(!is_new_version(Some(&word), BEFORE));
        assert!(is_new_version(Some(&word), CLOSED), "another state of the same second");
        assert!(is_new_version(Some(&word), AFTER));
    }

    #[test]
    fn the_same_can_be_looked_at_once_more() {
        for known in [OPEN.to_owned(), told(OPEN, at(1))] {
            let word = again(Some(&known), at(2));
            assert_eq!(word, told(OPEN, at(2)));
            assert!(is_news(Some(&known), &word) && !is_new_version(Some(&word), OPEN));
        }
        assert!(is_new_version(Some(&again(None, at(1))), BEFORE));
    }

    #[test]
    fn what_is_gone_is_news_whatever_was_known_and_so_is_what_comes_after() {
        let missing = gone(at(1));
        assert!(is_news(Some(&told(AFTER, at(9))), &missing));
        assert!(is_news(Some(&missing), &gone(at(2))));
        assert!(!is_news(Some(&missing), &missing));
        assert!(is_news(Some(&missing), &told(BEFORE, at(2))));
        assert!(is_new_version(Some(&missing), BEFORE));
        assert!(is_gone_since(&missing, at(0)) && !is_gone_since(&missing, at(1)));
        assert!(!is_gone_since(&told(CLOSED, at(1)), at(0)));
    }
}
