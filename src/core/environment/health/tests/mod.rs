//! Health of objects as a cluster shows them.

mod causes;
mod custom;
mod deadlines;
mod images;
mod inputs;
mod pods;
mod revisions;
mod routes;
mod verdict;
mod workloads;

use serde_json::Value;

use super::*;
use crate::core::environment::pruning;

/// Observation made from YAML documents, whose objects are assessed as the operator keeps them. Pods and ReplicaSets with an owner belong to that owner;
/// every other object is in the inventory. `T+10` in a document is ten seconds after the revision
/// was applied.
struct World {
    entries: Vec<InventoryEntry>,
    live: Vec<Option<DynamicObject>>,
    applied_generation: Option<i64>,
    replica_sets: Vec<ReplicaSet>,
    pods: Vec<Pod>,
    limits: ClassHealth,
    sent: SentValues,
}

const APPLIED: i64 = 1_780_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(APPLIED + second).expect("a time")
}

fn read<T: serde::de::DeserializeOwned>(document: &Value) -> T {
    serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{error} in {document:#}"))
}

/// Returns the object as the operator keeps it in memory.
fn pruned<T: serde::Serialize + serde::de::DeserializeOwned>(object: &T) -> T {
    let mut object: DynamicObject = read(&serde_json::to_value(object).expect("JSON"));
    pruning::prune(&mut object);
    read(&serde_json::to_value(object).expect("JSON"))
}

impl World {
    fn new(yaml: &str) -> Self {
        let mut world = Self {
            entries: Vec::new(),
            live: Vec::new(),
            applied_generation: None,
            replica_sets: Vec::new(),
            pods: Vec::new(),
            limits: ClassHealth::default(),
            sent: SentValues::default(),
        };
        let mut text = yaml.to_owned();
        for second in (0..3_000).rev() {
            text = text.replace(&format!("T+{second}"), &at(second).to_string());
        }
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
        for document in &documents {
            let owned = document.pointer("/metadata/ownerReferences").is_some();
            let kind = document["kind"].as_str().expect("kind");
            match kind {
                "Pod" => world.pods.push(read(document)),
                "ReplicaSet" if owned => world.replica_sets.push(read(document)),
                _ => {}
            }
            if !owned {
                world.expect(document["apiVersion"].as_str().expect("apiVersion"), kind, document);
            }
        }
        world
    }

    fn expect(&mut self, api_version: &str, kind: &str, document: &Value) {
        let live: DynamicObject = read(document);
        self.entries.push(InventoryEntry {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            name: live.metadata.name.clone().expect("name"),
            uid: live.metadata.uid.clone().unwrap_or_default(),
            finished: None,
        });
        self.live.push(Some(live));
    }

    fn at(&self, second: i64) -> Assessment {
        let live: Vec<_> = self.live.iter().map(|live| live.as_ref().map(pruned)).collect();
        let replica_sets: Vec<_> = self.replica_sets.iter().map(pruned).collect();
        let pods: Vec<_> = self.pods.iter().map(pruned).collect();
        let objects = self.entries.iter().zip(&live).map(|(entry, live)| Observed {
            entry,
            live: live.as_ref(),
            applied_generation: self.applied_generation,
        });
        let assess_as_seen = |pods: Vec<&Pod>| {
            assess(&Observation {
                objects: objects.clone().collect(),
                replica_sets: replica_sets.iter().collect(),
                pods,
                since: at(0),
                limits: &self.limits,
                sent: &self.sent,
                now: at(second),
            })
        };
        let assessment = assess_as_seen(pods.iter().collect());
        // A cache lists its objects in any order.
        assert_eq!(assessment, assess_as_seen(pods.iter().rev().collect()));
        for component in &assessment.components {
            assert_stable(&component.message);
        }
        assessment
    }

    fn verdict(&self, second: i64) -> EnvironmentHealth {
        self.at(second).verdict
    }
}

/// Expects nothing in the message that differs with another pod, another try or another second.
fn assert_stable(message: &str) {
    for unstable in ["back-off", "Back-off", "abcde", "fghij", "-uid", "_preview("] {
        assert!(!message.contains(unstable), "{unstable:?} in {message:?}");
    }
}

fn failed(reason: &str, message: &str) -> EnvironmentHealth {
    EnvironmentHealth::Failed { reason: reason.to_owned(), message: message.into() }
}

fn progressing(reason: &str, message: &str) -> EnvironmentHealth {
    EnvironmentHealth::Progressing { reason: reason.to_owned(), message: message.to_owned() }
}

/// A Deployment of one replica at its second revision, with its ReplicaSets and no available pod.
const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: preview, uid: deployment-uid, generation: 2, annotations: {deployment.kubernetes.io/revision: '2'}}
spec: {replicas: 1, progressDeadlineSeconds: 600}
status:
  observedGeneration: 2
  replicas: 1
  updatedReplicas: 1
  unavailableReplicas: 1
  conditions:
  - {type: Available, status: 'False', reason: MinimumReplicasUnavailable, message: Deployment does not have minimum availability.}
  - {type: Progressing, status: 'True', reason: ReplicaSetUpdated, message: ReplicaSet \"web-6d4f\" is progressing.}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: web-5c9f
  namespace: preview
  uid: old-set-uid
  annotations: {deployment.kubernetes.io/revision: '1'}
  ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: deployment-uid, controller: true}]
status: {replicas: 0}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: web-6d4f
  namespace: preview
  uid: new-set-uid
  annotations: {deployment.kubernetes.io/revision: '2'}
  ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: deployment-uid, controller: true}]
status: {replicas: 1}
";

/// Returns the Deployment with one pod of the current revision, started after three seconds.
fn with_pod(status: &str) -> World {
    World::new(&format!("{DEPLOYMENT}---\n{}", web_pod("web-6d4f-abcde", "new-set-uid", status)))
}

/// Returns a pod of a ReplicaSet.
fn web_pod(name: &str, owner: &str, status: &str) -> String {
    let status = indent(status);
    format!(
        "
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  namespace: preview
  uid: {name}-uid
  ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: {owner}, controller: true}}]
spec:
  containers:
  - name: web
    image: registry.example/web:1
    resources: {{limits: {{memory: 64Mi}}}}
    readinessProbe: {{httpGet: {{port: 8080, path: /healthz}}}}
status:
  phase: Pending
  startTime: T+3
{status}
"
    )
}

/// Returns the status of a pod whose container `web` is in that state.
fn container(state: &str) -> String {
    format!(
        "conditions: [{{type: PodScheduled, status: 'True'}}, {{type: Ready, status: 'False'}}]\ncontainerStatuses:\n- name: web\n  image: registry.example/web:1\n  imageID: ''\n{}",
        indent(state)
    )
}

fn waiting(reason: &str, message: &str) -> String {
    let message = serde_json::to_string(message).expect("text");
    container(&format!(
        "ready: false\nrestartCount: 0\nstate: {{waiting: {{reason: {reason}, message: {message}}}}}"
    ))
}

fn indent(text: &str) -> String {
    text.lines().flat_map(|line| ["  ", line, "\n"]).collect()
}
