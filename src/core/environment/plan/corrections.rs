//! How often one object is put back. Where another controller insists on its own value, putting it
//! back has no end.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

/// Corrections of one object within [`WINDOW`].
pub const MOST: usize = 10;
/// The time in which they are counted.
const WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// The writes of one object that had no new content as their cause.
#[derive(Clone, Debug, Default)]
pub struct Corrections {
    digest: String,
    at: VecDeque<Timestamp>,
    told: bool,
}

impl Corrections {
    /// Whether content with this digest may be written now. New content always may.
    pub fn allows(&mut self, digest: &str, now: Timestamp) -> bool {
        self.at.retain(|at| now.duration_since(*at) < WINDOW);
        let allowed = self.digest != digest || self.at.len() < MOST;
        self.told &= !allowed;
        allowed
    }

    /// Content with this digest was written.
    pub fn wrote(&mut self, digest: &str, now: Timestamp) {
        if self.digest == digest {
            self.at.push_back(now);
        } else {
            *self = Self { digest: digest.to_owned(), ..Self::default() };
        }
    }

    /// The object is left to somebody else. Says whether that is so for the first time since it was
    /// last put back.
    pub fn left(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }
}

/// Says of an object that it is left as another manager keeps changing it.
pub fn contested(kind: &str, name: &str, by: Option<&str>) -> String {
    let by = by.unwrap_or("something else");
    format!(
        "{by} keeps changing {kind} {name}: Matinee put it back {MOST} times in an hour and leaves it until the hour is over or its content \
         changes; stop one of the two, or take the field out of the template"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 + minute * 60).unwrap()
    }

    #[test]
    fn an_object_is_put_back_ten_times_an_hour() {
        let mut corrections = Corrections::default();
        corrections.wrote("a", at(0));
        for minute in 1..=10 {
            assert!(corrections.allows("a", at(minute)), "{minute}");
            corrections.wrote("a", at(minute));
        }
        assert!(!corrections.allows("a", at(11)));
        assert!(!corrections.allows("a", at(60)));
        assert!(corrections.allows("a", at(61)), "the first is an hour ago");
    }

    #[test]
    fn new_content_is_always_written_and_counts_anew() {
        let mut corrections = Corrections::default();
        for minute in 0..=10 {
            corrections.wrote("a", at(minute));
        }
        assert!(!corrections.allows("a", at(11)));
        assert!(corrections.allows("b", at(11)));
        corrections.wrote("b", at(11));
        assert!(corrections.allows("b", at(12)));
    }

    #[test]
    fn that_an_object_is_left_is_counted_once_until_it_is_put_back() {
        let mut corrections = Corrections::default();
        for minute in 0..=10 {
            corrections.wrote("a", at(minute));
        }
        assert!(!corrections.allows("a", at(11)));
        assert!(corrections.left());
        assert!(!corrections.allows("a", at(12)));
        assert!(!corrections.left());
        assert!(corrections.allows("a", at(61)));
        corrections.wrote("a", at(61));
        assert!(!corrections.allows("a", at(61)));
        assert!(corrections.left());
    }

    #[test]
    fn the_message_begins_with_who_changes_it() {
        assert!(
            contested("Deployment", "web", Some("scaler"))
                .starts_with("scaler keeps changing Deployment web: ")
        );
        assert!(contested("Deployment", "web", None).starts_with("something else keeps changing "));
    }
}
