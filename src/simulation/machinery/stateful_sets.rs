//! The controller of StatefulSets with one replica. It replaces a pod of an earlier revision when
//! that pod is ready, and waits for a broken one without end.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::json;

use super::super::api_server::{Part, Place};
use super::{CONTROLLERS, Machinery, digest, gvk, is_ready, owner};

/// Label of a pod: the revision of its StatefulSet.
const REVISION: &str = "controller-revision-hash";

impl Machinery {
    /// Rolls out one generation of a StatefulSet. A newer generation takes over.
    pub(super) async fn roll_out_in_order(&self, place: &Place, rolled: &DynamicObject) -> Option<()> {
        tokio::time::sleep(self.random.time(10..=400)).await;
        let set: StatefulSet = self.current(place, rolled)?;
        let template = serde_json::to_value(&set.spec.as_ref()?.template).ok()?;
        let revision = format!("{}-{}", place.name, digest(&template));
        let pod = Place::new(&gvk("", "Pod"), Some(&place.namespace), &format!("{}-0", place.name));
        loop {
            self.current::<StatefulSet>(place, rolled)?;
            match self.server.get(&pod) {
                None => {
                    let mut labels =
                        template.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}));
                    labels[REVISION] = revision.as_str().into();
                    let new = json!({
                        "apiVersion": "v1", "kind": "Pod",
                        "metadata": {
                            "name": pod.name, "namespace": pod.namespace, "labels": labels,
                            "ownerReferences": [owner("apps/v1", "StatefulSet", &place.name, set.metadata.uid.as_deref())],
                        },
                        "spec": template["spec"],
                    });
                    self.server.create(CONTROLLERS, CONTROLLERS, &new).ok()?;
                    self.show(place, rolled, &revision, &pod)?;
                    tokio::time::sleep(self.random.time(50..=4_000)).await;
                    self.start_pods(&set.metadata.uid.clone().unwrap_or_default());
                }
                Some(found) if is_of(&found, &revision) => {
                    self.show(place, rolled, &revision, &pod)?;
                    // A pod that isn't ready by now never will be.
                    return Some(());
                }
                Some(found) if is_ready(&found) => {
                    self.server.delete(CONTROLLERS, &pod, found.uid().as_deref()).ok();
                }
                // It waits for the broken pod.
                Some(_) => self.show(place, rolled, &revision, &pod)?,
            }
            tokio::time::sleep(self.random.time(100..=1_500)).await;
        }
    }

    fn show(&self, place: &Place, rolled: &DynamicObject, revision: &str, pod: &Place) -> Option<()> {
        self.current::<StatefulSet>(place, rolled)?;
        let pod = self.server.get(pod);
        let count = |holds: bool| u8::from(holds);
        let exists = pod.is_some();
        let updated = pod.as_ref().is_some_and(|pod| is_of(pod, revision));
        let ready = pod.as_ref().is_some_and(|pod| is_ready(pod));
        let status = json!({
            "observedGeneration": rolled.metadata.generation, "replicas": count(exists),
            "updatedReplicas": count(updated), "readyReplicas": count(ready), "availableReplicas": count(ready),
            "updateRevision": revision,
        });
        if self.server.get(place)?.data.get("status") != Some(&status) {
            self.server.update(CONTROLLERS, Part::Status, place, |object| object["status"] = status).ok()?;
        }
        Some(())
    }
}

fn is_of(pod: &DynamicObject, revision: &str) -> bool {
    pod.labels().get(REVISION).is_some_and(|known| known == revision)
}
