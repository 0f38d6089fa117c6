//! Custom resources of the API group `matinee.dev/v1alpha1`.
//!
//! Conventions:
//! - Objects have conditions and no phase. kstatus can read them (`Ready`, `Reconciling`,
//!   `Stalled`).
//! - Every list and string is bounded, and integers are signed.
//! - Rules that compare two fields are CEL rules in the schema. The API server rejects an object
//!   that breaks them, so Matinee needs no admission webhook.

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
mod schema_version;

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
    IngressRouting, Isolation, NetworkIsolation, NetworkPolicyMode, OnRevoked, Permission, PodSecurityLevel,
    PreviewClass, PreviewClassSpec, PreviewClassStatus, Registry, Routing, Scheme, ServiceAccess,
    SlackConnection, SlackUsers,
};
pub use preview_environment::{
    Admission, Attempt, Component, DeploymentReport, DeploymentState, FinishedJob, InventoryEntry, Lifetime,
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
pub use schema_version::{ANNOTATION_SCHEMA_DIGEST, ANNOTATION_VERSION};

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt as _;

/// API group of all custom resources.
pub const GROUP: &str = "matinee.dev";
/// Only served version.
pub const VERSION: &str = "v1alpha1";
/// Finalizer of a [`PreviewEnvironment`]. A namespaced object can't own a namespace, so Matinee
/// deletes the preview's namespace before it removes the finalizer.
pub const FINALIZER: &str = "matinee.dev/teardown";
/// Label on every object of an environment, with the UID of its [`PreviewEnvironment`]. Matinee
/// checks it before it deletes an object.
pub const LABEL_ENVIRONMENT_UID: &str = "matinee.dev/environment-uid";
/// Label with the name of the [`PreviewEnvironment`], for people and selectors. The UID label
/// decides ownership.
pub const LABEL_ENVIRONMENT: &str = "matinee.dev/environment";
/// Label with the namespace of the [`PreviewEnvironment`].
pub const LABEL_ENVIRONMENT_NAMESPACE: &str = "matinee.dev/environment-namespace";
/// Label with the name of the [`PreviewRepository`] that an object was created for.
pub const LABEL_REPOSITORY: &str = "matinee.dev/repository";
/// Label with the number of the pull request that an object was created for.
pub const LABEL_PULL_REQUEST: &str = "matinee.dev/pull-request";
/// Annotation on a [`DeploymentRequest`] and a [`PreviewEnvironment`]: the newest reported state of
/// the pull request (see [`freshness`](crate::core::freshness)). A new value enqueues the object, for
/// example when a draft is ready for review.
pub const ANNOTATION_PULL_REQUEST_UPDATED: &str = "matinee.dev/pull-request-updated-at";
/// Annotation on a [`DeploymentRequest`]: when GitHub last reported an event that concerns its
/// gates or its deployment.
pub const ANNOTATION_EVENT_TIME: &str = "matinee.dev/event-time";
/// Annotation on every applied object: the digest of the applied content. Matinee writes nothing
/// while the digest of the plan is the same.
pub const ANNOTATION_DIGEST: &str = "matinee.dev/applied-digest";
/// Annotation on an applied Job: the digest of its immutable fields. A different digest shows that
/// the Job has to be replaced, before the API server rejects the update.
pub const ANNOTATION_FIXED_DIGEST: &str = "matinee.dev/fixed-digest";
/// Annotation on a custom resource in a template: the requirements that make it ready (see
/// [`ready_when`](crate::core::environment::ready_when)). It is the only annotation of the group that a template
/// author sets.
pub const ANNOTATION_READY_WHEN: &str = "matinee.dev/ready-when";

/// Annotation on a [`PreviewClass`]: `true` makes it the class of every [`PreviewRepository`] that
/// has no `className`.
pub const ANNOTATION_DEFAULT_CLASS: &str = "matinee.dev/is-default-class";

/// Returns all custom resource definitions, in the order in which a person reads them.
///
/// `status.observedGeneration` defaults to -1. kstatus relies on this convention: a client that
/// waits for an object never takes an object without a reconcile for a ready one.
///
/// No field is nullable. For rules and defaults, a field without a value (`field:`) is the same as
/// no field.
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
        schema_version::mark(crd);
    }
    all
}

/// Removes `nullable` from a schema and everything in it. The API server then drops nulls before it
/// applies rules and defaults.
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
