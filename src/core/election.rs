//! Leader election: the replica that holds the Lease leads, as in client-go
//! (<https://pkg.go.dev/k8s.io/client-go/tools/leaderelection>).
//!
//! Clocks of nodes differ. A replica therefore measures the age of another replica's Lease with its
//! own clock only, from the moment at which it first saw the Lease's content. The caller gives the
//! time as a duration since any fixed moment; it never decreases.

use std::time::Duration;

use jiff::Timestamp;

/// Durations of the election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long other replicas wait for a renewal before they take the Lease over, in whole
    /// seconds.
    pub duration: Duration,
    /// How long the holder leads without a renewal. It is shorter than `duration`, so that the
    /// holder has stopped its work before another replica takes over.
    pub renew_deadline: Duration,
    /// Time between two reads or two renewals of the Lease.
    pub retry_period: Duration,
}

impl Default for Timing {
    /// The values of Kubernetes' own controllers.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// Content of a Lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderElectionRecord {
    /// Identity of the holder; `None` after a release, or when nobody ever held the Lease.
    pub holder: Option<String>,
    /// How long the Lease is valid after a renewal.
    pub duration: Duration,
    /// When the holder acquired it.
    pub acquired: Option<Timestamp>,
    /// When the holder last renewed it.
    pub renewed: Option<Timestamp>,
    /// How often the Lease changed its holder.
    pub transitions: i32,
}

/// Next step of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElectionStep {
    /// Write this record, unless the Lease has changed since it was read.
    Write(LeaderElectionRecord),
    /// Read the Lease again later.
    Wait,
    /// This replica has lost the Lease: stop all work. The text says why.
    Lost(String),
}

/// State of one replica in the election.
#[derive(Clone, Debug)]
pub struct Election {
    identity: String,
    timing: Timing,
    seen: LeaderElectionRecord,
    seen_since: Duration,
    /// When the last successful renewal was sent, while this replica leads.
    renewed: Option<Duration>,
}

impl Election {
    /// Creates a replica that doesn't lead. `me` must be unique to this replica: it takes a Lease
    /// with this holder for its own, from before a restart.
    pub fn new(identity: String, timing: Timing) -> Self {
        Self {
            identity,
            timing,
            seen: LeaderElectionRecord::default(),
            seen_since: Duration::ZERO,
            renewed: None,
        }
    }

    /// Records the content of the Lease.
    pub fn observe(&mut self, now: Duration, record: LeaderElectionRecord) {
        if record != self.seen {
            self.seen = record;
            self.seen_since = now;
        }
    }

    /// Records that this replica wrote the Lease. `begun` is when it sent the request.
    pub fn wrote(&mut self, begun: Duration, record: LeaderElectionRecord) {
        self.observe(begun, record);
        self.renewed = Some(begun);
    }

    /// Time until which this replica leads without another renewal; `None` when it doesn't lead.
    pub fn leads_until(&self) -> Option<Duration> {
        self.renewed.map(|renewed| renewed + self.timing.renew_deadline)
    }

    /// Holder of the Lease when it was last read.
    pub fn holder(&self) -> Option<&str> {
        self.seen.holder.as_deref()
    }

    /// Decides the next step from what was observed so far.
    pub fn next(&self, now: Duration, time: Timestamp) -> ElectionStep {
        match self.leads_until() {
            Some(until) => self.keep(now, time, until),
            None => self.take(now, time),
        }
    }

    fn keep(&self, now: Duration, time: Timestamp, until: Duration) -> ElectionStep {
        match self.holder() {
            Some(holder) if holder == self.identity => {}
            Some(other) => return ElectionStep::Lost(format!("{other} holds the Lease now")),
            None => return ElectionStep::Lost("the Lease is no longer held by this replica".to_owned()),
        }
        if now >= until {
            let within = self.timing.renew_deadline.as_secs();
            return ElectionStep::Lost(format!("the Lease could not be renewed within {within} s"));
        }
        ElectionStep::Write(LeaderElectionRecord {
            renewed: Some(time),
            duration: self.timing.duration,
            ..self.seen.clone()
        })
    }

