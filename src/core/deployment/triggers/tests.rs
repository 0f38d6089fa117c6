//! Tests of the changes that events lead to, with PreviewRepositories as users write them.

use serde_json::{Value, json};

use super::*;
use crate::api::{Origin, Parameter};
use crate::core::forge::{Comment, Deployment, DeploymentStatus, PullRequest};

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

/// Returns a PreviewRepository `shop` in the namespace `team` that was created at that second.
fn repository(second: u8, environments: &Value) -> PreviewRepository {
    in_namespace("team", second, environments)
}

fn in_namespace(namespace: &str, second: u8, environments: &Value) -> PreviewRepository {
    serde_json::from_value(json!({
        "apiVersion": "matinee.dev/v1alpha1", "kind": "PreviewRepository",
        "metadata": {
            "name": "shop", "namespace": namespace, "uid": format!("uid-in-{namespace}"),
            "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z"),
        },
        "spec": {"repository": "acme/shop", "className": "standard", "environments": environments},
    }))
    .unwrap()
}

fn name() -> RepositoryName {
    // GitHub ignores case.
    "Acme/Shop".parse().unwrap()
}

fn of(event: &Event, repositories: &[PreviewRepository]) -> Vec<Change> {
    changes(event, &repositories.iter().collect::<Vec<_>>(), "cluster-1")
}

/// Returns the requests among the changes, as namespace, name and spec.
fn requests(
    event: &Event,
    repositories: &[PreviewRepository],
) -> Vec<(String, String, DeploymentRequestSpec)> {
    of(event, repositories)
        .into_iter()
        .filter_map(|change| match change {
            Change::Request { namespace, name, spec, version } => {
                assert_eq!(version, None);
                Some((namespace, name, spec))
            }
            _ => None,
        })
        .collect()
}

fn names_of(event: &Event, repositories: &[PreviewRepository]) -> Vec<String> {
    requests(event, repositories).into_iter().map(|(_, name, _)| name).collect()
}

fn push(branch: &str) -> Event {
    Event::Push { repository: name(), branch: branch.into(), sha: SHA.into(), pushed_at: None }
}

fn deployment(environment: &str) -> Deployment {
    Deployment {
        id: 5,
        sha: SHA.into(),
        environment: environment.into(),
        payload: Value::Null,
        creator: "mona".into(),
        created_at: "2026-01-02T03:04:05Z".into(),
    }
}

fn status(environment: &str, state: &str) -> Event {
    status_at(environment, state, "2026-01-02T03:04:05Z")
}

fn status_at(environment: &str, state: &str, created_at: &str) -> Event {
    Event::DeploymentStatus {
        repository: name(),
        deployment: deployment(environment),
        status: DeploymentStatus {
            id: 9,
            state: state.into(),
            description: String::new(),
            environment_url: None,
            created_at: created_at.into(),
        },
    }
}

fn comment(change: impl FnOnce(&mut Comment)) -> Event {
    let mut comment = Comment {
        id: 31,
        number: 7,
        on_pull_request: true,
        author: "mona".into(),
        bot: false,
        edited: false,
        body: "Ship it.\n/deploy staging\n/approve production".into(),
        created_at: "2026-01-02T03:04:05Z".into(),
    };
    change(&mut comment);
    Event::Comment { repository: name(), comment }
}

