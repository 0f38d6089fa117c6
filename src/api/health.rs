//! `health` of a `PreviewClass`: deadlines of previews.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Duration;

/// Deadlines and grace periods after which Matinee reports a preview as failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClassHealth {
    /// Time until an object that isn't ready counts as failed, counted from the first reconcile of
    /// a revision. A longer `progressDeadlineSeconds` of a Deployment, `activeDeadlineSeconds` of a
    /// Job or Pod, or startup probe extends it. When all objects are ready, the preview's URLs have
    /// the same time again to respond. Must be longer than zero. Default: `10m`.
    #[schemars(extend("x-kubernetes-validations" = [longer_than_zero()]))]
    pub deadline: Duration,
    /// Time that the scheduler has to place a pod, for example while an autoscaler adds a node or a
    /// volume is provisioned. `0s` reports an unschedulable pod as failed immediately. Default:
    /// `5m`.
    pub scheduling_grace: Duration,
    /// Time that other controllers have to create an object that a pod needs and the template
    /// doesn't contain: a Secret, a ConfigMap, a key in one of them, an image pull secret or a
    /// ServiceAccount. `0s` reports a missing object as failed immediately. Default: `2m`.
    pub missing_input_grace: Duration,
}

impl Default for ClassHealth {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10 * 60),
            scheduling_grace: Duration::from_secs(5 * 60),
            missing_input_grace: Duration::from_secs(2 * 60),
        }
    }
}

/// Returns the CEL rule that a duration is longer than zero. The rule is written by hand because
/// `KubeSchema` doesn't support a container's `default`.
fn longer_than_zero() -> serde_json::Value {
    serde_json::json!({
        "rule": "self.matches('[1-9]')",
        "message": "must be longer than zero: write it like 10m",
    })
}
