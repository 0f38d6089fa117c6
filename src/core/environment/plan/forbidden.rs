//! Kinds that a template can't have. The API server would reject them too, because the deployer
//! account doesn't have the rights. This check comes before anything is applied, and its message
//! has the remedy.

use super::mistake;
use crate::api::GROUP;
use crate::core::mistake::{Mistake, Reason};

/// Groups in which every kind is either namespaced or listed below.
const KNOWN_GROUPS: [&str; 9] = [
    "",
    "apps",
    "autoscaling",
    "batch",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
];

/// Whether Kubernetes itself defines the group. Controllers of such kinds create no Services.
pub(super) fn known_group(group: &str) -> bool {
    KNOWN_GROUPS.contains(&group)
}

/// Rejects a kind that can't be in a template. `field` is the object's position, such as
/// `resources[1]`.
pub(super) fn check(field: &str, group: &str, kind: &str) -> Result<(), Mistake> {
    let remedy = match (group, kind) {
        ("", "Namespace") => "Matinee creates the preview's namespace; remove the object",
        ("", "ResourceQuota" | "LimitRange") | ("networking.k8s.io", "NetworkPolicy") => {
            "it is one of the limits that the PreviewClass sets (spec.isolation); remove the object, or ask the platform team"
        }
        ("networking.k8s.io", "Ingress") | ("gateway.networking.k8s.io", _) => ROUTED,
        ("", "Endpoints") | ("discovery.k8s.io", "EndpointSlice") => {
            "the addresses that it lists may be outside of the preview; remove it, and give the Service a selector"
        }
        (GROUP, _) => "a preview can't contain objects of Matinee; remove the object",
        ("", "List") => "put each of its items into spec.resources",
        ("", "Node" | "PersistentVolume" | "ComponentStatus")
        | ("rbac.authorization.k8s.io", "ClusterRole" | "ClusterRoleBinding")
        | ("networking.k8s.io", "IngressClass" | "IPAddress" | "ServiceCIDR")
        | (
            "storage.k8s.io",
            "StorageClass" | "CSIDriver" | "CSINode" | "VolumeAttachment" | "VolumeAttributesClass",
        )
        | (
            "apiextensions.k8s.io"
            | "apiregistration.k8s.io"
            | "admissionregistration.k8s.io"
            | "certificates.k8s.io"
            | "flowcontrol.apiserver.k8s.io"
            | "node.k8s.io"
            | "scheduling.k8s.io",
            _,
        ) => {
            "it belongs to the whole cluster, and a preview has only its namespace; remove the object, or ask the platform team to make it"
        }
        _ => return Ok(()),
    };
    let name = if group.is_empty() { kind.to_owned() } else { format!("{kind} ({group})") };
    Err(mistake(Reason::KindForbidden, format!("{field}: a template can't have the kind {name}: {remedy}")))
}

const ROUTED: &str = "a preview is reached under the host names it is given; remove the object and list the Service in spec.endpoints";
