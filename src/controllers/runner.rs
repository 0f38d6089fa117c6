//! Runs reconciles: one at a time per object, a maximum of all of them, and exponential backoff per
//! object after failures.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use kube::Resource;
use kube::runtime::controller::{self, Action, applier};
use kube::runtime::reflector::{Lookup, ObjectRef, Store};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::Context;
use super::trouble::Explain;
use crate::controllers::leadership::Standing;
use crate::core::trouble::{self, Trouble};
use crate::metrics::{Controller, Metrics};
use crate::ports::{ClusterError, ForgeError};

/// Longest time that one reconcile may take. Each request in it has a shorter timeout, so this is
/// the last resort.
const RECONCILE_TIMEOUT: Duration = Duration::from_mins(2);
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// Minimum time between two writes of the same trouble on one object. Each of these writes triggers
/// a reconcile, which would otherwise skip the backoff.
const TELL_AGAIN: Duration = Duration::from_secs(5);
/// Longest backoff while another operation of Matinee has to complete first.
const NOT_YET: Duration = Duration::from_secs(10);

/// Why a reconcile did not complete, although no object contains a mistake. It is retried.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A request to the Kubernetes API failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A request to GitHub failed.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// The reconcile waits for a short time.
    #[error("{reason}")]
    Soon {
        /// Reason for the wait.
        reason: String,
        /// Time until the retry.
        after: Duration,
    },
    /// Another failure, which the object's status already reports.
    #[error(transparent)]
    Told(Box<Failure>),
}

impl Failure {
    /// Marks the failure as reported in the object's status.
    pub fn told(self) -> Self {
        match self {
            told @ Self::Told(_) => told,
            other => Self::Told(Box::new(other)),
        }
    }

    /// Whether the failure belongs to normal operation and needs no attention.
    pub fn is_expected(&self) -> bool {
        match self {
            Self::Told(failure) => failure.is_expected(),
            Self::Soon { .. } | Self::Cluster(ClusterError::NotYet { .. }) => true,
            Self::Cluster(_) | Self::Forge(_) => false,
        }
    }

    /// Returns what to report on the object. The message contains nothing that changes from one
    /// attempt to the next.
    pub fn trouble(&self) -> Trouble {
        let (reason, is_brief) = match self {
            Self::Told(failure) => return failure.trouble(),
            Self::Soon { .. } => (trouble::WAITING, true),
            Self::Cluster(ClusterError::Conflict(_)) => (trouble::CLUSTER_UNAVAILABLE, true),
            Self::Cluster(ClusterError::Unavailable(_)) => (trouble::CLUSTER_UNAVAILABLE, false),
            Self::Cluster(ClusterError::WebhookUnavailable { .. }) => (trouble::WEBHOOK_UNAVAILABLE, false),
            Self::Cluster(ClusterError::Refused { .. }) => (trouble::CLUSTER_REJECTED, false),
            Self::Cluster(ClusterError::NotYet { reason, .. }) => (*reason, false),
            Self::Forge(ForgeError::RateLimited { .. }) => (trouble::GITHUB_RATE_LIMITED, false),
            Self::Forge(ForgeError::Superseded) => (trouble::GITHUB_UNAVAILABLE, true),
            Self::Forge(ForgeError::Unknown(_) | ForgeError::NotSent(_)) => {
                (trouble::GITHUB_UNAVAILABLE, false)
            }
            Self::Forge(
                ForgeError::Credentials(_)
                | ForgeError::Forbidden(_)
                | ForgeError::NotFound(_)
                | ForgeError::Invalid(_)
                | ForgeError::Conflict(_),
            ) => (trouble::NOT_READABLE, false),
        };
        Trouble { reason, message: self.to_string(), is_brief }
    }
}

/// Enqueues objects. A replica that doesn't lead runs no reconciles, so it drops them.
pub struct Poke<K: Resource<DynamicType = ()>> {
    sender: UnboundedSender<ObjectRef<K>>,
    waiting: Arc<Waiting>,
    standing: Arc<Standing>,
}

