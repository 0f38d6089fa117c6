//! The order and pace of writes to GitHub. There is one queue per installation, so that GitHub's
//! limits hold for any number of previews.
//!
//! - One write is sent at a time, within GitHub's budgets for requests that create content. After a
//!   quiet time a few writes are sent without a gap; further writes are sent with a gap between
//!   them.
//! - Of several waiting writes about the same thing (the status of a deployment, the text of a
//!   comment, or the status of a commit in one context) only the newest is sent. It takes the older
//!   one's place in the queue.
//! - `failure` and `error` of deployments go first, then `success`, then new deployments, then
//!   comments and commit statuses, then reactions, then the rest. Within each of these, the order
//!   is first come, first served.
//! - Comments and reactions use at most a third of the budgets, and so do commit statuses: anybody
//!   may cause them, and deployments need the same budget.
//! - A deployment status that GitHub already shows isn't sent again. Comments and commit statuses
//!   are, since somebody else may have changed them.
//!
//! The caller gives the time as a duration since any fixed moment; it must never go backwards.
//! Limits: <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;

use crate::api::{DeploymentReport, DeploymentState};
use crate::core::forge::RepositoryName;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
/// Divisor of the budgets for each [`Share`]. Strangers can cause such writes, so they must not use
/// up the whole budget.
const BOUNDED_SHARE: usize = 3;
/// Most waiting answers to commands. More would wait for hours, and keep deployments out of the
/// queue.
const MOST_ANSWERS: usize = 200;
/// Number of deployments whose status on GitHub is cached.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// Limits on the pace of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Time after the end of a write until one more write may be sent.
    pub gap: Duration,
    /// Most writes without a gap. As many are possible after a quiet time of as many gaps. At least
    /// 1.
    pub burst: u32,
    /// Most writes within any minute; at least 1.
    pub per_minute: usize,
    /// Most writes within any hour; at least 1.
    pub per_hour: usize,
    /// Most waiting writes.
    pub capacity: usize,
}

impl Default for Pace {
    /// Returns the limits that GitHub documents: 80 writes per minute and 500 per hour. GitHub asks
    /// for 1 s between "a large number" of writes; five aren't a large number.
    /// <https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#pause-between-mutative-requests>
    fn default() -> Self {
        Self { gap: Duration::from_secs(1), burst: 5, per_minute: 80, per_hour: 500, capacity: 10_000 }
    }
}

impl Pace {
    /// Returns GitHub's limits with another gap. A gap that is longer than the default applies
    /// after every write. A gap of less than a second is for a server without GitHub's limits
    /// (Enterprise Server has none by default), so the budgets per minute and hour are raised too,
    /// beyond what one operator writes.
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
    /// Comments and reactions. Anybody who comments causes them.
    Answers,
    /// Commit statuses. Anybody who pushes causes them.
    CommitStatuses,
}

impl Share {
    const ALL: [Self; 2] = [Self::Answers, Self::CommitStatuses];
}

/// A write to GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Creates a deployment.
    Create,
    /// Creates a deployment status.
    Status(DeploymentReport),
    /// Writes a comment.
    Comment,
    /// Changes the text of the comment with that id.
    EditComment(i64),
    /// Creates a commit status.
    CommitStatus(CommitContext),
    /// Reacts to a comment.
    React,
}

/// The commit, repository and context of a commit status. Comparison ignores case, as GitHub does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommitContext {
    /// The same commit may be in several repositories, with different statuses.
    repository: RepositoryName,
    sha: String,
    context: String,
}

impl CommitContext {
    /// Creates the context of a commit in a repository.
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

/// The thing that a write reports on. A newer write about the same thing makes an older one
/// obsolete.
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

