//! Result of a health rule about an object or a pod.

use std::time::Duration;

use jiff::Timestamp;

use crate::core::cause::Cause;
use crate::core::conditions::is_reason;

/// State of an object. The greatest state of several represents them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// As desired.
    Ready,
    /// In progress, without a problem so far.
    Waiting,
    /// A problem that may end by itself.
    Troubled,
    /// A problem that needs a change.
    Failed,
}

/// Time after which GitHub shows trouble that may still end by itself. Most trouble ends sooner.
const LASTING: Duration = Duration::from_secs(10);

/// Health of one object or one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Health {
    pub state: State,
    /// CamelCase; empty for an object that is ready as soon as it exists.
    pub reason: String,
    pub message: Cause,
    /// Time after which the state may change without any other change.
    pub look_again_after: Option<Duration>,
    /// Whether it is trouble that has lasted for a while and may still end by itself.
    pub lasting: bool,
    /// Whether it seems ready, but only a request can show that it works.
    pub unconfirmed: bool,
}

impl Health {
    pub fn new(state: State, reason: &str, message: impl Into<Cause>) -> Self {
        // The reason may come from another controller, and a condition of Matinee needs a valid
        // one.
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
    /// Health of an object that is ready as soon as it exists; nobody needs to read about it.
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
    /// Troubled while time is left, failed otherwise.
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
    /// Marks trouble that began at `since` as lasting, once it has lasted long enough.
    pub fn lasts(mut self, since: Option<Timestamp>, now: Timestamp) -> Self {
        let soon = remaining(since, LASTING, now);
        self.lasting = self.state == State::Troubled && soon.is_none();
        if self.state == State::Troubled { self.again(soon) } else { self }
    }
    pub fn again(mut self, after: Option<Duration>) -> Self {
        self.look_again_after = earlier(self.look_again_after, after);
        self
    }
    /// Limits the state to troubled: something else decides whether it failed.
    pub fn at_most_troubled(mut self) -> Self {
        self.state = self.state.min(State::Troubled);
        self
    }
    pub const fn shown(&self) -> bool {
        !self.reason.is_empty()
    }
}

/// Returns the worst of several. It ignores their order, which comes from a cache and would change
/// the message.
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

/// Returns the remaining time at `now` of a duration that began at `since`; `None` when it is over.
/// A `since` in the future counts as now, because clocks of nodes differ. An unknown `since` counts
/// as over.
pub(super) fn remaining(since: Option<Timestamp>, length: Duration, now: Timestamp) -> Option<Duration> {
    let passed = Duration::try_from(now.duration_since(since?)).unwrap_or(Duration::ZERO);
    length.checked_sub(passed).filter(|left| !left.is_zero())
}
