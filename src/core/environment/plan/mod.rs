//! The plan of an environment: every object that makes it up, ready for server-side apply. Pure, so it can be looked at before
//! anything is touched.
//!
//! An environment is its guard rails (namespace, quota, limits, network policy, deployer account), which the operator applies itself,
//! the template's objects, which are applied as the deployer account, and one route per endpoint, the operator's again.

mod change;
mod corrections;
pub mod drift;
mod field_types;
mod forbidden;
mod guard_rails;
mod hooks;
pub mod http_route;
pub mod jobs;
mod labels;
mod network;
mod object;
mod pods;
mod prune;
pub mod refusal;
mod resources;
mod routes;
#[cfg(test)]
pub(crate) mod sample;
mod scale;
#[cfg(test)]
mod tests;

use kube::api::DynamicObject;
use serde_json::Value;

use crate::core::class_limits::CLASS_INVALID;
use crate::core::environment::resolved::{Mistake, Target};

pub use change::{Change, change};
pub use corrections::{Corrections, contested};
pub use guard_rails::{DEPLOYER, GUARD_RAIL, rail_refused};
pub use object::unchanged;
pub use prune::prune;
pub use routes::hosts;
pub use scale::{Autoscaled, leave_to_scaler};

/// What is to be applied. Each object carries `apiVersion`, `kind`, name, namespace, the environment's labels and its digest.
///
/// Whoever applies it destructures it without `..`, so that a new kind of object does not compile until it is applied. The fields are
/// in the order in which they can be applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The Namespace. Everything else is in it.
    pub namespace: DynamicObject,
    /// The ResourceQuota.
    pub resource_quota: DynamicObject,
    /// The LimitRange, with what a container gets that asks for nothing.
    pub limit_range: DynamicObject,
    /// The NetworkPolicy, unless the class wants none.
    pub network_policy: Option<DynamicObject>,
    /// The account as which `resources` are applied.
    pub service_account: DynamicObject,
    /// The rights of that account.
    pub role_binding: DynamicObject,
    /// The template's objects, in the order in which they are applied.
    pub resources: Vec<DynamicObject>,
    /// An HTTPRoute or Ingress per endpoint.
    pub routes: Vec<DynamicObject>,
}

impl Plan {
    /// Every object, in the order of the fields.
    pub fn objects(&self) -> impl Iterator<Item = &DynamicObject> {
        let Self {
            namespace,
            resource_quota,
            limit_range,
            network_policy,
            service_account,
            role_binding,
            resources,
            routes,
        } = self;
        [namespace, resource_quota, limit_range]
            .into_iter()
            .chain(network_policy)
            .chain([service_account, role_binding])
            .chain(resources)
            .chain(routes)
    }
}

/// Plans an environment from what was asked for and the template's objects, whose holes are filled: one for each of
/// `target.template.resources`, in their order.
///
/// Errors: a [`Mistake`] in the template, which names the object by its place (`resources[2]`) and the field. Reasons:
/// `TemplateInvalid`, `NamespaceForbidden`, `KindForbidden`, `HookUnsupported`, `EndpointUnknown`; `ClassInvalid` where the class lets nobody in.
pub fn plan(target: &Target, rendered: Vec<Value>) -> Result<Plan, Mistake> {
    let marks = labels::Marks::of(target);
    let resources = resources::resources(target, &marks, rendered)?;
    let routes = routes::routes(target, &marks, &resources)?;
    Ok(Plan {
        namespace: guard_rails::namespace(target, &marks)?,
        resource_quota: guard_rails::resource_quota(target, &marks)?,
        limit_range: guard_rails::limit_range(target, &marks)?,
        network_policy: network::network_policy(target, &marks)?,
        service_account: guard_rails::service_account(target, &marks)?,
        role_binding: guard_rails::role_binding(target, &marks)?,
        resources,
        routes,
    })
}

/// The template doesn't give objects that could be applied.
const TEMPLATE_INVALID: &str = "TemplateInvalid";
/// An object names another namespace.
const NAMESPACE_FORBIDDEN: &str = "NamespaceForbidden";
/// A template can't have objects of that kind.
const KIND_FORBIDDEN: &str = "KindForbidden";
/// An object is a hook of another deployer.
const HOOK_UNSUPPORTED: &str = "HookUnsupported";
/// An endpoint leads nowhere.
const ENDPOINT_UNKNOWN: &str = "EndpointUnknown";

fn mistake(reason: &'static str, message: impl Into<String>) -> Mistake {
    Mistake { reason, message: message.into() }
}
