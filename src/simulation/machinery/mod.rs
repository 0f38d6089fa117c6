//! The rest of the simulated cluster, as far as previews need it: the controllers of Deployments,
//! StatefulSets, Jobs, namespaces, quotas and owner references, a kubelet, and a gateway. Each takes
//! a random time.

mod jobs;
mod stateful_sets;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt as _;
use kube::api::{DynamicObject, GroupVersionKind};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub use self::jobs::FAILING;
use super::api_server::{ApiServer, Change, Part, Place};
use super::clock::SimulatedClock;
use super::random::Random;
use crate::core::environment::plan::http_route::HTTPRoute;
use crate::ports::{Clock as _, Prober};

/// An image whose name contains this can't be pulled. It is also a valid end of a SHA.
pub const BROKEN: &str = "bad";

const CONTROLLERS: &str = "kube-controller-manager";
const KUBELET: &str = "kubelet";

/// The controllers, the kubelet and the gateway.
pub struct Machinery {
    server: Arc<ApiServer>,
    clock: SimulatedClock,
    random: Random,
}

fn gvk(group: &str, kind: &str) -> GroupVersionKind {
    GroupVersionKind::gvk(group, "v1", kind)
}

impl Machinery {
    /// Starts everything. It ends with the runtime.
    pub fn start(server: Arc<ApiServer>, clock: SimulatedClock, seed: u64) {
        let machinery = Arc::new(Self { server, clock, random: Random::new(seed, "machinery") });
        tokio::spawn(async move {
            let mut changes = machinery.server.changes();
            let mut newest = 0;
            loop {
                for change in machinery.server.since(newest) {
                    newest = change.version;
                    machinery.react(change);
                }
                // The server lives as long as this task.
                changes.changed().await.ok();
            }
        });
    }

    fn react(self: &Arc<Self>, change: Change) {
        let this = Arc::clone(self);
        let generation = |object: &DynamicObject| object.metadata.generation;
        let is_new = change.before.as_deref().and_then(generation) != generation(&change.object)
            || change.before.is_none();
        let is_created = change.before.is_none();
        let is_deleting = change.object.metadata.deletion_timestamp.is_some();
        if change.deleted {
            tokio::spawn(async move { this.collect(&change.object).await });
            return;
        }
        let began_deleting =
            is_deleting && change.before.is_none_or(|before| before.metadata.deletion_timestamp.is_none());
        let (place, object) = (change.place, change.object);
        match place.kind.as_str() {
            "Namespace" if began_deleting => drop(tokio::spawn(async move { this.empty(&place).await })),
            "Pod" if began_deleting => {
                tokio::spawn(async move {
                    tokio::time::sleep(this.random.time(50..=3_000)).await;
                    this.server.finish(&place, &object.uid().unwrap_or_default());
                });
            }
            "Deployment" if is_new && !is_deleting => {
                tokio::spawn(async move { this.roll_out(&place, &object).await });
            }
            "StatefulSet" if is_new && !is_deleting => {
                tokio::spawn(async move { this.roll_out_in_order(&place, &object).await });
            }
            "Job" if is_created => {
                tokio::spawn(async move { this.run_job(&place, &object).await });
            }
            "ResourceQuota" => drop(tokio::spawn(async move { this.enforce(&place, &object).await })),
            "HTTPRoute" if is_new => drop(tokio::spawn(async move { this.accept(&place, &object).await })),
            _ => {}
        }
    }

    /// Deletes the objects that a deleted object owned.
    async fn collect(&self, owner: &DynamicObject) {
        let Some(uid) = owner.uid() else { return };
        tokio::time::sleep(self.random.time(20..=1_000)).await;
        let dependents =
            self.server.list(|_, object| object.owner_references().iter().any(|of| of.uid == uid));
        self.delete_all(&dependents);
    }

    fn delete_all(&self, objects: &[Arc<DynamicObject>]) {
        for object in objects {
            let Some(kind) = object.types.as_ref().and_then(|types| GroupVersionKind::try_from(types).ok())
            else {
                continue;
            };
            let place = Place::new(&kind, object.namespace().as_deref(), &object.name_any());
            if object.metadata.deletion_timestamp.is_none() {
                // Somebody else may have deleted it since.
                self.server.delete(CONTROLLERS, &place, object.uid().as_deref()).ok();
            }
        }
    }

