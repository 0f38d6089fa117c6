//! Index of Matinee's own objects, as the watches and the answers to Matinee's own writes show
//! them. An object is found by name, by UID, and by what it belongs to or refers to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kube::{Resource, ResourceExt as _};
use lru::LruCache;

use crate::api::{
    DeploymentCommand, DeploymentRequest, PreviewClass, PreviewEnvironment, PreviewRepository,
    PreviewTemplate,
};
use crate::core::identity::EnvironmentKey;

/// Number of deleted objects that are remembered, for each kind.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1_023);

/// All objects of Matinee's kinds.
#[derive(Default)]
pub struct Objects {
    /// Classes.
    pub classes: Table<PreviewClass>,
    /// PreviewRepositories.
    pub repositories: Table<PreviewRepository>,
    /// Templates.
    pub templates: Table<PreviewTemplate>,
    /// Requests.
    pub requests: Table<DeploymentRequest>,
    /// Environments.
    pub environments: Table<PreviewEnvironment>,
    /// Commands.
    pub commands: Table<DeploymentCommand>,
}

/// A thing to which an object belongs or refers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// The environment of a request or `PreviewEnvironment`.
    Environment(EnvironmentKey),
    /// A PreviewRepository, by namespace and name.
    Repository(String, String),
    /// A GitHub repository in lower case, as `owner/name`.
    Github(String),
    /// The namespace of a PreviewRepository or `PreviewEnvironment`.
    Namespace(String),
    /// A class by name; `None` for the default class.
    Class(Option<String>),
    /// A template, by namespace and name.
    Template(String, String),
    /// A host name of an environment.
    Host(String),
    /// A deployment on GitHub, by id.
    Deployment(i64),
}

/// A kind of the index.
pub trait Indexed: Resource<DynamicType = ()> + Clone + Send + Sync + 'static {
    /// The table of the kind.
    fn table(objects: &Objects) -> &Table<Self>;

    /// Returns the things to which this object belongs or refers.
    fn keys(&self) -> Vec<Key> {
        Vec::new()
    }
}

impl Indexed for PreviewClass {
    fn table(objects: &Objects) -> &Table<Self> {
        &objects.classes
    }
}

impl Indexed for PreviewTemplate {
    fn table(objects: &Objects) -> &Table<Self> {
        &objects.templates
    }
}

impl Indexed for PreviewRepository {
    fn table(objects: &Objects) -> &Table<Self> {
        &objects.repositories
    }

    fn keys(&self) -> Vec<Key> {
        let namespace = self.namespace().unwrap_or_default();
        let deploys = self.spec.environments.iter().filter_map(|entry| entry.deploy.as_ref());
        let templates = deploys.map(|deploy| deploy.template.reference.name.clone());
        let templates: BTreeSet<_> = templates.collect();
        let templates = templates.into_iter().map(|name| Key::Template(namespace.clone(), name));
        [
            Key::Github(self.spec.repository.to_lowercase()),
            Key::Namespace(namespace.clone()),
            Key::Class(self.spec.class_name.clone()),
        ]
        .into_iter()
        .chain(templates)
        .collect()
    }
}

impl Indexed for DeploymentRequest {
    fn table(objects: &Objects) -> &Table<Self> {
        &objects.requests
    }

    fn keys(&self) -> Vec<Key> {
        let environment = EnvironmentKey::from(self);
        let deployment = self.status.as_ref().and_then(|status| status.deployment_id);
        [
            Key::Repository(environment.namespace.clone(), environment.repository.clone()),
            Key::Environment(environment),
        ]
        .into_iter()
        .chain(deployment.map(Key::Deployment))
        .collect()
    }
}

impl Indexed for PreviewEnvironment {
    fn table(objects: &Objects) -> &Table<Self> {
        &objects.environments
    }

