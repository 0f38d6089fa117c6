//! Which replica leads: whoever holds the Lease, as in client-go's leader election
//! (<https://pkg.go.dev/k8s.io/client-go/tools/leaderelection>).
//!
//! How old another's Lease is, is told by the own clock alone, from the moment at which its content was first seen: clocks of nodes differ.
//! Time is a duration since any fixed moment, given by the caller, and never goes back.

use std::time::Duration;

use jiff::Timestamp;

/// How long things last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long others leave a Lease alone that isn't renewed, in whole seconds.
    pub duration: Duration,
    /// How long the holder goes on without having renewed it. Shorter, so that it has ended its work before another begins.
    pub renew_within: Duration,
    /// Time between two looks, or two renewals.
    pub retry: Duration,
}

impl Default for Terms {
    /// Those of Kubernetes' own controllers.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_within: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// What a Lease says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Who holds it; nobody when it was given back, or never held.
    pub holder: Option<String>,
    /// How long it lasts after it was renewed.
    pub duration: Duration,
    /// When it passed to its holder.
    pub acquired: Option<Timestamp>,
    /// When it was last renewed.
    pub renewed: Option<Timestamp>,
    /// How often it has passed from one to another.
    pub transitions: i32,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write this, if the Lease is still as it was seen.
    Write(Record),
    /// Look again later.
    Wait,
    /// It was held, and is no more: all work has to end.
    Lost(String),
}

/// One replica's part in the election.
#[derive(Clone, Debug)]
pub struct Election {
    me: String,
    terms: Terms,
    seen: Record,
    seen_since: Duration,
    /// When the last renewal that succeeded was begun, while it leads.
    renewed: Option<Duration>,
}

impl Election {
    /// A replica that doesn't lead. `me` is this replica's alone: a Lease that bears the name is taken to be of its own former life.
    pub fn new(me: String, terms: Terms) -> Self {
        Self { me, terms, seen: Record::default(), seen_since: Duration::ZERO, renewed: None }
    }

    /// Takes note of what the Lease says.
    pub fn observe(&mut self, now: Duration, record: Record) {
        if record != self.seen {
            self.seen = record;
            self.seen_since = now;
        }
    }

    /// Takes note that the record was written; `begun` is when the request was sent.
    pub fn wrote(&mut self, begun: Duration, record: Record) {
        self.observe(begun, record);
        self.renewed = Some(begun);
    }

    /// Until when it leads at most, without another renewal; `None` when it doesn't lead.
    pub fn leads_until(&self) -> Option<Duration> {
        self.renewed.map(|renewed| renewed + self.terms.renew_within)
    }

    /// Who leads, as far as was seen.
    pub fn holder(&self) -> Option<&str> {
        self.seen.holder.as_deref()
    }

    /// What to do, by what was seen so far.
    pub fn next(&self, now: Duration, time: Timestamp) -> Step {
        match self.leads_until() {
            Some(until) => self.keep(now, time, until),
            None => self.take(now, time),
        }
    }

    fn keep(&self, now: Duration, time: Timestamp, until: Duration) -> Step {
        match self.holder() {
            Some(holder) if holder == self.me => {}
            Some(other) => return Step::Lost(format!("{other} holds the Lease now")),
            None => return Step::Lost("the Lease was taken away".to_owned()),
        }
        if now >= until {
            let within = self.terms.renew_within.as_secs();
            return Step::Lost(format!("the Lease could not be renewed within {within} s"));
        }
        Step::Write(Record { renewed: Some(time), duration: self.terms.duration, ..self.seen.clone() })
    }

    fn take(&self, now: Duration, time: Timestamp) -> Step {
        let free = match self.holder() {
            None => true,
            Some(holder) => holder == self.me || now >= self.seen_since + self.seen.duration,
        };
        if !free {
            return Step::Wait;
        }
        Step::Write(Record {
            holder: Some(self.me.clone()),
            duration: self.terms.duration,
            acquired: Some(time),
            renewed: Some(time),
            transitions: self.seen.transitions.saturating_add(1),
        })
    }

