//! The objects that watches and answers to writes have shown, in little memory.
//!
//! A thousand environments have more than ten thousand objects, and hardly any of them is read at a
//! time. Therefore each is kept as JSON text and parsed when it is read. Parsed JSON takes several
//! times the memory of its text, because each of its maps allocates room for eleven fields.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use kube::ResourceExt as _;
use kube::api::{DynamicObject, GroupVersionKind, ObjectMeta, TypeMeta};
use lru::LruCache;
use serde::Serialize;
use serde_json::Value;

use crate::api::LABEL_ENVIRONMENT_UID;
use crate::core::environment::plan::jobs::{self, JobEnd};

/// Number of deleted objects that are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// Namespace (empty for cluster-scoped objects) and name.
pub(super) type NamespacedName = (String, String);

/// Kind and place of an object.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    kind: Arc<GroupVersionKind>,
    namespace: Box<str>,
    name: Box<str>,
}

/// An object.
struct Kept {
    /// The object as JSON, without `apiVersion` and `kind`.
    json: Box<[u8]>,
    uid: Option<Box<str>>,
    /// Resource version; `None` if it isn't a number.
    version: Option<u64>,
    environment: Option<Arc<str>>,
}

impl Kept {
    fn parse(&self, kind: &GroupVersionKind) -> Option<DynamicObject> {
        let mut object: DynamicObject = serde_json::from_slice(&self.json)
            .inspect_err(|error| tracing::error!(kind = kind.kind, %error, "kept object is unreadable"))
            .ok()?;
        object.types = Some(types(kind));
        Some(object)
    }
}

/// UIDs of the environments that a change affects.
#[derive(Debug, Default)]
pub(super) struct Affected {
    /// The environment whose label the object has.
    pub now: Option<Arc<str>>,
    /// The environment whose label the object had before.
    pub before: Option<Arc<str>>,
}

/// All objects.
#[derive(Default)]
pub(super) struct View {
    objects: HashMap<Arc<Key>, Kept>,
    /// The objects with the label of an environment's UID.
    by_environment: HashMap<Arc<str>, HashSet<Arc<Key>>>,
    /// Kinds of the objects, shared by their keys.
    known_kinds: HashSet<Arc<GroupVersionKind>>,
    /// Kinds with a watch, and whether the first list is complete.
    pub kinds: HashMap<GroupVersionKind, bool>,
    /// UIDs of objects that the watches saw deleted. A late answer to a write must not add them
    /// again, since no watch event would remove them. For Jobs it also has how they ended, since a
    /// short TTL may delete them before their status is read.
    gone: Option<LruCache<String, Option<JobEnd>>>,
}

impl View {
    /// Adds an object from a watch. Returns whom it affects if it is new or changed.
    pub fn watched(&mut self, kind: &GroupVersionKind, object: &DynamicObject) -> Option<Affected> {
        // An object that lost its label was seen as deleted, and comes back when it has the label
        // again.
        if let (Some(gone), Some(uid)) = (&mut self.gone, &object.metadata.uid) {
            gone.pop(uid);
        }
        self.put(kind, object)
    }

    /// Adds an object from the answer to a write, unless the watch already has a newer version or
    /// saw its deletion. Returns whom it affects if it is new or changed.
    pub fn answered(&mut self, kind: &GroupVersionKind, object: &DynamicObject) -> Option<Affected> {
        if object.metadata.uid.as_ref().is_some_and(|uid| self.is_gone(uid)) {
            return None;
        }
        self.put(kind, object)
    }

    /// Adds an object unless a newer version is known.
    fn put(&mut self, kind: &GroupVersionKind, object: &DynamicObject) -> Option<Affected> {
        let key = self.key(kind, object);
        let (uid, version) = (object.metadata.uid.as_deref(), version(object));
        let known = self.objects.get_key_value(&key);
        if known.is_some_and(|(_, known)| known.uid.as_deref() == uid && !is_older(known.version, version)) {
            return None;
        }
        // The key that the indexes share already.
        let key = known.map_or_else(|| Arc::new(key), |(key, _)| Arc::clone(key));
        let json = json_without_types(object)?;
        let environment = environment_uid(object).map(|uid| self.environment(uid));
        let kept = Kept { json, uid: uid.map(Box::from), version, environment: environment.clone() };
        let before = self.objects.insert(Arc::clone(&key), kept).and_then(|before| before.environment);
        if before != environment {
            self.unlink(before.as_deref(), &key);
            if let Some(uid) = &environment {
                self.by_environment.entry(Arc::clone(uid)).or_default().insert(key);
            }
        }
        Some(Affected { now: environment, before })
    }

    /// Removes an object that a watch saw deleted, unless another object has its name by now.
    /// Returns whom it affects if it was removed.
    pub fn went(&mut self, kind: &GroupVersionKind, object: &DynamicObject) -> Option<Affected> {
        self.remember_removed(object);
        let key = self.key(kind, object);
        if self.objects.get(&key)?.uid.as_deref() != object.metadata.uid.as_deref() {
            return None;
        }
        let removed = self.remove(&key)?;
        Some(Affected { now: removed.environment, before: None })
    }

