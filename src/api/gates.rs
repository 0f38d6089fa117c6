//! What must hold before a deployment is created.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Duration;

/// What must hold before a deployment is created. All of them must; a lock (`spec.locks`) is one more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Gates {
    /// Names of check runs, or contexts of commit statuses, that have to pass. One that is missing or not through is waited for; one that
    /// failed refuses the deployment until it passes. Nothing passes by this gate, `force` neither.
    #[schemars(length(max = 50), inner(length(min = 1, max = 255)), extend("x-kubernetes-list-type" = "set"))]
    pub checks: Vec<String>,
    /// An image that has to be in its registry, with the same `{{ }}` as in a template: `ghcr.io/acme/shop:{{ sha }}`. The class names the
    /// registries that may be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub image: Option<String>,
    /// Environments of this PreviewRepository in which the commit has to have been deployed with success before.
    #[schemars(length(max = 20), inner(length(min = 1, max = 20)), extend("x-kubernetes-list-type" = "set"))]
    pub after: Vec<String>,
    /// How many people have to approve, none of them whoever asked. Default: none.
    #[schemars(range(min = 0, max = 10))]
    pub approvals: i32,
    /// When deployments may be created: within one of these. Empty: at any time.
    #[schemars(length(max = 10))]
    pub hours: Vec<Hours>,
    /// How long checks and the image are waited for, from when the deployment was asked for. Default: `1h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

/// A span of time that comes again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hours {
    /// When it begins, in the five fields of cron: `0 9 * * MON-FRI`.
    #[schemars(length(min = 9, max = 100))]
    pub start: String,
    /// How long it lasts.
    pub duration: Duration,
    /// Time zone of `start`, by its name in the IANA database: `Europe/Berlin`. Default: UTC.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_+/-]+$"))]
    pub time_zone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}
