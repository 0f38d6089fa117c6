//! Reports on an object what prevents its reconcile from completing, in every stage of the
//! reconcile. Environments have their own way: they write it with everything that they found.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use kube::core::object::HasStatus;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::common::Common;
use super::objects::Indexed;
use super::write;
use crate::core::trouble::{self, Trouble};
use crate::ports::ClusterError;

/// An object whose conditions report what prevents its reconcile from completing.
pub trait TroubleStatus: Indexed + DeserializeOwned + HasStatus<Status: Serialize> {
    /// Field manager of the status.
    const MANAGER: &str;
    /// Conditions of the stages of a reconcile, in their order.
    const STAGES: &[&str];
    /// Reasons of `Ready` that other parts of Matinee depend on, so trouble doesn't replace them.
    const KEPT: &[&str] = &[];

    /// All conditions, in their order.
    fn kinds() -> Vec<&'static str>;
    /// The fields of the status that the manager owns.
    fn own_status(&self) -> Option<Value> {
        json_of(self.status())
    }
    /// Current conditions.
    fn conditions(&self) -> &[Condition];
    /// Whether the object has ended, so that trouble is irrelevant.
    fn is_over(&self) -> bool {
        false
    }
}

/// A context with the parts that all controllers share.
pub trait HasCommon: Send + Sync + 'static {
    /// Those parts.
    fn common(&self) -> &Common;
}

/// Writes trouble on an object, once it has lasted long enough. Returns whether it was written.
pub fn explain<K: TroubleStatus, C: HasCommon>(
    object: Arc<K>,
    trouble: Trouble,
    lasts: Duration,
    context: Arc<C>,
) -> BoxFuture<'static, Result<bool, ClusterError>> {
    async move {
        let common = context.common();
        let object = K::table(&common.objects).newest(object);
        let generation = object.meta().generation.unwrap_or_default();
        let settled = trouble::is_settled(object.conditions(), generation);
        if object.is_over()
            || object.meta().deletion_timestamp.is_some()
            || !trouble::is_due(&trouble, settled, lasts)
        {
            return Ok(false);
        }
        let mut list = object.conditions().to_vec();
        trouble::set(&mut list, &K::kinds(), K::STAGES, K::KEPT, &trouble, generation, common.clock.now());
        if list == object.conditions() {
            return Ok(false);
        }
        let mut status = object.own_status().unwrap_or_else(|| json!({}));
        status["observedGeneration"] = generation.into();
        status["conditions"] = json!(list);
        let written: K = write::status(&*common.cluster, K::MANAGER, &*object, &status).await?;
        tracing::info!(
            kind = %K::kind(&()),
            namespace = object.namespace(),
            name = object.name_any(),
            reason = trouble.reason,
            "failure written to the status"
        );
        K::table(&common.objects).wrote(written);
        Ok(true)
    }
    .boxed()
}

/// Returns a status as JSON.
pub fn json_of<S: Serialize>(status: Option<&S>) -> Option<Value> {
    status.and_then(|status| serde_json::to_value(status).ok())
}
