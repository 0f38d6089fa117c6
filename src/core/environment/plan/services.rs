//! Services of a template. A Service can have effects outside of its namespace; the class says which of
//! them previews may have.

use serde_json::{Map, Value};

use super::mistake;
use crate::api::ServiceAccess;
use crate::core::environment::resolved::Target;
use crate::core::mistake::{Mistake, Reason};

/// Checks a Service. `field` is the object's position, such as `resources[1]`.
///
/// # Errors
/// `KindForbidden`.
pub(super) fn check(target: &Target, field: &str, service: &Map<String, Value>) -> Result<(), Mistake> {
    let Some(spec) = service.get("spec") else { return Ok(()) };
    let of_type = match spec.get("type").and_then(Value::as_str) {
        Some("LoadBalancer") => Some(ServiceAccess::LoadBalancer),
        Some("NodePort") => Some(ServiceAccess::NodePort),
        Some("ExternalName") => Some(ServiceAccess::ExternalName),
        _ => None,
    };
    let external =
        spec.get("externalIPs").and_then(Value::as_array).filter(|addresses| !addresses.is_empty());
    let external = external.map(|_| ServiceAccess::ExternalIPs);
    let allowed = &target.class.isolation.allowed_services;
    let found = [("type", of_type), ("externalIPs", external)];
    for (name, access) in found {
        let Some(access) = access.filter(|access| !allowed.contains(access)) else { continue };
        let (what, remedy) = match access {
            ServiceAccess::LoadBalancer => ("be of type LoadBalancer", INSIDE),
            ServiceAccess::NodePort => ("be of type NodePort", INSIDE),
            ServiceAccess::ExternalName => {
                ("be of type ExternalName", "let the application connect to the host itself")
            }
            ServiceAccess::ExternalIPs => ("have external IP addresses", "remove the field"),
        };
        let class = &target.class_name;
        let message = format!(
            "{field}.spec.{name}: a Service of a preview can't {what}: {remedy}, or ask the platform team to allow {access:?} (PreviewClass {class}, spec.isolation.allowedServices)"
        );
        return Err(mistake(Reason::KindForbidden, message));
    }
    Ok(())
}

const INSIDE: &str = "use ClusterIP, and list the Service in spec.endpoints to make it reachable";
