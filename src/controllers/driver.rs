//! Drives reconciles: one at a time per object, a bound on all of them, and a growing wait per object after failures.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use kube::Resource;
use kube::runtime::controller::{self, Action, applier};
use kube::runtime::reflector::{ObjectRef, Store};
use tokio_util::sync::CancellationToken;

use super::Context;
use super::standing::Standing;
use crate::ports::{ClusterError, ForgeError};

/// Longest time one reconcile may take. Each request in it has a shorter bound; this is the last resort.
const RECONCILE_TIMEOUT: Duration = Duration::from_mins(2);
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// Why a reconcile ended before its end, though nobody made a mistake: it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The Kubernetes API.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// GitHub.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// Something that passes in a moment.
    #[error("{reason}")]
    Soon {
        /// What is waited for.
        reason: String,
        /// How long to wait.
        after: Duration,
    },
}

/// Asks for reconciles. A replica that doesn't lead makes none, and nobody would take what is asked for: it is dropped.
pub struct Poke<K: Resource<DynamicType = ()>> {
    sender: UnboundedSender<ObjectRef<K>>,
    standing: Arc<Standing>,
}

impl<K: Resource<DynamicType = ()>> Clone for Poke<K> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), standing: Arc::clone(&self.standing) }
    }
}

impl<K: Resource<DynamicType = ()>> Poke<K> {
    /// Two ends: whoever sees a reason for a reconcile, and the driver. Requests for one object that waits already are one.
    pub fn channel(standing: &Arc<Standing>) -> (Self, UnboundedReceiver<ObjectRef<K>>) {
        let (sender, receiver) = unbounded();
        (Self { sender, standing: Arc::clone(standing) }, receiver)
    }

    fn send(&self, object: ObjectRef<K>) {
        if self.standing.leads() {
            // The receiver is gone only when the process ends.
            self.sender.unbounded_send(object).ok();
        }
    }

    /// Asks for a reconcile of the object.
    pub fn object(&self, object: &K) {
        self.send(ObjectRef::from_obj(object));
    }

    /// Asks for a reconcile of everything in the store.
    pub fn all(&self, store: &Store<K>)
    where
        K: Clone + 'static,
    {
        store.state().iter().for_each(|object| self.object(object));
    }

    /// Asks for a reconcile of the object of that name.
    pub fn named(&self, namespace: &str, name: &str) {
        self.send(ObjectRef::new(name).within(namespace));
    }
}

/// Failures in a row, per object.
struct Backoff<K: Resource<DynamicType = ()>>(Mutex<HashMap<ObjectRef<K>, u32>>);

impl<K: Resource<DynamicType = ()>> Backoff<K> {
    fn reset(&self, object: &ObjectRef<K>) {
        if let Ok(mut failures) = self.0.lock() {
            failures.remove(object);
        }
    }

    fn wait(&self, object: &ObjectRef<K>, failure: &Failure, now: Timestamp) -> Duration {
        let failures = self.0.lock().map_or(0, |mut failures| {
            let count = failures.entry(object.clone()).or_default();
            *count = count.saturating_add(1);
            *count
        });
        match failure {
            Failure::Soon { after, .. } => *after,
            Failure::Forge(ForgeError::RateLimited { until }) => {
                until.duration_since(now).try_into().unwrap_or(FIRST_WAIT).max(FIRST_WAIT)
            }
            _ => growing(failures),
        }
    }
}

/// Half a second, doubled with every failure, five minutes at most.
fn growing(failures: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_WAIT)
}

/// What a controller does with one object.
pub type Reconcile<K> = fn(Arc<K>, Arc<Context>) -> BoxFuture<'static, Result<Action, Failure>>;

/// Reconciles objects of the store when they are asked for, until the shutdown; what is under way then is finished.
pub fn drive<K>(
    store: Store<K>,
    asked: UnboundedReceiver<ObjectRef<K>>,
    concurrency: u16,
    shutdown: &CancellationToken,
    context: &Arc<Context>,
    reconcile: Reconcile<K>,
) -> impl Future<Output = ()> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    ObjectRef<K>: Hash + Eq,
{
    let (shutdown, context) = (shutdown.clone(), Arc::clone(context));
    let backoff = Arc::new(Backoff::<K>(Mutex::default()));
    let clock = Arc::clone(&context.clock);
    let on_failure = {
        let backoff = Arc::clone(&backoff);
        move |object: Arc<K>, failure: &Failure, _: Arc<Context>| {
            Action::requeue(backoff.wait(&ObjectRef::from_obj(&*object), failure, clock.now()))
        }
    };
    let bounded = move |object: Arc<K>, context: Arc<Context>| {
        let backoff = Arc::clone(&backoff);
        async move {
            let key = ObjectRef::from_obj(&*object);
            let result = tokio::time::timeout(RECONCILE_TIMEOUT, reconcile(object, context)).await;
            let result = result.unwrap_or_else(|_| {
                Err(ClusterError::Unavailable(format!("not done within {} s", RECONCILE_TIMEOUT.as_secs()))
                    .into())
            });
            if result.is_ok() {
                backoff.reset(&key);
            }
            result
        }
        .boxed()
    };
    let asked = asked.map(Ok::<_, Infallible>).take_until(shutdown.cancelled_owned());
    let config = controller::Config::default().concurrency(concurrency);
    let results = applier(bounded, on_failure, context, store, asked, config);
    results.for_each(|result| async move {
        match result {
            Ok(_) => {}
            // Deleted between the request and its turn.
            Err(controller::Error::ObjectNotFound(object)) => tracing::trace!(%object, "gone"),
            Err(controller::Error::ReconcilerFailed(failure @ Failure::Soon { .. }, object)) => {
                tracing::debug!(%object, %failure, "waiting");
            }
            Err(error) => {
                tracing::warn!(%error, kind = %K::kind(&()), "reconcile failed; it is tried again");
            }
        }
    })
}

/// The freshest version of each object: a watch may be behind what a write returned a moment ago, and deciding on the older one would undo
/// what was just decided.
pub struct Freshest<K>(Mutex<HashMap<String, Arc<K>>>);

impl<K> Default for Freshest<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Resource<DynamicType = ()>> Freshest<K> {
    /// The object, or what a write returned if that is newer.
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

    /// Remembers what a write returned.
    pub fn wrote(&self, object: K) {
        if let (Some(uid), Ok(mut written)) = (object.meta().uid.clone(), self.0.lock()) {
            written.insert(uid, Arc::new(object));
        }
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        if let Ok(mut written) = self.0.lock() {
            written.remove(uid);
        }
    }
}

/// Resource versions of one kind can be compared as numbers (KEP-5504).
fn version(object: &impl Resource) -> Option<u64> {
    object.meta().resource_version.as_ref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_five_minutes() {
        let waits: Vec<_> = [1, 2, 3, 10, 11, 60].map(|failures| growing(failures).as_millis()).into();
        assert_eq!(waits, [500, 1_000, 2_000, 256_000, 300_000, 300_000]);
    }
}
