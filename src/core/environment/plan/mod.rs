//! Plan of an environment: every object of it, ready for server-side apply. Planning is a pure
//! function, so a plan can be checked before anything is changed.
//!
//! An environment consists of its guard rails (namespace, quota, limits, network policy, deployer
//! account), the template's objects, and one route for each endpoint. Matinee applies the
//! template's objects as the deployer account, everything else as itself.

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
mod services;
#[cfg(test)]
mod tests;

use kube::api::DynamicObject;
use serde_json::Value;

use crate::core::environment::resolved::Target;
use crate::core::mistake::{Mistake, Reason};

pub use change::{Change, change};
pub use corrections::{Corrections, contested};
pub use guard_rails::{DEPLOYER, GUARD_RAIL, GuardRails, guard_rails, is_quota_pending, rail_refused};
pub use object::unchanged;
pub use prune::{existing, prune};
pub use routes::hosts;
pub use scale::{Autoscaled, leave_to_scaler};

/// Objects to apply. Each has `apiVersion`, `kind`, name, namespace, the environment's labels and
/// its digest.
///
/// Code that applies a plan destructures it without `..`, so that a new field doesn't compile until
/// it is applied. The fields are in the order in which they are applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The objects that confine everything else.
    pub guard_rails: GuardRails,
    /// The template's objects, in the order in which they are applied.
    pub resources: Vec<DynamicObject>,
    /// An HTTPRoute or Ingress for each endpoint.
    pub routes: Vec<DynamicObject>,
}

impl Plan {
    /// Returns every object, in the order of the fields.
    pub fn objects(&self) -> impl Iterator<Item = &DynamicObject> {
        let Self { guard_rails, resources, routes } = self;
        guard_rails.objects().chain(resources).chain(routes)
    }
}

/// Plans an environment from its target and the template's rendered objects: one for each of
/// `target.template.resources`, in their order.
///
/// Errors: a [`Mistake`] in the template, which names the object by its position (`resources[2]`)
/// and the field. Reasons: `TemplateInvalid`, `NamespaceForbidden`, `KindForbidden`,
/// `HookUnsupported`, `EndpointUnknown`; `ClassInvalid` when the class lets no traffic in.
pub fn plan(target: &Target, rendered: Vec<Value>) -> Result<Plan, Mistake> {
    let confinement = target.confinement();
    let marks = labels::Marks::of(&confinement);
    let guard_rails = guard_rails(&confinement)?;
    let resources = resources::resources(target, &marks, rendered)?;
    let routes = routes::routes(target, &marks, &resources)?;
    Ok(Plan { guard_rails, resources, routes })
}

fn mistake(reason: Reason, message: impl Into<String>) -> Mistake {
    Mistake { reason, message: message.into() }
}
