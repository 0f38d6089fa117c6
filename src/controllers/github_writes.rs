//! Writes to GitHub, and messages to Slack, that a reconcile starts and doesn't wait for. All
//! writes to one installation are sent one after another, at its pace, so a write may wait for
//! minutes. A reconcile that waited with it would occupy one of the few places that all
//! installations share.
//!
//! Per object and purpose one write is under way at most. Its result is kept until a reconcile
//! takes it, and its end enqueues the object. After a failure the write is paused, for longer each
//! time. Nothing of this survives the process: whatever must not happen twice is recorded before
//! the write, and looked for on GitHub as part of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt as _};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{DeploymentCommand, DeploymentRequest};
use crate::controllers::runner::{Poke, growing};
use crate::core::forge::Deployment;
use crate::ports::{ChatError, ForgeError};

/// The writes of all reconciles, by purpose.
pub struct GithubWrites {
    /// Creates the deployments of requests.
    pub deployments: Writes<DeploymentRequest, Deployment>,
    /// Creates the commit statuses of requests.
    pub commit_statuses: Writes<DeploymentRequest, ()>,
    /// Answers commands, on GitHub or in Slack. The result is the id of the answer, where it has
    /// one.
    pub answers: Writes<DeploymentCommand, Option<String>>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

/// Why a write had no success.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum WriteError {
    /// GitHub.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// Slack.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// Something that the write needs couldn't be read.
    #[error("{0}")]
    Unready(String),
}

impl WriteError {
    /// Before which time another try is in vain.
    const fn not_before(&self) -> Option<Timestamp> {
        match self {
            Self::Forge(ForgeError::RateLimited { until }) | Self::Chat(ChatError::RateLimited { until }) => {
                Some(*until)
            }
            _ => None,
        }
    }
}

impl GithubWrites {
    /// No writes yet. Their ends enqueue requests and commands.
    pub fn new(requests: Poke<DeploymentRequest>, commands: Poke<DeploymentCommand>) -> Self {
        let (tasks, closing) = (TaskTracker::new(), CancellationToken::new());
        Self {
            deployments: Writes::new(requests.clone(), &tasks, &closing),
            commit_statuses: Writes::new(requests, &tasks, &closing),
            answers: Writes::new(commands, &tasks, &closing),
            tasks,
            closing,
        }
    }

    /// Starts a write whose result nobody needs.
    pub fn courtesy(&self, write: impl Future<Output = ()> + Send + 'static) {
        if !self.closing.is_cancelled() {
            self.tasks.spawn(write);
        }
    }

    /// Takes back every write of a request that waits, and forgets their results.
    pub fn forget_request(&self, request: &DeploymentRequest) {
        self.deployments.forget(request);
        self.commit_statuses.forget(request);
    }

    /// Starts nothing more.
    pub fn stop(&self) {
        self.closing.cancel();
    }

