use super::super::pushes::{Push, is_to_run_again};
use super::*;
use crate::api::{ANNOTATION_PULL_REQUEST_UPDATED, DeploymentRequest, DeploymentRequestSpec};
use crate::core::deployment::gates::supersession::{
    by_branch, by_request, by_source, is_replaced, overtaken, surplus, waits,
};
use crate::core::forge::{Branch, Deployment, StatusState};

fn spec(requested_by: Value) -> DeploymentRequestSpec {
    DeploymentRequestSpec {
        requested_by: serde_json::from_value(requested_by).expect("who asked"),
        ..World::new(&json!({})).request
    }
}

fn pushed(branch: &str) -> DeploymentRequestSpec {
    spec(json!({"origin": "Push", "branch": branch}))
}

fn led_to(id: i64) -> DeploymentRequestSpec {
    spec(json!({"origin": "DeploymentStatus", "deploymentId": id}))
}

fn request(name: &str, minute: i64, spec: &DeploymentRequestSpec) -> DeploymentRequest {
    let mut request = DeploymentRequest::new(name, spec.clone());
    request.metadata.namespace = Some("team".to_owned());
    request.metadata.uid = Some(format!("uid-{name}"));
    request.metadata.creation_timestamp = Some(Time(created() + SignedDuration::from_mins(minute)));
    request
}

fn deployment(id: i64, sha: &str) -> Deployment {
    Deployment {
        id,
        sha: sha.repeat(40),
        environment: "staging".to_owned(),
        payload: Value::Null,
        creator: "ada".to_owned(),
        created_at: String::new(),
    }
}

#[test]
fn a_pushed_commit_gives_way_to_its_branchs_head() {
    let head = |sha: &str| Branch { name: "main".to_owned(), sha: sha.to_owned() };
    assert_eq!(by_branch(&pushed("main"), Some(&head(SHA))), None);
    let moved = by_branch(&pushed("main"), Some(&head("2222"))).expect("superseded");
    assert_eq!((moved.reason, moved.message.as_str()), ("Superseded", "commit 2222 is the head of main now"));
    assert!(by_branch(&pushed("main"), None).is_some());
    assert_eq!(by_branch(&spec(json!({"origin": "Comment"})), Some(&head("2222"))), None);
}

#[test]
fn a_link_of_a_chain_gives_way_to_a_newer_deployment_of_its_source() {
    for (id, sha, state, gives_way) in [
        (6, "2", Some("success"), true),
        (6, "2", Some("in_progress"), true),
        (6, "2", Some("queued"), true),
        (6, "2", None, true),
        (6, "2", Some("failure"), false),
        (6, "2", Some("error"), false),
        (6, "2", Some("inactive"), false),
        (6, "1", Some("success"), false), // another deployment of the same commit leads to this same request
        (5, "2", Some("success"), false),
        (4, "2", Some("success"), false),
    ] {
        let newer = deployment(id, sha);
        assert_eq!(
            by_source(&led_to(5), [(&newer, state.map(StatusState::from).as_ref())]).is_some(),
            gives_way,
            "{id} {sha} {state:?}"
        );
    }
    let newer = deployment(6, "2");
    assert_eq!(by_source(&pushed("main"), [(&newer, Some(&StatusState::Success))]), None);
}

#[test]
fn later_explicit_request_supersedes_a_request() {
    let comment = || spec(json!({"origin": "Comment"}));
    let slack = || spec(json!({"origin": "Slack"}));
    for (own, its, gives_way) in [
        (pushed("main"), comment(), true),
        (comment(), slack(), true),
        (comment(), spec(json!({})), true),
        (comment(), pushed("main"), false),
        (comment(), led_to(9), false),
        (pushed("main"), led_to(9), false),
        // Age doesn't say which commit is the head, since a branch may be pushed back to an older
        // one.
        (pushed("main"), pushed("main"), false),
        (of("1", pushed("release-1")), of("2", pushed("release-2")), true),
        // Of two requests for the same commit, the older one proceeds.
        (pushed("release-1"), pushed("release-2"), false),
        (opened(), opened(), false),
        (opened(), comment(), true),
    ] {
        let (older, newer) = (request("a", 0, &own), request("b", 1, &its));
        let verdict = by_request(&older, [&older, &newer]);
        assert_eq!(verdict.is_some(), gives_way, "{:?} {:?}", own.requested_by, its.requested_by);
        let twins = own.requested_by.origin == its.requested_by.origin
            && own.requested_by.branch != its.requested_by.branch
            && own.sha == its.sha;
        assert_eq!(by_request(&newer, [&older, &newer]).is_some(), twins, "the newer one stays");
    }
}

