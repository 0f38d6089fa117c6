//! Status of an environment during its deletion.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::api::DynamicObject;

use crate::api::{ConditionStatus, PreviewEnvironment, PreviewEnvironmentStatus, find_condition};
use crate::core::api_error;
use crate::core::conditions::{self, READY, Summary};
use crate::core::environment::status::{self, CONDITIONS};
use crate::core::publish::deployment_status;

/// Reason while the environment is being deleted.
const DELETING: &str = "Deleting";
/// Reason while something blocks the deletion of its namespace.
const HELD: &str = "NamespaceTerminating";
/// Conditions of a namespace that list the remaining content.
const CONTENT: &str = "NamespaceContentRemaining";
const FINALIZERS: &str = "NamespaceFinalizersRemaining";
/// Conditions of a namespace whose content Kubernetes can't find or delete.
const BROKEN: [&str; 3] = [
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
    "NamespaceDeletionContentFailure",
];
/// Usual duration of a namespace's deletion, in which pods terminate.
const AS_A_RULE: SignedDuration = SignedDuration::from_secs(10);

/// Progress of the deletion.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deletion<'a> {
    /// The namespace, while it exists.
    pub namespace: Option<&'a DynamicObject>,
    /// Why Matinee can't report the deletion to GitHub, or that the report is in progress.
    pub github: Option<&'a str>,
    /// Whether GitHub shows all deployments as inactive, or why it never will; `None` while that is
    /// open.
    pub reported: Option<Result<(), &'a str>>,
}

/// Whether the status says that the environment is being deleted.
pub fn is_said(environment: &PreviewEnvironment) -> bool {
    environment.status.as_ref().is_some_and(|status| {
        find_condition(&status.conditions, READY)
            .is_some_and(|ready| [DELETING, HELD].contains(&ready.reason.as_str()))
    })
}

/// Whether the deletion takes longer than usual.
pub fn takes_long(environment: &PreviewEnvironment, now: Timestamp) -> bool {
    let since = environment.metadata.deletion_timestamp.as_ref();
    since.is_some_and(|since| now.duration_since(since.0) >= AS_A_RULE)
}

/// Returns the status of an environment during its deletion.
pub fn status(
    environment: &PreviewEnvironment,
    deletion: &Deletion<'_>,
    now: Timestamp,
) -> PreviewEnvironmentStatus {
    let generation = environment.metadata.generation.unwrap_or_default();
    let mut status = status::or_empty(environment.status.as_ref());
    status.observed_generation = generation;
    let held = deletion.namespace.and_then(|namespace| held_by(namespace, now));
    let reason = if held.is_some() { HELD } else { DELETING };
    let named = |namespace: &DynamicObject| match &held {
        Some(held) => format!("namespace {} isn't deleted yet: {held}", namespace.name_any()),
        None => format!("namespace {} is being deleted", namespace.name_any()),
    };
    let mut causes: Vec<String> = deletion.namespace.map(named).into_iter().collect();
    causes.extend(deletion.github.map(str::to_owned));
    if held.is_none() {
        // Put the unusual cause first.
        causes.reverse();
    }
    let list = &mut status.conditions;
    conditions::initialize(list, &CONDITIONS, generation, now);
    for kind in [status::VALIDATED, status::APPLIED, status::HEALTHY, status::REACHABLE] {
        conditions::set(list, kind, ConditionStatus::Unknown, DELETING, "", generation, now);
    }
    let summary = Summary::Reconciling { reason: reason.to_owned(), message: causes.join("; ") };
    conditions::summarize(list, &summary, generation, now);
    let current = environment.spec.revision.deployment_id;
    match deletion.reported {
        None => {}
        Some(Ok(())) => {
            status.reported = deployment_status::all_inactive(&status.reported, current);
            status::set_reported(&mut status, current, Ok(()), generation, now);
        }
        Some(Err(why)) => status::set_reported(&mut status, current, Err(why), generation, now),
    }
    status
}

/// Returns why a deployment waits: the environment of the same name is still being deleted.
pub fn still_deleting(environment: &PreviewEnvironment) -> String {
    let name = environment.name_any();
    let namespace = environment.namespace().unwrap_or_default();
    let said = environment.status.as_ref().filter(|_| is_said(environment));
    let why =
        said.and_then(|status| find_condition(&status.conditions, READY)).map(|ready| ready.message.as_str());
    match why {
        Some(why) if !why.is_empty() => {
            format!("{why}; the deployment waits until PreviewEnvironment {namespace}/{name} is deleted")
        }
        _ => format!(
            "PreviewEnvironment {namespace}/{name} is still being deleted; the deployment waits for that"
        ),
    }
}

