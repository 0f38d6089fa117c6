//! The applied objects of environments, as watches show them.
//!
//! There is one watch per kind, limited to objects with Matinee's label, which starts when the kind
//! first occurs. Objects are pruned to the fields that ownership, drift and health need. The
//! contents of `ConfigMap`s are never kept in memory, and Secrets are never watched.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, RwLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{DynamicObject, GroupVersionKind, TypeMeta};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use lru::LruCache;
use serde_json::Value;
use tokio::sync::Notify;

use super::KubeCluster;
use crate::api::LABEL_ENVIRONMENT_UID;
use crate::core::api_error;
use crate::core::environment::plan::drift;
use crate::core::environment::plan::jobs::{self, JobEnd};
use crate::ports::{ClusterError, LiveObjects};

/// Selects objects that Matinee applied.
const SELECTOR: &str = LABEL_ENVIRONMENT_UID;

/// Number of deleted objects that are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);
/// Fields of a container that are kept, for health.
const CONTAINER_FIELDS: [&str; 7] =
    ["name", "image", "restartPolicy", "resources", "livenessProbe", "readinessProbe", "startupProbe"];
/// Fields of a volume that are kept: the sources that a pod may wait for.
const VOLUME_FIELDS: [&str; 4] = ["name", "configMap", "secret", "persistentVolumeClaim"];
/// Namespace (empty for cluster-scoped objects) and name.
type Place = (String, String);
type Touched = Box<dyn Fn(&str) + Send + Sync>;

#[derive(Default)]
struct View {
    objects: HashMap<GroupVersionKind, BTreeMap<Place, Arc<DynamicObject>>>,
    /// The objects with the label of an environment's UID.
    by_environment: HashMap<String, HashSet<(GroupVersionKind, Place)>>,
    /// Kinds with a watch, and whether the first list is complete.
    kinds: HashMap<GroupVersionKind, bool>,
    /// UIDs of objects that the watches saw deleted. A late answer to a write must not add them
    /// again, since no watch event would remove them. For Jobs it also has how they ended, since a
    /// short TTL may delete them before their status is read.
    gone: Option<LruCache<String, Option<JobEnd>>>,
}

impl View {
    fn unlink(&mut self, uid: &str, at: &(GroupVersionKind, Place)) {
        if let Some(places) = self.by_environment.get_mut(uid) {
            places.remove(at);
            if places.is_empty() {
                self.by_environment.remove(uid);
            }
        }
    }

    /// Adds an object from a watch. Returns whether it is new or changed.
    fn watched(&mut self, kind: &GroupVersionKind, object: &Arc<DynamicObject>) -> bool {
        // An object that lost its label was seen as deleted, and comes back when it has the label
        // again.
        if let (Some(gone), Some(uid)) = (&mut self.gone, object.uid()) {
            gone.pop(&uid);
        }
        self.put(kind, object)
    }

    /// Adds an object from the answer to a write, unless the watch already has a newer version or
    /// saw its deletion. Returns whether it is new or changed.
    fn answered(&mut self, kind: &GroupVersionKind, object: &Arc<DynamicObject>) -> bool {
        !object.uid().is_some_and(|uid| self.is_gone(&uid)) && self.put(kind, object)
    }

    /// Adds an object unless a newer version is known.
    fn put(&mut self, kind: &GroupVersionKind, object: &Arc<DynamicObject>) -> bool {
        let at = (kind.clone(), place(object));
        let known = self.objects.get(kind).and_then(|objects| objects.get(&at.1));
        if known.is_some_and(|known| known.uid() == object.uid() && !is_older(known, object)) {
            return false;
        }
        let old = self.objects.entry(kind.clone()).or_default().insert(at.1.clone(), Arc::clone(object));
        if let Some(uid) = old.as_deref().and_then(environment_uid) {
            self.unlink(uid, &at);
        }
        if let Some(uid) = environment_uid(object) {
            self.by_environment.entry(uid.to_owned()).or_default().insert(at);
        }
        true
    }

    fn is_gone(&self, uid: &str) -> bool {
        self.gone.as_ref().is_some_and(|gone| gone.contains(uid))
    }

    /// Removes an object that a watch saw deleted, unless another object has its name by now.
    fn went(&mut self, kind: &GroupVersionKind, object: &DynamicObject) -> Option<Arc<DynamicObject>> {
        let at = place(object);
        self.remember_removed(object);
        let known = self.objects.get(kind)?.get(&at)?;
        if known.uid() != object.uid() {
            return None;
        }
        self.remove(kind, &at)
    }

    fn remember_removed(&mut self, object: &DynamicObject) {
        if let Some(uid) = object.uid() {
            self.gone.get_or_insert_with(|| LruCache::new(REMEMBERED)).put(uid, jobs::end_of(object));
        }
    }