/// The enqueued objects, for the runner.
pub struct Asked<K: Resource<DynamicType = ()>> {
    receiver: UnboundedReceiver<ObjectRef<K>>,
    waiting: Arc<Waiting>,
}

impl<K: Resource<DynamicType = ()>> Clone for Poke<K> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            waiting: Arc::clone(&self.waiting),
            standing: Arc::clone(&self.standing),
        }
    }
}

impl<K: Resource<DynamicType = ()>> Poke<K> {
    /// Creates both ends of a queue. An object that is already in the queue isn't added twice.
    pub fn channel(standing: &Arc<Standing>) -> (Self, Asked<K>) {
        let (sender, receiver) = unbounded();
        let waiting = Arc::<Waiting>::default();
        let poke = Self { sender, waiting: Arc::clone(&waiting), standing: Arc::clone(standing) };
        (poke, Asked { receiver, waiting })
    }

    /// Enqueues an object.
    pub fn object(&self, object: &K) {
        self.ask(ObjectRef::from_obj(object));
    }

    /// Enqueues all objects in the store.
    pub fn all(&self, store: &Store<K>)
    where
        K: Clone + 'static,
    {
        store.state().iter().for_each(|object| self.object(object));
    }

    /// Enqueues the object of that name.
    pub fn named(&self, namespace: &str, name: &str) {
        self.ask(ObjectRef::new(name).within(namespace));
    }

    fn ask(&self, object: ObjectRef<K>) {
        if !self.standing.leads() {
            return;
        }
        self.waiting.asked(object.namespace.as_deref(), &object.name);
        // The receiver is dropped only when the process ends.
        self.sender.unbounded_send(object).ok();
    }
}

/// Objects in the queue, without those being reconciled. They are counted once the runner works.
#[derive(Default)]
struct Waiting(Mutex<Line>);

#[derive(Default)]
struct Line {
    /// By namespace and name.
    objects: HashSet<(Option<String>, String)>,
    shown: Option<(Controller, Metrics)>,
}

impl Waiting {
    fn change(&self, change: impl FnOnce(&mut Line)) {
        if let Ok(mut line) = self.0.lock() {
            change(&mut line);
            if let Some((controller, metrics)) = &line.shown {
                metrics.reconcile_queue(*controller, line.objects.len());
            }
        }
    }

    fn asked(&self, namespace: Option<&str>, name: &str) {
        self.change(|line| {
            line.objects.insert((namespace.map(str::to_owned), name.to_owned()));
        });
    }

    /// Records that the object's reconcile started, or that it has been deleted.
    fn done<K: Lookup>(&self, object: &ObjectRef<K>) {
        self.change(|line| {
            line.objects.remove(&(object.namespace.clone(), object.name.clone()));
        });
    }

    fn show(&self, controller: Controller, metrics: &Metrics) {
        self.change(|line| line.shown = Some((controller, metrics.clone())));
    }
}

/// Consecutive failures per object.
struct Backoff<K: Resource<DynamicType = ()>>(Mutex<HashMap<ObjectRef<K>, Failing>>);

/// Consecutive failures of an object's reconcile.
#[derive(Clone, Copy, Default)]
struct Failing {
    /// Number of consecutive failures; zero if the last reconcile succeeded.
    count: u32,
    /// Time of the first one.
    since: Option<Instant>,
    /// Time when they were last written on the object.
    told: Option<Instant>,
}

impl<K: Resource<DynamicType = ()>> Backoff<K> {
    fn reset(&self, object: &ObjectRef<K>) {
        if let Ok(mut failures) = self.0.lock() {
            failures.retain(|known, failing| {
                if known == object {
                    (failing.count, failing.since) = (0, None);
                }
                // [`TELL_AGAIN`] also applies after a success, so that alternating failures aren't
                // written each time.
                failing.count > 0 || failing.told.is_some_and(|told| told.elapsed() < TELL_AGAIN)
            });
        }
    }

