//! Publishes to GitHub and Slack what objects say: deployments and their statuses, commit statuses,
//! answers to commands. Nothing waits for it: a paced queue sends all writes of an installation one
//! after another, so a write may wait for minutes, and a reconcile that waited with it would occupy
//! one of the few slots that all installations share.
//!
//! The status of an object has both the content that is wanted and the content that was
//! acknowledged. The last step of a reconcile compares the two and starts the write that is
//! missing. Its end enqueues the object, and the next reconcile records the result. For each object
//! and slot (a deployment, where an object has several) at most one write is under way. After
//! failures the write is paused with exponential backoff.
//!
//! A restart loses only what isn't in a status: which writes were under way. A write that must not
//! happen twice is therefore recorded before it starts, or looks for its own earlier effect on
//! GitHub.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
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

use super::queue::{Queue, Queues};
use super::runner::growing;
use crate::api::{DeploymentCommand, DeploymentReport, DeploymentRequest, PreviewEnvironment};
use crate::core::forge::Deployment;
use crate::ports::{ChatError, ForgeError};

/// The writes of all reconciles, by what they publish.
pub struct Publisher {
    /// Creates the deployments of requests.
    pub deployments: Writes<DeploymentRequest, String, Deployment>,
    /// Creates the statuses of an environment's deployments. The slot is the deployment's id.
    pub deployment_statuses: Writes<PreviewEnvironment, DeploymentReport, ()>,
    /// Creates the commit statuses of requests.
    pub commit_statuses: Writes<DeploymentRequest, String, ()>,
    /// Answers commands, on GitHub or in Slack. The result is the id of the answer, if it has one.
    pub answers: Writes<DeploymentCommand, String, Option<String>>,
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

impl Publisher {
    /// Creates a publisher without writes. The end of a write enqueues its object.
    pub fn new(queues: &Queues) -> Self {
        let (tasks, closing) = (TaskTracker::new(), CancellationToken::new());
        Self {
            deployments: Writes::new(&queues.requests, &tasks, &closing),
            deployment_statuses: Writes::new(&queues.environments, &tasks, &closing),
            commit_statuses: Writes::new(&queues.requests, &tasks, &closing),
            answers: Writes::new(&queues.commands, &tasks, &closing),
            tasks,
            closing,
        }
    }