    fn take(&self, now: Duration, time: Timestamp) -> ElectionStep {
        let free = match self.holder() {
            None => true,
            Some(holder) => holder == self.identity || now >= self.seen_since + self.seen.duration,
        };
        if !free {
            return ElectionStep::Wait;
        }
        ElectionStep::Write(LeaderElectionRecord {
            holder: Some(self.identity.clone()),
            duration: self.timing.duration,
            acquired: Some(time),
            renewed: Some(time),
            transitions: self.seen.transitions.saturating_add(1),
        })
    }

    /// Record to write when this replica stops leading, so that another one can take over without
    /// waiting; `None` when it doesn't lead.
    pub fn release(&self, time: Timestamp) -> Option<LeaderElectionRecord> {
        self.renewed?;
        (self.holder() == Some(&self.identity)).then(|| LeaderElectionRecord {
            holder: None,
            // The API rejects zero.
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
        Election::new("a".to_owned(), Timing::default())
    }

    fn held_by(holder: &str, transitions: i32) -> LeaderElectionRecord {
        LeaderElectionRecord {
            holder: Some(holder.to_owned()),
            duration: at(15),
            acquired: Some(NOON),
            renewed: Some(NOON),
            transitions,
        }
    }

    fn leading() -> Election {
        let mut one = election();
        let ElectionStep::Write(record) = one.next(at(0), NOON) else { panic!("a free Lease isn't taken") };
        one.wrote(at(0), record);
        one
    }

    #[test]
    fn a_free_lease_is_taken() {
        assert_eq!(election().next(at(0), NOON), ElectionStep::Write(held_by("a", 1)));
    }

    #[test]
    fn foreign_lease_is_taken_after_its_duration_without_renewal() {
        let mut one = election();
        one.observe(at(100), held_by("b", 4));
        assert_eq!(one.next(at(114), NOON), ElectionStep::Wait);
        // The content is unchanged, so the Lease's age keeps growing.
        one.observe(at(114), held_by("b", 4));
        assert_eq!(one.next(at(115), NOON), ElectionStep::Write(held_by("a", 5)));
        // A renewal resets the age, whatever the other replica's clock says.
        one.observe(at(115), LeaderElectionRecord { renewed: Some(Timestamp::MIN), ..held_by("b", 4) });
        assert_eq!(one.next(at(129), NOON), ElectionStep::Wait);
    }

    #[test]
    fn its_own_former_life_s_lease_is_taken_at_once() {
        let mut one = election();
        one.observe(at(0), held_by("a", 4));
        assert_eq!(one.next(at(0), NOON), ElectionStep::Write(held_by("a", 5)));
    }

    #[test]
    fn holder_renews_and_keeps_the_acquire_time() {
        let one = leading();
        let later = NOON + jiff::SignedDuration::from_secs(2);
        let renewed = LeaderElectionRecord { renewed: Some(later), ..held_by("a", 1) };
        assert_eq!(one.next(at(2), later), ElectionStep::Write(renewed));
        assert_eq!(one.leads_until(), Some(at(10)));
    }

    #[test]
    fn holder_stops_leading_without_renewal_in_time() {
        let one = leading();
        assert!(matches!(one.next(at(9), NOON), ElectionStep::Write(_)));
        let ElectionStep::Lost(why) = one.next(at(10), NOON) else { panic!("it still leads") };
        assert_eq!(why, "the Lease could not be renewed within 10 s");
        // The holder stops before another replica takes over.
        assert!(Timing::default().renew_deadline < Timing::default().duration);
    }

    #[test]
    fn holder_stops_leading_when_the_lease_has_another_or_no_holder() {
        let mut one = leading();
        one.observe(at(1), held_by("b", 2));
        assert_eq!(one.next(at(1), NOON), ElectionStep::Lost("b holds the Lease now".to_owned()));
        assert_eq!(one.release(NOON), None);
        one.observe(at(1), LeaderElectionRecord::default());
        assert_eq!(
            one.next(at(1), NOON),
            ElectionStep::Lost("the Lease is no longer held by this replica".to_owned())
        );
    }

    #[test]
    fn a_released_lease_is_taken_at_once() {
        let released = leading().release(NOON).unwrap();
        assert_eq!(election().release(NOON), None);
        let mut other = Election::new("b".to_owned(), Timing::default());
        other.observe(at(0), held_by("a", 1));
        assert_eq!(other.next(at(1), NOON), ElectionStep::Wait);
        other.observe(at(1), released);
        assert_eq!(other.next(at(1), NOON), ElectionStep::Write(held_by("b", 2)));
    }
}
