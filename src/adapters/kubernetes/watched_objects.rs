//! The applied objects of environments, as watches show them.
//!
//! There is one watch per kind, limited to objects with Matinee's label, which starts when the kind
//! first occurs. Objects are [pruned](crate::core::environment::pruning) to the fields that
//! ownership, drift and health need. The contents of `ConfigMap`s are never kept in memory, and
//! Secrets are never watched.

mod view;

use std::collections::HashSet;
use std::sync::{Arc, RwLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{DynamicObject, GroupVersionKind};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use tokio::sync::Notify;

use self::view::{Affected, NamespacedName, View, namespaced_name};
use super::KubeCluster;
use crate::api::LABEL_ENVIRONMENT_UID;
use crate::core::api_error;
use crate::core::environment::plan::jobs::JobEnd;
use crate::core::environment::pruning;
use crate::ports::{ClusterError, LiveObjects};

/// Selects objects that Matinee applied.
const SELECTOR: &str = LABEL_ENVIRONMENT_UID;

/// Objects per page of a list. A page is in memory as a whole, with all fields of its objects.
pub(super) const PAGE_SIZE: u32 = 100;

type Touched = Box<dyn Fn(&str) + Send + Sync>;

/// Events of a watch.
pub type Events = BoxStream<'static, watcher::Result<watcher::Event<DynamicObject>>>;

/// Opens watches.
#[async_trait]
pub trait Watches: Send + Sync {
    /// Watches the objects of a kind that have the label in `selector`, in all namespaces.
    ///
    /// # Errors
    /// [`ClusterError::Refused`] when the API server doesn't serve the kind.
    async fn watch(&self, kind: &GroupVersionKind, selector: &str) -> Result<Events, ClusterError>;
}

/// Opens watches of the API server.
struct KubeWatches {
    client: Client,
    cluster: Arc<KubeCluster>,
}

#[async_trait]
impl Watches for KubeWatches {
    async fn watch(&self, kind: &GroupVersionKind, selector: &str) -> Result<Events, ClusterError> {
        let (resource, _) = self.cluster.resource(kind).await?;
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let config = watcher::Config::default().labels(selector).page_size(PAGE_SIZE);
        Ok(watcher(api, config).default_backoff().boxed())
    }
}

/// A view of all applied objects, kept up to date by one watch per kind.
pub struct WatchedObjects {
    watches: Arc<dyn Watches>,
    view: RwLock<View>,
    /// Called with the UID of the `PreviewEnvironment` whose object changed. The name would not
    /// always fit into a label.
    touched: Touched,
    listed: Notify,
    this: Weak<Self>,
}

impl WatchedObjects {
    /// Creates a view that calls `touched` with the UID of the environment whose object changed.
    pub fn new(client: Client, cluster: Arc<KubeCluster>, touched: Touched) -> Arc<Self> {
        Self::of(Arc::new(KubeWatches { client, cluster }), touched)
    }

    /// Like [`Self::new`], with any watches.
    pub fn of(watches: Arc<dyn Watches>, touched: Touched) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            watches,
            view: RwLock::default(),
            touched,
            listed: Notify::new(),
            this: this.clone(),
        })
    }

    /// Waits until each of these kinds has been listed once.
    pub async fn listed(&self, kinds: &[GroupVersionKind]) {
        loop {
            let mut listed = std::pin::pin!(self.listed.notified());
            listed.as_mut().enable();
            if kinds.iter().all(|kind| self.follows(kind)) {
                return;
            }
            listed.await;
        }
    }

    async fn watch(self: Arc<Self>, kind: GroupVersionKind) {
        let events = loop {
            match self.watches.watch(&kind, SELECTOR).await {
                Ok(events) => break events,
                Err(ClusterError::Refused { message, .. }) => {
                    tracing::debug!(kind = kind.kind, message, "kind isn't served, retrying at its next use");
                    if let Ok(mut view) = self.view.write() {
                        view.kinds.remove(&kind);
                    }
                    return;
                }
                Err(error) => {
                    tracing::warn!(kind = kind.kind, %error, "failed to look up kind, retrying");
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
            }
        };
        self.drive(&kind, events).await;
    }

    async fn drive(&self, kind: &GroupVersionKind, mut events: Events) {
        let mut listing = HashSet::new();
        // A missing permission or a deleted definition may last for days, so it is logged once.
        let mut reported = String::new();
        loop {
            match events.try_next().await {
                Ok(Some(watcher::Event::Init)) => listing.clear(),
                Ok(Some(watcher::Event::InitApply(object))) => {
                    listing.insert(namespaced_name(&object));
                    self.put(kind, object, View::watched);
                }
                Ok(Some(watcher::Event::InitDone)) => self.complete(kind, &std::mem::take(&mut listing)),
                Ok(Some(watcher::Event::Apply(object))) => self.put(kind, object, View::watched),
                Ok(Some(watcher::Event::Delete(object))) => self.went(kind, &object),
                Ok(None) => return,
                Err(error) => {
                    let error = api_error::text(&error.to_string());
                    if error == reported {
                        tracing::debug!(kind = kind.kind, error, "watch failed again");
                    } else {
                        tracing::warn!(kind = kind.kind, error, "watch failed, restarting it");
                        reported = error;
                    }
                }
            }
        }
    }

    fn put(
        &self,
        kind: &GroupVersionKind,
        mut object: DynamicObject,
        into: fn(&mut View, &GroupVersionKind, &DynamicObject) -> Option<Affected>,
    ) {
        // The API server leaves out the kind of a list's items.
        object.types = Some(view::types(kind));
        pruning::prune(&mut object);
        let affected = self.view.write().ok().and_then(|mut view| into(&mut view, kind, &object));
        self.touch(affected);
    }

    fn went(&self, kind: &GroupVersionKind, object: &DynamicObject) {
        let affected = self.view.write().ok().and_then(|mut view| view.went(kind, object));
        self.touch(affected);
    }

    /// Completes a list: objects that aren't in it have been deleted.
    fn complete(&self, kind: &GroupVersionKind, listing: &HashSet<NamespacedName>) {
        let affected = self.view.write().map(|mut view| view.complete(kind, listing));
        self.touch(affected.into_iter().flatten());
        self.listed.notify_waiters();
    }

    fn touch(&self, affected: impl IntoIterator<Item = Affected>) {
        for Affected { now, before } in affected {
            // Somebody may have changed the object's label to the UID of another environment. Then
            // the previous environment is reconciled, too, and restores it.
            let before = before.filter(|before| Some(before) != now.as_ref());
            for uid in now.iter().chain(&before) {
                (self.touched)(uid);
            }
        }
    }
}

