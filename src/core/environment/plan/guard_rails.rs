//! Guard rails: the objects that confine an environment. Matinee applies them before the template's
//! objects.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    LimitRange, LimitRangeItem, LimitRangeSpec, Namespace, ResourceQuota, ResourceQuotaSpec, ServiceAccount,
};
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;

use super::labels::Marks;
use super::object::typed;
use crate::core::class_limits::CLASS_INVALID;
use crate::core::environment::resolved::{Mistake, Target};

/// Name of the ResourceQuota, LimitRange and NetworkPolicy.
pub const GUARD_RAIL: &str = "matinee";
/// Name of the account with which Matinee applies a template's objects, of its RoleBinding, and of
/// the `ClusterRole` with its rights.
pub const DEPLOYER: &str = "matinee-deployer";

/// Returns the Namespace, with the class's Pod Security Standard in the modes enforce, audit and
/// warn. <https://kubernetes.io/docs/concepts/security/pod-security-admission/>
pub(super) fn namespace(target: &Target, marks: &Marks) -> Result<DynamicObject, Mistake> {
    let level = target.class.isolation.pod_security.label();
    let labels: BTreeMap<String, String> = ["enforce", "audit", "warn"]
        .into_iter()
        .map(|mode| (format!("pod-security.kubernetes.io/{mode}"), level.to_owned()))
        .collect();
    let namespace = Namespace {
        metadata: ObjectMeta {
            name: Some(target.namespace.clone()),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    typed(&namespace, marks)
}

pub(super) fn resource_quota(target: &Target, marks: &Marks) -> Result<DynamicObject, Mistake> {
    let quota = ResourceQuota {
        metadata: metadata(target, GUARD_RAIL),
        spec: Some(ResourceQuotaSpec {
            hard: Some(target.class.isolation.quota.clone()),
            ..ResourceQuotaSpec::default()
        }),
        ..ResourceQuota::default()
    };
    typed(&quota, marks)
}

pub(super) fn limit_range(target: &Target, marks: &Marks) -> Result<DynamicObject, Mistake> {
    let isolation = &target.class.isolation;
    let limits = LimitRange {
        metadata: metadata(target, GUARD_RAIL),
        spec: Some(LimitRangeSpec {
            limits: vec![LimitRangeItem {
                type_: "Container".to_owned(),
                default: Some(isolation.default_limits.clone()),
                default_request: Some(isolation.default_requests.clone()),
                ..LimitRangeItem::default()
            }],
        }),
    };
    typed(&limits, marks)
}

/// Returns the deployer account. No pod is meant to run as it, so its token isn't mounted.
pub(super) fn service_account(target: &Target, marks: &Marks) -> Result<DynamicObject, Mistake> {
    let account = ServiceAccount {
        metadata: metadata(target, DEPLOYER),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    };
    typed(&account, marks)
}

pub(super) fn role_binding(target: &Target, marks: &Marks) -> Result<DynamicObject, Mistake> {
    let binding = RoleBinding {
        metadata: metadata(target, DEPLOYER),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "ClusterRole".to_owned(),
            name: DEPLOYER.to_owned(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: DEPLOYER.to_owned(),
            namespace: Some(target.namespace.clone()),
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
            reason: "ApplyForbidden",
            message: format!("{kind} of namespace {namespace}: {message}: ask the platform team"),
        };
    }
    Mistake {
        reason: CLASS_INVALID,
        message: format!(
            "PreviewClass {class}: {field}: {message}: the platform team has to correct the class"
        ),
    }
}

/// Returns the metadata of an object in the environment's namespace.
pub(super) fn metadata(target: &Target, name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(target.namespace.clone()),
        ..ObjectMeta::default()
    }
}
