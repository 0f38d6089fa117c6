//! The kinds that the simulated API server serves, and the rules of Matinee's own kinds that it
//! checks.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::api_server::{Place, text};
use crate::api::{
    DeploymentCommand, DeploymentRequest, PreviewClass, PreviewEnvironment, PreviewRepository,
    PreviewTemplate,
};
use crate::ports::ClusterError;

/// Facts about a kind.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
    /// Whether only writes to the subresource `status` change the status.
    pub has_status: bool,
    /// Whether its objects count the changes of their specs.
    pub has_generation: bool,
}

const OWN: &str = "matinee.dev";

/// Kinds besides Matinee's, as group and name.
const SERVED: [(&str, &str); 21] = [
    ("", "Namespace"),
    ("", "ResourceQuota"),
    ("", "LimitRange"),
    ("", "ServiceAccount"),
    ("", "Service"),
    ("", "ConfigMap"),
    ("", "Secret"),
    ("", "PersistentVolumeClaim"),
    ("", "Pod"),
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("apps", "ReplicaSet"),
    ("batch", "Job"),
    ("batch", "CronJob"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("networking.k8s.io", "Ingress"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
    ("policy", "PodDisruptionBudget"),
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("gateway.networking.k8s.io", "HTTPRoute"),
];

/// Returns the facts about a kind.
///
/// # Errors
/// The API server doesn't serve the kind.
pub fn of(place: &Place) -> Result<Kind, ClusterError> {
    let is_own = place.group == OWN;
    let served = SERVED.iter().any(|(group, kind)| *group == place.group && *kind == place.kind);
    if !is_own && !served {
        let message = format!(
            "the cluster doesn't serve {} {}: install its CustomResourceDefinition, or correct apiVersion and kind",
            place.group, place.kind
        );
        return Err(ClusterError::Refused { code: 404, message });
    }
    Ok(Kind {
        namespaced: !matches!(place.kind.as_str(), "Namespace" | "PreviewClass"),
        has_status: !matches!(place.kind.as_str(), "ConfigMap" | "Secret" | "ServiceAccount" | "RoleBinding"),
        has_generation: !place.group.is_empty() && place.group != "rbac.authorization.k8s.io",
    })
}

/// Checks an object of one of Matinee's kinds, and its change.
///
/// # Errors
/// The rule that rejects it, as the API server words it.
pub fn check(place: &Place, object: &Value, before: Option<&Value>) -> Result<(), String> {
    if place.kind == "Job"
        && before.is_some_and(|before| before["spec"]["template"] != object["spec"]["template"])
    {
        return Err("spec.template: Invalid value: field is immutable".to_owned());
    }
    if place.group != OWN {
        return Ok(());
    }
    match place.kind.as_str() {
        "PreviewClass" => readable::<PreviewClass>(object)?,
        "PreviewRepository" => readable::<PreviewRepository>(object)?,
        "PreviewTemplate" => readable::<PreviewTemplate>(object)?,
        "PreviewEnvironment" => readable::<PreviewEnvironment>(object)?,
        "DeploymentRequest" => readable::<DeploymentRequest>(object)?,
        "DeploymentCommand" => readable::<DeploymentCommand>(object)?,
        other => return Err(format!("kind: Unsupported value: \"{other}\"")),
    }
    let Some(before) = before else { return Ok(()) };
    match place.kind.as_str() {
        "DeploymentRequest" | "DeploymentCommand" if before["spec"] != object["spec"] => {
            let rest = if place.kind == "DeploymentRequest" { REQUEST_RUNS_ONCE } else { COMMAND_RUNS_ONCE };
            Err(format!("spec: Invalid value: {rest}"))
        }
        "PreviewEnvironment" => environment(object, before),
        _ => Ok(()),
    }
}

const REQUEST_RUNS_ONCE: &str = "spec is immutable: a request runs once; create another one";
const COMMAND_RUNS_ONCE: &str = "spec is immutable: a command is executed once; create another one";
const SAME_ENVIRONMENT: &str = "repositoryRef, environment and githubEnvironment are immutable: they say which environment this is; create another one";
const NEVER_BACK: &str = "revision.deploymentId never goes back: an older deployment can't take the place of a newer one; create a new deployment of the older commit";
const SAME_PULL_REQUEST: &str = "pullRequest.number is immutable: an environment belongs to one pull request";

fn environment(object: &Value, before: &Value) -> Result<(), String> {
    let differs = |field: &str| object["spec"].get(field) != before["spec"].get(field);
    if ["repositoryRef", "environment", "githubEnvironment"].into_iter().any(differs) {
        return Err(format!("Invalid value: {SAME_ENVIRONMENT}"));
    }
    let deployment = |of: &Value| of.pointer("/spec/revision/deploymentId").and_then(Value::as_i64);
    if deployment(object) < deployment(before) {
        return Err(format!("spec: Invalid value: {NEVER_BACK}"));
    }
    let number = |of: &Value| of.pointer("/spec/pullRequest/number").and_then(Value::as_i64);
    if number(object) != number(before) {
        return Err(format!("spec: Invalid value: {SAME_PULL_REQUEST}"));
    }
    Ok(())
}

/// Checks that an object has the fields and types of its kind.
fn readable<K: DeserializeOwned>(object: &Value) -> Result<(), String> {
    if text(object, "/metadata/name").is_empty() {
        return Err("metadata.name: Required value".to_owned());
    }
    serde_json::from_value::<K>(object.clone())
        .map(drop)
        .map_err(|error| format!("spec: Invalid value: {error}"))
}

#[cfg(test)]
mod tests {
    use kube::CustomResourceExt as _;

    use super::*;

    #[test]
    fn the_messages_are_those_of_the_definitions() {
        let definitions = [PreviewEnvironment::crd(), DeploymentRequest::crd(), DeploymentCommand::crd()]
            .map(|definition| serde_json::to_string(&definition).unwrap());
        for (message, definition) in [
            (SAME_ENVIRONMENT, &definitions[0]),
            (NEVER_BACK, &definitions[0]),
            (SAME_PULL_REQUEST, &definitions[0]),
            (REQUEST_RUNS_ONCE, &definitions[1]),
            (COMMAND_RUNS_ONCE, &definitions[2]),
        ] {
            assert!(definition.contains(message), "{message}");
        }
    }
}
