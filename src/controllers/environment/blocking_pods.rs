//! Deletes pods for which a StatefulSet waits without end, so that a fix is rolled out.
//! [`health`](crate::core::environment::health) decides which ones.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use kube::ResourceExt as _;
use kube::api::GroupVersionKind;
use tokio::time::Instant;

use super::EnvironmentScope;
use crate::core::environment::health::StuckPod;
use crate::core::environment::resolved::Target;
use crate::ports::{Actor, ClusterError, EventType};
use crate::runtime::write;

/// Time for which a deleted pod is remembered. By then the watch shows its deletion.
const REMEMBERED: Duration = Duration::from_hours(1);

/// Pods that this process deleted, by UID. It deletes each pod once.
#[derive(Default)]
pub struct DeletedPods(Mutex<HashMap<String, Instant>>);

impl DeletedPods {
    /// Records a pod. Returns whether it is new.
    fn insert(&self, uid: &str) -> bool {
        self.0.lock().is_ok_and(|mut known| {
            known.retain(|_, at| at.elapsed() < REMEMBERED);
            known.insert(uid.to_owned(), Instant::now()).is_none()
        })
    }

    fn forget(&self, uid: &str) {
        if let Ok(mut known) = self.0.lock() {
            known.remove(uid);
        }
    }
}

/// Deletes one pod as the deployer account. The operator itself has no right to delete pods of a
/// template's workloads.
pub(super) async fn delete(scope: &EnvironmentScope<'_>, target: &Target, pod: &StuckPod) {
    let EnvironmentScope { environment, context, .. } = *scope;
    if !context.memory.deleted_pods.insert(&pod.uid) {
        return;
    }
    let kind = GroupVersionKind::gvk("", "v1", "Pod");
    let deployer = Actor::Deployer { namespace: target.namespace.clone() };
    let deleted =
        context.common.cluster.delete(&deployer, &kind, Some(&target.namespace), &pod.name, &pod.uid).await;
    let about = write::reference(environment);
    let StuckPod { name, stateful_set, .. } = pod;
    match deleted {
        Ok(()) => {
            let message = format!(
                "deleted Pod/{name} of an earlier revision: it can't become ready and blocks StatefulSet/{stateful_set}"
            );
            tracing::info!(
                environment = environment.name_any(),
                namespace = target.namespace,
                pod = name,
                "stuck pod deleted"
            );
            context.common.events.publish(&about, EventType::Normal, "PodDeleted", &message).await;
        }
        Err(ClusterError::Refused { message, .. }) => {
            let message = format!(
                "Pod/{name} of an earlier revision blocks StatefulSet/{stateful_set} and can't be deleted as the deployer account: {message}"
            );
            context.common.events.publish(&about, EventType::Warning, "PodNotDeleted", &message).await;
        }
        Err(error) => {
            tracing::warn!(namespace = target.namespace, pod = name, %error, "failed to delete stuck pod, retrying");
            context.memory.deleted_pods.forget(&pod.uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_deleted_once_unless_that_failed() {
        let pods = DeletedPods::default();
        assert!(pods.insert("one") && !pods.insert("one") && pods.insert("two"));
        pods.forget("one");
        assert!(pods.insert("one"));
    }
}
