//! How the controllers write: always server-side apply, each writer under a field manager of its own.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DynamicObject, GroupVersionKind, TypeMeta};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::core::api_error;
use crate::ports::{Actor, Cluster, ClusterError};

/// Writes what events ask for.
pub const INTAKE: &str = "matinee-intake";
/// Writes what an environment consists of, and its status.
pub const ENVIRONMENT: &str = crate::core::environment::plan::drift::MANAGER;
/// Writes the status of requests.
pub const REQUEST: &str = "matinee-request";
/// Writes the status of PreviewRepositories, classes and templates.
pub const CATALOG: &str = "matinee-catalog";
/// Writes what GitHub acknowledged.
pub const REPORTER: &str = "matinee-reporter";
/// Writes annotations that ask for another look.
pub const LOOK: &str = "matinee-look";
/// Writes the status of commands.
pub const COMMAND: &str = "matinee-command";
/// Beginning of the managers that write locks, one for each environment.
pub const LOCK: &str = "matinee-lock";
/// Beginning of the managers that write approvals, one for each person.
pub const APPROVAL: &str = "matinee-approval";
/// Writes the annotation that tells of news about what a request waits for. Not [`LOOK`]: what one manager applies no longer, goes.
pub const NEWS: &str = "matinee-news";
/// Holds the finalizer of environments that were made by hand.
pub const FINALIZER: &str = "matinee-finalizer";

/// The kind of our own objects of a type.
pub fn kind<K: Resource<DynamicType = ()>>() -> GroupVersionKind {
    GroupVersionKind::gvk(&K::group(&()), &K::version(&()), &K::kind(&()))
}

/// An object to apply: identity and data, nothing else of what the cluster knows.
pub fn object<K: Resource<DynamicType = ()>>(metadata: ObjectMeta, data: Value) -> DynamicObject {
    let types = TypeMeta { api_version: K::api_version(&()).into_owned(), kind: K::kind(&()).into_owned() };
    DynamicObject { types: Some(types), metadata, data }
}

/// Just the identity of an object. The UID makes the API server refuse the write if the object was made again meanwhile.
pub fn identity<K: Resource<DynamicType = ()>>(of: &K) -> ObjectMeta {
    ObjectMeta {
        name: Some(of.name_any()),
        namespace: of.namespace(),
        uid: of.uid(),
        ..ObjectMeta::default()
    }
}

/// A reference to an object, for its events.
pub fn reference<K: Resource<DynamicType = ()>>(to: &K) -> ObjectReference {
    to.object_ref(&())
}

/// Applies a status, and returns the object as it is then.
pub async fn status<K, S>(cluster: &dyn Cluster, manager: &str, of: &K, status: &S) -> Result<K, ClusterError>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
    S: Serialize + Sync,
{
    let object = object::<K>(identity(of), json!({ "status": status }));
    typed(cluster.apply_status(manager, &object).await?)
}

/// Applies the one annotation of a manager's that asks for another look at an object. When the object was deleted meanwhile there is
/// nothing to look at: that is `false`, and no error. (An apply without a spec can't make it again.)
pub async fn annotate<K: Resource<DynamicType = ()>>(
    cluster: &dyn Cluster,
    manager: &str,
    of: &K,
    annotation: &str,
    value: &str,
) -> Result<bool, ClusterError> {
    let annotations = BTreeMap::from([(annotation.to_owned(), value.to_owned())]);
    let metadata = ObjectMeta { annotations: Some(annotations), ..identity(of) };
    match cluster.apply(&Actor::Operator, manager, &object::<K>(metadata, json!({}))).await {
        Ok(_) => Ok(true),
        Err(ClusterError::Conflict(_) | ClusterError::Refused { code: 404 | 422, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The object as its Rust type.
pub fn typed<K: Resource<DynamicType = ()> + DeserializeOwned>(
    object: DynamicObject,
) -> Result<K, ClusterError> {
    let kind = K::kind(&());
    object.try_parse().map_err(|error| {
        let error = api_error::text(&error.to_string());
        ClusterError::Unavailable(format!("{kind} in the answer can't be read: {error}"))
    })
}
