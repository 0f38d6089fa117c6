use serde_json::{Value, json};

use super::*;
use crate::core::doctor::Verdict;
use crate::core::doctor::class::tests::class;
use crate::core::doctor::repositories::tests::repository;

pub(in crate::adapters::github::doctor) fn grants(pairs: &[(&str, &str)]) -> Permissions {
    pairs.iter().map(|(word, level)| ((*word).to_owned(), (*level).to_owned())).collect()
}

fn all() -> Permissions {
    grants(&[
        ("checks", "read"),
        ("contents", "read"),
        ("deployments", "write"),
        ("issues", "write"),
        ("metadata", "read"),
        ("pull_requests", "write"),
        ("statuses", "write"),
    ])
}

fn registration(permissions: &Permissions, events: &[&str]) -> Registration {
    Registration {
        slug: "matinee".into(),
        html_url: "https://github.com/apps/matinee".into(),
        permissions: permissions.clone(),
        events: events.iter().map(|event| (*event).to_owned()).collect(),
        ..Registration::default()
    }
}

fn judge(granted: &Permissions, environment: Value) -> Vec<Finding> {
    permissions(&registration(granted, &[]), &Uses::of(&[repository(environment)], &[]))
}

#[test]
fn all_permissions_of_the_table_are_enough() {
    let everything = json!({"trigger": {"pullRequest": {}}, "gates": {"checks": ["ci"], "image": "a"}});
    assert_eq!(
        judge(&all(), everything),
        [Subject::new("permissions").ok("the App has all needed permissions")]
    );
}

#[test]
fn a_missing_basic_permission_is_a_problem() {
    let mut granted = all();
    granted.insert("deployments".into(), "read".into());
    let finding = &judge(&granted, json!({}))[0];
    assert_eq!(finding.verdict, Verdict::Problem);
    assert_eq!(finding.message, "the App lacks Deployments: write, needed for everything");
    assert!(finding.remedy.as_ref().unwrap().starts_with(
        "set \"Deployments: write\" under https://github.com/settings/apps/matinee/permissions"
    ));
}

#[test]
fn a_missing_permission_names_the_feature_and_its_users() {
    for (word, environment, message) in [
        (
            "pull_requests",
            json!({"trigger": {"pullRequest": {}}}),
            "Pull requests: read, needed for trigger.pullRequest of PreviewRepository team-shop/shop",
        ),
        (
            "contents",
            json!({"trigger": {"push": {"branches": ["main"]}}}),
            "Contents: read, needed for trigger.push of PreviewRepository team-shop/shop",
        ),
        (
            "checks",
            json!({"gates": {"checks": ["ci"]}}),
            "Checks: read, needed for gates.checks of PreviewRepository team-shop/shop",
        ),
        (
            "statuses",
            json!({"gates": {}}),
            "Commit statuses: write, needed for gates and locks of PreviewRepository team-shop/shop",
        ),
    ] {
        let mut granted = all();
        granted.remove(word);
        let finding = &judge(&granted, environment)[0];
        assert_eq!(finding.verdict, Verdict::Problem, "{word}");
        assert_eq!(finding.message, format!("the App lacks {message}"));
        // Nothing uses the permission, so it isn't missing.
        let unused = judge(&granted, json!({}));
        assert_eq!((unused.len(), unused[0].verdict), (1, Verdict::Ok), "{word}: {unused:?}");
    }
    let mut granted = all();
    granted.remove("contents");
    let slack = class(|class| class["slack"] = json!({"secretName": "s", "usersFrom": {"secretName": "u"}}));
    let finding = &permissions(&registration(&granted, &[]), &Uses::of(&[], &[slack]))[0];
    assert!(finding.message.ends_with("spec.slack of PreviewClass standard"), "{finding:?}");
}

#[test]
fn received_commands_need_permission_to_answer() {
    let mut granted = all();
    granted.remove("issues");
    let uses = Uses::default();
    let found = permissions(&registration(&granted, &["issue_comment"]), &uses);
    assert_eq!(found[0].verdict, Verdict::Warning);
    assert!(
        found[0].message.contains("Issues: write, so Matinee can't answer commands in comments"),
        "{found:?}"
    );
    assert_eq!(permissions(&registration(&granted, &[]), &uses)[0].verdict, Verdict::Ok);
}

#[test]
fn excess_permissions_are_a_warning() {
    let mut granted = all();
    granted.insert("administration".into(), "write".into());
    granted.insert("contents".into(), "write".into());
    let finding = &judge(&granted, json!({}))[1];
    assert_eq!(finding.verdict, Verdict::Warning);
    assert_eq!(finding.message, "Matinee doesn't need administration: write, contents: write");
}

#[test]
fn missing_events_in_use_are_warnings() {
    let found_for = |subscribed: &[&str], environment: Value| {
        events(&registration(&all(), subscribed), &Uses::of(&[repository(environment)], &[]))
    };
    assert_eq!(found_for(&["deployment"], json!({}))[0].verdict, Verdict::Ok);
    for (environment, expected) in [
        (json!({}), &["Deployments"][..]),
        (json!({"trigger": {"pullRequest": {}}}), &["Deployments", "Pull requests"]),
        (json!({"trigger": {"push": {"branches": ["main"]}}}), &["Deployments", "Pushes"]),
        (json!({"gates": {"after": ["one"]}}), &["Deployments", "Deployment statuses"]),
        (json!({"deploy": null}), &["Deployments", "Deployment statuses"]),
        (json!({"gates": {"checks": ["ci"]}}), &["Deployments", "Check runs", "Statuses"]),
    ] {
        let found = found_for(&[], environment);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (finding, name) in found.iter().zip(expected) {
            assert_eq!(finding.verdict, Verdict::Warning);
            assert!(
                finding.remedy.as_ref().unwrap().contains(&format!("subscribe to \"{name}\"")),
                "{finding:?}"
            );
        }
    }
}
