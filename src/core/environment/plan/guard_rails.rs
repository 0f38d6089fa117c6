//! Guard rails: the objects that confine an environment. Matinee applies them before the template's
//! objects.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{
    LimitRange, LimitRangeItem, LimitRangeSpec, Namespace, ResourceQuota, ResourceQuotaSpec,
};
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use serde_json::Value;

use super::labels::Marks;
use super::network::network_policy;
use super::object::{kind_of, typed};
use crate::core::class_limits;
use crate::core::environment::resolved::Confinement;
use crate::core::mistake::{Mistake, Reason};

/// Name of the ResourceQuota, LimitRange and NetworkPolicy.
pub const GUARD_RAIL: &str = "matinee";
/// Name of the account with which Matinee applies a template's objects, of its RoleBinding, and of
/// the `ClusterRole` with its rights.
pub const DEPLOYER: &str = "matinee-deployer";

/// Guard rails, ready to apply. Code that applies them destructures them without `..`. The fields
/// are in the order in which they are applied.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardRails {
    /// The Namespace, which contains everything else.
    pub namespace: DynamicObject,
    /// The RoleBinding that gives the deployer account its rights.
    pub role_binding: DynamicObject,
    /// The ResourceQuota.
    pub resource_quota: DynamicObject,
    /// The LimitRange, with the defaults for containers that set no requests or limits.
    pub limit_range: DynamicObject,
    /// The NetworkPolicy, unless the class turns it off.
    pub network_policy: Option<DynamicObject>,
}

impl GuardRails {
    /// Returns every object, in the order of the fields.
    pub fn objects(&self) -> impl Iterator<Item = &DynamicObject> {
        let Self { namespace, role_binding, resource_quota, limit_range, network_policy } = self;
        [namespace, role_binding, resource_quota, limit_range].into_iter().chain(network_policy)
    }
}

/// Plans the guard rails.
///
/// # Errors
/// `ClassInvalid`.
pub fn guard_rails(confinement: &Confinement<'_>) -> Result<GuardRails, Mistake> {
    let marks = Marks::of(confinement);
    Ok(GuardRails {
        namespace: namespace(confinement, &marks)?,
        role_binding: role_binding(confinement, &marks)?,
        resource_quota: resource_quota(confinement, &marks)?,
        limit_range: limit_range(confinement, &marks)?,
        network_policy: network_policy(confinement, &marks)?,
    })
}

/// Returns the Namespace, with the class's Pod Security Standard in the modes enforce, audit and
/// warn. <https://kubernetes.io/docs/concepts/security/pod-security-admission/>
fn namespace(confinement: &Confinement<'_>, marks: &Marks) -> Result<DynamicObject, Mistake> {
    let level = confinement.class.isolation.pod_security.label();
    let labels: BTreeMap<String, String> = ["enforce", "audit", "warn"]
        .into_iter()
        .map(|mode| (format!("pod-security.kubernetes.io/{mode}"), level.to_owned()))
        .collect();
    let namespace = Namespace {
        metadata: ObjectMeta {
            name: Some(confinement.namespace.to_owned()),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    typed(&namespace, marks)
}

fn resource_quota(confinement: &Confinement<'_>, marks: &Marks) -> Result<DynamicObject, Mistake> {
    let quota = ResourceQuota {
        metadata: metadata(confinement.namespace, GUARD_RAIL),
        spec: Some(ResourceQuotaSpec {
            hard: Some(class_limits::quota(&confinement.class.isolation)),
            ..ResourceQuotaSpec::default()
        }),
        ..ResourceQuota::default()
    };
    typed(&quota, marks)
}

fn limit_range(confinement: &Confinement<'_>, marks: &Marks) -> Result<DynamicObject, Mistake> {
    let isolation = &confinement.class.isolation;
    let limits = LimitRange {
        metadata: metadata(confinement.namespace, GUARD_RAIL),
        spec: Some(LimitRangeSpec {
            limits: vec![LimitRangeItem {
                type_: "Container".to_owned(),
                default: Some(class_limits::default_limits(isolation)),
                default_request: Some(class_limits::default_requests(isolation)),
                ..LimitRangeItem::default()
            }],
        }),
    };
    typed(&limits, marks)
}

/// Binds the deployer account to its rights. The account itself needs no object: the operator
/// impersonates it, and without an object no pod can run as it.
fn role_binding(confinement: &Confinement<'_>, marks: &Marks) -> Result<DynamicObject, Mistake> {
    let binding = RoleBinding {
        metadata: metadata(confinement.namespace, DEPLOYER),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "ClusterRole".to_owned(),
            name: DEPLOYER.to_owned(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: DEPLOYER.to_owned(),
            namespace: Some(confinement.namespace.to_owned()),
            ..Subject::default()
        }]),
    };
    typed(&binding, marks)
}