    /// Removes the objects of a kind that a complete list lacks. Returns whom that affects.
    pub fn complete(&mut self, kind: &GroupVersionKind, listed: &HashSet<NamespacedName>) -> Vec<Affected> {
        let of_kind = self.objects.keys().filter(|key| *key.kind == *kind);
        let lacking =
            of_kind.filter(|key| !listed.contains(&(key.namespace.to_string(), key.name.to_string())));
        let lacking: Vec<_> = lacking.cloned().collect();
        let mut affected = Vec::new();
        for key in lacking {
            let Some(removed) = self.remove(&key) else { continue };
            if kind.kind == "Job"
                && let Some(job) = removed.parse(kind).filter(|job| jobs::end_of(job).is_some())
            {
                self.remember_removed(&job);
            }
            affected.push(Affected { now: removed.environment, before: None });
        }
        self.kinds.insert(kind.clone(), true);
        affected
    }

    /// Returns an object.
    pub fn find(&self, kind: &GroupVersionKind, namespace: &str, name: &str) -> Option<DynamicObject> {
        let key = Key { kind: Arc::new(kind.clone()), namespace: namespace.into(), name: name.into() };
        self.objects.get(&key)?.parse(kind)
    }

    /// Returns the objects with an environment's UID, by kind, namespace and name.
    pub fn of_environment(&self, uid: &str) -> Vec<DynamicObject> {
        let mut keys: Vec<_> = self.by_environment.get(uid).into_iter().flatten().collect();
        keys.sort_by_key(|key| (&key.kind.kind, &key.namespace, &key.name));
        keys.into_iter().filter_map(|key| self.objects.get(key)?.parse(&key.kind)).collect()
    }

    /// Returns how a removed Job ended.
    pub fn end_of_removed_job(&self, uid: &str) -> Option<JobEnd> {
        self.gone.as_ref()?.peek(uid)?.clone()
    }

    fn is_gone(&self, uid: &str) -> bool {
        self.gone.as_ref().is_some_and(|gone| gone.contains(uid))
    }

    fn remember_removed(&mut self, object: &DynamicObject) {
        if let Some(uid) = object.uid() {
            self.gone.get_or_insert_with(|| LruCache::new(REMEMBERED)).put(uid, jobs::end_of(object));
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Kept> {
        let removed = self.objects.remove(key)?;
        self.unlink(removed.environment.as_deref(), key);
        Some(removed)
    }

    fn unlink(&mut self, environment: Option<&str>, key: &Key) {
        let Some(uid) = environment else { return };
        if let Some(keys) = self.by_environment.get_mut(uid) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_environment.remove(uid);
            }
        }
    }

    fn key(&mut self, kind: &GroupVersionKind, object: &DynamicObject) -> Key {
        let kind = self.known_kinds.get(kind).cloned().unwrap_or_else(|| {
            let kind = Arc::new(kind.clone());
            self.known_kinds.insert(Arc::clone(&kind));
            kind
        });
        let (namespace, name) = namespaced_name(object);
        Key { kind, namespace: namespace.into(), name: name.into() }
    }

    /// Returns the UID that the environment's objects share.
    fn environment(&self, uid: &str) -> Arc<str> {
        self.by_environment.get_key_value(uid).map_or_else(|| uid.into(), |(uid, _)| Arc::clone(uid))
    }
}

/// Returns an object's namespace and name.
pub(super) fn namespaced_name(object: &DynamicObject) -> NamespacedName {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Returns the `apiVersion` and `kind` of an object of that kind.
pub(super) fn types(kind: &GroupVersionKind) -> TypeMeta {
    TypeMeta { api_version: kind.api_version(), kind: kind.kind.clone() }
}

fn environment_uid(object: &DynamicObject) -> Option<&str> {
    object.labels().get(LABEL_ENVIRONMENT_UID).map(String::as_str)
}

fn json_without_types(object: &DynamicObject) -> Option<Box<[u8]>> {
    #[derive(Serialize)]
    struct Untyped<'o> {
        metadata: &'o ObjectMeta,
        #[serde(flatten)]
        data: &'o Value,
    }
    let json = serde_json::to_vec(&Untyped { metadata: &object.metadata, data: &object.data });
    let json = json.inspect_err(|error| tracing::error!(%error, "object can't be written as JSON"));
    Some(json.ok()?.into_boxed_slice())
}

fn version(object: &DynamicObject) -> Option<u64> {
    object.metadata.resource_version.as_ref()?.parse().ok()
}

