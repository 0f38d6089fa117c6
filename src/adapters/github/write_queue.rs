//! The one queue through which all writes of an installation pass. Which is next is decided in `core::outbox`.

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
use crate::adapters::github::write_order::{Next, Outbox, Outcome, Pace, Pushed, Sending, Ticket, Write};
use crate::ports::ForgeError;

/// What came of a write.
pub(super) enum Written {
    /// GitHub answered.
    Answer(Answer),
    /// Nothing was sent: GitHub shows it already.
    AlreadyShown,
}

struct Job {
    call: Call,
    /// When it came.
    since: Duration,
    reply: oneshot::Sender<Result<Written, ForgeError>>,
}

impl Job {
    /// Nobody may be waiting any more; that's fine.
    fn reply(self, result: Result<Written, ForgeError>) {
        let _ = self.reply.send(result);
    }
}

struct State {
    outbox: Outbox<Job>,
    /// As how many waiting writes the outbox was last counted.
    counted: i64,
    /// Set while the sender has work, under the same lock as the outbox: so none is left behind.
    running: bool,
    sender: Option<JoinHandle<()>>,
    /// What a limit met outside the gate asks to wait for.
    not_before: Duration,
    /// Nothing more is begun.
    closed: bool,
}

/// Why a write was not begun.
fn ending() -> ForgeError {
    ForgeError::NotSent("this replica ends".to_owned())
}

/// Sends writes one after the other, in a task of its own: a caller that goes away takes its waiting write out of the queue, and
/// can't break off one that is being sent.
pub(super) struct Queue {
    requester: Arc<Requester>,
    state: Mutex<State>,
    changed: Notify,
}

/// The state, while nobody else has it. However the number of waiting writes changes, it is counted.
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

/// Takes the write out of the queue when its caller goes away.
struct Place<'a> {
    queue: &'a Queue,
    ticket: Ticket,
}

impl Drop for Place<'_> {
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

    /// Waits for its turn, sends, and returns GitHub's answer.
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
            (receiver, Place { queue: self, ticket })
        };
        self.changed.notify_one();
        match receiver.await {
            Ok(result) => result,
            Err(_) => Err(ForgeError::Unknown("the queue ended before GitHub answered".into())),
        }
    }

    /// Begins no write any more: those that wait are turned away. What is being sent is sent to its end.
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

    /// As [`Self::write`], for a write that is always sent, and is done when the answer has one of these statuses.
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

    /// Sends until nothing waits.
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
                    // Woken by something more urgent, which changes nothing about the time, or by something that needn't be sent.
                    let _ = tokio::time::timeout(wait, self.changed.notified()).await;
                }
                Next::Send(sending) => self.send(sending).await,
            }
        }
    }

    async fn send(&self, sending: Sending<Job>) {
        // Its caller may have gone while it was sent before and turned away.
        if sending.job.reply.is_closed() {
            self.state().outbox.not_sent(sending);
            return;
        }
        let waited = self.requester.gate.now().saturating_sub(sending.job.since);
        let result = self.requester.send(&sending.job.call, Lane::Write).await;
        let now = self.requester.gate.now();
        let mut state = self.state();
        let outcome = match &result {
            Ok(answer) if answer.status == StatusCode::CREATED => Outcome::Accepted,
            Ok(_) | Err(ForgeError::Unknown(_)) => Outcome::Unknown,
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
            Err(_) => Outcome::Refused,
        };
        // What a limit turned away waits on.
        self.requester.account.metrics.github_write_waited(waited);
        let job = state.outbox.sent(now, sending, outcome);
        drop(state);
        job.reply(result.map(Written::Answer));
    }
}