    fn keys(&self) -> Vec<Key> {
        let environment = EnvironmentKey::from(self);
        let status = self.status.as_ref();
        let reported = status.into_iter().flat_map(|status| &status.report);
        let deployments: BTreeSet<i64> =
            reported.map(|report| report.deployment_id).chain(self.spec.revision.deployment_id).collect();
        let hosts: BTreeSet<&String> = status.into_iter().flat_map(|status| &status.hosts).collect();
        [
            Key::Namespace(environment.namespace.clone()),
            Key::Repository(environment.namespace.clone(), environment.repository.clone()),
            Key::Environment(environment),
        ]
        .into_iter()
        .chain(deployments.into_iter().map(Key::Deployment))
        .chain(hosts.into_iter().cloned().map(Key::Host))
        .collect()
    }
}

impl Indexed for DeploymentCommand {
    fn table(objects: &Objects) -> &Table<Self> {
        &objects.commands
    }
}

/// Namespace (empty for a cluster-scoped object) and name.
type NamespacedName = (String, String);

/// All objects of one kind. It never returns to a version that is older than a known one.
pub struct Table<K: Indexed>(RwLock<Inner<K>>);

struct Inner<K> {
    /// The indexes share the keys.
    objects: BTreeMap<Arc<NamespacedName>, Arc<K>>,
    by_uid: HashMap<String, Arc<NamespacedName>>,
    by_key: HashMap<Key, BTreeSet<Arc<NamespacedName>>>,
    /// UIDs of deleted objects. A late answer to a write must not add them again, since no watch
    /// event would remove them.
    gone: LruCache<String, ()>,
}

impl<K: Indexed> Default for Table<K> {
    fn default() -> Self {
        Self(RwLock::new(Inner {
            objects: BTreeMap::new(),
            by_uid: HashMap::new(),
            by_key: HashMap::new(),
            gone: LruCache::new(REMEMBERED),
        }))
    }
}

impl<K: Indexed> Inner<K> {
    fn insert(&mut self, object: Arc<K>) {
        let at = Arc::new(namespaced_name(&*object));
        let displaced = self.remove(&at).and_then(|displaced| displaced.uid());
        if let Some(uid) = displaced.filter(|uid| Some(uid) != object.uid().as_ref()) {
            self.gone.put(uid, ());
        }
        if let Some(uid) = object.uid() {
            self.by_uid.insert(uid, Arc::clone(&at));
        }
        for key in object.keys() {
            self.by_key.entry(key).or_default().insert(Arc::clone(&at));
        }
        self.objects.insert(at, object);
    }

    fn remove(&mut self, at: &NamespacedName) -> Option<Arc<K>> {
        let removed = self.objects.remove(at)?;
        if let Some(uid) = removed.uid() {
            self.by_uid.remove(&uid);
        }
        for key in removed.keys() {
            if let Some(places) = self.by_key.get_mut(&key) {
                places.remove(at);
                if places.is_empty() {
                    self.by_key.remove(&key);
                }
            }
        }
        Some(removed)
    }

    /// Adds an object unless a newer version is known.
    fn put(&mut self, object: Arc<K>) {
        let known = self.objects.get(&namespaced_name(&*object));
        if known.is_some_and(|known| known.uid() == object.uid() && version(&**known) > version(&*object)) {
            return;
        }
        self.insert(object);
    }

    fn delete(&mut self, object: &K) {
        let Some(uid) = object.uid() else { return };
        if let Some(at) = self.by_uid.get(&uid).cloned() {
            self.remove(&at);
        }
        self.gone.put(uid, ());
    }
}

impl<K: Indexed> Table<K> {
    fn read(&self) -> RwLockReadGuard<'_, Inner<K>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner<K>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an object that the watch shows.
    pub fn applied(&self, object: Arc<K>) {
        let mut inner = self.write();
        // An object that only left the watch's selector was seen as deleted.
        if let Some(uid) = object.uid() {
            inner.gone.pop(&uid);
        }
        inner.put(object);
    }