    /// Deletes everything in a namespace, and then the namespace.
    async fn empty(&self, namespace: &Place) {
        loop {
            tokio::time::sleep(self.random.time(50..=2_000)).await;
            let left = self.server.list(|place, _| place.namespace == namespace.name);
            if left.is_empty() {
                break;
            }
            self.delete_all(&left);
        }
        let done = self.server.update(CONTROLLERS, Part::Main, namespace, |object| {
            object["spec"]["finalizers"] = json!([]);
        });
        done.ok();
    }

    async fn enforce(&self, place: &Place, quota: &DynamicObject) {
        let hard = quota.data.pointer("/spec/hard").cloned().unwrap_or_default();
        if quota.data.pointer("/status/hard") == Some(&hard) {
            return;
        }
        tokio::time::sleep(self.random.time(20..=600)).await;
        let written = self.server.update(CONTROLLERS, Part::Status, place, |object| {
            object["status"] = json!({"hard": hard, "used": {}});
        });
        written.ok();
    }

    /// Accepts a route, as a gateway does.
    async fn accept(&self, place: &Place, route: &DynamicObject) {
        tokio::time::sleep(self.random.time(20..=1_500)).await;
        let now = self.now();
        let parents: Vec<Value> = route
            .data
            .pointer("/spec/parentRefs")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|parent| {
                let condition = |kind: &str| {
                    json!({
                        "type": kind, "status": "True", "reason": kind, "message": "",
                        "observedGeneration": route.metadata.generation, "lastTransitionTime": now,
                    })
                };
                json!({
                    "parentRef": parent, "controllerName": "simulation/gateway",
                    "conditions": [condition("Accepted"), condition("ResolvedRefs")],
                })
            })
            .collect();
        let written = self.server.update("gateway", Part::Status, place, |object| {
            object["status"] = json!({"parents": parents});
        });
        written.ok();
    }

    /// Returns the present time as an object has it.
    fn now(&self) -> String {
        self.clock.now().to_string()
    }

    /// Returns the workload, if it still has the generation of this rollout.
    fn current<K: DeserializeOwned + kube::Resource>(
        &self,
        place: &Place,
        rolled: &DynamicObject,
    ) -> Option<K> {
        let found = self.server.get(place)?;
        let same = found.metadata.uid == rolled.metadata.uid
            && found.metadata.generation == rolled.metadata.generation
            && found.metadata.deletion_timestamp.is_none();
        if same { (*found).clone().try_parse().ok() } else { None }
    }

    /// Replaces the pods of a Deployment by those of its present template. A newer generation has a
    /// rollout of its own, which takes over.
    async fn roll_out(&self, place: &Place, rolled: &DynamicObject) -> Option<()> {
        tokio::time::sleep(self.random.time(10..=400)).await;
        let deployment: Deployment = self.current(place, rolled)?;
        let namespace = place.namespace.as_str();
        let wanted = deployment.spec.as_ref()?.replicas.unwrap_or(1);
        let template = serde_json::to_value(&deployment.spec.as_ref()?.template).ok()?;
        let hash = digest(&template);
        let set_name = format!("{}-{hash}", place.name);
        let set_place = Place::new(&gvk("apps", "ReplicaSet"), Some(namespace), &set_name);
        let mut labels = template.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}));
        labels["pod-template-hash"] = hash.as_str().into();
        let revision = self.next_revision(&deployment, &set_place);
        if self.server.get(&set_place).is_none() {
            let set = json!({
                "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "metadata": {
                    "name": set_name, "namespace": namespace, "labels": labels,
                    "annotations": {"deployment.kubernetes.io/revision": revision},
                    "ownerReferences": [owner("apps/v1", "Deployment", &place.name, deployment.metadata.uid.as_deref())],
                },
                "spec": {"replicas": wanted, "template": template},
            });
            self.server.create(CONTROLLERS, CONTROLLERS, &set).ok()?;
        }
        let set = self.server.get(&set_place)?;
        let annotated = self.server.update(CONTROLLERS, Part::Main, place, |object| {
            object["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = revision.as_str().into();
        });
        annotated.ok()?;
        self.count(place, rolled, &set, wanted)?;

        tokio::time::sleep(self.random.time(10..=300)).await;
        self.current::<Deployment>(place, rolled)?;
        for number in 0..wanted {
            let name = format!("{set_name}-{number}");
            let pod_place = Place::new(&gvk("", "Pod"), Some(namespace), &name);
            if let Some(pod) = self.server.get(&pod_place) {
                let is_own =
                    pod.owner_references().iter().any(|of| Some(&of.uid) == set.metadata.uid.as_ref());
                if is_own && pod.metadata.deletion_timestamp.is_none() {
                    continue;
                }
                // A pod of an earlier ReplicaSet has its name: real ones have random names.
                self.server.finish(&pod_place, &pod.uid().unwrap_or_default());
            }
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "name": name, "namespace": namespace, "labels": labels,
                    "ownerReferences": [owner("apps/v1", "ReplicaSet", &set_name, set.metadata.uid.as_deref())],
                },
                "spec": template["spec"],
            });
            self.server.create(CONTROLLERS, CONTROLLERS, &pod).ok()?;
        }
        self.count(place, rolled, &set, wanted)?;

        tokio::time::sleep(self.random.time(50..=4_000)).await;
        self.current::<Deployment>(place, rolled)?;
        let is_broken = self.start_pods(&set.uid().unwrap_or_default());
        self.count(place, rolled, &set, wanted)?;
        if is_broken {
            return None;
        }

        tokio::time::sleep(self.random.time(10..=500)).await;
        let deployment: Deployment = self.current(place, rolled)?;
        let uid = deployment.metadata.uid.as_deref();
        let others = self.server.list(|at, object| {
            at.kind == "ReplicaSet"
                && *at != set_place
                && object.owner_references().iter().any(|of| Some(of.uid.as_str()) == uid)
        });
        self.delete_all(&others);
        // The pods are counted until they are gone.
        while self.count(place, rolled, &set, wanted)? > i64::from(wanted) {
            tokio::time::sleep(self.random.time(50..=500)).await;
        }
        Some(())
    }

    fn next_revision(&self, deployment: &Deployment, set: &Place) -> String {
        let annotation = "deployment.kubernetes.io/revision";
        let number =
            |text: Option<&String>| text.and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
        let known = number(deployment.annotations().get(annotation));
        match self.server.get(set) {
            Some(set) if number(set.annotations().get(annotation)) == known => known.to_string(),
            _ => (known + 1).to_string(),
        }
    }

    /// Starts the pods that an object owns. Returns whether their image is missing.
    fn start_pods(&self, owner: &str) -> bool {
        let pods = self.pods_of(&[owner.to_owned()]);
        let mut is_broken = false;
        for pod in pods {
            let place = Place::new(&gvk("", "Pod"), pod.namespace().as_deref(), &pod.name_any());
            let containers = pod.data.pointer("/spec/containers").and_then(Value::as_array);
            let now = self.now();
            let image = |container: &Value| container["image"].as_str().unwrap_or_default().to_owned();
            let broken = containers.is_some_and(|all| all.iter().any(|one| image(one).contains(BROKEN)));
            let statuses: Vec<Value> = containers
                .into_iter()
                .flatten()
                .map(|container| {
                    let state = if image(container).contains(BROKEN) {
                        let message = format!("Failed to pull image \"{0}\": {0}: not found", image(container));
                        json!({"waiting": {"reason": "ErrImagePull", "message": message}})
                    } else {
                        json!({"running": {"startedAt": now}})
                    };
                    json!({
                        "name": container["name"], "image": image(container), "imageID": "", "restartCount": 0,
                        "ready": !broken, "started": !broken, "state": state,
                    })
                })
                .collect();
            is_broken |= broken;
            let ready = if broken { "False" } else { "True" };
            let condition =
                |kind: &str, status: &str| json!({"type": kind, "status": status, "lastTransitionTime": now});
            let written = self.server.update(KUBELET, Part::Status, &place, |object| {
                object["status"] = json!({
                    "phase": if broken { "Pending" } else { "Running" }, "startTime": now,
                    "conditions": [condition("PodScheduled", "True"), condition("Initialized", "True"), condition("Ready", ready)],
                    "containerStatuses": statuses,
                });
            });
            written.ok();
        }
        is_broken
    }

    fn pods_of(&self, owners: &[String]) -> Vec<Arc<DynamicObject>> {
        self.server.list(|place, object| {
            place.kind == "Pod" && object.owner_references().iter().any(|of| owners.contains(&of.uid))
        })
    }

    /// Writes the counts of a Deployment and its ReplicaSet. Returns the number of all pods.
    fn count(&self, place: &Place, rolled: &DynamicObject, set: &DynamicObject, wanted: i32) -> Option<i64> {
        let deployment: Deployment = self.current(place, rolled)?;
        let uid = deployment.metadata.uid.unwrap_or_default();
        let sets = self.server.list(|at, object| {
            at.kind == "ReplicaSet" && object.owner_references().iter().any(|of| of.uid == uid)
        });
        let sets: Vec<String> = sets.iter().filter_map(|set| set.uid()).chain(set.uid()).collect();
        let (all, own) = (self.pods_of(&sets), self.pods_of(&[set.uid().unwrap_or_default()]));
        let (ready, own_ready) = (ready_among(&all), ready_among(&own));
        let now = self.now();
        let progressing = json!({
            "type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "message": "",
            "lastTransitionTime": now, "lastUpdateTime": now,
        });
        let written = self.server.update(CONTROLLERS, Part::Status, place, |object| {
            let known = object.pointer("/status/conditions").cloned();
            object["status"] = json!({
                "observedGeneration": rolled.metadata.generation, "replicas": all.len(),
                "updatedReplicas": own.len(), "readyReplicas": ready, "availableReplicas": ready,
                "unavailableReplicas": wanted.cast_unsigned() as usize - own_ready.min(own.len()),
                "conditions": known.unwrap_or_else(|| json!([progressing])),
            });
        });
        written.ok()?;
        let set_place = Place::new(&gvk("apps", "ReplicaSet"), Some(&place.namespace), &set.name_any());
        let written = self.server.update(CONTROLLERS, Part::Status, &set_place, |object| {
            object["status"] = json!({
                "observedGeneration": set.metadata.generation, "replicas": own.len(),
                "readyReplicas": own_ready, "availableReplicas": own_ready,
            });
        });
        written.ok()?;
        i64::try_from(all.len()).ok()
    }
}