/// Returns the mistake for a guard rail of this kind that the API server rejects, with the API
/// server's message. The cause is either in the class or rights that the operator lacks.
pub fn rail_refused(class: &str, kind: &str, namespace: &str, code: u16, message: &str) -> Mistake {
    let field = match kind {
        "ResourceQuota" => "spec.isolation.quota",
        "LimitRange" => "spec.isolation.defaultRequests and defaultLimits",
        "NetworkPolicy" => "spec.isolation.network",
        _ => "",
    };
    if code == 403 || field.is_empty() {
        return Mistake {
            reason: Reason::ApplyForbidden,
            message: format!("{kind} of namespace {namespace}: {message}: ask the platform team"),
        };
    }
    Mistake {
        reason: Reason::ClassInvalid,
        message: format!(
            "PreviewClass {class}: {field}: {message}: the platform team has to correct the class"
        ),
    }
}

/// Returns the metadata of an object in a namespace.
pub(super) fn metadata(namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), namespace: Some(namespace.to_owned()), ..ObjectMeta::default() }
}
/// Time after its creation during which a ResourceQuota counts as pending.
const QUOTA_SETTLES: SignedDuration = SignedDuration::from_secs(5);

/// Returns whether an object is a ResourceQuota that was just created and that the API server may
/// not enforce yet: it lets objects pass until the quota controller has copied the limits into the
/// quota's status. A quota that stays without a status for longer holds nothing up.
pub fn is_quota_pending(live: &DynamicObject, now: Timestamp) -> bool {
    let resources = |pointer: &str| {
        let limits = live.data.pointer(pointer).and_then(Value::as_object);
        limits.into_iter().flat_map(|limits| limits.keys()).collect::<BTreeSet<_>>()
    };
    let created = live.metadata.creation_timestamp.as_ref().map(|time| time.0);
    kind_of(live) == "ResourceQuota"
        && !resources("/spec/hard").is_subset(&resources("/status/hard"))
        && created.is_some_and(|created| now.duration_since(created) < QUOTA_SETTLES)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_new_quota_is_pending_until_its_status_has_the_limits() {
        let created: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let quota = |kind: &str, spec: Value, status: Value| -> DynamicObject {
            serde_json::from_value(json!({
                "apiVersion": "v1", "kind": kind,
                "metadata": {"name": "matinee", "creationTimestamp": "2026-01-02T03:04:05Z"},
                "spec": {"hard": spec}, "status": {"hard": status},
            }))
            .unwrap()
        };
        let hard = json!({"pods": "10"});
        let soon = created + SignedDuration::from_secs(1);
        let pending = |object: &DynamicObject, now| is_quota_pending(object, now);
        assert!(pending(&quota("ResourceQuota", hard.clone(), Value::Null), soon));
        assert!(pending(&quota("ResourceQuota", hard.clone(), json!({"services": "1"})), soon));
        assert!(!pending(&quota("ResourceQuota", hard.clone(), hard.clone()), soon));
        assert!(!pending(&quota("ResourceQuota", json!({}), Value::Null), soon), "nothing to enforce");
        assert!(!pending(&quota("LimitRange", hard.clone(), Value::Null), soon), "another kind");
        let late = created + QUOTA_SETTLES;
        assert!(!pending(&quota("ResourceQuota", hard, Value::Null), late), "it holds nothing up for long");
    }
}