/// Compares resource versions as numbers (KEP-5504). If they aren't numbers, the answer to the
/// write counts as newer.
fn is_older(known: Option<u64>, new: Option<u64>) -> bool {
    match (known, new) {
        (Some(known), Some(new)) => known < new,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use kube::api::ApiResource;
    use serde_json::json;

    use super::*;

    fn kind() -> GroupVersionKind {
        GroupVersionKind::gvk("", "v1", "Namespace")
    }

    fn namespace(uid: &str) -> DynamicObject {
        let mut object = DynamicObject::new("preview-shop-pr-1", &ApiResource::from_gvk(&kind()));
        object.metadata.uid = Some(uid.to_owned());
        object
    }

    fn of(environment: &str, uid: &str) -> DynamicObject {
        let mut object = namespace(uid);
        object.labels_mut().insert(LABEL_ENVIRONMENT_UID.to_owned(), environment.to_owned());
        object
    }

    fn at_version(version: &str) -> DynamicObject {
        let mut object = namespace("one");
        object.metadata.resource_version = Some(version.to_owned());
        object
    }

    fn found(view: &View) -> Option<DynamicObject> {
        view.find(&kind(), "", "preview-shop-pr-1")
    }

    #[test]
    fn it_never_goes_back_behind_what_is_known() {
        let mut view = View::default();
        assert!(view.put(&kind(), &at_version("99")).is_some());
        assert!(view.put(&kind(), &at_version("101")).is_some());
        assert!(view.put(&kind(), &at_version("100")).is_none(), "an answer older than the watch event");
        assert!(view.put(&kind(), &at_version("101")).is_none());
        assert_eq!(found(&view).unwrap().resource_version().unwrap(), "101");
        assert!(view.put(&kind(), &namespace("recreated")).is_some());
    }

    #[test]
    fn an_object_is_read_back_as_it_was_kept() {
        let mut object = of("environment", "one");
        object.metadata.creation_timestamp = serde_json::from_value(json!("2026-03-01T09:29:59Z")).unwrap();
        object.data =
            json!({"spec": {"replicas": 3, "ratio": 0.5}, "status": {"text": "ä \"quoted\"", "none": null}});
        let mut view = View::default();
        view.put(&kind(), &object);
        assert_eq!(found(&view), Some(object.clone()));
        assert_eq!(view.of_environment("environment"), [object]);
        assert!(view.of_environment("another").is_empty());
    }

    #[test]
    fn an_object_is_found_by_its_present_environment_only() {
        let mut view = View::default();
        view.put(&kind(), &of("first", "one"));
        let affected = view.put(&kind(), &of("second", "one")).unwrap();
        assert_eq!((affected.now.as_deref(), affected.before.as_deref()), (Some("second"), Some("first")));
        assert!(view.of_environment("first").is_empty());
        assert_eq!(view.of_environment("second").len(), 1);
        let affected = view.went(&kind(), &of("second", "one")).unwrap();
        assert_eq!(affected.now.as_deref(), Some("second"));
        assert!(view.by_environment.is_empty() && view.objects.is_empty());
    }

    #[test]
    fn a_complete_list_removes_what_it_lacks() {
        let mut view = View::default();
        view.put(&kind(), &of("environment", "one"));
        view.put(&GroupVersionKind::gvk("", "v1", "Node"), &namespace("of another kind"));
        let listed = HashSet::from([namespaced_name(&namespace("one"))]);
        assert!(view.complete(&kind(), &listed).is_empty());
        let affected = view.complete(&kind(), &HashSet::new());
        assert_eq!(affected.iter().filter_map(|one| one.now.as_deref()).collect::<Vec<_>>(), ["environment"]);
        assert!(found(&view).is_none());
        assert_eq!((view.objects.len(), view.kinds.get(&kind())), (1, Some(&true)));
    }

    #[test]
    fn how_a_job_ended_is_known_after_it_is_deleted() {
        let kind = GroupVersionKind::gvk("batch", "v1", "Job");
        let mut job = DynamicObject::new("migrate", &ApiResource::from_gvk(&kind));
        job.metadata.uid = Some("job".to_owned());
        job.data = json!({"status": {"conditions": [{"type": "Complete", "status": "True"}]}});
        let mut view = View::default();
        view.went(&kind, &job);
        assert_eq!(view.end_of_removed_job("job"), Some(JobEnd::Complete));
        // The watch was interrupted, so the next list is the first to show its deletion.
        let mut view = View::default();
        view.put(&kind, &job);
        view.complete(&kind, &HashSet::new());
        assert_eq!(view.end_of_removed_job("job"), Some(JobEnd::Complete));
    }

    #[test]
    fn the_end_of_an_object_is_not_the_end_of_the_next_one_of_its_name() {
        let mut view = View::default();
        view.put(&kind(), &namespace("old"));
        view.put(&kind(), &namespace("new"));
        assert!(view.went(&kind(), &namespace("old")).is_none());
        assert!(view.is_gone("old") && !view.is_gone("new"));
        assert_eq!(found(&view).unwrap().uid().unwrap(), "new");
        assert!(view.went(&kind(), &namespace("new")).is_some());
        assert!(view.answered(&kind(), &namespace("new")).is_none(), "an answer after the deletion");
        assert!(view.objects.is_empty());
        assert!(view.watched(&kind(), &namespace("new")).is_some(), "it has its label again");
        assert!(!view.is_gone("new"));
    }
}