    /// Returns the share of the budgets that the write uses; `None` for writes of a deployment.
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

/// Identifies a queued write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

/// Position in the queue: the urgency, then the place within that urgency.
type Turn = (Urgency, u64);

/// A write that is being sent. Return it with [`Outbox::sent`], [`Outbox::give_back`] or
/// [`Outbox::not_sent`].
#[derive(Debug)]
pub struct Sending<J> {
    ticket: Ticket,
    turn: Turn,
    write: Write,
    /// The caller's data.
    pub job: J,
}

/// The subject of the write that is being sent.
#[derive(Debug, PartialEq, Eq)]
struct InFlight {
    subject: Option<Subject>,
}

/// The result of queueing a write.
#[derive(Debug)]
pub enum Pushed<J> {
    /// The write waits. If it replaces a waiting write, that one's job is returned and never sent.
    Waits(Ticket, Option<J>),
    /// GitHub shows this status already. Its job is returned, and that of a waiting write that it
    /// makes obsolete.
    AlreadyShown(J, Option<J>),
    /// The queue is full. The job is returned.
    Full(J),
}

/// The next step of the sender.
#[derive(Debug)]
pub enum Next<J> {
    /// Send this write.
    Send(Sending<J>),
    /// Don't send this write, since GitHub shows its status by now.
    AlreadyShown(J),
    /// Send nothing before that time.
    Wait(Duration),
    /// Do nothing: no write waits, or one is being sent.
    Nothing,
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The write took effect.
    Accepted,
    /// The write had no effect.
    Refused,
    /// The write may have taken effect.
    Unknown,
}

/// The queue of writes. `J` is the caller's data for a write.
#[derive(Debug)]
pub struct Outbox<J> {
    pace: Pace,
    issued: u64,
    waiting: BTreeMap<Turn, (Ticket, Write, J)>,
    turns: HashMap<Ticket, Turn>,
    subjects: HashMap<Subject, Turn>,
    sending: Option<InFlight>,
    /// End times of the writes of the last hour, oldest first.
    ended: VecDeque<Duration>,
    /// When a gap has passed for each write that was sent (the "theoretical arrival time" of the
    /// generic cell rate algorithm).
    gaps_end: Duration,
    /// The same as `ended`, for the writes of each share.
    of_shares: [VecDeque<Duration>; Share::ALL.len()],
    /// The newest status of each deployment that GitHub is known to show.
    shown: LruCache<i64, DeploymentReport>,
}

impl<J> Outbox<J> {
    /// Creates an empty queue.
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

    /// Returns the number of waiting writes.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Returns whether no write waits.
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

    /// Removes a waiting write. `None` when it no longer waits.
    pub fn remove(&mut self, ticket: Ticket) -> Option<J> {
        let turn = *self.turns.get(&ticket)?;
        self.take(turn).map(|(_, _, job)| job)
    }

    /// Removes all waiting writes.
    pub fn clear(&mut self) -> Vec<J> {
        self.turns.clear();
        self.subjects.clear();
        std::mem::take(&mut self.waiting).into_values().map(|(_, _, job)| job).collect()
    }

    /// Returns the next step at `now`, without sending anything before `not_before`. A write to
    /// send leaves the queue.
    pub fn next(&mut self, now: Duration, not_before: Duration) -> Next<J> {
        if self.sending.is_some() {
            return Next::Nothing;
        }
        let shares = Share::ALL.map(|share| self.earliest_of(share, now));
        let own = |write: &Write| write.share().map_or(now, |share| shares[share as usize]);
        let may_be_next = |write: &Write| own(write) <= now;
        let next = self.waiting.iter().find(|(_, (_, write, _))| may_be_next(write));
        // All waiting writes have used up their share. The next one is the first whose share
        // recovers.
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

    /// Records the result of a write that was sent.
    pub fn sent(&mut self, now: Duration, sending: Sending<J>, outcome: WriteOutcome) -> J {
        self.ended(now, sending.write.share());
        if let Write::Status(report) = sending.write {
            match outcome {
                WriteOutcome::Accepted => {
                    self.shown.put(report.deployment_id, report);
                }
                // GitHub may show the new status or the old one, so neither is known to be shown.
                WriteOutcome::Unknown => {
                    self.shown.pop(&report.deployment_id);
                }
                WriteOutcome::Refused => (),
            }
        }
        sending.job
    }

    /// Queues a write again at its old place after a rate limit rejected it. If a newer write about
    /// the same thing waits by now, its job is returned instead.
    pub fn give_back(&mut self, now: Duration, sending: Sending<J>) -> Option<J> {
        self.ended(now, sending.write.share());
        if sending.write.subject().is_some_and(|subject| self.subjects.contains_key(&subject)) {
            return Some(sending.job);
        }
        self.put(sending.turn, sending.ticket, sending.write, sending.job);
        None
    }

    /// Records that a write left the queue but wasn't sent.
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

    /// Returns when gap and budgets permit the next write.
    fn earliest(&self, now: Duration) -> Duration {
        let Pace { gap, burst, per_minute, per_hour, .. } = self.pace;
        let gap_passed = self.gaps_end.saturating_sub(gap * burst.saturating_sub(1));
        after(&self.ended, [(per_minute, MINUTE), (per_hour, HOUR)], now).max(gap_passed)
    }

    /// Returns when a share of the budgets permits its next write.
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

/// Returns the earliest time from `now` on at which another write exceeds no window's count.
/// `ended` has the times of earlier writes. A count is at least 1.
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
