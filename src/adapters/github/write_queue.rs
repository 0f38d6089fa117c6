//! The queue for all writes of an installation. [`write_order`](super::write_order) decides which
//! write is next.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::locked;
use super::requester::Requester;
use crate::adapters::github::rate_gate::limited;
use crate::adapters::github::rate_limits::Lane;
use crate::adapters::github::response::{Answer, Call};
use crate::adapters::github::write_order::{
    Next, Outbox, Pace, Pushed, Sending, Ticket, Write, WriteOutcome,
};
use crate::ports::ForgeError;

/// The result of a write.
pub(super) enum Written {
    /// GitHub answered.
    Answer(Answer),
    /// Nothing was sent, since GitHub shows this status already.
    AlreadyShown,
}

struct Job {
    call: Call,
    /// When the write was queued.
    since: Duration,
    reply: oneshot::Sender<Result<Written, ForgeError>>,
}

impl Job {
    /// Sends the result to the caller, who may have stopped waiting.
    fn reply(self, result: Result<Written, ForgeError>) {
        let _ = self.reply.send(result);
    }
}

struct State {
    outbox: Outbox<Job>,
    /// The number of waiting writes in the metrics.
    counted: i64,
    /// Whether the sender runs. The lock of the outbox protects it, so no write is left in the
    /// queue.
    running: bool,
    sender: Option<JoinHandle<()>>,
    /// Until when a rate limit outside of the gate says to wait.
    not_before: Duration,
    /// Whether the queue is closed.
    closed: bool,
}

/// Returns the error for a write that wasn't started because the replica stops.
fn ending() -> ForgeError {
    ForgeError::NotSent("this replica is shutting down".to_owned())
}

/// Sends writes one after the other in a separate task. A caller that stops waiting removes its
/// write from the queue, but can't interrupt a write that is being sent.
pub(super) struct Queue {
    requester: Arc<Requester>,
    state: Mutex<State>,
    changed: Notify,
}

/// The locked state. When it is unlocked, the number of waiting writes is recorded in the metrics.
struct Counted<'a> {
    queue: &'a Queue,
    state: MutexGuard<'a, State>,
}

impl Deref for Counted<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Counted<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let waiting = i64::try_from(self.state.outbox.len()).unwrap_or(i64::MAX);
        if waiting != self.state.counted {
            let account = &self.queue.requester.account;
            account.metrics.github_writes_queued(&account.secret_name, waiting - self.state.counted);
            self.state.counted = waiting;
        }
    }
}

/// Removes the write from the queue when its caller stops waiting.
struct QueuedTicket<'a> {
    queue: &'a Queue,
    ticket: Ticket,
}

impl Drop for QueuedTicket<'_> {
    fn drop(&mut self) {
        self.queue.state().outbox.remove(self.ticket);
    }
}

impl Queue {
    pub fn new(requester: Arc<Requester>, pace: Pace) -> Arc<Self> {
        let state = State {
            outbox: Outbox::new(pace),
            counted: 0,
            running: false,
            sender: None,
            not_before: Duration::ZERO,
            closed: false,
        };
        Arc::new(Self { requester, state: Mutex::new(state), changed: Notify::new() })
    }

