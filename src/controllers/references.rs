//! Looks up the objects to which other objects refer. A watch may be behind or restarting, and
//! Matinee reports a missing object to users. So an object that the watch doesn't show is read from
//! the API server.

use std::sync::Arc;

use kube::api::GroupVersionKind;
use kube::runtime::reflector::{ObjectRef, Store};

use super::{Context, write};
use crate::api::{PreviewClass, PreviewRepository, PreviewTemplate};
use crate::core::deployment::ownership;
use crate::ports::{Actor, Cluster, ClusterError};

impl Context {
    /// Returns the PreviewRepository of that name.
    pub(super) async fn repository(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<PreviewRepository>>, ClusterError> {
        look_up(&self.repositories, &*self.cluster, Some(namespace), name).await
    }

    /// Returns the `PreviewTemplate` of that name.
    pub(super) async fn template(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<PreviewTemplate>>, ClusterError> {
        look_up(&self.templates, &*self.cluster, Some(namespace), name).await
    }

    /// Returns the class of a PreviewRepository; `None` without a PreviewRepository.
    pub(super) async fn class_of(
        &self,
        repository: Option<&PreviewRepository>,
    ) -> Result<Option<Arc<PreviewClass>>, ClusterError> {
        let Some(repository) = repository else { return Ok(None) };
        match &repository.spec.class_name {
            Some(name) => look_up(&self.classes, &*self.cluster, None, name).await,
            None => Ok(self.known_class_of(repository)),
        }
    }

    /// Returns the class of a PreviewRepository from the watch.
    pub(super) fn known_class_of(&self, repository: &PreviewRepository) -> Option<Arc<PreviewClass>> {
        ownership::class_of(repository, &self.classes.state()).cloned()
    }
}

/// Returns the object with that UID. Labels identify objects by UID because a name of more than 63
/// characters doesn't fit into a label.
pub fn by_uid<K>(store: &Store<K>, uid: &str) -> Option<Arc<K>>
where
    K: kube::Resource<DynamicType = ()> + Clone + 'static,
{
    store.find(|object| object.meta().uid.as_deref() == Some(uid))
}

async fn look_up<K>(
    store: &Store<K>,
    cluster: &dyn Cluster,
    namespace: Option<&str>,
    name: &str,
) -> Result<Option<Arc<K>>, ClusterError>
where
    K: kube::Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + 'static,
{
    let reference = ObjectRef::new(name);
    let reference = match namespace {
        Some(namespace) => reference.within(namespace),
        None => reference,
    };
    if let Some(known) = store.get(&reference) {
        return Ok(Some(known));
    }
    let kind = GroupVersionKind::gvk(&K::group(&()), &K::version(&()), &K::kind(&()));
    let found = cluster.get(&Actor::Operator, &kind, namespace, name).await?;
    found.map(|found| write::typed(found).map(Arc::new)).transpose()
}

#[cfg(test)]
mod tests {
    use kube::runtime::{reflector, watcher};
    use serde_json::json;

    use super::*;
    use crate::api::PreviewEnvironment;
    use crate::core::naming;

    fn environment(name: &str, uid: &str) -> PreviewEnvironment {
        let spec = json!({
            "repositoryRef": {"name": "shop"}, "environment": "preview", "githubEnvironment": "preview/pr-1",
            "revision": {"sha": "1".repeat(40)},
        });
        let metadata = json!({"name": name, "namespace": "team", "uid": uid});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    #[test]
    fn an_environment_with_a_long_name_is_found_by_uid() {
        let name = naming::preview_environment(&"r".repeat(40), &"e".repeat(20), Some(1));
        assert!(name.len() > 63 && naming::label_value(&name) != name, "{name} fits into a label");
        let (store, mut writer) = reflector::store();
        writer.apply_watcher_event(&watcher::Event::Apply(environment("short", "one")));
        writer.apply_watcher_event(&watcher::Event::Apply(environment(&name, "two")));
        let found = by_uid(&store, "two").unwrap();
        assert_eq!(found.metadata.name.as_ref(), Some(&name));
        assert!(by_uid(&store, "three").is_none());
        assert!(by_uid(&store, "").is_none());
    }
}
