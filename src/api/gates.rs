//! Gates: requirements that have to be met before Matinee creates a deployment.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Duration;

/// Requirements that have to be met before Matinee creates a deployment. All gates have to pass. A
/// lock in the PreviewRepository's `spec.locks` also holds a deployment back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Gates {
    /// Names of check runs or contexts of commit statuses that have to pass on the commit. Case is
    /// ignored. Matinee waits for a check that is missing or hasn't finished, up to `timeout`. A
    /// failed check rejects the deployment until the check is run again and passes. `force` doesn't
    /// bypass this gate. At most 50.
    #[schemars(length(max = 50), inner(length(min = 1, max = 255)), extend("x-kubernetes-list-type" = "set"))]
    pub checks: Vec<String>,
    /// Image that has to exist in its registry. `{{ }}` expressions work as in a template:
    /// `ghcr.io/acme/shop:{{ sha }}`. The class lists the registries that Matinee may query in
    /// `spec.registries`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub image: Option<String>,
    /// Names of environments of the same PreviewRepository. The commit has to have been deployed to
    /// each of them with success before. `force` bypasses this gate. At most 20.
    #[schemars(length(max = 20), inner(length(min = 1, max = 20)), extend("x-kubernetes-list-type" = "set"))]
    pub after: Vec<String>,
    /// Number of people who have to approve the deployment, from 0 to 10. An approval by the person
    /// who requested the deployment doesn't count. Default: 0.
    #[schemars(range(min = 0, max = 10))]
    pub approvals: i32,
    /// Time spans in which Matinee may create deployments; the current time has to be in one of
    /// them. `force` bypasses this gate. Default: an empty list, which allows any time. At most 10.
    #[schemars(length(max = 10))]
    pub hours: Vec<Hours>,
    /// Time that Matinee waits for `checks` and `image`, counted from the creation of the request
    /// or, if that is later, from its `notBefore`. The time starts again for a check that is run
    /// again. Default: `1h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

/// Recurring time span.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hours {
    /// Start of the time span, in the five fields of a cron expression (minute, hour, day of month,
    /// month, day of week): `0 9 * * MON-FRI`.
    #[schemars(length(min = 9, max = 100))]
    pub start: String,
    /// Length of the time span, from `1s` to `366d`.
    pub duration: Duration,
    /// Time zone of `start`, as a name in the IANA database: `Europe/Berlin`. Default: `UTC`.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_+/-]+$"))]
    pub time_zone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}
