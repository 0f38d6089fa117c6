//! Reduces a live object to the fields that Matinee reads, because the operator keeps all objects of
//! all environments in memory.
//!
//! Readers are [`health`](super::health), [`plan`](super::plan), and the steps that check whose
//! object it is. A reader of another field has to add it here.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use serde_json::{Map, Value};

use super::health::{
    DAEMON_SET_TEMPLATE_GENERATION, DEPLOYMENT_REVISION, POD_REVISION_HASH, POD_TEMPLATE_GENERATION,
    is_built_in,
};
use super::plan::drift;
use crate::api::{
    ANNOTATION_DIGEST, ANNOTATION_FIXED_DIGEST, ANNOTATION_READY_WHEN, LABEL_ENVIRONMENT,
    LABEL_ENVIRONMENT_NAMESPACE, LABEL_ENVIRONMENT_UID,
};

/// Labels of every object. The UID decides ownership.
const LABELS: [&str; 3] = [LABEL_ENVIRONMENT_UID, POD_REVISION_HASH, POD_TEMPLATE_GENERATION];
/// Further labels of a Namespace. They name its holder when the holder no longer exists.
const NAMESPACE_LABELS: [&str; 2] = [LABEL_ENVIRONMENT, LABEL_ENVIRONMENT_NAMESPACE];
/// Annotations, besides the [marks](drift::mark).
const ANNOTATIONS: [&str; 5] = [
    ANNOTATION_DIGEST,
    ANNOTATION_FIXED_DIGEST,
    ANNOTATION_READY_WHEN,
    DEPLOYMENT_REVISION,
    DAEMON_SET_TEMPLATE_GENERATION,
];
/// Fields of `spec`, of all kinds.
const SPEC: [&str; 18] = [
    "activeDeadlineSeconds",
    "completions",
    "containers",
    "externalIPs",
    "hard",
    "imagePullSecrets",
    "initContainers",
    "ordinals",
    "parentRefs",
    "paused",
    "podManagementPolicy",
    "progressDeadlineSeconds",
    "readinessGates",
    "replicas",
    "restartPolicy",
    "suspend",
    "type",
    "updateStrategy",
];
/// Fields of a container.
const CONTAINER: [&str; 6] =
    ["name", "image", "restartPolicy", "resources", "readinessProbe", "startupProbe"];
/// Sources of a volume that a pod may wait for. A volume without one of them isn't kept.
const VOLUME_SOURCES: [&str; 3] = ["configMap", "secret", "persistentVolumeClaim"];
/// Fields of `status`, of the kinds that Kubernetes defines. Nobody knows which fields of another
/// kind its annotation `matinee.dev/ready-when` names, so the status of such an object stays whole.
const STATUS: [&str; 21] = [
    "availableReplicas",
    "conditions",
    "containerStatuses",
    "desiredNumberScheduled",
    "hard",
    "initContainerStatuses",
    "loadBalancer",
    "message",
    "nominatedNodeName",
    "numberAvailable",
    "observedGeneration",
    "parents",
    "phase",
    "readyReplicas",
    "reason",
    "replicas",
    "startTime",
    "succeeded",
    "updateRevision",
    "updatedNumberScheduled",
    "updatedReplicas",
];
/// Fields of a container's status.
const CONTAINER_STATUS: [&str; 6] = ["name", "ready", "started", "restartCount", "state", "lastState"];

/// Removes all fields that nobody reads, and records facts about the removed ones as
/// [marks](drift::mark).
pub fn prune(object: &mut DynamicObject) {
    drift::mark(object);
    let types = object.types.clone().unwrap_or_default();
    let group = types.api_version.split_once('/').map_or("", |(group, _)| group);
    let is_namespace = group.is_empty() && types.kind == "Namespace";
    let metadata = std::mem::take(&mut object.metadata);
    object.metadata = prune_metadata(metadata, is_namespace);
    let Some(data) = object.data.as_object_mut() else { return };
    data.retain(|field, _| field == "spec" || field == "status");
    if let Some(spec) = data.get_mut("spec").and_then(Value::as_object_mut) {
        prune_spec(spec);
    }
    if is_built_in(group)
        && let Some(status) = data.get_mut("status").and_then(Value::as_object_mut)
    {
        keep(status, &STATUS);
        for list in ["containerStatuses", "initContainerStatuses"] {
            for_each_in(status, list, |container| keep(container, &CONTAINER_STATUS));
        }
    }
}