    /// Returns for how long the object's reconciles have failed; `None` if that was written within
    /// [`TELL_AGAIN`].
    fn lasts(&self, object: &ObjectRef<K>) -> Option<Duration> {
        let mut failures = self.0.lock().ok()?;
        let failing = failures.entry(object.clone()).or_default();
        let since = *failing.since.get_or_insert_with(Instant::now);
        let lately = failing.told.is_some_and(|told| told.elapsed() < TELL_AGAIN);
        (!lately).then(|| since.elapsed())
    }

    /// Records that the failure was written on the object.
    fn told(&self, object: &ObjectRef<K>) {
        if let Ok(mut failures) = self.0.lock() {
            failures.entry(object.clone()).or_default().told = Some(Instant::now());
        }
    }

    fn forget(&self, object: &ObjectRef<K>) {
        if let Ok(mut failures) = self.0.lock() {
            failures.remove(object);
        }
    }

    fn wait(&self, object: &ObjectRef<K>, failure: &Failure, now: Timestamp) -> Duration {
        let failures = self.0.lock().map_or(0, |mut failures| {
            let failing = failures.entry(object.clone()).or_default();
            failing.count = failing.count.saturating_add(1);
            failing.count
        });
        wait(failure, failures, now)
    }
}

/// Returns the delay after that number of consecutive failures.
fn wait(failure: &Failure, failures: u32, now: Timestamp) -> Duration {
    match failure {
        Failure::Told(failure) => wait(failure, failures, now),
        Failure::Soon { after, .. } => *after,
        Failure::Cluster(ClusterError::NotYet { .. }) => growing(failures).min(NOT_YET),
        Failure::Forge(ForgeError::RateLimited { until }) => {
            until.duration_since(now).try_into().unwrap_or(FIRST_WAIT).max(FIRST_WAIT)
        }
        _ => growing(failures),
    }
}

/// Exponential backoff: half a second, doubled with every failure, at most five minutes.
pub(super) fn growing(failures: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_WAIT)
}

/// Reconciles one object of a controller.
pub type Reconcile<K> = fn(Arc<K>, Arc<Context>) -> BoxFuture<'static, Result<Action, Failure>>;

