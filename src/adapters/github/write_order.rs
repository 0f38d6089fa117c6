//! Which write to GitHub is sent next, and when: one queue per installation, so that its limits hold whatever the number of previews.
//!
//! - One write at a time, and within GitHub's budgets for requests that create content. After a quiet time a few writes follow each other
//!   at once; then there is a gap between them.
//! - Of several writes waiting to say how one thing stands (the status of a deployment, the text of a comment, the status of a commit in one
//!   context) only the newest is sent; it takes the older one's place.
//! - `failure` and `error` of deployments go first, then `success`, then new deployments, then comments and commit statuses, then reactions,
//!   then the rest; first come, first served within each.
//! - Comments and reactions use a third of the budgets at most: anybody may give a command, and
//!   deployments wait for the same budget.
//! - A deployment status that GitHub already shows isn't sent again. Comments and commit statuses are: others may have changed them.
//!
//! Time is a duration since any fixed moment, given by the caller, and never goes back.
//! Limits: <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;

use crate::api::{DeploymentReport, DeploymentState};
use crate::core::forge::RepositoryName;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
/// What strangers can cause may use one part of the budgets in this many, each kind of it by itself.
const BOUNDED_SHARE: usize = 3;
/// Most answers to commands that wait at the same time. More would wait for hours, and take the places of deployments.
const MOST_ANSWERS: usize = 200;
/// For how many deployments it is remembered what GitHub shows.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// How fast writes may follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Time after which one more write may be sent, from the end of a write on.
    pub gap: Duration,
    /// Writes that may follow each other without a gap after a quiet time of as many gaps; at least 1.
    pub burst: u32,
    /// Writes within any minute; at least 1.
    pub per_minute: usize,
    /// Writes within any hour; at least 1.
    pub per_hour: usize,
    /// Writes that may wait at the same time.
    pub capacity: usize,
}

impl Default for Pace {
    /// What GitHub documents: 80 writes per minute and 500 per hour, and 1 s between "a large number" of them, which five aren't.
    /// <https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#pause-between-mutative-requests>
    fn default() -> Self {
        Self { gap: Duration::from_secs(1), burst: 5, per_minute: 80, per_hour: 500, capacity: 10_000 }
    }
}

impl Pace {
    /// GitHub's documented pace with another gap; one longer than usual holds for every write. Whoever asks for less than a second between writes speaks to a server without GitHub's limits
    /// (Enterprise Server has none unless they are switched on), so the budgets per minute and hour are raised too, beyond what one operator writes.
    pub fn with_gap(gap: Duration) -> Self {
        let usual = Self::default();
        if gap > usual.gap {
            return Self { gap, burst: 1, ..usual };
        }
        if gap == usual.gap {
            return usual;
        }
        Self { gap, per_minute: 10_000, per_hour: 100_000, ..usual }
    }
}

/// A bounded part of the budgets, for writes that aren't part of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    /// Comments and reactions, which anybody who comments causes.
    Answers,
    /// Commit statuses, which anybody who pushes causes.
    CommitStatuses,
}

impl Share {
    const ALL: [Self; 2] = [Self::Answers, Self::CommitStatuses];
}

/// What a write does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Creates a deployment.
    Create,
    /// Creates a deployment status.
    Status(DeploymentReport),
    /// Writes a comment.
    Comment,
    /// Changes the text of the comment of that id.
    EditComment(i64),
    /// Creates a commit status.
    CommitStatus(CommitContext),
    /// Reacts to a comment.
    React,
}

/// What a commit status is about. Compared as GitHub does, which ignores case in all three.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommitContext {
    /// A commit may be in several repositories, and has statuses of its own in each.
    repository: RepositoryName,
    sha: String,
    context: String,
}

impl CommitContext {
    /// The context of a commit in a repository.
    pub fn new(repository: &RepositoryName, sha: &str, context: &str) -> Self {
        Self { repository: repository.clone(), sha: sha.to_lowercase(), context: context.to_lowercase() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    Bad,
    Good,
    Create,
    Tell,
    React,
    Rest,
}

/// What a write says how it stands, so that a newer one makes it pointless.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Deployment(i64),
    Comment(i64),
    Commit(CommitContext),
}

impl Write {
    fn urgency(&self) -> Urgency {
        match self {
            Self::Create => Urgency::Create,
            Self::Comment | Self::EditComment(_) | Self::CommitStatus(_) => Urgency::Tell,
            Self::React => Urgency::React,
            Self::Status(report) => match report.state {
                DeploymentState::Failure | DeploymentState::Error => Urgency::Bad,
                DeploymentState::Success => Urgency::Good,
                DeploymentState::Queued | DeploymentState::InProgress | DeploymentState::Inactive => {
                    Urgency::Rest
                }
            },
        }
    }

    /// The bounded share of the budgets that it uses, if it isn't part of a deployment.
    const fn share(&self) -> Option<Share> {
        match self {
            Self::Comment | Self::EditComment(_) | Self::React => Some(Share::Answers),
            Self::CommitStatus(_) => Some(Share::CommitStatuses),
            Self::Create | Self::Status(_) => None,
        }
    }