fn prune_metadata(metadata: ObjectMeta, is_namespace: bool) -> ObjectMeta {
    let ObjectMeta { mut labels, mut annotations, mut owner_references, .. } = metadata;
    if let Some(labels) = &mut labels {
        labels.retain(|name, _| {
            LABELS.contains(&name.as_str()) || is_namespace && NAMESPACE_LABELS.contains(&name.as_str())
        });
    }
    if let Some(annotations) = &mut annotations {
        annotations.retain(|name, _| ANNOTATIONS.contains(&name.as_str()) || drift::is_mark(name));
    }
    if let Some(owners) = &mut owner_references {
        owners.retain(|owner| owner.controller == Some(true));
    }
    ObjectMeta {
        name: metadata.name,
        namespace: metadata.namespace,
        uid: metadata.uid,
        resource_version: metadata.resource_version,
        generation: metadata.generation,
        creation_timestamp: metadata.creation_timestamp,
        deletion_timestamp: metadata.deletion_timestamp,
        labels,
        annotations,
        owner_references,
        ..ObjectMeta::default()
    }
}

fn prune_spec(spec: &mut Map<String, Value>) {
    let volumes = spec.remove("volumes");
    keep(spec, &SPEC);
    for list in ["containers", "initContainers"] {
        for_each_in(spec, list, |container| keep(container, &CONTAINER));
    }
    if let Some(Value::Array(mut volumes)) = volumes {
        volumes.retain_mut(|volume| {
            let Some(volume) = volume.as_object_mut() else { return false };
            volume.retain(|field, _| field == "name" || VOLUME_SOURCES.contains(&field.as_str()));
            volume.len() > 1
        });
        if !volumes.is_empty() {
            spec.insert("volumes".to_owned(), volumes.into());
        }
    }
}

fn keep(object: &mut Map<String, Value>, fields: &[&str]) {
    object.retain(|field, _| fields.contains(&field.as_str()));
}

/// Calls `change` with each object in a list.
fn for_each_in(object: &mut Map<String, Value>, list: &str, change: impl Fn(&mut Map<String, Value>)) {
    let items = object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
    items.filter_map(Value::as_object_mut).for_each(change);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::environment::plan::drift::Application;

    fn pruned(document: Value) -> DynamicObject {
        let mut object = serde_json::from_value(document).unwrap();
        prune(&mut object);
        object
    }

    #[test]
    fn the_sources_that_a_pod_waits_for_are_kept() {
        let claim = json!({"name": "data", "persistentVolumeClaim": {"claimName": "data"}});
        let pod = pruned(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {
            "imagePullSecrets": [{"name": "registry"}],
            "volumes": [claim, {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}],
        }}));
        assert_eq!(pod.data["spec"]["volumes"], json!([claim]));
        assert_eq!(pod.data["spec"]["imagePullSecrets"][0]["name"], "registry");
    }

    #[test]
    fn contents_and_environment_variables_are_not_kept() {
        let secret = "never in memory";
        for document in [
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"key": secret}}),
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {
                "containers": [{"name": "a", "env": [{"name": "KEY", "value": secret}], "args": [secret]}],
            }}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {
                "name": "a", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": secret},
            }, "spec": {"template": {"spec": {"containers": [{"name": secret}]}}}}),
            json!({"apiVersion": "example.com/v1", "kind": "Database", "metadata": {"name": "a"}, "spec": {"password": secret}}),
        ] {
            let text = serde_json::to_string(&pruned(document)).unwrap();
            assert!(!text.contains(secret), "{text}");
        }
    }

    #[test]
    fn the_whole_status_of_a_custom_resource_is_kept() {
        let status = json!({"anything": {"healthy": true}, "phase": "Running"});
        let database = json!({"apiVersion": "example.com/v1", "kind": "Database", "metadata": {
            "name": "a", "annotations": {ANNOTATION_READY_WHEN: "status.anything.healthy=true"},
        }, "status": status});
        let database = pruned(database);
        assert_eq!(database.data["status"], status);
        assert!(database.metadata.annotations.unwrap().contains_key(ANNOTATION_READY_WHEN));
    }

    #[test]
    fn a_namespace_keeps_the_name_of_its_holder() {
        let labels = json!({LABEL_ENVIRONMENT_UID: "u", LABEL_ENVIRONMENT: "e", LABEL_ENVIRONMENT_NAMESPACE: "n", "a": "b"});
        let labels = |kind: &str| {
            let object =
                json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a", "labels": labels}});
            pruned(object).metadata.labels.unwrap().into_keys().collect::<Vec<_>>()
        };
        assert_eq!(
            labels("Namespace"),
            [LABEL_ENVIRONMENT, LABEL_ENVIRONMENT_NAMESPACE, LABEL_ENVIRONMENT_UID]
        );
        assert_eq!(labels("Service"), [LABEL_ENVIRONMENT_UID]);
    }

    #[test]
    fn drift_in_removed_fields_is_still_detected() {
        let service = |port: i64| {
            pruned(json!({"apiVersion": "v1", "kind": "Service", "metadata": {
                "name": "web", "annotations": {ANNOTATION_DIGEST: "d"},
            }, "spec": {"ports": [{"port": port}]}}))
        };
        let known = Application::of(&service(80));
        assert!(known.is_kept(&service(80)));
        assert!(!known.is_kept(&service(81)));
        assert_eq!(known.digest, "d");
    }
}