impl LiveObjects for WatchedObjects {
    fn of_environment(&self, uid: &str) -> Vec<Arc<DynamicObject>> {
        let Ok(view) = self.view.read() else { return Vec::new() };
        view.of_environment(uid).into_iter().map(Arc::new).collect()
    }

    fn find(
        &self,
        kind: &GroupVersionKind,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<Arc<DynamicObject>> {
        let view = self.view.read().ok()?;
        view.find(kind, namespace.unwrap_or_default(), name).map(Arc::new)
    }

    fn follows(&self, kind: &GroupVersionKind) -> bool {
        self.view.read().is_ok_and(|view| view.kinds.get(kind) == Some(&true))
    }

    fn follow(&self, kind: &GroupVersionKind) {
        // The operator has no permission to read all Secrets of the cluster, and needs none.
        if kind.group.is_empty() && kind.kind == "Secret" {
            return;
        }
        let new = self.view.write().is_ok_and(|mut view| {
            let new = !view.kinds.contains_key(kind);
            view.kinds.entry(kind.clone()).or_insert(false);
            new
        });
        if new && let Some(this) = self.this.upgrade() {
            tokio::spawn(this.watch(kind.clone()));
        }
    }

    fn record(&self, object: &DynamicObject) {
        if let Some(kind) = object.types.as_ref().and_then(|types| GroupVersionKind::try_from(types).ok()) {
            self.put(&kind, object.clone(), View::answered);
        }
    }

    fn end_of_removed_job(&self, uid: &str) -> Option<JobEnd> {
        self.view.read().ok()?.end_of_removed_job(uid)
    }
}