#[test]
fn newer_deployment_of_the_prior_environment_wins_in_any_order() {
    let (late, early) = (request("late", 9, &led_to(5)), request("early", 0, &led_to(6)));
    let verdict = by_request(&late, [&late, &early]).expect("superseded");
    assert_eq!(verdict.message, "request early is newer");
    assert_eq!(by_request(&early, [&late, &early]), None);
}

#[test]
fn requests_of_the_same_second_are_superseded_exactly_once() {
    let comment = spec(json!({"origin": "Comment"}));
    let (one, two) = (request("a", 0, &comment), request("b", 0, &comment));
    let both = [&one, &two];
    assert_ne!(by_request(&one, both).is_some(), by_request(&two, both).is_some());
}

#[test]
fn other_environments_and_ended_requests_supersede_nothing() {
    let comment = spec(json!({"origin": "Comment"}));
    let own = request("a", 0, &comment);
    let stays = |change: fn(&mut DeploymentRequest)| {
        let mut other = request("b", 1, &comment);
        assert!(by_request(&own, [&other]).is_some());
        change(&mut other);
        by_request(&own, [&other]).is_none()
    };
    assert!(stays(|other| other.spec.environment = "staging".to_owned()));
    assert!(stays(|other| other.spec.repository_ref.name = "other".to_owned()));
    assert!(stays(|other| other.spec.pull_request = Some(crate::api::PullRequestReference { number: 7 })));
    assert!(stays(|other| other.metadata.namespace = Some("elsewhere".to_owned())));
    assert!(stays(|other| other.metadata.deletion_timestamp = Some(Time(created()))));
    assert!(stays(|other| {
        let ready = json!([{"type": "Ready", "status": "False", "reason": "Superseded", "message": "",
            "lastTransitionTime": "2026-01-05T10:00:00Z"}]);
        other.status = serde_json::from_value(json!({"conditions": ready})).expect("a status");
    }));
}

/// Returns the request with that deployment and with that reason of `Ready`.
fn deployed(mut request: DeploymentRequest, id: Option<i64>, reason: &str) -> DeploymentRequest {
    let mut conditions = Vec::new();
    let now = created();
    conditions::set(&mut conditions, conditions::READY, ConditionStatus::True, reason, "", 1, now);
    let status = json!({"observedGeneration": 1, "conditions": conditions, "deploymentId": id});
    request.status = Some(serde_json::from_value(status).expect("a status"));
    request
}

fn of(sha: &str, spec: DeploymentRequestSpec) -> DeploymentRequestSpec {
    DeploymentRequestSpec { sha: sha.repeat(40), ..spec }
}

fn opened() -> DeploymentRequestSpec {
    spec(json!({"origin": "PullRequest"}))
}

#[test]
fn a_push_back_is_told_from_what_somebody_asked_for() {
    let head = deployed(request("head", 0, &of("1", opened())), Some(5), "Succeeded");
    let other = |spec: DeploymentRequestSpec, id| deployed(request("other", 1, &spec), id, "Succeeded");
    for (newer, expected, why) in [
        (other(of("2", opened()), Some(6)), true, "pushed, and pushed back"),
        (other(of("2", spec(json!({"origin": "Comment"}))), Some(6)), false, "asked for"),
        (other(of("2", spec(json!({"origin": "Manual"}))), Some(6)), false, "asked for by hand"),
        (other(of("2", opened()), Some(4)), false, "deployed before"),
        (other(of("2", opened()), None), false, "not deployed"),
        (other(of("1", opened()), Some(6)), false, "the same commit"),
    ] {
        assert_eq!(overtaken(&head, [&head, &newer]), expected, "{why}");
    }
    let waiting = request("head", 0, &of("1", opened()));
    assert!(!overtaken(&waiting, [&other(of("2", opened()), Some(6))]), "never deployed");
}