/// Reconciles enqueued objects of the store until the shutdown, and completes the running
/// reconciles. Reports on an object what prevents its reconcile from completing.
pub fn drive<K>(
    controller: Controller,
    store: Store<K>,
    asked: Asked<K>,
    concurrency: u16,
    shutdown: &CancellationToken,
    context: &Arc<Context>,
    (reconcile, explain): (Reconcile<K>, Explain<K>),
) -> impl Future<Output = ()> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    ObjectRef<K>: Hash + Eq,
{
    let (shutdown, context) = (shutdown.clone(), Arc::clone(context));
    let backoff = Arc::new(Backoff::<K>(Mutex::default()));
    let clock = Arc::clone(&context.clock);
    let Asked { receiver, waiting } = asked;
    waiting.show(controller, &context.metrics);
    let on_failure = {
        let backoff = Arc::clone(&backoff);
        move |object: Arc<K>, failure: &Failure, _: Arc<Context>| {
            Action::requeue(backoff.wait(&ObjectRef::from_obj(&*object), failure, clock.now()))
        }
    };
    let (begin, known) = (Arc::clone(&waiting), Arc::clone(&backoff));
    let bounded = move |object: Arc<K>, context: Arc<Context>| {
        let backoff = Arc::clone(&backoff);
        let key = ObjectRef::from_obj(&*object);
        begin.done(&key);
        let span = tracing::info_span!(
            "reconcile",
            controller = controller.as_str(),
            namespace = key.namespace,
            object = key.name,
            otel.status_code = Empty
        );
        async move {
            let (start, metrics) = (Instant::now(), context.metrics.clone());
            let reconciled = reconcile(Arc::clone(&object), Arc::clone(&context));
            let result = tokio::time::timeout(RECONCILE_TIMEOUT, reconciled).await;
            let result = result.unwrap_or_else(|_| {
                Err(ClusterError::Unavailable(format!("not done within {} s", RECONCILE_TIMEOUT.as_secs()))
                    .into())
            });
            let well = match &result {
                Ok(_) => {
                    backoff.reset(&key);
                    true
                }
                Err(failure) => {
                    tell(object, failure, &backoff, explain, context).await;
                    failure.is_expected()
                }
            };
            metrics.reconcile(controller, well, start.elapsed());
            if !well {
                Span::current().record("otel.status_code", "ERROR");
            }
            result
        }
        .instrument(span)
        .boxed()
    };
    let asked = receiver.map(Ok::<_, Infallible>).take_until(shutdown.cancelled_owned());
    let config = controller::Config::default().concurrency(concurrency);
    let results = applier(bounded, on_failure, context, store, asked, config);
    results.for_each(move |result| {
        match result {
            Ok(_) => {}
            // The object was deleted while it was in the queue.
            Err(controller::Error::ObjectNotFound(object)) => {
                tracing::trace!(%object, "gone");
                waiting.done(&*object);
                known.forget(&object.into_kind_unchecked(()));
            }
            Err(controller::Error::ReconcilerFailed(failure, object)) if failure.is_expected() => {
                tracing::debug!(%object, %failure, "waiting");
            }
            Err(error) => {
                tracing::warn!(%error, kind = %K::kind(&()), "reconcile failed; it is tried again");
            }
        }
        std::future::ready(())
    })
}

/// Reports on the object what prevents its reconcile from completing.
async fn tell<K>(
    object: Arc<K>,
    failure: &Failure,
    backoff: &Backoff<K>,
    explain: Explain<K>,
    context: Arc<Context>,
) where
    K: Resource<DynamicType = ()> + Clone + 'static,
    ObjectRef<K>: Hash + Eq,
{
    let key = ObjectRef::from_obj(&*object);
    let Some(lasts) = backoff.lasts(&key) else { return };
    if matches!(failure, Failure::Told(_)) {
        return;
    }
    match explain(object, failure.trouble(), lasts, context).await {
        Ok(true) => backoff.told(&key),
        Ok(false) => {}
        // The object was deleted, or the Kubernetes API doesn't respond.
        Err(error) => tracing::debug!(object = %key, %error, "trouble could not be written on the object"),
    }
}

/// Newest version of each object. A watch may be older than the response to the last write, and a
/// decision by the older version would undo the last one.
pub struct Freshest<K>(Mutex<HashMap<String, Arc<K>>>);

impl<K> Default for Freshest<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Resource<DynamicType = ()>> Freshest<K> {
    /// Returns the object, or the response to a write if that is newer.
    pub fn of(&self, seen: Arc<K>) -> Arc<K> {
        let Some(uid) = seen.meta().uid.clone() else { return seen };
        let Ok(mut written) = self.0.lock() else { return seen };
        match written.get(&uid) {
            Some(newer) if version(&**newer) > version(&*seen) => Arc::clone(newer),
            Some(_) => {
                written.remove(&uid);
                seen
            }
            None => seen,
        }
    }

    /// Remembers the response to a write, unless a newer one is known.
    pub fn wrote(&self, object: K) {
        let (Some(uid), Ok(mut written)) = (object.meta().uid.clone(), self.0.lock()) else { return };
        if written.get(&uid).is_none_or(|known| version(&**known) <= version(&object)) {
            written.insert(uid, Arc::new(object));
        }
    }

    /// Forgets an object that has been deleted.
    pub fn forget(&self, uid: &str) {
        if let Ok(mut written) = self.0.lock() {
            written.remove(uid);
        }
    }
}