    /// What to write when it leads no more, so that another need not wait; `None` when it doesn't lead.
    pub fn release(&self, time: Timestamp) -> Option<Record> {
        self.renewed?;
        (self.holder() == Some(&self.me)).then(|| Record {
            holder: None,
            // The API takes no zero.
            duration: Duration::from_secs(1),
            acquired: None,
            renewed: Some(time),
            transitions: self.seen.transitions,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::UNIX_EPOCH;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn election() -> Election {
        Election::new("a".to_owned(), Terms::default())
    }

    fn held_by(holder: &str, transitions: i32) -> Record {
        Record {
            holder: Some(holder.to_owned()),
            duration: at(15),
            acquired: Some(NOON),
            renewed: Some(NOON),
            transitions,
        }
    }

    fn leading() -> Election {
        let mut one = election();
        let Step::Write(record) = one.next(at(0), NOON) else { panic!("a free Lease isn't taken") };
        one.wrote(at(0), record);
        one
    }

    #[test]
    fn a_free_lease_is_taken() {
        assert_eq!(election().next(at(0), NOON), Step::Write(held_by("a", 1)));
    }

    #[test]
    fn another_s_lease_is_left_alone_until_it_was_not_renewed_for_its_duration() {
        let mut one = election();
        one.observe(at(100), held_by("b", 4));
        assert_eq!(one.next(at(114), NOON), Step::Wait);
        // Seen again unchanged: the time goes on.
        one.observe(at(114), held_by("b", 4));
        assert_eq!(one.next(at(115), NOON), Step::Write(held_by("a", 5)));
        // Renewed: it begins anew, whatever the other's clock says.
        one.observe(at(115), Record { renewed: Some(Timestamp::MIN), ..held_by("b", 4) });
        assert_eq!(one.next(at(129), NOON), Step::Wait);
    }

    #[test]
    fn its_own_former_life_s_lease_is_taken_at_once() {
        let mut one = election();
        one.observe(at(0), held_by("a", 4));
        assert_eq!(one.next(at(0), NOON), Step::Write(held_by("a", 5)));
    }

    #[test]
    fn the_holder_renews_and_keeps_when_it_began() {
        let one = leading();
        let later = NOON + jiff::SignedDuration::from_secs(2);
        let renewed = Record { renewed: Some(later), ..held_by("a", 1) };
        assert_eq!(one.next(at(2), later), Step::Write(renewed));
        assert_eq!(one.leads_until(), Some(at(10)));
    }

    #[test]
    fn it_leads_no_more_once_it_could_not_renew_in_time() {
        let one = leading();
        assert!(matches!(one.next(at(9), NOON), Step::Write(_)));
        let Step::Lost(why) = one.next(at(10), NOON) else { panic!("it goes on") };
        assert_eq!(why, "the Lease could not be renewed within 10 s");
        // It has ended before anybody else takes over.
        assert!(Terms::default().renew_within < Terms::default().duration);
    }

    #[test]
    fn it_leads_no_more_when_another_holds_the_lease_or_nobody() {
        let mut one = leading();
        one.observe(at(1), held_by("b", 2));
        assert_eq!(one.next(at(1), NOON), Step::Lost("b holds the Lease now".to_owned()));
        assert_eq!(one.release(NOON), None);
        one.observe(at(1), Record::default());
        assert_eq!(one.next(at(1), NOON), Step::Lost("the Lease was taken away".to_owned()));
    }

    #[test]
    fn a_released_lease_is_taken_at_once() {
        let released = leading().release(NOON).unwrap();
        assert_eq!(election().release(NOON), None);
        let mut other = Election::new("b".to_owned(), Terms::default());
        other.observe(at(0), held_by("a", 1));
        assert_eq!(other.next(at(1), NOON), Step::Wait);
        other.observe(at(1), released);
        assert_eq!(other.next(at(1), NOON), Step::Write(held_by("b", 2)));
    }
}
