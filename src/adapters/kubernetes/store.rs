//! Stores kept by a watch, of which one bad object can't stop the rest.

use std::fmt::Debug;
use std::future::Future;

use futures::TryStreamExt as _;
use kube::core::{DeserializeGuard, Resource};
use kube::runtime::reflector::Store;
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Api, ResourceExt as _};
use serde::de::DeserializeOwned;

/// A store, and the future that keeps it up to date; it never ends. `touched` is called for each object that was added, changed or
/// deleted, after the store shows it.
///
/// An object that doesn't parse (made before the schema forbade it) is left out and logged.
pub fn watched<K>(
    api: Api<DeserializeGuard<K>>,
    config: watcher::Config,
    touched: impl Fn(&K) + Send + 'static,
) -> (Store<K>, impl Future<Output = ()> + Send + 'static)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (store, mut writer) = reflector::store::<K>();
    let follow = async move {
        let mut events = std::pin::pin!(watcher(api, config).default_backoff());
        loop {
            match events.try_next().await {
                Ok(Some(event)) => {
                    let Some(event) = readable(event) else { continue };
                    writer.apply_watcher_event(&event);
                    match &event {
                        watcher::Event::Apply(object) | watcher::Event::Delete(object) => touched(object),
                        // Objects of the initial list are in the store only from here on.
                        watcher::Event::InitDone => {
                            writer.as_reader().state().iter().for_each(|object| touched(object));
                        }
                        watcher::Event::Init | watcher::Event::InitApply(_) => {}
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(kind = %K::kind(&()), %error, "watch failed; it is started again");
                }
            }
        }
    };
    (store, follow)
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
                error = invalid.error,
                "object can't be read and is left alone"
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