    /// Starts nothing more, and ends when everything has ended that was under way. Call
    /// [`Forges::close`](crate::ports::Forges::close) before, which turns away what waits for its
    /// turn.
    pub async fn close(&self) {
        self.stop();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// How far the write of an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<T> {
    /// None was started, or its result was taken.
    Idle,
    /// It waits for its turn, or is being sent.
    UnderWay {
        /// What it says.
        about: String,
    },
    /// It ended. The result is handed out once.
    Finished {
        /// What it says.
        about: String,
        /// What came of it.
        result: Result<T, WriteError>,
    },
    /// It failed, and is not to be started again yet.
    Paused {
        /// Why it failed.
        problem: String,
        /// For how long.
        wait: Duration,
    },
}

/// Writes for one purpose: of each object one is under way at most.
pub struct Writes<K: Resource<DynamicType = ()>, T> {
    kept: Arc<Kept<T>>,
    poke: Poke<K>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

struct Kept<T> {
    started: AtomicU64,
    /// By the UID of the object that they are for.
    entries: Mutex<HashMap<String, Entry<T>>>,
}

struct Entry<T> {
    /// Tells the write from others for the same object.
    number: u64,
    namespace: String,
    name: String,
    /// In a row.
    failures: u32,
    state: State<T>,
}

enum State<T> {
    Taken,
    UnderWay { about: String, task: AbortHandle },
    Finished { about: String, result: Result<T, WriteError> },
    Paused { problem: String, until: Instant },
}

impl<T> Kept<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry<T>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the result of a write, unless another one took its place. A write that wasn't sent,
    /// since the process ends, leaves nothing.
    fn end(&self, uid: &str, number: u64, result: Option<Result<T, WriteError>>) {
        let mut kept = self.lock();
        let Some(entry) = kept.get_mut(uid).filter(|entry| entry.number == number) else { return };
        let State::UnderWay { about, .. } = &mut entry.state else { return };
        match result {
            None | Some(Err(WriteError::Forge(ForgeError::NotSent(_)))) => {
                kept.remove(uid);
            }
            Some(result) => {
                let about = std::mem::take(about);
                entry.state = State::Finished { about, result };
            }
        }
    }
}

/// A write under way. Dropped before its end (taken back, or by a panic) it leaves nothing.
struct UnderWay<T> {
    kept: Arc<Kept<T>>,
    uid: String,
    number: u64,
}

impl<T> Drop for UnderWay<T> {
    fn drop(&mut self) {
        self.kept.end(&self.uid, self.number, None);
    }
}

fn uid_of<K: Resource<DynamicType = ()>>(object: &K) -> &str {
    object.meta().uid.as_deref().unwrap_or_default()
}

impl<K, T> Writes<K, T>
where
    K: Resource<DynamicType = ()> + 'static,
    T: Send + 'static,
{
    fn new(poke: Poke<K>, tasks: &TaskTracker, closing: &CancellationToken) -> Self {
        Self {
            kept: Arc::new(Kept { started: AtomicU64::new(0), entries: Mutex::default() }),
            poke,
            tasks: tasks.clone(),
            closing: closing.clone(),
        }
    }

    /// Starts a write for an object, in the place of one that is still under way. `about` is what
    /// it says, to tell it from another one. Returns at once; its end enqueues the object.
    pub fn start(
        &self,
        of: &K,
        about: impl Into<String>,
        write: impl Future<Output = Result<T, WriteError>> + Send + 'static,
    ) {
        if self.closing.is_cancelled() {
            return;
        }
        let (uid, namespace, name) =
            (uid_of(of).to_owned(), of.namespace().unwrap_or_default(), of.name_any());
        let mut kept = self.kept.lock();
        let before = kept.remove(&uid);
        let number = self.kept.started.fetch_add(1, Ordering::Relaxed);
        let task = {
            let (poke, namespace, name) = (self.poke.clone(), namespace.clone(), name.clone());
            let under_way = UnderWay { kept: Arc::clone(&self.kept), uid: uid.clone(), number };
            self.tasks.spawn(async move {
                let result = write.await;
                under_way.kept.end(&under_way.uid, number, Some(result));
                poke.named(&namespace, &name);
            })
        };
        let state = State::UnderWay { about: about.into(), task: task.abort_handle() };
        let failures = before.as_ref().map_or(0, |entry| entry.failures);
        kept.insert(uid, Entry { number, namespace, name, failures, state });
        drop(kept);
        take_back(before);
    }

    /// How far the object's write is. A result is handed out once: after a success call
    /// [`Self::forget`], after a failure [`Self::pause`].
    pub fn progress(&self, of: &K) -> Progress<T> {
        let mut kept = self.kept.lock();
        let Some(entry) = kept.get_mut(uid_of(of)) else { return Progress::Idle };
        match &entry.state {
            State::Taken => return Progress::Idle,
            State::UnderWay { about, .. } => return Progress::UnderWay { about: about.clone() },
            State::Paused { problem, until } => {
                let wait = until.saturating_duration_since(Instant::now());
                if !wait.is_zero() {
                    return Progress::Paused { problem: problem.clone(), wait };
                }
                return Progress::Idle;
            }
            State::Finished { .. } => {}
        }
        match std::mem::replace(&mut entry.state, State::Taken) {
            State::Finished { about, result } => Progress::Finished { about, result },
            _ => Progress::Idle,
        }
    }

    /// How far the object's write is, without taking a result: one that nobody took yet counts as under way, for its end has enqueued the
    /// object.
    pub fn look(&self, of: &K) -> Progress<T> {
        let about = match self.kept.lock().get(uid_of(of)).map(|entry| &entry.state) {
            Some(State::Finished { about, .. }) => Some(about.clone()),
            _ => None,
        };
        about.map_or_else(|| self.progress(of), |about| Progress::UnderWay { about })
    }

    /// Gives back a result that was taken, for the next reconcile: this one could do nothing with it.
    pub fn give_back(&self, of: &K, about: String, result: Result<T, WriteError>) {
        if let Some(entry) = self.kept.lock().get_mut(uid_of(of))
            && matches!(entry.state, State::Taken)
        {
            entry.state = State::Finished { about, result };
        }
    }

    /// Whether a result waits to be taken.
    pub fn has_result(&self, of: &K) -> bool {
        self.kept.lock().get(uid_of(of)).is_some_and(|entry| matches!(entry.state, State::Finished { .. }))
    }

    /// Puts the next try off after a failure: for longer after each one in a row, and never to
    /// before the end of a rate limit. Returns for how long.
    pub fn pause(&self, of: &K, error: &WriteError, now: Timestamp) -> Duration {
        let mut kept = self.kept.lock();
        let Some(entry) = kept.get_mut(uid_of(of)) else { return Duration::ZERO };
        entry.failures = entry.failures.saturating_add(1);
        let limited = error.not_before().map(|until| until.duration_since(now));
        let limited = limited.and_then(|wait| Duration::try_from(wait).ok()).unwrap_or_default();
        let wait = growing(entry.failures).max(limited);
        entry.state = State::Paused { problem: error.to_string(), until: Instant::now() + wait };
        wait
    }

    /// Takes the object's write back if it still waits for its turn, and forgets everything about
    /// it.
    pub fn forget(&self, of: &K) {
        let removed = self.kept.lock().remove(uid_of(of));
        take_back(removed);
    }

    /// The objects whose writes are under way.
    pub fn under_way(&self) -> Vec<ObjectRef<K>> {
        self.objects(|state| matches!(state, State::UnderWay { .. }))
    }

    /// The objects whose writes have a result that nobody took.
    pub fn finished(&self) -> Vec<ObjectRef<K>> {
        self.objects(|state| matches!(state, State::Finished { .. }))
    }

    fn objects(&self, are: impl Fn(&State<T>) -> bool) -> Vec<ObjectRef<K>> {
        let kept = self.kept.lock();
        let found = kept.values().filter(|entry| are(&entry.state));
        found.map(|entry| ObjectRef::new(&entry.name).within(&entry.namespace)).collect()
    }
}

/// Not while the writes are locked: its end locks them.
fn take_back<T>(entry: Option<Entry<T>>) {
    if let Some(Entry { state: State::UnderWay { task, .. }, .. }) = entry {
        task.abort();
    }
}

#[cfg(test)]
mod tests;
