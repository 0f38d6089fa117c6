//! Runs reconciles: one at a time per object, a maximum of all of them, and exponential backoff per
//! object after failures.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use kube::Resource;
use kube::runtime::controller::{self, Action, applier};
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::common::Common;
use super::failure::Failure;
use super::queue::Queued;
use crate::core::trouble::Trouble;
use crate::metrics::Controller;
use crate::ports::{ClusterError, ForgeError};

/// Longest time that one reconcile may take. Each request in it has a shorter timeout, so this is
/// the last resort.
const RECONCILE_TIMEOUT: Duration = Duration::from_mins(2);
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// Minimum time between two writes of the same trouble on one object. Each of these writes triggers
/// a reconcile, which would otherwise skip the backoff.
const REPORT_AGAIN: Duration = Duration::from_secs(5);
/// Longest backoff while another operation of Matinee has to complete first.
const NOT_YET: Duration = Duration::from_secs(10);

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
    reported: Option<Instant>,
}

impl<K: Resource<DynamicType = ()>> Backoff<K> {
    fn reset(&self, object: &ObjectRef<K>) {
        if let Ok(mut failures) = self.0.lock() {
            failures.retain(|known, failing| {
                if known == object {
                    (failing.count, failing.since) = (0, None);
                }
                // [`REPORT_AGAIN`] also applies after a success, so that alternating failures aren't
                // written each time.
                failing.count > 0
                    || failing.reported.is_some_and(|reported| reported.elapsed() < REPORT_AGAIN)
            });
        }
    }

    /// Returns for how long the object's reconciles have failed; `None` if that was written within
    /// [`REPORT_AGAIN`].
    fn lasts(&self, object: &ObjectRef<K>) -> Option<Duration> {
        let mut failures = self.0.lock().ok()?;
        let failing = failures.entry(object.clone()).or_default();
        let since = *failing.since.get_or_insert_with(Instant::now);
        let lately = failing.reported.is_some_and(|reported| reported.elapsed() < REPORT_AGAIN);
        (!lately).then(|| since.elapsed())
    }

