//! What the chart grants the operator is what the operator needs: `matinee doctor` asks for the same list.
#![allow(clippy::unwrap_used)] // helpers outside of `#[test]` functions are test code too

use std::path::Path;

use k8s_openapi::api::rbac::v1::PolicyRule;
use matinee::core::doctor::rights::{Place, UNNEEDED, needed, uncovered};
use serde_json::Value;

/// The rules that are granted: of the `ClusterRole` and of the Role named `matinee`.
fn granted() -> (Vec<PolicyRule>, Vec<PolicyRule>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/matinee/rights.yaml");
    let all: Vec<Value> = serde_saphyr::from_multiple(&std::fs::read_to_string(path).unwrap()).unwrap();
    let rules = |kind: &str| {
        let is_it = |one: &&Value| one["kind"] == kind && one["metadata"]["name"] == "matinee";
        serde_json::from_value(all.iter().find(is_it).unwrap()["rules"].clone()).unwrap()
    };
    (rules("ClusterRole"), rules("Role"))
}

#[test]
fn the_chart_grants_what_is_needed_and_nothing_of_the_rest() {
    let (everywhere, own) = granted();
    assert_eq!(uncovered(&needed(), &everywhere, &own), []);
    assert_eq!(uncovered(&UNNEEDED, &everywhere, &own), UNNEEDED);
}

/// What the chart grants and the list doesn't know would never be checked.
#[test]
fn the_list_knows_every_rule_of_the_chart() {
    let (everywhere, own) = granted();
    for (rules, place) in [(everywhere, Place::Everywhere), (own, Place::OwnNamespace)] {
        for (group, resource, verb) in rules.iter().flat_map(every) {
            let known = needed().iter().any(|right| {
                let full = [right.resource, right.subresource].join("/");
                let same = full.trim_end_matches('/') == resource && right.group == group;
                same && right.place == place && right.verb == verb
            });
            assert!(known, "{verb} {resource} in \"{group}\" isn't in the list");
        }
    }
}

/// Every group, resource and verb of a rule.
fn every(rule: &PolicyRule) -> Vec<(&str, &str, &str)> {
    let mut all = Vec::new();
    for group in rule.api_groups.iter().flatten() {
        for resource in rule.resources.iter().flatten() {
            all.extend(rule.verbs.iter().map(|verb| (group.as_str(), resource.as_str(), verb.as_str())));
        }
    }
    all
}
