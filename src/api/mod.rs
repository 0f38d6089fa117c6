//! The nouns: the custom resources of the API group `matinee.dev/v1alpha1`.
//!
//! Conventions: conditions instead of phases, read as kstatus reads them (`Ready`, `Reconciling`, `Stalled`); every list and
//! string bounded; signed integers only; rules that need two fields are CEL rules in the schema, so that the API server refuses
//! what can't work and no admission webhook is needed.

mod common;
mod deployment_command;
mod deployment_request;
mod duration;
mod gates;
mod health;
mod preview_class;
mod preview_environment;
mod preview_repository;
mod preview_template;

pub use common::{ConditionStatus, LocalReference, Parameter, PullRequestReference, find_condition};
pub use deployment_command::{
    CommentReference, DeploymentCommand, DeploymentCommandSpec, DeploymentCommandStatus, SlackReference,
};
pub use deployment_request::{
    Approval, DeploymentRequest, DeploymentRequestSpec, DeploymentRequestStatus, Intent, Origin, RequestedBy,
};
pub use duration::Duration;
pub use gates::{Gates, Hours};
pub use health::ClassHealth;
pub use preview_class::{
    ClassLifetime, ClassPullRequests, ForgeConnection, GatewayRouting, GithubConnection, Grant,
    IngressRouting, Isolation, NetworkIsolation, NetworkPolicyMode, Permission, PodSecurityLevel,
    PreviewClass, PreviewClassSpec, PreviewClassStatus, Registry, Routing, Scheme, SlackConnection,
    SlackUsers,
};
pub use preview_environment::{
    Attempt, Component, DeploymentReport, DeploymentState, FinishedJob, InventoryEntry, Lifetime,
    NamespaceReference, Outcome, PreviewEnvironment, PreviewEnvironmentSpec, PreviewEnvironmentStatus,
    PullRequestSource, Refusal, Revision, Verification,
};
pub use preview_repository::{
    CommandRole, Commands, Deploy, DeploymentStatusTrigger, Lock, PreviewRepository, PreviewRepositorySpec,
    PreviewRepositoryStatus, PullRequestTrigger, PushTrigger, Reaction, RepositoryEnvironment,
    RepositoryLifetime, TemplateSource, Trigger, TriggerState,
};
pub use preview_template::{
    Endpoint, ParameterDeclaration, PreviewTemplate, PreviewTemplateSpec, PreviewTemplateStatus,
    TemplateResource,
};

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt as _;

/// The API group of every custom resource.
pub const GROUP: &str = "matinee.dev";
/// The one served version.
pub const VERSION: &str = "v1alpha1";
/// Finalizer on a [`PreviewEnvironment`]: a namespaced object can't own its namespace, so the controller removes it first.
pub const FINALIZER: &str = "matinee.dev/teardown";
/// Label on everything that belongs to an environment: the UID of its [`PreviewEnvironment`]. Checked before any delete.
pub const LABEL_ENVIRONMENT_UID: &str = "matinee.dev/environment-uid";
/// Label naming the [`PreviewEnvironment`] (for people and selectors; ownership is decided by the UID).
pub const LABEL_ENVIRONMENT: &str = "matinee.dev/environment";
/// Label naming the namespace of the [`PreviewEnvironment`].
pub const LABEL_ENVIRONMENT_NAMESPACE: &str = "matinee.dev/environment-namespace";
/// Label naming the [`PreviewRepository`] on what was made for it.
pub const LABEL_REPOSITORY: &str = "matinee.dev/repository";
/// Label with the pull request's number on what was made for it.
pub const LABEL_PULL_REQUEST: &str = "matinee.dev/pull-request";
/// Annotation on a [`DeploymentRequest`] and a [`PreviewEnvironment`]: what was last heard of the pull request (see [`heard`](crate::core::freshness)), so
/// that a draft made ready is looked at again.
pub const ANNOTATION_PULL_REQUEST_UPDATED: &str = "matinee.dev/pull-request-updated-at";
/// Annotation on a [`DeploymentRequest`]: when something was last heard of what its gates wait for, or of its deployment.
pub const ANNOTATION_NEWS: &str = "matinee.dev/news-at";
/// Annotation on every applied object: the digest of what was applied, so that an unchanged plan makes no write.
pub const ANNOTATION_DIGEST: &str = "matinee.dev/applied-digest";
/// Annotation on an applied Job: the digest of what can't be changed of it, so that one that has to
/// be replaced is known before it is refused.
pub const ANNOTATION_FIXED_DIGEST: &str = "matinee.dev/fixed-digest";
/// Annotation on a custom resource in a template: what makes it ready (see [`ready_when`](crate::core::environment::ready_when)). The one
/// annotation of the group that is the template author's to set.
pub const ANNOTATION_READY_WHEN: &str = "matinee.dev/ready-when";

/// Annotation on a [`PreviewClass`]: `true` on the class of every [`PreviewRepository`] that names none.
pub const ANNOTATION_DEFAULT_CLASS: &str = "matinee.dev/is-default-class";

/// Every custom resource definition, in the order in which a person reads them.
///
/// `status.observedGeneration` defaults to -1, so a client that waits for a status can't take an object that was never looked
/// at for one that is ready (the convention kstatus relies on).
///
/// Nothing is nullable: `field:` with nothing behind it is the same as no `field`, to rules and defaults too.
pub fn custom_resource_definitions() -> Vec<CustomResourceDefinition> {
    let mut all = vec![
        PreviewClass::crd(),
        PreviewRepository::crd(),
        PreviewTemplate::crd(),
        DeploymentRequest::crd(),
        DeploymentCommand::crd(),
        PreviewEnvironment::crd(),
    ];
    for crd in &mut all {
        for version in &mut crd.spec.versions {
            if let Some(schema) =
                version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut())
            {
                drop_nulls(schema);
            }
            let status = version
                .schema
                .as_mut()
                .and_then(|schema| schema.open_api_v3_schema.as_mut())
                .and_then(|schema| schema.properties.as_mut())
                .and_then(|properties| properties.get_mut("status"));
            if let Some(status) = status {
                status.default = Some(JSON(serde_json::json!({ "observedGeneration": -1 })));
            }
        }
    }
    all
}

/// Takes `nullable` off a schema and everything in it: the API server then drops nulls before it looks at rules and defaults.
fn drop_nulls(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    for property in schema.properties.iter_mut().flat_map(BTreeMap::values_mut) {
        drop_nulls(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        drop_nulls(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        drop_nulls(values);
    }
}