/// Returns the resource version as a number. Versions of one kind can be compared (KEP-5504).
fn version(object: &impl Resource) -> Option<u64> {
    object.meta().resource_version.as_ref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PreviewClass;

    #[test]
    fn an_object_waits_once_until_its_reconcile_begins() {
        let metrics = Metrics::default();
        let depth = || {
            let text = metrics.encode().unwrap();
            let series = "matinee_reconcile_queue_depth{controller=\"previewclass\"} ";
            text.lines().find_map(|line| line.strip_prefix(series)?.parse::<u32>().ok())
        };
        let standing = Arc::new(Standing::default());
        let (poke, asked) = Poke::<PreviewClass>::channel(&standing);
        poke.named("", "dropped, since another replica leads");
        standing.lead();
        poke.named("", "a");
        assert_eq!(depth(), None, "nobody drives yet");
        asked.waiting.show(Controller::PreviewClass, &metrics);
        assert_eq!(depth(), Some(1));
        poke.named("", "a");
        poke.named("", "b");
        assert_eq!(depth(), Some(2));
        asked.waiting.done(&ObjectRef::<PreviewClass>::new("a").within(""));
        assert_eq!(depth(), Some(1));
    }

    #[test]
    fn every_failure_has_a_reason_to_say() {
        let text = || "why".to_owned();
        let until = Timestamp::from_second(1_780_000_000).unwrap();
        for (failure, reason, brief) in [
            (Failure::from(ClusterError::Unavailable(text())), "ClusterUnavailable", false),
            (ClusterError::Conflict(text()).into(), "ClusterUnavailable", true),
            (ClusterError::Refused { code: 403, message: text() }.into(), "ClusterRejected", false),
            (ClusterError::NotYet { reason: "Draining", message: text() }.into(), "Draining", false),
            (
                ClusterError::WebhookUnavailable { webhook: "policy.example.com".into(), message: text() }
                    .into(),
                "AdmissionWebhookUnavailable",
                false,
            ),
            (ForgeError::Unknown(text()).into(), "GitHubUnavailable", false),
            (ForgeError::NotSent(text()).into(), "GitHubUnavailable", false),
            (ForgeError::RateLimited { until }.into(), "GitHubRateLimited", false),
            (ForgeError::Credentials(text()).into(), "NotReadable", false),
            (Failure::Soon { reason: text(), after: Duration::ZERO }, "Waiting", true),
        ] {
            for failure in [failure.trouble(), failure.told().told().trouble()] {
                assert_eq!((failure.reason, failure.is_brief), (reason, brief));
                assert!(!failure.message.is_empty());
            }
        }
    }

    #[test]
    fn trouble_is_written_at_most_once_in_a_while_also_between_successes() {
        let backoff = Backoff::<PreviewClass>(Mutex::default());
        let object = ObjectRef::<PreviewClass>::new("a");
        assert!(backoff.lasts(&object).is_some());
        backoff.told(&object);
        assert!(backoff.lasts(&object).is_none());
        backoff.reset(&object);
        assert!(backoff.lasts(&object).is_none(), "it was written a moment ago");
        backoff.forget(&object);
        assert!(backoff.lasts(&object).is_some_and(|lasts| lasts < Duration::from_secs(1)));
    }

    #[test]
    fn what_has_to_end_first_is_looked_at_every_ten_seconds() {
        let failure =
            Failure::from(ClusterError::NotYet { reason: "Draining", message: String::new() }).told();
        let waits: Vec<_> = [1, 2, 20].map(|count| wait(&failure, count, Timestamp::UNIX_EPOCH)).into();
        assert_eq!(waits, [Duration::from_millis(500), Duration::from_secs(1), NOT_YET]);
    }

    #[test]
    fn the_wait_doubles_up_to_five_minutes() {
        let waits: Vec<_> = [1, 2, 3, 10, 11, 60].map(|failures| growing(failures).as_millis()).into();
        assert_eq!(waits, [500, 1_000, 2_000, 256_000, 300_000, 300_000]);
    }
}