#[test]
fn selected_pull_request_is_requested_with_its_version() {
    let repository = repository(1, &json!([{"name": "preview", "trigger": {"pullRequest": {}}}]));
    let event = Event::PullRequest {
        repository: name(),
        pull_request: PullRequest {
            number: 7,
            open: true,
            head_sha: SHA.into(),
            head_branch: "topic".into(),
            head_repository_id: Some(1),
            base_repository_id: 1,
            base_branch: "main".into(),
            draft: false,
            author: "mona".into(),
            bot: false,
            labels: Vec::new(),
            merge_commit_sha: None,
            updated_at: "2026-01-02T03:04:05Z".into(),
        },
    };
    match &of(&event, &[repository])[..] {
        [Change::Request { name, spec, version, .. }] => {
            assert_eq!(name, "shop-preview-pr-7-0123456789ab");
            assert_eq!(spec.requested_by.origin, Origin::PullRequest);
            assert!(version.as_deref().is_some_and(|at| at.starts_with("2026-01-02T03:04:05Z ")));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_push_to_a_branch_that_is_followed_is_asked_for() {
    let environments = json!([
        {"name": "staging", "trigger": {"push": {"branches": ["main", "release/*"]}}},
        {"name": "docs", "trigger": {"push": {"branches": ["docs"]}}},
        {"name": "preview", "trigger": {"pullRequest": {}}},
        {"name": "production"},
    ]);
    let repositories = [repository(1, &environments)];
    let asked = requests(&push("release/1.2"), &repositories);
    let [(namespace, name, spec)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((namespace.as_str(), name.as_str()), ("team", "shop-staging-0123456789ab"));
    assert_eq!((spec.repository_ref.name.as_str(), spec.environment.as_str()), ("shop", "staging"));
    assert_eq!((spec.sha.as_str(), &spec.pull_request, &spec.not_before), (SHA, &None, &None));
    assert_eq!(spec.requested_by.origin, Origin::Push);
    assert_eq!(spec.requested_by.branch.as_deref(), Some("release/1.2"));
    assert_eq!(names_of(&push("main"), &repositories), ["shop-staging-0123456789ab"]);
    assert!(of(&push("release/1.2/x"), &repositories).is_empty());
    let elsewhere = Event::Push {
        repository: "acme/other".parse().unwrap(),
        branch: "main".into(),
        sha: SHA.into(),
        pushed_at: None,
    };
    assert!(of(&elsewhere, &repositories).is_empty());
}

#[test]
fn only_the_holder_of_an_environment_requests_deployments() {
    let environments = json!([{"name": "staging", "trigger": {"push": {"branches": ["main"]}}}]);
    let mut repositories = [in_namespace("young", 2, &environments), in_namespace("old", 1, &environments)];
    let asked = requests(&push("main"), &repositories);
    assert!(matches!(&asked[..], [(namespace, ..)] if namespace == "old"), "{asked:?}");

    let chain = json!([
        {"name": "staging"}, {"name": "production", "trigger": {"deploymentStatus": {"environment": "staging"}}},
    ]);
    // The younger one follows an environment that the older one owns, and owns the next environment
    // itself.
    repositories[0] = in_namespace("young", 2, &chain);
    let asked = requests(&status("staging", "success"), &repositories);
    assert!(matches!(&asked[..], [(namespace, ..)] if namespace == "young"), "{asked:?}");
}

#[test]
fn a_deployment_that_reached_the_state_leads_to_the_next_environment() {
    let chain = |state: &str| {
        [repository(
            1,
            &json!([
                {"name": "staging", "githubEnvironment": "Staging Area"},
                {"name": "production", "trigger": {"deploymentStatus": {"environment": "staging", "state": state}}},
                {"name": "elsewhere", "trigger": {"deploymentStatus": {"environment": "production", "state": state}}},
            ]),
        )]
    };
    let asked = requests(&status("staging area", "success"), &chain("Success"));
    let [(_, name, spec)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(name, "shop-production-0123456789ab");
    assert_eq!(spec.requested_by.origin, Origin::DeploymentStatus);
    assert_eq!(spec.requested_by.deployment_id, Some(5));
    assert_eq!((spec.sha.as_str(), &spec.pull_request, &spec.not_before), (SHA, &None, &None));

    for (state, words) in [("Success", &["success"][..]), ("Failure", &["failure", "error"])] {
        for word in
            ["queued", "pending", "in_progress", "success", "failure", "error", "inactive", "of tomorrow"]
        {
            let asked = names_of(&status("Staging Area", word), &chain(state));
            assert_eq!(!asked.is_empty(), words.contains(&word), "{state} {word}: {asked:?}");
        }
    }
}

#[test]
fn a_soak_is_counted_from_the_status() {
    let chain = |soak: &str| {
        let trigger = json!({"deploymentStatus": {"environment": "staging", "soak": soak}});
        [repository(1, &json!([{"name": "staging"}, {"name": "production", "trigger": trigger}]))]
    };
    let not_before = |soak: &str, created_at: &str| {
        let asked = requests(&status_at("staging", "success", created_at), &chain(soak));
        asked.first().map(|(_, _, spec)| spec.not_before.as_ref().unwrap().0.to_string())
    };
    assert_eq!(not_before("30m", "2026-01-02T03:04:05Z").as_deref(), Some("2026-01-02T03:34:05Z"));
    assert_eq!(not_before("1d", "2026-01-02T03:04:05+02:00").as_deref(), Some("2026-01-03T01:04:05Z"));
    for unreadable in ["", "yesterday", "2026-01-02"] {
        assert_eq!(not_before("30m", unreadable), None, "{unreadable}");
    }
    assert_eq!(not_before("999999d999999d999999d", "2026-01-02T03:04:05Z"), None, "beyond any time");
    // Without a `soak`, the time isn't needed.
    let trigger = json!({"deploymentStatus": {"environment": "staging"}});
    let plain = [repository(1, &json!([{"name": "staging"}, {"name": "production", "trigger": trigger}]))];
    assert_eq!(names_of(&status_at("staging", "success", ""), &plain).len(), 1);
}

#[test]
fn a_pull_request_is_handed_on_to_environments_of_pull_requests_alone() {
    let trigger = json!({"deploymentStatus": {"environment": "preview"}});
    let repositories = [repository(
        1,
        &json!([
            {"name": "preview", "trigger": {"pullRequest": {}}},
            {"name": "e2e", "githubEnvironment": "e2e/{number}", "trigger": trigger},
            {"name": "canary", "trigger": trigger},
        ]),
    )];
    let asked = requests(&status("preview/pr-7", "success"), &repositories);
    let asked: Vec<_> = asked
        .iter()
        .map(|(_, name, spec)| (name.as_str(), spec.pull_request.as_ref().map(|reference| reference.number)))
        .collect();
    assert_eq!(asked, [("shop-e2e-pr-7-0123456789ab", Some(7)), ("shop-canary-0123456789ab", None)]);
}

#[test]
fn whoever_waits_for_a_deployment_hears_of_each_of_its_statuses() {
    let repositories = [repository(1, &json!([{"name": "staging"}, {"name": "docs"}]))];
    for state in ["in_progress", "inactive"] {
        assert_eq!(
            of(&status("STAGING", state), &repositories),
            [Change::Followed { namespace: "team".into(), repository: "shop".into(), deployment_id: 5 }]
        );
    }
    assert!(of(&status("elsewhere", "success"), &repositories).is_empty());
}

#[test]
fn a_chain_in_a_loop_leads_nowhere() {
    let repositories = [repository(
        1,
        &json!([
            {"name": "staging", "trigger": {"deploymentStatus": {"environment": "production"}}},
            {"name": "production", "trigger": {"deploymentStatus": {"environment": "staging"}}},
        ]),
    )];
    let found = of(&status("staging", "success"), &repositories);
    assert!(matches!(&found[..], [Change::Followed { .. }]), "{found:?}");
}

#[test]
fn checks_are_told_to_repositories_with_gates_for_them() {
    let event = Event::Checks { repository: name(), sha: SHA.into() };
    for (gates, waits) in [
        (json!({"checks": ["ci"]}), true),
        (json!({"image": "registry.example/shop:{{ sha }}"}), true),
        (json!({"approvals": 1, "after": ["preview"]}), false),
        (json!({}), false),
    ] {
        let repositories =
            [repository(1, &json!([{"name": "preview"}, {"name": "staging", "gates": gates}]))];
        let checked =
            Change::Checked { namespace: "team".into(), repository: "shop".into(), sha: SHA.into() };
        assert_eq!(of(&event, &repositories), if waits { vec![checked] } else { Vec::new() }, "{gates}");
    }
}

#[test]
fn each_line_of_a_comment_is_a_command() {
    let repositories = [repository(1, &json!([{"name": "preview"}]))];
    let found = of(&comment(|_| ()), &repositories);
    let [Change::Command { namespace, name, spec }, Change::Command { name: second, spec: other, .. }] =
        &found[..]
    else {
        panic!("{found:?}")
    };
    assert_eq!((namespace.as_str(), name.as_str()), ("team", "shop-comment-31"));
    assert_eq!((spec.repository_ref.name.as_str(), spec.login.as_str()), ("shop", "mona"));
    assert_eq!(spec.text, "/deploy staging");
    let at = spec.comment.as_ref().unwrap();
    assert_eq!((at.id, at.pull_request.number, &spec.slack), (31, 7, &None));
    assert_eq!((second.as_str(), other.text.as_str()), ("shop-comment-31-2", "/approve production"));

    // A command that is too long becomes an object too, and is answered as not understood.
    let long = format!("/lock staging {}", "é".repeat(2_000));
    let found = of(&comment(|comment| comment.body = long.clone()), &repositories);
    assert!(
        matches!(&found[..], [Change::Command { spec, .. }] if spec.text.chars().count() == 1_000),
        "{found:?}"
    );
}

#[test]
fn bots_edited_comments_and_prose_give_no_commands() {
    let repositories = [repository(1, &json!([{"name": "preview"}]))];
    let changes: [fn(&mut Comment); 5] = [
        |comment| comment.bot = true,
        |comment| comment.edited = true,
        |comment| comment.on_pull_request = false,
        |comment| comment.author = String::new(),
        |comment| comment.body = "I would not /deploy this".into(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert!(of(&comment(change), &repositories).is_empty(), "{number}");
    }
}

#[test]
fn of_several_repositories_the_oldest_answers() {
    let environments = json!([{"name": "preview"}]);
    let mut repositories = [
        in_namespace("young", 2, &environments),
        in_namespace("oldest", 1, &environments),
        // The same age: the UID decides.
        in_namespace("oldest-too", 1, &json!([{"name": "docs"}])),
    ];
    let answering = |repositories: &[PreviewRepository]| {
        let found = of(&comment(|comment| comment.body = "/where".into()), repositories);
        match &found[..] {
            [Change::Command { namespace, .. }] => namespace.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(answering(&repositories), "oldest");
    repositories.reverse();
    assert_eq!(answering(&repositories), "oldest");
    repositories[1].metadata.deletion_timestamp = repositories[1].metadata.creation_timestamp.clone();
    assert_eq!(answering(&repositories), "oldest-too");
    repositories[0].spec.repository = "acme/other".into();
    assert_eq!(answering(&repositories), "young");
}

#[test]
fn parameters_travel_in_the_payload() {
    let repositories =
        [repository(1, &json!([{"name": "staging", "deploy": {"template": {"ref": {"name": "web"}}}}]))];
    let event = |cluster: &str| {
        let mark = json!({"cluster": cluster, "request": "uid.1", "parameters": {"replicas": "2", "not a name": "x"}});
        let payload = json!({"matinee": mark, "image": "app:1"});
        Event::Deployment { repository: name(), deployment: Deployment { payload, ..deployment("staging") } }
    };
    match &of(&event("cluster-1"), &repositories)[..] {
        [Change::Deploy { name, spec, request, .. }] => {
            assert_eq!((name.as_str(), request.as_deref()), ("shop-staging", Some("uid")));
            assert_eq!(spec.revision.parameters, [Parameter { name: "replicas".into(), value: "2".into() }]);
            assert_eq!(spec.revision.payload, Some(json!({"image": "app:1"})));
        }
        other => panic!("{other:?}"),
    }
    assert!(of(&event("cluster-2"), &repositories).is_empty(), "another cluster's");
}