/// Returns what blocks a namespace whose deletion takes longer than usual, according to its own
/// conditions.
fn held_by(namespace: &DynamicObject, now: Timestamp) -> Option<String> {
    let since = namespace.metadata.deletion_timestamp.as_ref()?.0;
    if now.duration_since(since) < AS_A_RULE {
        return None;
    }
    let list = namespace.data["status"]["conditions"].as_array()?;
    let said = |kind: &str| {
        let found = list.iter().find(|found| found["type"] == kind && found["status"] == "True")?;
        found["message"].as_str()
    };
    // `Some resources are remaining: configmaps. has 1 resource instances`: keep the names, which
    // don't change, and drop the numbers, which do.
    let names = |message: &str, end: &str| -> Option<String> {
        let (_, all) = message.split_once(": ")?;
        let names: Vec<_> =
            all.split(", ").filter_map(|one| Some(one.split_once(end)?.0.trim_end_matches('.'))).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let content = said(CONTENT).and_then(|message| names(message, " has "));
    let finalizers = said(FINALIZERS).and_then(|message| names(message, " in "));
    let broken = BROKEN.into_iter().find_map(said).map(api_error::text);
    let text = match (content, finalizers) {
        (Some(content), Some(finalizers)) => {
            Some(format!("{content} in it with the finalizers {finalizers}"))
        }
        (Some(content), None) => Some(format!("{content} are left in it")),
        (None, Some(finalizers)) => Some(format!("objects in it have the finalizers {finalizers}")),
        (None, None) => None,
    };
    match (broken, text) {
        (Some(broken), Some(text)) => Some(format!("{broken}; {text}")),
        (broken, text) => broken.or(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 + second).unwrap()
    }

    fn environment() -> PreviewEnvironment {
        serde_json::from_value(json!({
            "apiVersion": "matinee.dev/v1alpha1", "kind": "PreviewEnvironment",
            "metadata": {"name": "shop-preview-pr-1", "namespace": "team", "generation": 2},
            "spec": {"repositoryRef": {"name": "shop"}, "environment": "preview", "githubEnvironment": "preview/pr-1",
                "revision": {"sha": "0".repeat(40)}},
        }))
        .unwrap()
    }

    fn namespace(conditions: &serde_json::Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "preview-shop-pr-1", "deletionTimestamp": at(0).to_string()},
            "status": {"conditions": conditions},
        }))
        .unwrap()
    }

    fn ready(status: &PreviewEnvironmentStatus) -> (&str, &str, &str) {
        let ready = find_condition(&status.conditions, READY).unwrap();
        (&ready.status, &ready.reason, &ready.message)
    }

    #[test]
    fn deletion_message_quotes_the_namespace_conditions() {
        let conditions = json!([
            {"type": "NamespaceContentRemaining", "status": "True",
                "message": "Some resources are remaining: configmaps. has 1 resource instances, pods. has 2 resource instances"},
            {"type": "NamespaceFinalizersRemaining", "status": "True",
                "message": "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"},
            {"type": "NamespaceDeletionContentFailure", "status": "False", "message": "All content successfully deleted"},
        ]);
        let held = namespace(&conditions);
        let deletion = Deletion { namespace: Some(&held), ..Deletion::default() };
        let mut environment = environment();
        let first = status(&environment, &deletion, at(2));
        assert_eq!(ready(&first), ("Unknown", "Deleting", "namespace preview-shop-pr-1 is being deleted"));
        environment.status = Some(first);
        assert!(is_said(&environment));
        let later = status(&environment, &deletion, at(12));
        assert_eq!(
            ready(&later),
            (
                "Unknown",
                "NamespaceTerminating",
                "namespace preview-shop-pr-1 isn't deleted yet: configmaps, pods in it with the finalizers example.com/hold"
            )
        );
        assert_eq!(later, status(&environment, &deletion, at(50)), "time alone changes nothing");
        environment.status = Some(later);
        assert_eq!(
            still_deleting(&environment),
            "namespace preview-shop-pr-1 isn't deleted yet: configmaps, pods in it with the finalizers example.com/hold; the \
             deployment waits until PreviewEnvironment team/shop-preview-pr-1 is deleted"
        );
    }

    #[test]
    fn what_keeps_github_from_knowing_comes_before_what_goes_as_a_rule() {
        let going = namespace(&json!([]));
        let deletion = Deletion {
            namespace: Some(&going),
            github: Some("GitHub did not answer: 502"),
            ..Deletion::default()
        };
        let status = status(&environment(), &deletion, at(60));
        assert_eq!(
            ready(&status).2,
            "GitHub did not answer: 502; namespace preview-shop-pr-1 is being deleted"
        );
        assert!(status.conditions.iter().all(|condition| condition.reason == "Deleting"));
    }

    #[test]
    fn environment_without_status_reports_its_deletion() {
        let mut environment = environment();
        assert!(
            still_deleting(&environment).starts_with("PreviewEnvironment team/shop-preview-pr-1 is still")
        );
        let status = status(&environment, &Deletion::default(), at(0));
        assert_eq!(ready(&status), ("Unknown", "Deleting", ""));
        assert_eq!(status.observed_generation, 2);
        environment.status = Some(status);
        assert!(is_said(&environment));
    }
}