fn is_ready(pod: &DynamicObject) -> bool {
    let conditions = pod.data.pointer("/status/conditions").and_then(Value::as_array);
    conditions.is_some_and(|all| all.iter().any(|one| one["type"] == "Ready" && one["status"] == "True"))
}

fn ready_among(pods: &[Arc<DynamicObject>]) -> usize {
    pods.iter().filter(|pod| is_ready(pod)).count()
}

/// Returns a short hash of a pod template.
fn digest(template: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    template.to_string().hash(&mut hasher);
    format!("{:08x}", hasher.finish() >> 32)
}

fn owner(api_version: &str, kind: &str, name: &str, uid: Option<&str>) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": true})
}

/// Requests URLs from the simulated gateway.
pub struct FakeProber {
    server: Arc<ApiServer>,
    random: Random,
}

impl FakeProber {
    /// Creates a client of the gateway.
    pub fn new(server: Arc<ApiServer>, seed: u64) -> Self {
        Self { server, random: Random::new(seed, "prober") }
    }
}

#[async_trait]
impl Prober for FakeProber {
    async fn probe(&self, url: &str, _: Option<&str>) -> Result<u16, String> {
        tokio::time::sleep(self.random.time(1..=50)).await;
        let host = url.split('/').nth(2).unwrap_or_default().to_owned();
        let routes = self.server.list(|place, object| {
            let names = object.data.pointer("/spec/hostnames").and_then(Value::as_array);
            place.kind == "HTTPRoute" && names.is_some_and(|names| names.iter().any(|name| *name == host))
        });
        let Some(route) = routes.first() else { return Ok(404) };
        let route: HTTPRoute = (**route).clone().try_parse().map_err(|error| error.to_string())?;
        let available = self.server.list(|place, object| {
            matches!(place.kind.as_str(), "Deployment" | "StatefulSet")
                && Some(&place.namespace) == route.metadata.namespace.as_ref()
                && object.data.pointer("/status/availableReplicas").and_then(Value::as_i64) > Some(0)
        });
        Ok(if available.is_empty() { 503 } else { 200 })
    }
}
