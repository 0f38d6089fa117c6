//! Stores that a watch keeps up to date. One invalid object doesn't affect the others.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, TryStreamExt as _};
use kube::api::{ListParams, ObjectMeta};
use kube::core::{DeserializeGuard, Resource};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Api, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::watched_objects::PAGE_SIZE;
use crate::core::api_error;

/// How long a newly elected replica waits for its watches to show the writes of the previous
/// leader.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(5);
const CAUGHT_UP_PAUSE: Duration = Duration::from_millis(250);

/// An event of a watch.
#[derive(Debug)]
pub enum Change<K> {
    /// An object was created or changed.
    Applied(Arc<K>),
    /// An object was deleted.
    Deleted(Arc<K>),
    /// The watch restarted: these are all existing objects.
    Listed(Vec<Arc<K>>),
}

/// Returns a store, and the future that keeps it up to date, which never ends. `on_change` is called
/// for each change after the store has it.
///
/// An object that can't be parsed (created before the schema forbade it) is skipped and logged.
pub fn watched<K>(
    api: Api<DeserializeGuard<K>>,
    config: watcher::Config,
    on_change: impl Fn(Change<K>) + Send + 'static,
) -> (Store<K>, impl Future<Output = ()> + Send + 'static)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    filled_by(watcher(api, config.page_size(PAGE_SIZE)).default_backoff(), on_change)
}

/// Like [`watched`], for the events of any watch.
pub fn filled_by<K>(
    events: impl Stream<Item = watcher::Result<watcher::Event<DeserializeGuard<K>>>> + Send + 'static,
    on_change: impl Fn(Change<K>) + Send + 'static,
) -> (Store<K>, impl Future<Output = ()> + Send + 'static)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (store, mut writer) = reflector::store::<K>();
    let follow = async move {
        let mut events = std::pin::pin!(events);
        loop {
            match events.try_next().await {
                Ok(Some(event)) => {
                    let Some(event) = readable(event) else { continue };
                    writer.apply_watcher_event(&event);
                    let store = writer.as_reader();
                    match event {
                        watcher::Event::Apply(object) => {
                            let stored = store.get(&ObjectRef::from_obj(&object));
                            on_change(Change::Applied(stored.unwrap_or_else(|| Arc::new(object))));
                        }
                        watcher::Event::Delete(object) => on_change(Change::Deleted(Arc::new(object))),
                        // Objects of a list are in the store only from here on.
                        watcher::Event::InitDone => on_change(Change::Listed(store.state())),
                        watcher::Event::Init | watcher::Event::InitApply(_) => {}
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    let error = api_error::text(&error.to_string());
                    tracing::warn!(kind = %K::kind(&()), error, "watch failed, restarting it");
                }
            }
        }
    };
    (store, follow)
}

/// Waits until the store is at least as new as the API server is now. Otherwise a new leader would
/// repeat writes of the previous one.
///
/// It returns after [`CAUGHT_UP_WITHIN`] in any case, since an unreadable object never gets into
/// the store.
pub async fn caught_up<K>(api: Api<K>, store: &Store<K>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let began = Instant::now();
    loop {
        // The list is read again in each round, since a missing object may have been deleted.
        let listed = tokio::time::timeout(CAUGHT_UP_WITHIN, api.list_metadata(&ListParams::default())).await;
        match listed {
            Ok(Ok(listed)) if listed.items.iter().all(|one| shows(store, &one.metadata)) => return,
            Ok(Ok(_)) if began.elapsed() >= CAUGHT_UP_WITHIN => {
                tracing::warn!(kind = %K::kind(&()), "watch is behind or objects are unreadable, continuing");
                return;
            }
            Ok(Ok(_)) => {}
            // Without an answer nothing is known. A replica that can't reach the API server doesn't
            // stay the leader for long.
            Ok(Err(error)) => {
                let error = api_error::text(&error.to_string());
                tracing::warn!(kind = %K::kind(&()), error, "failed to list objects");
            }
            Err(_) => tracing::warn!(kind = %K::kind(&()), "listing objects timed out"),
        }
        tokio::time::sleep(CAUGHT_UP_PAUSE).await;
    }
}

fn shows<K: Resource<DynamicType = ()> + Clone + 'static>(store: &Store<K>, metadata: &ObjectMeta) -> bool {
    let name = metadata.name.as_deref().unwrap_or_default();
    let mut at = ObjectRef::<K>::new(name);
    if let Some(namespace) = &metadata.namespace {
        at = at.within(namespace);
    }
    let number =
        |metadata: &ObjectMeta| metadata.resource_version.as_ref().and_then(|text| text.parse::<u64>().ok());
    store
        .get(&at)
        .is_some_and(|known| known.meta().uid == metadata.uid && number(known.meta()) >= number(metadata))
}

fn readable<K: Resource<DynamicType = ()>>(
    event: watcher::Event<DeserializeGuard<K>>,
) -> Option<watcher::Event<K>> {
    let read = |guard: DeserializeGuard<K>| match guard.0 {
        Ok(mut object) => {
            object.managed_fields_mut().clear();
            Some(object)
        }
        Err(invalid) => {
            tracing::warn!(
                kind = %K::kind(&()),
                namespace = invalid.metadata.namespace,
                name = invalid.metadata.name,
                error = api_error::text(&invalid.error),
                "object is unreadable, skipping it"
            );
            None
        }
    };
    Some(match event {
        watcher::Event::Apply(guard) => watcher::Event::Apply(read(guard)?),
        watcher::Event::InitApply(guard) => watcher::Event::InitApply(read(guard)?),
        watcher::Event::Delete(guard) => watcher::Event::Delete(read(guard)?),
        watcher::Event::Init => watcher::Event::Init,
        watcher::Event::InitDone => watcher::Event::InitDone,
    })
}
