//! The chart grants the operator exactly the rights that it needs: `matinee doctor` checks the same
//! list.

use k8s_openapi::api::rbac::v1::PolicyRule;
use matinee::core::doctor::rights::{Own, Place, Right, UNNEEDED, needed, uncovered};
use serde_json::from_value;

use crate::helm::objects;

/// Returns the granted rules: of the `ClusterRole` and of the Role named `matinee`.
fn granted(arguments: &[&str]) -> (Vec<PolicyRule>, Vec<PolicyRule>) {
    let objects = objects(arguments);
    let rules = |kind: &str| -> Vec<PolicyRule> {
        from_value::<Vec<PolicyRule>>(objects.get(kind, "matinee")["rules"].clone()).unwrap()
    };
    (rules("ClusterRole"), rules("Role"))
}

/// Returns all needed rights, with the chart's names.
fn all_needed() -> Vec<Right<'static>> {
    needed(&Own { secrets: vec!["github"], lease: Some("matinee"), config_map: Some("matinee-settings") })
}

#[test]
fn the_chart_grants_what_is_needed_and_nothing_of_the_rest() {
    let (everywhere, own) = granted(&[]);
    assert_eq!(uncovered(&all_needed(), &everywhere, &own), []);
    assert_eq!(uncovered(&UNNEEDED, &everywhere, &own), UNNEEDED);
}

#[test]
fn the_secrets_can_be_narrowed_to_those_that_classes_name() {
    let (everywhere, own) = granted(&["--set", "rbac.secretNames={github}"]);
    assert_eq!(uncovered(&all_needed(), &everywhere, &own), []);
    let other = needed(&Own { secrets: vec!["another"], ..Own::default() });
    assert_eq!(uncovered(&other, &everywhere, &own).len(), 1);
}

/// The doctor would never check a right that the chart grants and the list lacks.
#[test]
fn the_list_knows_every_rule_of_the_chart() {
    let (everywhere, own) = granted(&[]);
    for (rules, place) in [(everywhere, Place::Everywhere), (own, Place::OwnNamespace)] {
        for (group, resource, verb) in rules.iter().flat_map(every) {
            let known = all_needed().iter().any(|right| {
                let full = [right.resource, right.subresource].join("/");
                let same = full.trim_end_matches('/') == resource && right.group == group;
                same && right.place == place && right.verb == verb
            });
            assert!(known, "{verb} {resource} in \"{group}\" isn't in the list");
        }
    }
}

/// Returns every combination of group, resource and verb in a rule.
fn every(rule: &PolicyRule) -> Vec<(&str, &str, &str)> {
    let mut all = Vec::new();
    for group in rule.api_groups.iter().flatten() {
        for resource in rule.resources.iter().flatten() {
            all.extend(rule.verbs.iter().map(|verb| (group.as_str(), resource.as_str(), verb.as_str())));
        }
    }
    all
}
