//! Finds objects of earlier revisions that the plan doesn't contain.

use kube::api::DynamicObject;

use super::Plan;
use super::object::{group_of, kind_of};
use crate::api::InventoryEntry;

/// Returns the inventory entries to delete, in their order. Group, kind and name identify an
/// object, so another API version doesn't make another object. It never returns a Namespace; the
/// teardown deletes it.
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