    /// Removes an object that the watch shows as deleted, or that Matinee has just deleted.
    pub fn deleted(&self, object: &K) {
        self.write().delete(object);
    }

    /// Replaces everything by a complete list. Newer versions of listed objects stay. Returns the
    /// objects that the list lacks.
    pub fn listed(&self, list: Vec<Arc<K>>) -> Vec<Arc<K>> {
        let mut inner = self.write();
        let places: BTreeSet<NamespacedName> = list.iter().map(|object| namespaced_name(&**object)).collect();
        let left: Vec<_> = inner.objects.keys().filter(|at| !places.contains(&***at)).cloned().collect();
        let removed: Vec<Arc<K>> = left.iter().filter_map(|at| inner.remove(at)).collect();
        for uid in removed.iter().filter_map(|object| object.uid()) {
            inner.gone.put(uid, ());
        }
        for object in list {
            inner.put(object);
        }
        removed
    }

    /// Remembers the answer to a write, unless a newer version is known or the object has been
    /// deleted.
    pub fn wrote(&self, object: K) {
        let mut inner = self.write();
        if !object.uid().is_some_and(|uid| inner.gone.contains(&uid)) {
            inner.put(Arc::new(object));
        }
    }

    /// Returns the newest known version of an object: `seen` itself if none is newer.
    pub fn newest(&self, seen: Arc<K>) -> Arc<K> {
        let known = self.get(&seen.namespace().unwrap_or_default(), &seen.name_any());
        known.filter(|known| known.uid() == seen.uid() && version(&**known) > version(&*seen)).unwrap_or(seen)
    }

    /// Returns the object of that namespace (empty for a cluster-scoped object) and name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.read().objects.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// Returns the present version of an object; `None` if it was deleted or recreated.
    pub fn current(&self, object: &K) -> Option<Arc<K>> {
        let known = self.get(&object.namespace().unwrap_or_default(), &object.name_any());
        known.filter(|known| known.uid() == object.uid())
    }

    /// Returns the object with that UID. Labels identify objects by UID, because a name of more
    /// than 63 characters doesn't fit into a label.
    pub fn by_uid(&self, uid: &str) -> Option<Arc<K>> {
        let inner = self.read();
        inner.objects.get(inner.by_uid.get(uid)?).cloned()
    }

    /// Returns all objects, by namespace and name.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.read().objects.values().cloned().collect()
    }

    /// Returns the objects that belong or refer to something, by namespace and name.
    pub fn with(&self, key: &Key) -> Vec<Arc<K>> {
        let inner = self.read();
        let places = inner.by_key.get(key).into_iter().flatten();
        places.filter_map(|at| inner.objects.get(at).cloned()).collect()
    }

    /// Returns the number of objects.
    pub fn count(&self) -> usize {
        self.read().objects.len()
    }
}

impl Table<PreviewRepository> {
    /// Returns the PreviewRepositories that may have the same environments as this one, on GitHub
    /// or by the names of their objects.
    pub fn rivals(&self, repository: &PreviewRepository) -> Vec<Arc<PreviewRepository>> {
        let mut found = self.with(&Key::Github(repository.spec.repository.to_lowercase()));
        let namespace = repository.namespace();
        let neighbours = self.with(&Key::Namespace(namespace.clone().unwrap_or_default()));
        found.retain(|other| other.namespace() != namespace);
        found.extend(neighbours);
        found
    }
}