    fn subject(&self) -> Option<Subject> {
        match self {
            Self::Create | Self::Comment | Self::React => None,
            Self::Status(report) => Some(Subject::Deployment(report.deployment_id)),
            Self::EditComment(id) => Some(Subject::Comment(*id)),
            Self::CommitStatus(of) => Some(Subject::Commit(of.clone())),
        }
    }
}

/// Names a write that was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

/// The urgency, then the place in line.
type Turn = (Urgency, u64);

/// A write taken out to be sent; it goes back with [`Outbox::sent`], [`Outbox::give_back`] or [`Outbox::not_sent`].
#[derive(Debug)]
pub struct Sending<J> {
    ticket: Ticket,
    turn: Turn,
    write: Write,
    /// The caller's own.
    pub job: J,
}

/// What a write that is being sent is about.
#[derive(Debug, PartialEq, Eq)]
struct InFlight {
    subject: Option<Subject>,
}

/// What became of a write that was queued.
#[derive(Debug)]
pub enum Pushed<J> {
    /// It waits. A waiting write that it takes the place of, if any, comes back: it is never sent.
    Waits(Ticket, Option<J>),
    /// GitHub shows it already. It comes back, and with it a waiting write that it would have taken the place of.
    AlreadyShown(J, Option<J>),
    /// Too many wait; it comes back.
    Full(J),
}

/// What to do next.
#[derive(Debug)]
pub enum Next<J> {
    /// Send this.
    Send(Sending<J>),
    /// Don't send this: GitHub shows it by now.
    AlreadyShown(J),
    /// Nothing may be sent before that time.
    Wait(Duration),
    /// Nothing waits, or one is being sent.
    Nothing,
}

/// How GitHub took a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect.
    Accepted,
    /// It had none.
    Refused,
    /// It may have had.
    Unknown,
}

/// The queue. `J` is what the caller needs to carry a write out.
#[derive(Debug)]
pub struct Outbox<J> {
    pace: Pace,
    issued: u64,
    waiting: BTreeMap<Turn, (Ticket, Write, J)>,
    turns: HashMap<Ticket, Turn>,
    subjects: HashMap<Subject, Turn>,
    sending: Option<InFlight>,
    /// When the writes of the last hour ended, oldest first.
    ended: VecDeque<Duration>,
    /// When a gap has passed for each write that was sent (the "theoretical arrival time" of the generic cell rate algorithm).
    gaps_end: Duration,
    /// Those of them that used each share.
    of_shares: [VecDeque<Duration>; Share::ALL.len()],
    /// What GitHub shows for each deployment, as far as it is known.
    shown: LruCache<i64, DeploymentReport>,
}