    fn remove(&mut self, kind: &GroupVersionKind, at: &Place) -> Option<Arc<DynamicObject>> {
        let removed = self.objects.get_mut(kind)?.remove(at)?;
        if let Some(uid) = environment_uid(&removed) {
            self.unlink(uid, &(kind.clone(), at.clone()));
        }
        Some(removed)
    }
}

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
        let config = watcher::Config::default().labels(selector);
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
        let mut told = String::new();
        loop {
            match events.try_next().await {
                Ok(Some(watcher::Event::Init)) => listing.clear(),
                Ok(Some(watcher::Event::InitApply(object))) => {
                    listing.insert(place(&object));
                    self.put(kind, object, View::watched);
                }
                Ok(Some(watcher::Event::InitDone)) => self.complete(kind, &std::mem::take(&mut listing)),
                Ok(Some(watcher::Event::Apply(object))) => self.put(kind, object, View::watched),
                Ok(Some(watcher::Event::Delete(object))) => self.went(kind, &object),
                Ok(None) => return,
                Err(error) => {
                    let error = api_error::text(&error.to_string());
                    if error == told {
                        tracing::debug!(kind = kind.kind, error, "watch failed again");
                    } else {
                        tracing::warn!(kind = kind.kind, error, "watch failed, restarting it");
                        told = error;
                    }
                }
            }
        }
    }

    fn put(
        &self,
        kind: &GroupVersionKind,
        mut object: DynamicObject,
        into: fn(&mut View, &GroupVersionKind, &Arc<DynamicObject>) -> bool,
    ) {
        // The API server leaves out the kind of a list's items.
        object.types = Some(TypeMeta { api_version: kind.api_version(), kind: kind.kind.clone() });
        prune(&mut object);
        let object = Arc::new(object);
        let Ok(mut view) = self.view.write() else { return };
        let before = view.objects.get(kind).and_then(|objects| objects.get(&place(&object))).cloned();
        let is_news = into(&mut view, kind, &object);
        drop(view);
        if is_news {
            self.touch(&object);
            // Somebody changed the object's label to the UID of another environment. The previous
            // environment is reconciled and restores it.
            if let Some(before) = before.filter(|before| environment_uid(before) != environment_uid(&object))
            {
                self.touch(&before);
            }
        }
    }

    fn went(&self, kind: &GroupVersionKind, object: &DynamicObject) {
        let removed = self.view.write().ok().and_then(|mut view| view.went(kind, object));
        if let Some(removed) = removed {
            self.touch(&removed);
        }
    }

    /// Completes a list: objects that aren't in it have been deleted.
    fn complete(&self, kind: &GroupVersionKind, listing: &HashSet<Place>) {
        let mut gone = Vec::new();
        if let Ok(mut view) = self.view.write() {
            let known = view.objects.get(kind).map(|objects| objects.keys().cloned().collect::<Vec<_>>());
            for at in known.unwrap_or_default() {
                if !listing.contains(&at)
                    && let Some(removed) = view.remove(kind, &at)
                {
                    if jobs::end_of(&removed).is_some() {
                        view.remember_removed(&removed);
                    }
                    gone.push(removed);
                }
            }
            view.kinds.insert(kind.clone(), true);
        }
        for object in gone {
            self.touch(&object);
        }
        self.listed.notify_waiters();
    }

    fn touch(&self, object: &DynamicObject) {
        if let Some(uid) = environment_uid(object) {
            (self.touched)(uid);
        }
    }
}

fn place(object: &DynamicObject) -> Place {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn environment_uid(object: &DynamicObject) -> Option<&str> {
    object.labels().get(LABEL_ENVIRONMENT_UID).map(String::as_str)
}

/// Removes all fields that ownership, drift and health don't need.
fn prune(object: &mut DynamicObject) {
    drift::mark(object);
    let Some(data) = object.data.as_object_mut() else { return };
    for contents in ["data", "binaryData", "stringData", "rules", "subjects", "secrets"] {
        data.remove(contents);
    }
    let Some(spec) = data.get_mut("spec").and_then(Value::as_object_mut) else { return };
    for bulk in ["template", "jobTemplate", "affinity", "tolerations", "rules", "ingress", "egress", "limits"]
    {
        spec.remove(bulk);
    }
    for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(volume) = volume.as_object_mut() {
            volume.retain(|key, _| VOLUME_FIELDS.contains(&key.as_str()));
        }
    }
    for containers in ["containers", "initContainers"] {
        for container in spec.get_mut(containers).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(container) = container.as_object_mut() {
                container.retain(|key, _| CONTAINER_FIELDS.contains(&key.as_str()));
            }
        }
    }
}