#[test]
fn only_the_own_branch_has_a_pushed_commit_run_again() {
    let mut head = deployed(request("head", 0, &of("1", pushed("main"))), Some(5), "Succeeded");
    // The branch was seen at the commit again two minutes later.
    let push = Push::new(None, created() + SignedDuration::from_mins(2));
    head.metadata.annotations = Some([(ANNOTATION_PULL_REQUEST_UPDATED.to_owned(), push.record())].into());
    let other = |spec: DeploymentRequestSpec, id| deployed(request("other", 1, &spec), id, "Succeeded");
    for (newer, expected, why) in [
        (other(of("2", pushed("main")), Some(6)), true, "pushed, and pushed back"),
        (other(of("2", pushed("release")), Some(6)), false, "another branch of the same environment"),
        (other(of("2", spec(json!({"origin": "Comment"}))), Some(6)), false, "asked for"),
        (other(of("2", pushed("main")), Some(4)), false, "deployed before"),
        (other(of("1", pushed("main")), Some(6)), false, "the same commit"),
    ] {
        assert_eq!(is_to_run_again(&head, &[&head, &newer]), expected, "{why}");
    }
    let waiting = request("head", 0, &of("1", pushed("main")));
    assert!(
        !is_to_run_again(&waiting, &[&waiting, &other(of("2", pushed("main")), Some(6))]),
        "never deployed"
    );
}

#[test]
fn another_tools_deployment_is_replaced_after_newer_success() {
    let old = deployed(request("old", 0, &of("1", pushed("main"))), Some(5), "Deploying");
    let newer = |id, reason| deployed(request("newer", 1, &of("2", pushed("main"))), Some(id), reason);
    assert!(is_replaced(&old, 5, [&old, &newer(6, "Succeeded")]));
    assert!(!is_replaced(&old, 5, [&old, &newer(6, "Deploying")]));
    assert!(!is_replaced(&old, 5, [&old, &newer(4, "Succeeded")]));
}

#[test]
fn request_for_the_branch_head_survives_a_late_older_deployment() {
    let mut all = vec![
        deployed(request("deployed", 0, &of("1", pushed("release"))), Some(1), "Succeeded"),
        deployed(request("head", 1, &of("2", pushed("release"))), None, "Superseded"),
    ];
    for minute in 2..=7 {
        let spec = of(&minute.to_string(), pushed("main"));
        all.push(deployed(request(&format!("main-{minute}"), minute, &spec), Some(minute), "Succeeded"));
    }
    let all: Vec<&DeploymentRequest> = all.iter().collect();
    let names: Vec<_> = surplus(&all, 5).iter().filter_map(|old| old.metadata.name.as_deref()).collect();
    assert_eq!(names, ["main-2"]);
}

#[test]
fn history_is_forgotten_but_for_what_would_be_asked_for_again() {
    let mut all = vec![deployed(request("head", 0, &of("1", pushed("main"))), Some(1), "Succeeded")];
    for minute in 1..=8 {
        let spec = of(&minute.to_string(), spec(json!({"origin": "Comment"})));
        all.push(deployed(request(&format!("asked-{minute}"), minute, &spec), Some(minute + 1), "Succeeded"));
    }
    let all: Vec<&DeploymentRequest> = all.iter().collect();
    let names: Vec<_> = surplus(&all, 5).iter().filter_map(|old| old.metadata.name.as_deref()).collect();
    // The newest requests stay, and so does the one for the head, though it is the oldest.
    assert_eq!(names, ["asked-3", "asked-2", "asked-1"]);
    assert!(surplus(&all[..5], 5).is_empty());
}

#[test]
fn a_request_waits_until_its_deployment_is_created() {
    let plain = request("one", 0, &pushed("main"));
    assert!(waits(&plain));
    for (reason, expected) in [
        ("ChecksPending", true),
        ("ChecksFailed", true),
        ("SourceNotLive", true),
        ("Creating", false),
        ("Deploying", false),
        ("Succeeded", false),
        ("DeploymentFailed", false),
        ("Superseded", false),
    ] {
        // The same holds for a request that runs again and so has an earlier deployment.
        assert_eq!(waits(&deployed(plain.clone(), Some(5), reason)), expected, "{reason}");
    }
}