    fn state(&self) -> Counted<'_> {
        Counted { queue: self, state: locked(&self.state) }
    }

    /// Queues a write, sends it in its turn, and returns GitHub's answer.
    pub async fn write(self: &Arc<Self>, write: Write, call: Call) -> Result<Written, ForgeError> {
        let (reply, receiver) = oneshot::channel();
        let since = self.requester.gate.now();
        let (receiver, _place) = {
            let mut state = self.state();
            if state.closed {
                return Err(ending());
            }
            let (ticket, older) = match state.outbox.push(write, Job { call, since, reply }) {
                Pushed::Waits(ticket, older) => (Some(ticket), older),
                Pushed::AlreadyShown(_, older) => (None, older),
                Pushed::Full(_) => return Err(limited(Duration::from_mins(1))),
            };
            if let Some(older) = older {
                older.reply(Err(ForgeError::Superseded));
            }
            let Some(ticket) = ticket else { return Ok(Written::AlreadyShown) };
            if !state.running || state.sender.as_ref().is_none_or(JoinHandle::is_finished) {
                state.running = true;
                state.sender = Some(tokio::spawn(Arc::clone(self).run()));
            }
            (receiver, QueuedTicket { queue: self, ticket })
        };
        self.changed.notify_one();
        match receiver.await {
            Ok(result) => result,
            Err(_) => Err(ForgeError::Unknown("the queue ended before GitHub answered".into())),
        }
    }

    /// Closes the queue. Waiting writes are rejected; a write that is being sent is completed.
    pub fn close(&self) {
        let waiting = {
            let mut state = self.state();
            state.closed = true;
            state.outbox.clear()
        };
        self.changed.notify_one();
        for job in waiting {
            job.reply(Err(ending()));
        }
    }

    /// Like [`Self::write`], for a write that is always sent and that succeeds when the answer has
    /// one of these statuses.
    pub async fn send_always(
        self: &Arc<Self>,
        write: Write,
        call: Call,
        done: &[StatusCode],
    ) -> Result<Answer, ForgeError> {
        match self.write(write, call.clone()).await? {
            Written::Answer(answer) if done.contains(&answer.status) => Ok(answer),
            Written::Answer(answer) => Err(call.unknown(format!("answered {}", answer.status))),
            Written::AlreadyShown => Err(call.unknown("it was taken for a deployment status")),
        }
    }

    /// Sends until no write waits.
    async fn run(self: Arc<Self>) {
        loop {
            let next = {
                let mut state = self.state();
                let not_before = self.requester.gate.until(Lane::Write).max(state.not_before);
                let next = state.outbox.next(self.requester.gate.now(), not_before);
                if matches!(next, Next::Nothing) {
                    state.running = false;
                }
                next
            };
            match next {
                Next::Nothing => return,
                Next::AlreadyShown(job) => job.reply(Ok(Written::AlreadyShown)),
                Next::Wait(until) => {
                    let wait = until.saturating_sub(self.requester.gate.now());
                    // A more urgent write, which doesn't change the time, or one that needn't be
                    // sent may end this wait.
                    let _ = tokio::time::timeout(wait, self.changed.notified()).await;
                }
                Next::Send(sending) => self.send(sending).await,
            }
        }
    }

    async fn send(&self, sending: Sending<Job>) {
        // The caller may have stopped waiting after a rate limit rejected the first attempt.
        if sending.job.reply.is_closed() {
            self.state().outbox.not_sent(sending);
            return;
        }
        let waited = self.requester.gate.now().saturating_sub(sending.job.since);
        let result = self.requester.send(&sending.job.call, Lane::Write).await;
        let now = self.requester.gate.now();
        let mut state = self.state();
        let outcome = match &result {
            Ok(answer) if answer.status == StatusCode::CREATED => WriteOutcome::Accepted,
            Ok(_) | Err(ForgeError::Unknown(_)) => WriteOutcome::Unknown,
            Err(error @ ForgeError::RateLimited { .. }) => {
                state.not_before = self.requester.gate.wait_for(error);
                if state.closed {
                    state.outbox.not_sent(sending).reply(Err(ending()));
                    return;
                }
                if let Some(job) = state.outbox.give_back(now, sending) {
                    job.reply(Err(ForgeError::Superseded));
                }
                return;
            }
            Err(_) => WriteOutcome::Refused,
        };
        // A write that a rate limit rejected is only counted after its last attempt.
        self.requester.account.metrics.github_write_waited(waited);
        let job = state.outbox.sent(now, sending, outcome);
        drop(state);
        job.reply(result.map(Written::Answer));
    }
}