impl<J> Outbox<J> {
    /// An empty queue.
    pub fn new(pace: Pace) -> Self {
        Self {
            pace,
            issued: 0,
            waiting: BTreeMap::new(),
            turns: HashMap::new(),
            subjects: HashMap::new(),
            sending: None,
            ended: VecDeque::new(),
            gaps_end: Duration::ZERO,
            of_shares: Default::default(),
            shown: LruCache::new(REMEMBERED),
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Queues a write.
    pub fn push(&mut self, write: Write, job: J) -> Pushed<J> {
        let older = write.subject().and_then(|subject| self.subjects.get(&subject).copied());
        let is_answer = |write: &Write| write.share() == Some(Share::Answers);
        let answers = || self.waiting.values().filter(|(_, write, _)| is_answer(write)).count();
        if older.is_none()
            && (self.waiting.len() >= self.pace.capacity || (is_answer(&write) && answers() >= MOST_ANSWERS))
        {
            return Pushed::Full(job);
        }
        let older = older.and_then(|turn| self.take(turn).map(|(_, _, job)| (turn.1, job)));
        if !self.is_being_sent(&write) && self.is_shown(&write) {
            return Pushed::AlreadyShown(job, older.map(|(_, job)| job));
        }
        self.issued += 1;
        let ticket = Ticket(self.issued);
        let (place, older) = match older {
            Some((place, job)) => (place, Some(job)),
            None => (self.issued, None),
        };
        self.put((write.urgency(), place), ticket, write, job);
        Pushed::Waits(ticket, older)
    }

    /// Takes a waiting write out for good. `None` when it doesn't wait (any more).
    pub fn remove(&mut self, ticket: Ticket) -> Option<J> {
        let turn = *self.turns.get(&ticket)?;
        self.take(turn).map(|(_, _, job)| job)
    }

    /// Takes everything that waits out for good.
    pub fn clear(&mut self) -> Vec<J> {
        self.turns.clear();
        self.subjects.clear();
        std::mem::take(&mut self.waiting).into_values().map(|(_, _, job)| job).collect()
    }

    /// What to do at `now`, with nothing sent before `not_before`. What is to be sent is out of the queue until it is given back.
    pub fn next(&mut self, now: Duration, not_before: Duration) -> Next<J> {
        if self.sending.is_some() {
            return Next::Nothing;
        }
        let shares = Share::ALL.map(|share| self.earliest_of(share, now));
        let own = |write: &Write| write.share().map_or(now, |share| shares[share as usize]);
        let may_be_next = |write: &Write| own(write) <= now;
        let next = self.waiting.iter().find(|(_, (_, write, _))| may_be_next(write));
        // Nothing waits but what has used its share up: the first that may be sent again.
        let soonest = || self.waiting.iter().min_by_key(|(turn, (_, write, _))| (own(write), **turn));
        let Some((&turn, (_, write, _))) = next.or_else(soonest) else {
            return Next::Nothing;
        };
        let shown = self.is_shown(write);
        let from = self.earliest(now).max(not_before).max(own(write));
        if !shown && from > now {
            return Next::Wait(from);
        }
        match self.take(turn) {
            None => Next::Nothing,
            Some((_, _, job)) if shown => Next::AlreadyShown(job),
            Some((ticket, write, job)) => {
                self.sending = Some(InFlight { subject: write.subject() });
                Next::Send(Sending { ticket, turn, write, job })
            }
        }
    }

    /// A write was sent, and this became of it.
    pub fn sent(&mut self, now: Duration, sending: Sending<J>, outcome: Outcome) -> J {
        self.ended(now, sending.write.share());
        if let Write::Status(report) = sending.write {
            match outcome {
                Outcome::Accepted => {
                    self.shown.put(report.deployment_id, report);
                }
                // GitHub shows the new one or the old one: neither may be taken for shown.
                Outcome::Unknown => {
                    self.shown.pop(&report.deployment_id);
                }
                Outcome::Refused => (),
            }
        }
        sending.job
    }

    /// A write was turned away by a limit: it waits again, in its old place. It comes back when a newer one took that meanwhile.
    pub fn give_back(&mut self, now: Duration, sending: Sending<J>) -> Option<J> {
        self.ended(now, sending.write.share());
        if sending.write.subject().is_some_and(|subject| self.subjects.contains_key(&subject)) {
            return Some(sending.job);
        }
        self.put(sending.turn, sending.ticket, sending.write, sending.job);
        None
    }

    /// A write was taken out, but nothing was sent.
    pub fn not_sent(&mut self, sending: Sending<J>) -> J {
        self.sending = None;
        sending.job
    }

    fn ended(&mut self, now: Duration, share: Option<Share>) {
        self.sending = None;
        self.gaps_end = self.gaps_end.max(now) + self.pace.gap;
        let most = self.pace.per_hour.max(self.pace.per_minute);
        let of_share = share.map(|share| &mut self.of_shares[share as usize]);
        let lists = std::iter::once(&mut self.ended).chain(of_share);
        for list in lists {
            list.push_back(now);
            while list.len() > most {
                list.pop_front();
            }
        }
    }

    /// When gap and budgets allow the next write.
    fn earliest(&self, now: Duration) -> Duration {
        let Pace { gap, burst, per_minute, per_hour, .. } = self.pace;
        let gap_passed = self.gaps_end.saturating_sub(gap * burst.saturating_sub(1));
        after(&self.ended, [(per_minute, MINUTE), (per_hour, HOUR)], now).max(gap_passed)
    }

    /// When a share of the budgets allows its next write.
    fn earliest_of(&self, of: Share, now: Duration) -> Duration {
        let Pace { per_minute, per_hour, .. } = self.pace;
        let share = |budget: usize| (budget / BOUNDED_SHARE).max(1);
        after(&self.of_shares[of as usize], [(share(per_minute), MINUTE), (share(per_hour), HOUR)], now)
    }

    fn is_being_sent(&self, write: &Write) -> bool {
        self.sending
            .as_ref()
            .and_then(|sending| sending.subject.as_ref())
            .is_some_and(|subject| write.subject().as_ref() == Some(subject))
    }

    fn is_shown(&self, write: &Write) -> bool {
        matches!(write, Write::Status(report) if self.shown.peek(&report.deployment_id) == Some(report))
    }

    fn put(&mut self, turn: Turn, ticket: Ticket, write: Write, job: J) {
        self.turns.insert(ticket, turn);
        if let Some(subject) = write.subject() {
            self.subjects.insert(subject, turn);
        }
        self.waiting.insert(turn, (ticket, write, job));
    }

    fn take(&mut self, turn: Turn) -> Option<(Ticket, Write, J)> {
        let taken = self.waiting.remove(&turn)?;
        self.turns.remove(&taken.0);
        if let Some(subject) = taken.1.subject() {
            self.subjects.remove(&subject);
        }
        Some(taken)
    }
}

/// The first moment from `now` on at which no window holds more than its count of writes, one for
/// each moment in `ended`. A count is at least 1.
fn after<const N: usize>(
    ended: &VecDeque<Duration>,
    windows: [(usize, Duration); N],
    now: Duration,
) -> Duration {
    let nth_last = |count: usize| ended.len().checked_sub(count.max(1)).and_then(|index| ended.get(index));
    windows
        .into_iter()
        .filter_map(|(count, window)| nth_last(count).map(|at| *at + window))
        .fold(now, Duration::max)
}

#[cfg(test)]
#[path = "write_order_tests.rs"]
mod tests;
