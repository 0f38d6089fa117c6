//! Writes to the Kubernetes API. All are server-side applies, and each writer has its own field
//! manager.

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

/// Field manager of the objects created for events.
pub const INGEST: &str = "matinee-ingest";
/// Field manager of an environment's objects and status.
pub const ENVIRONMENT: &str = crate::core::environment::plan::drift::MANAGER;
/// Field manager of the status of requests.
pub const REQUEST: &str = "matinee-request";
/// Field manager of the status of PreviewRepositories, classes and templates.
pub const CONFIGURATION: &str = "matinee-configuration";
/// Field manager of the annotation with the time of a pull request's last change.
pub const PULL_REQUEST_TIME: &str = "matinee-pull-request-time";
/// Field manager of the status of commands.
pub const COMMAND: &str = "matinee-command";
/// Prefix of the field managers of locks, one for each environment.
pub const LOCK: &str = "matinee-lock";
/// Prefix of the field managers of approvals, one for each person.
pub const APPROVAL: &str = "matinee-approval";
/// Field manager of the annotation with the newest event that a request may wait for. It isn't
/// [`PULL_REQUEST_TIME`], because an apply removes all fields of its manager that it doesn't contain.
pub const EVENT_TIME: &str = "matinee-event-time";
/// Field manager of the finalizer of environments that somebody created by hand.
pub const FINALIZER: &str = "matinee-finalizer";

/// Returns the kind of one of Matinee's own types.
pub fn kind<K: Resource<DynamicType = ()>>() -> GroupVersionKind {
    GroupVersionKind::gvk(&K::group(&()), &K::version(&()), &K::kind(&()))
}

/// Returns an object to apply, with identity and data only.
pub fn object<K: Resource<DynamicType = ()>>(metadata: ObjectMeta, data: Value) -> DynamicObject {
    let types = TypeMeta { api_version: K::api_version(&()).into_owned(), kind: K::kind(&()).into_owned() };
    DynamicObject { types: Some(types), metadata, data }
}

/// Returns the identity of an object. With the UID, the API server rejects the write if the object
/// was recreated.
pub fn identity<K: Resource<DynamicType = ()>>(of: &K) -> ObjectMeta {
    ObjectMeta {
        name: Some(of.name_any()),
        namespace: of.namespace(),
        uid: of.uid(),
        ..ObjectMeta::default()
    }
}

/// Returns a reference to an object, for its events.
pub fn reference<K: Resource<DynamicType = ()>>(to: &K) -> ObjectReference {
    to.object_ref(&())
}

/// Applies a status. Returns the written object.
pub async fn status<K, S>(cluster: &dyn Cluster, manager: &str, of: &K, status: &S) -> Result<K, ClusterError>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
    S: Serialize + Sync,
{
    let object = object::<K>(identity(of), json!({ "status": status }));
    typed(cluster.apply_status(manager, &object).await?)
}

/// Applies a manager's annotation that triggers a reconcile. Returns `false` if the object has been
/// deleted. (An apply without a spec can't recreate it.)
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

/// Converts an object to its Rust type. Drops its managed fields, which nobody reads.
pub fn typed<K: Resource<DynamicType = ()> + DeserializeOwned>(
    mut object: DynamicObject,
) -> Result<K, ClusterError> {
    let kind = K::kind(&());
    object.managed_fields_mut().clear();
    object.try_parse().map_err(|error| {
        let error = api_error::text(&error.to_string());
        ClusterError::Unavailable(format!("{kind} in the answer can't be read: {error}"))
    })
}
