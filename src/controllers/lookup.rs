//! What objects refer to: as the watches show it, and where they show nothing, as the API server has it. A watch may be behind or being
//! started again, and "it isn't there" is told to people.

use std::sync::Arc;

use kube::api::GroupVersionKind;
use kube::runtime::reflector::{ObjectRef, Store};

use super::{Context, write};
use crate::api::{PreviewClass, PreviewTemplate, Repository};
use crate::ports::{Actor, Cluster, ClusterError};

impl Context {
    /// The Repository of that name.
    pub(super) async fn repository(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Repository>>, ClusterError> {
        look_up(&self.repositories, &*self.cluster, Some(namespace), name).await
    }

    /// The `PreviewTemplate` of that name.
    pub(super) async fn template(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<PreviewTemplate>>, ClusterError> {
        look_up(&self.templates, &*self.cluster, Some(namespace), name).await
    }

    /// The class that a Repository names; `None` without a Repository.
    pub(super) async fn class_of(
        &self,
        repository: Option<&Repository>,
    ) -> Result<Option<Arc<PreviewClass>>, ClusterError> {
        let Some(repository) = repository else { return Ok(None) };
        look_up(&self.classes, &*self.cluster, None, &repository.spec.class_name).await
    }
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