fn namespaced_name(object: &impl Resource<DynamicType = ()>) -> NamespacedName {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Returns the resource version as a number. Versions of one kind can be compared (KEP-5504).
fn version(object: &impl Resource) -> Option<u64> {
    object.meta().resource_version.as_ref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::naming;

    fn environment(name: &str, uid: &str, version: u64) -> PreviewEnvironment {
        let spec = json!({
            "repositoryRef": {"name": "shop"}, "environment": "preview", "githubEnvironment": "preview/pr-1",
            "pullRequest": {"number": 1}, "revision": {"sha": "1".repeat(40), "deploymentId": version},
        });
        let metadata =
            json!({"name": name, "namespace": "team", "uid": uid, "resourceVersion": version.to_string()});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    fn key() -> Key {
        Key::Environment(EnvironmentKey {
            namespace: "team".into(),
            repository: "shop".into(),
            environment: "preview".into(),
            pull_request: Some(1),
        })
    }

    #[test]
    fn an_object_is_found_by_name_uid_and_key() {
        let name = naming::preview_environment(&"r".repeat(40), &"e".repeat(20), Some(1));
        assert!(name.len() > 63 && naming::label_value(&name) != name, "{name} fits into a label");
        let table = Table::default();
        table.applied(Arc::new(environment("short", "one", 1)));
        table.applied(Arc::new(environment(&name, "two", 2)));
        assert_eq!(table.by_uid("two").unwrap().name_any(), name);
        assert!(table.by_uid("three").is_none() && table.by_uid("").is_none());
        assert_eq!(table.get("team", "short").unwrap().uid().unwrap(), "one");
        assert_eq!(table.with(&key()).len(), 2);
        assert_eq!(table.with(&Key::Deployment(2))[0].name_any(), name);
        table.deleted(&environment(&name, "two", 3));
        assert_eq!((table.with(&key()).len(), table.count()), (1, 1));
        assert!(table.with(&Key::Deployment(2)).is_empty());
    }

    #[test]
    fn keys_follow_a_change() {
        let table = Table::default();
        table.applied(Arc::new(environment("a", "one", 1)));
        table.applied(Arc::new(environment("a", "one", 2)));
        assert!(table.with(&Key::Deployment(1)).is_empty());
        assert_eq!(table.with(&Key::Deployment(2)).len(), 1);
    }

    #[test]
    fn stale_version_never_replaces_a_newer_version() {
        let table = Table::default();
        table.applied(Arc::new(environment("a", "one", 9)));
        table.wrote(environment("a", "one", 11));
        table.applied(Arc::new(environment("a", "one", 10)));
        let version = || table.get("team", "a").unwrap().resource_version().unwrap();
        assert_eq!(version(), "11");
        assert_eq!(table.newest(Arc::new(environment("a", "one", 10))).resource_version().unwrap(), "11");
        assert_eq!(table.newest(Arc::new(environment("a", "one", 12))).resource_version().unwrap(), "12");
        table.applied(Arc::new(environment("a", "recreated", 12)));
        assert_eq!(table.newest(Arc::new(environment("a", "one", 11))).uid().unwrap(), "one");
        assert!(table.by_uid("one").is_none() && table.by_uid("recreated").is_some());
    }

    #[test]
    fn an_answer_after_the_deletion_adds_nothing() {
        let table = Table::default();
        table.applied(Arc::new(environment("a", "one", 1)));
        table.deleted(&environment("a", "one", 2));
        table.wrote(environment("a", "one", 3));
        assert_eq!(table.count(), 0);
        table.wrote(environment("a", "another", 3));
        assert_eq!(table.count(), 1);
        // The deletion of the earlier object is not that of the present one.
        table.deleted(&environment("a", "one", 2));
        assert_eq!(table.count(), 1);
    }

    #[test]
    fn new_list_removes_objects_that_are_missing_in_the_list() {
        let table = Table::default();
        table.applied(Arc::new(environment("old", "one", 1)));
        table.applied(Arc::new(environment("kept", "two", 2)));
        let list = vec![environment("kept", "two", 2), environment("new", "three", 3)];
        let removed = table.listed(list.into_iter().map(Arc::new).collect());
        assert_eq!(removed.iter().map(|one| one.name_any()).collect::<Vec<_>>(), ["old"]);
        let names: Vec<_> = table.all().iter().map(|one| one.name_any()).collect();
        assert_eq!(names, ["kept", "new"]);
        assert_eq!(table.with(&key()).len(), 2);
    }
}
