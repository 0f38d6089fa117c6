//! What an earlier revision had and the plan no longer has.

use kube::api::DynamicObject;

use super::Plan;
use super::object::{group_of, kind_of};
use crate::api::InventoryEntry;

/// The entries of the inventory that are to be removed, in their order. Objects are the same when group, kind and name are: a new API
/// version of a kind doesn't make another object. A Namespace is never pruned; that is the teardown's to do.
pub fn prune(inventory: &[InventoryEntry], plan: &Plan) -> Vec<InventoryEntry> {
    let planned = |entry: &InventoryEntry| {
        plan.objects().any(|object: &DynamicObject| {
            kind_of(object) == entry.kind
                && group_of(object) == group(&entry.api_version)
                && object.metadata.name.as_deref() == Some(&entry.name)
        })
    };
    let namespace =
        |entry: &InventoryEntry| entry.kind == "Namespace" && group(&entry.api_version).is_empty();
    inventory.iter().filter(|entry| !namespace(entry) && !planned(entry)).cloned().collect()
}

fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}
