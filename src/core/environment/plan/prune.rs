//! Finds objects of earlier revisions that the plan doesn't contain.

use std::borrow::Borrow;

use kube::ResourceExt as _;
use kube::api::DynamicObject;

use super::object::{group_of, kind_of};
use super::{DEPLOYER, GUARD_RAIL, Plan};
use crate::api::{ANNOTATION_DIGEST, InventoryEntry};

/// Returns the inventory with the objects that `live` shows besides: an earlier reconcile applied
/// them, and ended before it wrote the inventory. `live` are the objects with the environment's
/// UID, of which only those in the preview's namespace count.
///
/// The cluster's controllers copy labels and annotations to the objects that they create, such as
/// the ReplicaSet of a Deployment. Those have an owner, and are deleted with it.
pub fn existing<O: Borrow<DynamicObject>>(
    inventory: &[InventoryEntry],
    namespace: &str,
    live: &[O],
) -> Vec<InventoryEntry> {
    let is_unknown = |object: &&DynamicObject| {
        object.metadata.namespace.as_deref() == Some(namespace)
            && object.annotations().contains_key(ANNOTATION_DIGEST)
            && object.owner_references().is_empty()
            && object.metadata.deletion_timestamp.is_none()
            && !is_guard_rail(object)
            && !inventory.iter().any(|entry| is_of(entry, object))
    };
    let unknown = live.iter().map(Borrow::borrow).filter(is_unknown).map(|object| InventoryEntry {
        api_version: object.types.as_ref().map(|types| types.api_version.clone()).unwrap_or_default(),
        kind: kind_of(object).to_owned(),
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
        finished: None,
    });
    inventory.iter().cloned().chain(unknown).collect()
}

/// Whether it is a guard rail, which isn't in the inventory.
fn is_guard_rail(object: &DynamicObject) -> bool {
    match kind_of(object) {
        "Namespace" => true,
        "ResourceQuota" | "LimitRange" | "NetworkPolicy" => object.name_any() == GUARD_RAIL,
        "RoleBinding" => object.name_any() == DEPLOYER,
        _ => false,
    }
}

fn is_of(entry: &InventoryEntry, object: &DynamicObject) -> bool {
    kind_of(object) == entry.kind
        && group_of(object) == group(&entry.api_version)
        && object.metadata.name.as_deref() == Some(&entry.name)
}

/// Returns the inventory entries to delete, in their order. Group, kind and name identify an
/// object, so another API version doesn't make another object. It never returns a Namespace; the
/// teardown deletes it.
pub fn prune(inventory: &[InventoryEntry], plan: &Plan) -> Vec<InventoryEntry> {
    let planned = |entry: &InventoryEntry| plan.objects().any(|object| is_of(entry, object));
    let namespace =
        |entry: &InventoryEntry| entry.kind == "Namespace" && group(&entry.api_version).is_empty();
    inventory.iter().filter(|entry| !namespace(entry) && !planned(entry)).cloned().collect()
}

fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}
