//! What a rule says of an object, and what a look at a pod finds.

use std::time::Duration;

use jiff::Timestamp;

use crate::core::cause::Cause;
use crate::core::conditions::is_reason;

/// Where an object stands. The order is that in which one stands for several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// As it should be.
    Ready,
    /// On its way, nothing wrong so far.
    Waiting,
    /// Something is wrong that may heal by itself.
    Troubled,
    /// Something is wrong that takes a change.
    Failed,
}

/// Time after which trouble that is waited for is reported, and not only shown on the object: most trouble heals sooner.
const LASTING: Duration = Duration::from_secs(10);

/// Health of one object, or what one pod shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Health {
    pub state: State,
    /// CamelCase; empty for an object that is ready by being there.
    pub reason: String,
    pub message: Cause,
    /// When time alone may change the state.
    pub look_again_after: Option<Duration>,
    /// Trouble that has lasted for a while, and is still waited for.
    pub lasting: bool,
    /// Ready as far as it shows, and only a request can tell whether it works.
    pub unconfirmed: bool,
}

impl Health {
    pub fn new(state: State, reason: &str, message: impl Into<Cause>) -> Self {
        // Reasons of foreign controllers end up in a condition of ours.
        let reason = if is_reason(reason) { reason } else { "NotReady" };
        Self {
            state,
            reason: reason.to_owned(),
            message: message.into(),
            look_again_after: None,
            lasting: false,
            unconfirmed: false,
        }
    }
    pub fn ready(message: impl Into<Cause>) -> Self {
        Self::new(State::Ready, "Ready", message)
    }
    /// Ready by being there: nothing anybody wants to read about.
    pub fn present() -> Self {
        Self {
            state: State::Ready,
            reason: String::new(),
            message: Cause::default(),
            look_again_after: None,
            lasting: false,
            unconfirmed: false,
        }
    }
    pub fn waiting(reason: &str, message: impl Into<Cause>) -> Self {
        Self::new(State::Waiting, reason, message)
    }
    pub fn troubled(reason: &str, message: impl Into<Cause>) -> Self {
        Self::new(State::Troubled, reason, message)
    }
    pub fn failed(reason: &str, message: impl Into<Cause>) -> Self {
        Self::new(State::Failed, reason, message)
    }
    /// Troubled for the time that is left, failed when none is.
    pub fn failed_unless(left: Option<Duration>, reason: &str, message: impl Into<Cause>) -> Self {
        if left.is_some() {
            Self::troubled(reason, message).again(left)
        } else {
            Self::failed(reason, message)
        }
    }
    /// Ready, unless a request shows otherwise.
    pub fn unconfirmed(reason: &str, message: impl Into<Cause>) -> Self {
        Self { unconfirmed: true, ..Self::new(State::Ready, reason, message) }
    }
    /// Marks trouble that began at `since` as lasting, once it lasts.
    pub fn lasts(mut self, since: Option<Timestamp>, now: Timestamp) -> Self {
        let soon = remaining(since, LASTING, now);
        self.lasting = self.state == State::Troubled && soon.is_none();
        if self.state == State::Troubled { self.again(soon) } else { self }
    }
    pub fn again(mut self, after: Option<Duration>) -> Self {
        self.look_again_after = earlier(self.look_again_after, after);
        self
    }
    /// No worse than troubled: somebody else decides whether it failed.
    pub fn at_most_troubled(mut self) -> Self {
        self.state = self.state.min(State::Troubled);
        self
    }
    pub const fn shown(&self) -> bool {
        !self.reason.is_empty()
    }
}

/// The worst of several. The order in which they come makes no difference, or the message would change with the order of a cache.
pub(super) fn worst(findings: impl IntoIterator<Item = Health>) -> Option<Health> {
    let mut again = None;
    let worst =
        findings.into_iter().inspect(|one| again = earlier(again, one.look_again_after)).max_by(|a, b| {
            a.state
                .cmp(&b.state)
                .then_with(|| (&b.reason, b.message.as_str()).cmp(&(&a.reason, a.message.as_str())))
        });
    worst.map(|health| health.again(again))
}

pub(super) fn earlier(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// What is left at `now` of a time that began at `since`; `None` when it is over. Clocks of nodes differ: what begins in the future begins
/// now. What began at an unknown time is over.
pub(super) fn remaining(since: Option<Timestamp>, length: Duration, now: Timestamp) -> Option<Duration> {
    let passed = Duration::try_from(now.duration_since(since?)).unwrap_or(Duration::ZERO);
    length.checked_sub(passed).filter(|left| !left.is_zero())
}
