//! Conditions of a class.

use kube::ResourceExt as _;

use super::{Finding, Subject, Unread, some_of};
use crate::api::{ConditionStatus, PreviewClass, find_condition};
use crate::core::conditions::READY;

/// Checks that the operator has accepted the present generation of the class.
pub fn ready(class: &PreviewClass) -> Finding {
    let subject = Subject::new("Ready");
    let status =
        class.status.as_ref().filter(|status| Some(status.observed_generation) == class.metadata.generation);
    let Some(status) = status else {
        return subject.problem(
            "the operator hasn't reconciled the class since its last change",
            "check that the operator runs: see its Lease above, and its log",
        );
    };
    match find_condition(&status.conditions, READY) {
        Some(ready) if ready.status == ConditionStatus::True.as_str() => {
            subject.ok("the operator has reconciled the class and can use it")
        }
        Some(ready) if ready.status == ConditionStatus::False.as_str() => subject.problem(
            format!("{}: {}", ready.reason, ready.message),
            format!("correct it: docs/troubleshooting.md explains {}", ready.reason),
        ),
        _ => subject.warning(
            "the operator is still reconciling the class",
            format!("run the doctor again, and see `kubectl describe previewclass {}`", class.name_any()),
        ),
    }
}

/// Returns the Secrets in the operator's namespace that classes name, each once.
pub fn secrets(classes: &[PreviewClass]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for class in classes {
        names.push(&class.spec.forge.github.secret_name);
        if let Some(slack) = &class.spec.slack {
            names.push(&slack.secret_name);
            names.extend(slack.users_from.secret_name.as_deref());
        }
        names.extend(class.spec.registries.iter().filter_map(|registry| registry.secret_name.as_deref()));
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// Checks that there are classes to examine. `wanted` is the requested class.
pub fn found(classes: &Result<Vec<PreviewClass>, Unread>, wanted: Option<&str>) -> Option<Finding> {
    let subject = Subject::new("PreviewClasses");
    let names: Vec<String> = match classes {
        Ok(classes) => classes.iter().map(kube::ResourceExt::name_any).collect(),
        Err(unread) => return Some(subject.unread(unread)),
    };
    let create = "create one: docs/previews.md shows an example";
    match wanted {
        None if names.is_empty() => Some(subject.warning("none exists, so there can be no previews", create)),
        Some(wanted) if !names.iter().any(|name| name == wanted) => {
            let existing = format!("name an existing class with --class: {}", some_of(&names, 10));
            let remedy = if names.is_empty() { create } else { &existing };
            Some(Subject::new(format!("PreviewClass {wanted}")).problem("not found", remedy))
        }
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::super::Verdict;
    use super::*;

    /// Returns a class as the API server shows it, with a changed spec.
    pub(crate) fn class(change: impl FnOnce(&mut serde_json::Value)) -> PreviewClass {
        let mut spec = json!({
            "grants": [{"repositories": ["acme/*"], "namespaces": ["*"]}],
            "forge": {"github": {"url": "https://api.github.com", "secretName": "github"}},
            "routing": {"domain": "preview.example.com", "gateway": {"name": "public", "namespace": "gateway"}},
        });
        change(&mut spec);
        serde_json::from_value(json!({
            "apiVersion": "matinee.dev/v1alpha1",
            "kind": "PreviewClass",
            "metadata": {"name": "standard", "generation": 2},
            "spec": spec,
        }))
        .unwrap()
    }

    fn with(observed: i64, status: &str) -> Finding {
        let mut class = class(|_| ());
        let condition = json!({
            "type": "Ready", "status": status, "reason": "SecretMissing", "message": "there is no Secret m/github",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        class.status =
            serde_json::from_value(json!({"observedGeneration": observed, "conditions": [condition]}))
                .unwrap();
        ready(&class)
    }

    #[test]
    fn a_class_must_be_reconciled_and_ready() {
        assert_eq!(with(2, "True").verdict, Verdict::Ok);
        let bad = with(2, "False");
        assert_eq!(bad.verdict, Verdict::Problem);
        assert_eq!(bad.message, "SecretMissing: there is no Secret m/github");
        assert!(bad.remedy.unwrap().contains("docs/troubleshooting.md explains SecretMissing"));
        assert_eq!(with(2, "Unknown").verdict, Verdict::Warning);
        for unseen in [with(1, "True"), ready(&class(|_| ()))] {
            assert_eq!(unseen.verdict, Verdict::Problem);
            assert!(unseen.remedy.unwrap().contains("Lease"));
        }
    }

    #[test]
    fn the_requested_class_must_exist() {
        let classes = Ok(vec![class(|_| ())]);
        assert_eq!(found(&classes, Some("standard")), None);
        assert_eq!(found(&classes, None), None);
        let missing = found(&classes, Some("other")).unwrap();
        assert_eq!(missing.verdict, Verdict::Problem);
        assert!(missing.remedy.unwrap().contains("--class: standard"));
        assert!(found(&Ok(vec![]), Some("other")).unwrap().remedy.unwrap().contains("docs/previews.md"));
        assert_eq!(found(&Ok(vec![]), None).unwrap().verdict, Verdict::Warning);
        assert_eq!(found(&Err(Unread::Forbidden), None).unwrap().verdict, Verdict::Skipped);
    }
}
