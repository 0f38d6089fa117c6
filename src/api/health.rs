//! `health` of a `PreviewClass`: how long a preview may take.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Duration;

/// How long a preview may take to become ready, and how long Matinee waits for others before it reports a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClassHealth {
    /// Time from a revision's first reconcile after which an object that isn't ready has failed. A longer `progressDeadlineSeconds`
    /// of a Deployment, `activeDeadlineSeconds` of a Job or Pod, or startup probe extends it. Once all objects are ready, the
    /// preview's URLs have this time again to answer.
    #[schemars(extend("x-kubernetes-validations" = [longer_than_zero()]))]
    pub deadline: Duration,
    /// Time for the scheduler to find a node for a pod: an autoscaler adds one, a volume is provisioned. `0s` reports a pod that
    /// no node takes as failed at once.
    pub scheduling_grace: Duration,
    /// Time for another controller to create what a pod needs and the template doesn't have: a Secret, a `ConfigMap`, a key in one
    /// of them, a pull secret, a `ServiceAccount`. `0s` reports what is missing as failed at once.
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

/// The rule of a time that can't be zero. A container's `default` and `KubeSchema` don't go together, so it is written out.
fn longer_than_zero() -> serde_json::Value {
    serde_json::json!({
        "rule": "self.matches('[1-9]')",
        "message": "must be longer than zero: write it like 10m",
    })
}
