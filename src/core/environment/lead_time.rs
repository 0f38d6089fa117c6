//! Lead time: how long people wait from a change until its environment is ready for the first time.
//!
//! The start comes from timestamps in the objects, so a restart of Matinee doesn't change it:
//! 1. The creation of the DeploymentRequest, when a webhook or sweep reported the change.
//! 2. If gates held the request, or it had a start time, or it was rerun: the time at which Matinee
//!    decided to create its deployment. The wait before that is for checks, people and opening
//!    hours.
//! 3. Without a request, because somebody else created the deployment: the time at which the
//!    revision was first seen.
//!
//! The API stores times in whole seconds, so the result can be up to one second too long.

use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::api::{DeploymentRequest, PreviewEnvironment, PreviewEnvironmentStatus, Revision};
use crate::core::deployment::triggers;

/// Whether `after` is the first status in which the environment is ready with the revision.
pub fn is_first_ready(
    before: Option<&PreviewEnvironmentStatus>,
    after: &PreviewEnvironmentStatus,
    revision: &Revision,
) -> bool {
    let ready_at = |status: &PreviewEnvironmentStatus| {
        let attempt = status.history.first()?;
        (attempt.sha == revision.sha && attempt.deployment_id == revision.deployment_id)
            .then_some(attempt.ready_time.as_ref()?.0)
    };
    ready_at(after).is_some() && before.and_then(ready_at).is_none()
}

/// Returns when the wait for the environment's revision began. `seen` is when the revision was
/// first seen.
pub fn waited_since<'a>(
    environment: &PreviewEnvironment,
    requests: impl Iterator<Item = &'a DeploymentRequest>,
    seen: Timestamp,
) -> Timestamp {
    let revision = &environment.spec.revision;
    let asked_for = |request: &&DeploymentRequest| {
        let deployment = request.status.as_ref().and_then(|status| status.deployment_id);
        request.namespace() == environment.namespace()
            && triggers::is_request_of(&request.spec, &environment.spec)
            && request.spec.sha == revision.sha
            // The deployment may be reported before its id is recorded.
            && deployment.is_none_or(|id| Some(id) == revision.deployment_id)
    };
    let Some(request) = requests.filter(|_| revision.deployment_id.is_some()).find(asked_for) else {
        return seen;
    };
    let status = request.status.as_ref();
    let waited = request.spec.not_before.is_some()
        || status.is_some_and(|status| status.commit_status.is_some() || status.reruns > 0);
    let intended = status.and_then(|status| status.intent.as_ref()).map(|intent| intent.time.0);
    let created = request.creation_timestamp().map(|time| time.0);
    let since = if waited { intended } else { created };
    // A clock that was set back must not put the start after `seen`.
    since.map_or(seen, |since| since.min(seen))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const CREATED: &str = "2026-01-01T00:00:00Z";
    const INTENDED: &str = "2026-01-01T00:01:00Z";
    const SEEN: &str = "2026-01-01T00:02:00Z";

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn environment() -> PreviewEnvironment {
        serde_json::from_value(json!({
            "apiVersion": "matinee.dev/v1alpha1", "kind": "PreviewEnvironment",
            "metadata": {"name": "shop-7", "namespace": "team"},
            "spec": {"repositoryRef": {"name": "shop"}, "environment": "preview", "githubEnvironment": "preview/pr-7",
                "pullRequest": {"number": 7}, "revision": {"sha": "a".repeat(40), "deploymentId": 5}},
        }))
        .unwrap()
    }

    fn request(change: impl FnOnce(&mut Value)) -> DeploymentRequest {
        let mut object = json!({
            "apiVersion": "matinee.dev/v1alpha1", "kind": "DeploymentRequest",
            "metadata": {"name": "shop-7-aaaaaaa", "namespace": "team", "creationTimestamp": CREATED},
            "spec": {"repositoryRef": {"name": "shop"}, "environment": "preview", "sha": "a".repeat(40),
                "pullRequest": {"number": 7}},
            "status": {"deploymentId": 5, "intent": {"time": INTENDED}},
        });
        change(&mut object);
        serde_json::from_value(object).unwrap()
    }

    fn since(change: impl FnOnce(&mut Value)) -> Timestamp {
        waited_since(&environment(), [request(change)].iter(), time(SEEN))
    }

    #[test]
    fn lead_time_starts_with_the_request() {
        assert_eq!(since(|_| ()), time(CREATED));
        assert_eq!(
            since(|request| request["status"] = json!({})),
            time(CREATED),
            "its id isn't recorded yet"
        );
    }

    #[test]
    fn what_gates_and_people_take_is_not_measured() {
        assert_eq!(
            since(|request| request["status"]["commitStatus"] = json!("pending: waits")),
            time(INTENDED)
        );
        assert_eq!(since(|request| request["status"]["reruns"] = json!(1)), time(INTENDED));
        assert_eq!(since(|request| request["spec"]["notBefore"] = json!(INTENDED)), time(INTENDED));
    }

    #[test]
    fn lead_time_without_request_starts_at_first_observation() {
        for change in [
            |request: &mut Value| request["metadata"]["namespace"] = json!("other"),
            |request: &mut Value| request["spec"]["sha"] = json!("b".repeat(40)),
            |request: &mut Value| request["spec"]["environment"] = json!("staging"),
            |request: &mut Value| request["spec"]["pullRequest"]["number"] = json!(8),
            |request: &mut Value| request["status"]["deploymentId"] = json!(4),
            |request: &mut Value| request["metadata"]["creationTimestamp"] = json!("2026-01-02T00:00:00Z"),
        ] {
            assert_eq!(since(change), time(SEEN));
        }
        let mut by_hand = environment();
        by_hand.spec.revision.deployment_id = None;
        assert_eq!(waited_since(&by_hand, [request(|_| ())].iter(), time(SEEN)), time(SEEN));
    }
}