    /// Starts a write whose result nobody follows.
    pub fn courtesy(&self, write: impl Future<Output = ()> + Send + 'static) {
        if !self.closing.is_cancelled() {
            self.tasks.spawn(write);
        }
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
pub enum WriteProgress<A, T> {
    /// No write was started, or its result was taken.
    Idle,
    /// The write is in the queue or being sent.
    UnderWay {
        /// Content of the write.
        about: A,
    },
    /// The write has ended. The result is returned once.
    Finished {
        /// Content of the write.
        about: A,
        /// Result of the write.
        result: Result<T, WriteError>,
    },
    /// The write failed and must not be started again yet.
    Paused {
        /// Content of the write.
        about: A,
        /// Cause of the failure.
        problem: String,
        /// Remaining time.
        wait: Duration,
    },
}

/// Writes for one purpose. At most one is under way for each object and slot. `A` is the content of
/// a write, to compare it with others, and `T` its result.
pub struct Writes<K: Resource<DynamicType = ()>, A, T> {
    kept: Arc<Table<A, T>>,
    queue: Queue<K>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

/// UID of the object, and slot.
type Slot = (String, i64);
/// Slot of an object that has only one.
const ONLY: i64 = 0;

struct Table<A, T> {
    started: AtomicU64,
    entries: Mutex<BTreeMap<Slot, Entry<A, T>>>,
}

struct Entry<A, T> {
    /// Identifies the write among those for the same object.
    number: u64,
    namespace: String,
    name: String,
    /// Number of consecutive failures.
    failures: u32,
    state: State<A, T>,
}

enum State<A, T> {
    Taken { about: A },
    UnderWay { about: A, task: AbortHandle },
    Finished { about: A, result: Result<T, WriteError> },
    Paused { about: A, problem: String, until: Instant },
}

/// A write that has ended, see [`Writes::results`].
#[derive(Clone, Debug)]
pub struct Ended<A, T> {
    slot: i64,
    number: u64,
    /// Content of the write.
    pub about: A,
    /// Result of the write.
    pub result: Result<T, WriteError>,
}

impl<A: Clone, T> State<A, T> {
    const fn about(&self) -> &A {
        match self {
            Self::Taken { about }
            | Self::UnderWay { about, .. }
            | Self::Finished { about, .. }
            | Self::Paused { about, .. } => about,
        }
    }

    /// Returns the progress, without the result of a write that has ended.
    fn look(&self) -> WriteProgress<A, T> {
        match self {
            Self::Taken { .. } => WriteProgress::Idle,
            Self::UnderWay { about, .. } | Self::Finished { about, .. } => {
                WriteProgress::UnderWay { about: about.clone() }
            }
            Self::Paused { about, problem, until } => {
                let wait = until.saturating_duration_since(Instant::now());
                if wait.is_zero() {
                    return WriteProgress::Idle;
                }
                WriteProgress::Paused { about: about.clone(), problem: problem.clone(), wait }
            }
        }
    }
}

impl<A: Clone, T> Table<A, T> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Slot, Entry<A, T>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the result of a write, unless another one has replaced it. A write that wasn't sent
    /// because the process ends leaves no result.
    fn end(&self, slot: &Slot, number: u64, result: Option<Result<T, WriteError>>) {
        let mut kept = self.lock();
        let Some(entry) = kept.get_mut(slot).filter(|entry| entry.number == number) else { return };
        let State::UnderWay { about, .. } = &entry.state else { return };
        match result {
            None | Some(Err(WriteError::Forge(ForgeError::NotSent(_)))) => {
                kept.remove(slot);
            }
            Some(result) => {
                let about = about.clone();
                entry.state = State::Finished { about, result };
            }
        }
    }
}

/// A running write. If it is dropped before its end (by cancellation or a panic), it leaves no
/// result.
struct UnderWay<A: Clone, T> {
    kept: Arc<Table<A, T>>,
    slot: Slot,
    number: u64,
}

impl<A: Clone, T> Drop for UnderWay<A, T> {
    fn drop(&mut self) {
        self.kept.end(&self.slot, self.number, None);
    }
}

fn slot_of<K: Resource<DynamicType = ()>>(object: &K, slot: i64) -> Slot {
    (object.uid().unwrap_or_default(), slot)
}

impl<K, A, T> Writes<K, A, T>
where
    K: Resource<DynamicType = ()> + 'static,
    A: Clone + Send + 'static,
    T: Send + 'static,
{
    fn new(queue: &Queue<K>, tasks: &TaskTracker, closing: &CancellationToken) -> Self {
        Self {
            kept: Arc::new(Table { started: AtomicU64::new(0), entries: Mutex::default() }),
            queue: queue.clone(),
            tasks: tasks.clone(),
            closing: closing.clone(),
        }
    }

    /// Starts a write for an object. It replaces one that is under way. `about` is its content.
    /// Returns at once. The end of the write enqueues the object.
    pub fn start(
        &self,
        of: &K,
        about: A,
        write: impl Future<Output = Result<T, WriteError>> + Send + 'static,
    ) {
        self.start_in(of, ONLY, about, write);
    }

    /// Like [`Self::start`], for one of several slots of the object.
    pub fn start_in(
        &self,
        of: &K,
        slot: i64,
        about: A,
        write: impl Future<Output = Result<T, WriteError>> + Send + 'static,
    ) {
        if self.closing.is_cancelled() {
            return;
        }
        let (slot, namespace, name) = (slot_of(of, slot), of.namespace().unwrap_or_default(), of.name_any());
        let mut kept = self.kept.lock();
        let before = kept.remove(&slot);
        let number = self.kept.started.fetch_add(1, Ordering::Relaxed);
        let task = {
            let (queue, namespace, name) = (self.queue.clone(), namespace.clone(), name.clone());
            let (kept, slot) = (Arc::clone(&self.kept), slot.clone());
            self.tasks.spawn(async move {
                // A task that is dropped before it is polled must not lock the writes, which are
                // locked here.
                let under_way = UnderWay { kept, slot, number };
                let result = write.await;
                under_way.kept.end(&under_way.slot, number, Some(result));
                queue.enqueue_named(&namespace, &name);
            })
        };
        let state = State::UnderWay { about, task: task.abort_handle() };
        let failures = before.as_ref().map_or(0, |entry| entry.failures);
        kept.insert(slot, Entry { number, namespace, name, failures, state });
        drop(kept);
        take_back(before);
    }

    /// Returns the progress of the object's write. A result is returned once: call [`Self::forget`]
    /// after a success and [`Self::pause`] after a failure.
    pub fn progress(&self, of: &K) -> WriteProgress<A, T> {
        self.progress_in(of, ONLY)
    }

    /// Like [`Self::progress`], for one of several slots of the object.
    pub fn progress_in(&self, of: &K, slot: i64) -> WriteProgress<A, T> {
        let mut kept = self.kept.lock();
        let Some(entry) = kept.get_mut(&slot_of(of, slot)) else { return WriteProgress::Idle };
        if let State::Finished { .. } = entry.state {
            let about = entry.state.about().clone();
            if let State::Finished { about, result } =
                std::mem::replace(&mut entry.state, State::Taken { about })
            {
                return WriteProgress::Finished { about, result };
            }
        }
        entry.state.look()
    }

    /// Like [`Self::progress`], without taking the result. A write whose result nobody took counts
    /// as under way, because its end has enqueued the object.
    pub fn look(&self, of: &K) -> WriteProgress<A, T> {
        self.look_in(of, ONLY)
    }

    /// Like [`Self::look`], for one of several slots of the object.
    pub fn look_in(&self, of: &K, slot: i64) -> WriteProgress<A, T> {
        self.kept.lock().get(&slot_of(of, slot)).map_or(WriteProgress::Idle, |entry| entry.state.look())
    }

    /// Returns a taken result to the next reconcile, because this one couldn't use it.
    pub fn give_back(&self, of: &K, about: A, result: Result<T, WriteError>) {
        if let Some(entry) = self.kept.lock().get_mut(&slot_of(of, ONLY))
            && matches!(entry.state, State::Taken { .. })
        {
            entry.state = State::Finished { about, result };
        }
    }

    /// Whether there is a result to take.
    pub fn has_result(&self, of: &K) -> bool {
        self.is(of, |state| matches!(state, State::Finished { .. }))
    }

    fn is(&self, of: &K, holds: impl Fn(&State<A, T>) -> bool) -> bool {
        self.kept.lock().get(&slot_of(of, ONLY)).is_some_and(|entry| holds(&entry.state))
    }

    /// Pauses the write after a failure, longer after each consecutive one, and at least until the
    /// end of a rate limit. Returns the delay.
    pub fn pause(&self, of: &K, error: &WriteError, now: Timestamp) -> Duration {
        self.pause_in(of, ONLY, error, now)
    }

    /// Like [`Self::pause`], for one of several slots of the object.
    pub fn pause_in(&self, of: &K, slot: i64, error: &WriteError, now: Timestamp) -> Duration {
        let mut kept = self.kept.lock();
        let Some(entry) = kept.get_mut(&slot_of(of, slot)) else { return Duration::ZERO };
        entry.failures = entry.failures.saturating_add(1);
        let limited = error.not_before().map(|until| until.duration_since(now));
        let limited = limited.and_then(|wait| Duration::try_from(wait).ok()).unwrap_or_default();
        let wait = growing(entry.failures).max(limited);
        let about = entry.state.about().clone();
        entry.state = State::Paused { about, problem: error.to_string(), until: Instant::now() + wait };
        wait
    }

    /// Returns the writes of the object that have ended, without taking their results. Call
    /// [`Self::done`] or [`Self::failed`] for each once it is recorded.
    pub fn results(&self, of: &K) -> Vec<Ended<A, T>>
    where
        T: Clone,
    {
        let kept = self.kept.lock();
        let slots = kept.range(slots_of(of.uid().unwrap_or_default()));
        let ended = slots.filter_map(|((_, slot), entry)| match &entry.state {
            State::Finished { about, result } => Some(Ended {
                slot: *slot,
                number: entry.number,
                about: about.clone(),
                result: result.clone(),
            }),
            _ => None,
        });
        ended.collect()
    }

    /// Forgets a write whose success is recorded, unless another one has replaced it.
    pub fn done(&self, of: &K, ended: &Ended<A, T>) {
        let slot = slot_of(of, ended.slot);
        let mut kept = self.kept.lock();
        if kept.get(&slot).is_some_and(|entry| entry.number == ended.number) {
            kept.remove(&slot);
        }
    }

    /// Pauses a write whose failure is recorded, as [`Self::pause`] does, unless another one has
    /// replaced it. Returns the delay.
    pub fn failed(&self, of: &K, ended: &Ended<A, T>, now: Timestamp) -> Duration {
        let is_last = {
            let kept = self.kept.lock();
            kept.get(&slot_of(of, ended.slot)).is_some_and(|entry| entry.number == ended.number)
        };
        match &ended.result {
            Err(error) if is_last => self.pause_in(of, ended.slot, error, now),
            _ => Duration::ZERO,
        }
    }

    /// Cancels the object's writes that are still in the queue, and forgets everything about them.
    pub fn forget(&self, of: &K) {
        self.forget_unless(of, |_| false);
    }

    /// Like [`Self::forget`], but writes whose content is to be `kept` are sent all the same.
    pub fn forget_unless(&self, of: &K, kept: impl Fn(&A) -> bool) {
        let uid = of.uid().unwrap_or_default();
        let removed: Vec<_> = {
            let mut entries = self.kept.lock();
            let slots: Vec<Slot> = entries.range(slots_of(uid)).map(|(slot, _)| slot.clone()).collect();
            slots.iter().filter_map(|slot| entries.remove(slot)).collect()
        };
        for entry in removed.into_iter().filter(|entry| !kept(entry.state.about())) {
            take_back(Some(entry));
        }
    }

    /// Like [`Self::forget`], for one of several slots of the object.
    pub fn forget_in(&self, of: &K, slot: i64) {
        let removed = self.kept.lock().remove(&slot_of(of, slot));
        take_back(removed);
    }

    /// Returns the slots of the object with a write or its result.
    pub fn slots(&self, of: &K) -> Vec<i64> {
        let kept = self.kept.lock();
        kept.range(slots_of(of.uid().unwrap_or_default())).map(|((_, slot), _)| *slot).collect()
    }

    /// Returns the objects whose writes are under way.
    pub fn under_way(&self) -> Vec<ObjectRef<K>> {
        self.objects(|state| matches!(state, State::UnderWay { .. }))
    }

    /// Returns the objects whose results nobody has taken.
    pub fn finished(&self) -> Vec<ObjectRef<K>> {
        self.objects(|state| matches!(state, State::Finished { .. }))
    }

    fn objects(&self, are: impl Fn(&State<A, T>) -> bool) -> Vec<ObjectRef<K>> {
        let kept = self.kept.lock();
        let mut found: Vec<(&str, &str)> = kept
            .values()
            .filter(|entry| are(&entry.state))
            .map(|entry| (entry.namespace.as_str(), entry.name.as_str()))
            .collect();
        found.dedup();
        found.into_iter().map(|(namespace, name)| ObjectRef::new(name).within(namespace)).collect()
    }
}

fn slots_of(uid: String) -> RangeInclusive<Slot> {
    (uid.clone(), i64::MIN)..=(uid, i64::MAX)
}

/// Cancels a write. Don't call this while the writes are locked: the end of a write locks them.
fn take_back<A, T>(entry: Option<Entry<A, T>>) {
    if let Some(Entry { state: State::UnderWay { task, .. }, .. }) = entry {
        task.abort();
    }
}

#[cfg(test)]
mod tests;