    /// Records that the failure was written on the object.
    fn reported(&self, object: &ObjectRef<K>) {
        if let Ok(mut failures) = self.0.lock() {
            failures.entry(object.clone()).or_default().reported = Some(Instant::now());
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
        Failure::Reported(failure) => wait(failure, failures, now),
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

/// A controller of one kind. `C` holds what its reconciles need.
pub struct Controlled<K, C>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    /// The kind, for metrics and traces.
    pub controller: Controller,
    /// The objects.
    pub store: Store<K>,
    /// The objects to reconcile.
    pub queued: Queued<K>,
    /// Dependencies of a reconcile.
    pub context: Arc<C>,
    /// Reconciles an object.
    pub reconcile: Reconcile<K, C>,
    /// Writes trouble on an object, once it has lasted long enough. Returns whether it was written.
    pub explain: Explain<K, C>,
}

/// See [`Controlled::reconcile`].
pub type Reconcile<K, C> = fn(Arc<K>, Arc<C>) -> BoxFuture<'static, Result<Action, Failure>>;
/// See [`Controlled::explain`].
pub type Explain<K, C> =
    fn(Arc<K>, Trouble, Duration, Arc<C>) -> BoxFuture<'static, Result<bool, ClusterError>>;

/// Reconciles enqueued objects of the store until the shutdown, and completes the running
/// reconciles. Reports on an object what prevents its reconcile from completing.
pub fn drive<K, C>(
    controlled: Controlled<K, C>,
    concurrency: u16,
    shutdown: &CancellationToken,
    common: &Common,
) -> impl Future<Output = ()> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    ObjectRef<K>: Hash + Eq,
    C: Send + Sync + 'static,
{
    let Controlled { controller, store, queued, context, reconcile, explain } = controlled;
    let shutdown = shutdown.clone();
    let backoff = Arc::new(Backoff::<K>(Mutex::default()));
    let (clock, metrics) = (Arc::clone(&common.clock), common.metrics.clone());
    let Queued { receiver, waiting } = queued;
    waiting.show(controller, &metrics);
    let on_failure = {
        let backoff = Arc::clone(&backoff);
        move |object: Arc<K>, failure: &Failure, _: Arc<C>| {
            Action::requeue(backoff.wait(&ObjectRef::from_obj(&*object), failure, clock.now()))
        }
    };
    let (begin, known) = (Arc::clone(&waiting), Arc::clone(&backoff));
    let bounded = move |object: Arc<K>, context: Arc<C>| {
        let (backoff, metrics) = (Arc::clone(&backoff), metrics.clone());
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
            let start = Instant::now();
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
    let queued = receiver.map(Ok::<_, Infallible>).take_until(shutdown.cancelled_owned());
    let config = controller::Config::default().concurrency(concurrency);
    let results = applier(bounded, on_failure, context, store, queued, config);
    results.for_each(move |result| {
        match result {
            Ok(_) => {}
            // The object was deleted while it was in the queue.
            Err(controller::Error::ObjectNotFound(object)) => {
                tracing::trace!(%object, "object has been deleted");
                waiting.done(&*object);
                known.forget(&object.into_kind_unchecked(()));
            }
            Err(controller::Error::ReconcilerFailed(failure, object)) if failure.is_expected() => {
                tracing::debug!(%object, %failure, "reconcile is waiting");
            }
            Err(error) => {
                tracing::warn!(%error, kind = %K::kind(&()), "reconcile failed, retrying");
            }
        }
        std::future::ready(())
    })
}

/// Reports on the object what prevents its reconcile from completing.
async fn tell<K, C>(
    object: Arc<K>,
    failure: &Failure,
    backoff: &Backoff<K>,
    explain: Explain<K, C>,
    context: Arc<C>,
) where
    K: Resource<DynamicType = ()> + Clone + 'static,
    ObjectRef<K>: Hash + Eq,
{
    let key = ObjectRef::from_obj(&*object);
    let Some(lasts) = backoff.lasts(&key) else { return };
    if matches!(failure, Failure::Reported(_)) {
        return;
    }
    match explain(object, failure.trouble(), lasts, context).await {
        Ok(true) => backoff.reported(&key),
        Ok(false) => {}
        // The object was deleted, or the Kubernetes API doesn't respond.
        Err(error) => tracing::debug!(object = %key, %error, "failed to write the failure to the status"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PreviewClass;

    #[test]
    fn trouble_is_written_at_most_once_in_a_while_also_between_successes() {
        let backoff = Backoff::<PreviewClass>(Mutex::default());
        let object = ObjectRef::<PreviewClass>::new("a");
        assert!(backoff.lasts(&object).is_some());
        backoff.reported(&object);
        assert!(backoff.lasts(&object).is_none());
        backoff.reset(&object);
        assert!(backoff.lasts(&object).is_none(), "it was written a moment ago");
        backoff.forget(&object);
        assert!(backoff.lasts(&object).is_some_and(|lasts| lasts < Duration::from_secs(1)));
    }

    #[test]
    fn what_has_to_end_first_is_looked_at_every_ten_seconds() {
        let failure =
            Failure::from(ClusterError::NotYet { reason: "Draining", message: String::new() }).reported();
        let waits: Vec<_> = [1, 2, 20].map(|count| wait(&failure, count, Timestamp::UNIX_EPOCH)).into();
        assert_eq!(waits, [Duration::from_millis(500), Duration::from_secs(1), NOT_YET]);
    }

    #[test]
    fn the_wait_doubles_up_to_five_minutes() {
        let waits: Vec<_> = [1, 2, 3, 10, 11, 60].map(|failures| growing(failures).as_millis()).into();
        assert_eq!(waits, [500, 1_000, 2_000, 256_000, 300_000, 300_000]);
    }
}
