//! Writes to GitHub and messages to Slack that a reconcile starts and doesn't wait for. A paced
//! queue sends all writes of an installation one after another, so a write may wait for minutes. A
//! reconcile that waited with it would occupy one of the few slots that all installations share.
//!
//! For each object and purpose at most one write is under way. Its end enqueues the object, and its
//! result is kept until a reconcile takes it. After failures the write is paused with exponential
//! backoff. A restart loses all of this. A write that must not happen twice is therefore recorded
//! before it starts, and looks for its own earlier effect on GitHub.

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
    /// Answers commands, on GitHub or in Slack. The result is the id of the answer, if it has one.
    pub answers: Writes<DeploymentCommand, Option<String>>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

/// Why a write failed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum WriteError {
    /// The request to GitHub failed.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// The message to Slack failed.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// Data that the write needs couldn't be read.
    #[error("{0}")]
    Unready(String),
}

impl WriteError {
    /// Returns the time before which a retry is useless.
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
    /// Creates an empty set of writes. The end of a write enqueues its request or command.
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

    /// Starts a write whose result is ignored.
    pub fn courtesy(&self, write: impl Future<Output = ()> + Send + 'static) {
        if !self.closing.is_cancelled() {
            self.tasks.spawn(write);
        }
    }

    /// Cancels the waiting writes of a request, and forgets their results.
    pub fn forget_request(&self, request: &DeploymentRequest) {
        self.deployments.forget(request);
        self.commit_statuses.forget(request);
    }

    /// Starts no more writes.
    pub fn stop(&self) {
        self.closing.cancel();
    }

    /// Starts no more writes, and returns when the running ones have ended. Call
    /// [`Forges::close`](crate::ports::Forges::close) before, which cancels the waiting ones.
    pub async fn close(&self) {
        self.stop();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Progress of an object's write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<T> {
    /// No write was started, or its result was taken.
    Idle,
    /// The write is in the queue or being sent.
    UnderWay {
        /// Content of the write.
        about: String,
    },
    /// The write has ended. The result is returned once.
    Finished {
        /// Content of the write.
        about: String,
        /// Result of the write.
        result: Result<T, WriteError>,
    },
    /// The write failed and must not be started again yet.
    Paused {
        /// Cause of the failure.
        problem: String,
        /// Remaining time.
        wait: Duration,
    },
}

/// Writes for one purpose. At most one is under way for each object.
pub struct Writes<K: Resource<DynamicType = ()>, T> {
    kept: Arc<Kept<T>>,
    poke: Poke<K>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

struct Kept<T> {
    started: AtomicU64,
    /// By the UID of the written object.
    entries: Mutex<HashMap<String, Entry<T>>>,
}

struct Entry<T> {
    /// Identifies the write among those for the same object.
    number: u64,
    namespace: String,
    name: String,
    /// Number of consecutive failures.
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

    /// Keeps the result of a write, unless another one has replaced it. A write that wasn't sent
    /// because the process ends leaves no result.
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

/// A running write. If it is dropped before its end (by cancellation or a panic), it leaves no
/// result.
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

    /// Starts a write for an object. It replaces one that is under way. `about` is its content, to
    /// compare it with other writes. Returns at once. The end of the write enqueues the object.
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

    /// Returns the progress of the object's write. A result is returned once: call [`Self::forget`]
    /// after a success and [`Self::pause`] after a failure.
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

    /// Like [`Self::progress`], without taking the result. A write whose result nobody took counts
    /// as under way, because its end has enqueued the object.
    pub fn look(&self, of: &K) -> Progress<T> {
        let about = match self.kept.lock().get(uid_of(of)).map(|entry| &entry.state) {
            Some(State::Finished { about, .. }) => Some(about.clone()),
            _ => None,
        };
        about.map_or_else(|| self.progress(of), |about| Progress::UnderWay { about })
    }

    /// Returns a taken result to the next reconcile, because this one couldn't use it.
    pub fn give_back(&self, of: &K, about: String, result: Result<T, WriteError>) {
        if let Some(entry) = self.kept.lock().get_mut(uid_of(of))
            && matches!(entry.state, State::Taken)
        {
            entry.state = State::Finished { about, result };
        }
    }

    /// Whether there is a result to take.
    pub fn has_result(&self, of: &K) -> bool {
        self.kept.lock().get(uid_of(of)).is_some_and(|entry| matches!(entry.state, State::Finished { .. }))
    }

    /// Pauses the write after a failure, longer after each consecutive one, and at least until the
    /// end of a rate limit. Returns the delay.
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

    /// Cancels the object's write if it is still in the queue, and forgets everything about it.
    pub fn forget(&self, of: &K) {
        let removed = self.kept.lock().remove(uid_of(of));
        take_back(removed);
    }

    /// Returns the objects whose writes are under way.
    pub fn under_way(&self) -> Vec<ObjectRef<K>> {
        self.objects(|state| matches!(state, State::UnderWay { .. }))
    }

    /// Returns the objects whose results nobody has taken.
    pub fn finished(&self) -> Vec<ObjectRef<K>> {
        self.objects(|state| matches!(state, State::Finished { .. }))
    }

    fn objects(&self, are: impl Fn(&State<T>) -> bool) -> Vec<ObjectRef<K>> {
        let kept = self.kept.lock();
        let found = kept.values().filter(|entry| are(&entry.state));
        found.map(|entry| ObjectRef::new(&entry.name).within(&entry.namespace)).collect()
    }
}

/// Cancels a write. Don't call this while the writes are locked: the end of a write locks them.
fn take_back<T>(entry: Option<Entry<T>>) {
    if let Some(Entry { state: State::UnderWay { task, .. }, .. }) = entry {
        task.abort();
    }
}

#[cfg(test)]
mod tests;
