//! The rights that the chart grants the operator are those that `matinee doctor` checks.

use std::collections::BTreeSet;

use matinee::core::doctor::rbac::{Own, needed};
use serde_json::Value;

use crate::helm::{list, objects};

/// A right: namespace, group, resource with subresource, verb, and name of the only object.
type Right = [String; 5];

/// Returns the rights that the `ClusterRole` and the Role of the operator grant.
fn granted(arguments: &[&str]) -> BTreeSet<Right> {
    let objects = objects(arguments);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut rights = BTreeSet::new();
    for (kind, namespace) in [("ClusterRole", ""), ("Role", "matinee-system")] {
        for rule in list(&objects.get(kind, "matinee")["rules"]) {
            let names = match rule["resourceNames"].as_array() {
                Some(names) => names.iter().map(text).collect(),
                None => vec![String::new()],
            };
            for (group, resource) in list(&rule["apiGroups"])
                .iter()
                .flat_map(|group| list(&rule["resources"]).iter().map(move |resource| (group, resource)))
            {
                rights.extend(list(&rule["verbs"]).iter().flat_map(|verb| {
                    let parts = [namespace.to_owned(), text(group), text(resource), text(verb)];
                    names.iter().map(move |name| {
                        let [namespace, group, resource, verb] = parts.clone();
                        [namespace, group, resource, verb, name.clone()]
                    })
                }));
            }
        }
    }
    rights
}

/// Returns the rights that the doctor checks.
fn checked(own: &Own<'_>) -> BTreeSet<Right> {
    let rights = needed(own).into_iter().map(|right| {
        let subresource = right.subresource.map(|part| format!("/{part}")).unwrap_or_default();
        let resource = format!("{}{subresource}", right.resource.unwrap_or_default());
        let [namespace, group, verb, name] =
            [right.namespace, right.group, right.verb, right.name].map(Option::unwrap_or_default);
        [namespace, group, resource, verb, name]
    });
    rights.collect()
}

#[test]
fn the_doctor_checks_every_granted_right_and_no_other() {
    let own = Own {
        namespace: "matinee-system",
        secrets: vec!["github", "slack"],
        lease: Some("matinee"),
        config_map: Some("matinee-settings"),
    };
    let granted = granted(&["--set", "rbac.secretNames={github,slack}"]);
    assert!(granted.len() > 100, "{granted:?}");
    assert_eq!(granted, checked(&own));
}

#[test]
fn secrets_may_be_granted_by_kind() {
    let secrets = |right: &&Right| right[2] == "secrets";
    let granted = granted(&[]);
    assert_eq!(
        granted.iter().filter(secrets).collect::<Vec<_>>(),
        [&["matinee-system", "", "secrets", "get", ""].map(str::to_owned)]
    );
}