impl LiveObjects for WatchedObjects {
    fn of_environment(&self, uid: &str) -> Vec<Arc<DynamicObject>> {
        let Ok(view) = self.view.read() else { return Vec::new() };
        let mut places: Vec<_> = view.by_environment.get(uid).into_iter().flatten().collect();
        places.sort_by(|(a_kind, a), (b_kind, b)| (&a_kind.kind, a).cmp(&(&b_kind.kind, b)));
        places.into_iter().filter_map(|(kind, at)| view.objects.get(kind)?.get(at).cloned()).collect()
    }

    fn find(
        &self,
        kind: &GroupVersionKind,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<Arc<DynamicObject>> {
        let view = self.view.read().ok()?;
        view.objects.get(kind)?.get(&(namespace.unwrap_or_default().to_owned(), name.to_owned())).cloned()
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
        self.view.read().ok()?.gone.as_ref()?.peek(uid)?.clone()
    }
}

/// Compares resource versions as numbers (KEP-5504). If they aren't numbers, the answer to the
/// write counts as newer.
fn is_older(known: &DynamicObject, new: &DynamicObject) -> bool {
    let version =
        |object: &DynamicObject| object.resource_version().and_then(|version| version.parse::<u64>().ok());
    match (version(known), version(new)) {
        (Some(known), Some(new)) => known < new,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use kube::api::ApiResource;

    use super::*;

    fn namespace(uid: &str) -> DynamicObject {
        let kind = GroupVersionKind::gvk("", "v1", "Namespace");
        let mut object = DynamicObject::new("preview-shop-pr-1", &ApiResource::from_gvk(&kind));
        object.metadata.uid = Some(uid.to_owned());
        object
    }

    fn at_version(version: &str) -> Arc<DynamicObject> {
        let mut object = namespace("one");
        object.metadata.resource_version = Some(version.to_owned());
        Arc::new(object)
    }

    #[test]
    fn stale_version_never_replaces_a_newer_version() {
        let kind = GroupVersionKind::gvk("", "v1", "Namespace");
        let mut view = View::default();
        assert!(view.put(&kind, &at_version("99")));
        assert!(view.put(&kind, &at_version("101")));
        assert!(!view.put(&kind, &at_version("100")), "an answer older than the watch event");
        assert!(!view.put(&kind, &at_version("101")));
        assert_eq!(view.objects[&kind].values().next().unwrap().resource_version().unwrap(), "101");
        assert!(view.put(&kind, &Arc::new(namespace("made again"))));
    }

    #[test]
    fn result_of_a_deleted_job_is_kept() {
        let kind = GroupVersionKind::gvk("batch", "v1", "Job");
        let mut job = DynamicObject::new("migrate", &ApiResource::from_gvk(&kind));
        job.metadata.uid = Some("job".to_owned());
        job.data = serde_json::json!({"status": {"conditions": [{"type": "Complete", "status": "True"}]}});
        let mut view = View::default();
        view.went(&kind, &job);
        assert_eq!(view.gone.unwrap().peek("job"), Some(&Some(JobEnd::Complete)));
    }

    #[test]
    fn the_sources_that_a_pod_waits_for_are_kept() {
        let kind = GroupVersionKind::gvk("", "v1", "Pod");
        let mut pod = DynamicObject::new("web", &ApiResource::from_gvk(&kind));
        let claim = serde_json::json!({"name": "data", "persistentVolumeClaim": {"claimName": "data"}});
        pod.data = serde_json::json!({"spec": {
            "imagePullSecrets": [{"name": "registry"}],
            "volumes": [claim, {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}],
        }});
        prune(&mut pod);
        assert_eq!(pod.data["spec"]["volumes"], serde_json::json!([claim, {"name": "tmp"}]));
        assert_eq!(pod.data["spec"]["imagePullSecrets"][0]["name"], "registry");
    }

    #[test]
    fn the_end_of_an_object_is_not_the_end_of_the_next_one_of_its_name() {
        let kind = GroupVersionKind::gvk("", "v1", "Namespace");
        let mut view = View::default();
        view.put(&kind, &Arc::new(namespace("old")));
        view.put(&kind, &Arc::new(namespace("new")));
        assert!(view.went(&kind, &namespace("old")).is_none());
        assert!(view.is_gone("old") && !view.is_gone("new"));
        assert_eq!(view.objects[&kind].values().filter_map(|left| left.uid()).collect::<Vec<_>>(), ["new"]);
        assert!(view.went(&kind, &namespace("new")).is_some());
        assert!(!view.answered(&kind, &Arc::new(namespace("new"))), "an answer after the deletion");
        assert!(view.objects[&kind].is_empty());
        assert!(view.watched(&kind, &Arc::new(namespace("new"))), "it has its label again");
        assert!(!view.is_gone("new"));
    }
}
