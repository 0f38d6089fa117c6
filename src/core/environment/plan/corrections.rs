//! Limit on how often Matinee restores an object. Without a limit, Matinee and another controller
//! would overwrite each other's value forever.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

/// Most corrections of one object within [`WINDOW`].
pub const MOST: usize = 10;
/// Time in which corrections count.
const WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// Corrections of one object: writes without new content.
#[derive(Clone, Debug, Default)]
pub struct Corrections {
    digest: String,
    at: VecDeque<Timestamp>,
    reported: bool,
}

impl Corrections {
    /// Whether Matinee may write content with this digest now. New content is always allowed.
    pub fn allows(&mut self, digest: &str, now: Timestamp) -> bool {
        self.at.retain(|at| now.duration_since(*at) < WINDOW);
        let allowed = self.digest != digest || self.at.len() < MOST;
        self.reported &= !allowed;
        allowed
    }

    /// Records a write of content with this digest.
    pub fn wrote(&mut self, digest: &str, now: Timestamp) {
        if self.digest == digest {
            self.at.push_back(now);
        } else {
            *self = Self { digest: digest.to_owned(), ..Self::default() };
        }
    }

    /// Records that Matinee doesn't restore the object any more. Returns whether this is the first
    /// time since its last write.
    pub fn left(&mut self) -> bool {
        !std::mem::replace(&mut self.reported, true)
    }
}

/// Returns the message about an object that another manager keeps changing.
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
    fn abandoned_correction_is_counted_once_until_restored() {
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
    fn contested_message_begins_with_the_field_manager() {
        assert!(
            contested("Deployment", "web", Some("scaler"))
                .starts_with("scaler keeps changing Deployment web: ")
        );
        assert!(contested("Deployment", "web", None).starts_with("something else keeps changing "));
    }
}
