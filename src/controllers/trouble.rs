//! Reports on an object what prevents its reconcile from completing. All kinds use this mechanism,
//! in every stage of the reconcile.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Context, command, repository, request, write};
use crate::api::{DeploymentCommand, DeploymentRequest, PreviewClass, PreviewRepository, PreviewTemplate};
use crate::controllers::class_and_template;
use crate::core::deployment::reason::RequestReason;
use crate::core::trouble::{self, Trouble};
use crate::ports::ClusterError;

/// Writes trouble on an object, once it has lasted long enough. Returns whether it was written.
pub type Explain<K> =
    fn(Arc<K>, Trouble, Duration, Arc<Context>) -> BoxFuture<'static, Result<bool, ClusterError>>;

/// An object whose conditions report what prevents its reconcile from completing.
pub(super) trait Explained:
    Resource<DynamicType = ()> + Clone + DeserializeOwned + Send + Sync + 'static
{
    /// Field manager of the status.
    const MANAGER: &str;
    /// Conditions of the stages of a reconcile, in their order.
    const STAGES: &[&str];
    /// Reasons of `Ready` that other parts of Matinee depend on, so trouble doesn't replace them.
    const KEPT: &[&str] = &[];

    /// All conditions, in their order.
    fn kinds() -> Vec<&'static str>;
    /// The fields of the status that the manager owns.
    fn own_status(&self) -> Option<Value>;
    /// Current conditions.
    fn conditions(&self) -> &[Condition];
    /// Whether the object has ended, so that trouble is irrelevant.
    fn is_over(&self) -> bool {
        false
    }
    /// Returns the newest known version.
    fn newest(self: Arc<Self>, _: &Context) -> Arc<Self> {
        self
    }
    /// Remembers the written version.
    fn wrote(self, _: &Context) {}
}

/// See [`Explain`].
pub(super) fn explain<K: Explained>(
    object: Arc<K>,
    trouble: Trouble,
    lasts: Duration,
    context: Arc<Context>,
) -> BoxFuture<'static, Result<bool, ClusterError>> {
    async move {
        let object = object.newest(&context);
        let generation = object.meta().generation.unwrap_or_default();
        let settled = trouble::is_settled(object.conditions(), generation);
        if object.is_over()
            || object.meta().deletion_timestamp.is_some()
            || !trouble::is_due(&trouble, settled, lasts)
        {
            return Ok(false);
        }
        let mut list = object.conditions().to_vec();
        trouble::set(&mut list, &K::kinds(), K::STAGES, K::KEPT, &trouble, generation, context.clock.now());
        if list == object.conditions() {
            return Ok(false);
        }
        let mut status = object.own_status().unwrap_or_else(|| json!({}));
        status["observedGeneration"] = generation.into();
        status["conditions"] = json!(list);
        let written: K = write::status(&*context.cluster, K::MANAGER, &*object, &status).await?;
        tracing::info!(
            kind = %K::kind(&()),
            namespace = object.namespace(),
            name = object.name_any(),
            reason = trouble.reason,
            "trouble is written on the object"
        );
        written.wrote(&context);
        Ok(true)
    }
    .boxed()
}

fn json_of<S: Serialize>(status: Option<&S>) -> Option<Value> {
    status.and_then(|status| serde_json::to_value(status).ok())
}

macro_rules! conditions {
    ($self:ident) => {
        $self.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
    };
}

impl Explained for PreviewClass {
    const MANAGER: &str = write::CATALOG;
    const STAGES: &[&str] = &[];

    fn kinds() -> Vec<&'static str> {
        class_and_template::CONDITIONS.to_vec()
    }

    fn own_status(&self) -> Option<Value> {
        json_of(self.status.as_ref())
    }

    fn conditions(&self) -> &[Condition] {
        conditions!(self)
    }
}

impl Explained for PreviewTemplate {
    const MANAGER: &str = write::CATALOG;
    const STAGES: &[&str] = &[];

    fn kinds() -> Vec<&'static str> {
        class_and_template::CONDITIONS.to_vec()
    }

    fn own_status(&self) -> Option<Value> {
        json_of(self.status.as_ref())
    }

    fn conditions(&self) -> &[Condition] {
        conditions!(self)
    }
}

impl Explained for PreviewRepository {
    const MANAGER: &str = write::CATALOG;
    const STAGES: &[&str] = &[repository::SYNCED];

    fn kinds() -> Vec<&'static str> {
        repository::CONDITIONS.to_vec()
    }

    fn own_status(&self) -> Option<Value> {
        json_of(self.status.as_ref())
    }

    fn conditions(&self) -> &[Condition] {
        conditions!(self)
    }
}

impl Explained for DeploymentRequest {
    const MANAGER: &str = write::REQUEST;
    const STAGES: &[&str] = &request::STAGES;
    const KEPT: &[&str] = &[RequestReason::Creating.as_str(), RequestReason::Deploying.as_str()];

    fn kinds() -> Vec<&'static str> {
        request::kinds()
    }

    fn own_status(&self) -> Option<Value> {
        let mut status = json_of(self.status.as_ref())?;
        // Each approval has its own field manager.
        status.as_object_mut()?.remove("approvals");
        Some(status)
    }

    fn conditions(&self) -> &[Condition] {
        conditions!(self)
    }

    fn is_over(&self) -> bool {
        request::has_ended(self)
    }

    fn newest(self: Arc<Self>, context: &Context) -> Arc<Self> {
        context.fresh_requests.of(self)
    }

    fn wrote(self, context: &Context) {
        context.fresh_requests.wrote(self);
    }
}

impl Explained for DeploymentCommand {
    const MANAGER: &str = write::COMMAND;
    const STAGES: &[&str] = &command::STAGES;

    fn kinds() -> Vec<&'static str> {
        command::CONDITIONS.to_vec()
    }

    fn own_status(&self) -> Option<Value> {
        json_of(self.status.as_ref())
    }

    fn conditions(&self) -> &[Condition] {
        conditions!(self)
    }

    fn is_over(&self) -> bool {
        command::is_decided(self)
    }

    fn newest(self: Arc<Self>, context: &Context) -> Arc<Self> {
        context.fresh_commands.of(self)
    }

    fn wrote(self, context: &Context) {
        context.fresh_commands.wrote(self);
    }
}
