//! Commits: their checks, branches and other refs, and statuses.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use github_stand_in::control::types::NewCheckRun;
use matinee::core::forge::{Branch, CheckState, CommitState, NewCommitStatus};
use matinee::ports::{Forge, ForgeError};
use serde_json::{Value, json};
use wiremock::MockServer;

use crate::stand_in::{World, secret};
use crate::support::{arrived, bodies, forge, in_turn, json_answer, shop};

#[tokio::test]
async fn checks_of_both_kinds_are_read_over_all_pages_and_unchanged_ones_are_free() {
    let world = World::new().await;
    let control = &world.control;
    let sha = control.push("acme/shop", "feature").await.unwrap();
    for number in 0..101 {
        let name = format!("run-{number:03}");
        let status = Some("queued".to_owned());
        let new = NewCheckRun { r#ref: sha.clone(), name, status, ..NewCheckRun::default() };
        control.set_check("acme/shop", new).await.unwrap();
    }
    control.conclude_check("acme/shop", &sha, "run-007", "skipped").await.unwrap();
    control.conclude_check("acme/shop", &sha, "run-008", "cancelled").await.unwrap();
    // Only the newest status of a context counts, whatever its case. Another context has the name
    // of a check run.
    for (context, state) in
        [("CI/Build", "failure"), ("run-007", "error"), ("ci/build", "pending"), ("ci/build", "success")]
    {
        control.set_commit_status("acme/shop", &sha, context, state).await.unwrap();
    }
    let forge = world.forge().await.unwrap();
    let checks = forge.checks(&shop(), &sha).await.unwrap();
    assert_eq!(checks.len(), 103, "{checks:?}");
    let states = |name: &str| {
        let of_name = checks.iter().filter(|check| check.name == name);
        of_name.map(|check| check.state.clone()).collect::<Vec<_>>()
    };
    let failed = |word: &str| CheckState::Failed(word.into());
    assert_eq!(states("run-000"), [CheckState::Pending]);
    assert_eq!(states("run-007"), [CheckState::Passed, failed("error")]);
    assert_eq!(states("run-008"), [failed("cancelled")]);
    assert_eq!((states("ci/build"), states("CI/Build")), (vec![CheckState::Passed], vec![]));

    world.forget().await;
    assert_eq!(forge.checks(&shop(), &sha).await.unwrap(), checks);
    assert_eq!(world.answers().await, (vec![304, 304, 304], 0));
    // Another commit has no checks yet.
    assert_eq!(forge.checks(&shop(), &control.head("acme/shop", "main").await.unwrap()).await.unwrap(), []);
}

#[tokio::test]
async fn a_job_of_two_workflows_is_two_checks() {
    let world = World::new().await;
    let sha = world.control.head("acme/shop", "main").await.unwrap();
    let job = |workflow: &str, conclusion: &str| NewCheckRun {
        r#ref: sha.clone(),
        name: "test".to_owned(),
        conclusion: Some(conclusion.to_owned()),
        workflow: Some(workflow.to_owned()),
        ..NewCheckRun::default()
    };
    world.control.set_check("acme/shop", job("unit", "failure")).await.unwrap();
    world.control.set_check("acme/shop", job("end-to-end", "success")).await.unwrap();
    let forge = world.forge().await.unwrap();
    let states = async || {
        let checks = forge.checks(&shop(), &sha).await.unwrap();
        let mut states: Vec<_> = checks.into_iter().map(|check| format!("{:?}", check.state)).collect();
        states.sort();
        states
    };
    assert_eq!(states().await, ["Failed(\"failure\")", "Passed"]);
    world.control.set_check("acme/shop", job("unit", "success")).await.unwrap();
    assert_eq!(states().await, ["Passed", "Passed"]);
}

#[tokio::test]
async fn checks_that_may_not_be_read_name_the_permission() {
    for (lacking, named) in [("checks", "Checks: read"), ("statuses", "Commit statuses: read")] {
        let (world, forge) = World::lacking(lacking).await;
        let sha = world.control.head("acme/secret", "main").await.unwrap();
        let error = forge.checks(&secret(), &sha).await.unwrap_err();
        assert!(matches!(error, ForgeError::Forbidden(_)), "{error:?}");
        assert!(error.to_string().contains(named) && error.to_string().contains("acme/secret"), "{error}");
    }
}

#[tokio::test]
async fn branches_are_read_over_all_pages_also_when_a_page_begins_after_a_full_one() {
    let world = World::new().await;
    let main = world.control.head("acme/shop", "main").await.unwrap();
    for number in 0..99 {
        world.control.set_ref("acme/shop", &format!("refs/heads/b/{number:02}"), &main).await.unwrap();
    }
    let forge = world.forge().await.unwrap();
    let full = forge.branches(&shop()).await.unwrap();
    assert_eq!(full.items.len(), 100);
    assert!(full.items.contains(&Branch { name: "b/42".into(), sha: main.clone() }));
    assert_eq!(forge.branches(&shop()).await.unwrap().version, full.version);
    // The first page doesn't change.
    let sha = world.control.push("acme/shop", "zzz").await.unwrap();
    let more = forge.branches(&shop()).await.unwrap();
    assert!(more.version > full.version);
    assert_eq!(more.items.last(), Some(&Branch { name: "zzz".into(), sha }));
    assert_eq!(more.items.len(), 101);
    world.forget().await;
    assert_eq!(forge.branches(&shop()).await.unwrap().version, more.version);
    assert_eq!(world.answers().await, (vec![304, 304], 0));
}

#[tokio::test]
async fn a_branch_is_found_by_its_very_name() {
    let world = World::new().await;
    let sha = world.control.push("acme/shop", "feature/ü#1").await.unwrap();
    let forge = world.forge().await.unwrap();
    let found = Branch { name: "feature/ü#1".into(), sha: sha.clone() };
    assert_eq!(forge.branch(&shop(), "feature/ü#1").await.unwrap().as_ref(), Some(&found));
    world.forget().await;
    assert_eq!(forge.branch(&shop(), "feature/ü#1").await.unwrap().as_ref(), Some(&found));
    assert_eq!(world.answers().await, (vec![304], 0));
    for name in ["feature", "Feature/ü#1", "feature/ü", "", ".."] {
        assert_eq!(forge.branch(&shop(), name).await.unwrap(), None, "{name}");
    }
    let next = world.control.push("acme/shop", "feature/ü#1").await.unwrap();
    assert_eq!(forge.branch(&shop(), "feature/ü#1").await.unwrap().unwrap().sha, next);

    // GitHub redirects from the old name to the new one. The adapter must still report the old
    // branch as missing, until it is created again.
    world.control.rename_branch("acme/shop", "feature/ü#1", "feature/two").await.unwrap();
    for _ in 0..2 {
        assert_eq!(forge.branch(&shop(), "feature/ü#1").await.unwrap(), None);
    }
    assert_eq!(forge.branch(&shop(), "feature/two").await.unwrap().unwrap().sha, next);
    world.control.set_ref("acme/shop", "refs/heads/feature/ü#1", &sha).await.unwrap();
    assert_eq!(forge.branch(&shop(), "feature/ü#1").await.unwrap().unwrap().sha, sha);
    world.control.delete_branch("acme/shop", "feature/two").await.unwrap();
    assert_eq!(forge.branch(&shop(), "feature/two").await.unwrap(), None);
}

#[tokio::test]
async fn a_repository_that_is_gone_says_nothing_about_its_branches() {
    let world = World::new().await;
    let forge = world.forge().await.unwrap();
    assert!(forge.branch(&shop(), "main").await.unwrap().is_some());
    world.control.delete_repository("acme/shop").await.unwrap();
    assert!(matches!(forge.branch(&shop(), "main").await, Err(ForgeError::NotFound(_))));
    assert!(matches!(forge.branches(&shop()).await, Err(ForgeError::NotFound(_))));
}

#[tokio::test]
async fn what_may_not_be_read_of_contents_names_the_permission() {
    let (_world, forge) = World::lacking("contents").await;
    for error in [
        forge.branches(&secret()).await.err().unwrap(),
        forge.branch(&secret(), "main").await.unwrap_err(),
        forge.commit(&secret(), "main").await.unwrap_err(),
    ] {
        assert!(matches!(error, ForgeError::Forbidden(_)), "{error:?}");
        assert!(error.to_string().contains("Contents: read"), "{error}");
    }
}

#[tokio::test]
async fn a_commit_is_found_by_branch_tag_and_sha() {
    let world = World::new().await;
    let sha = world.control.push("acme/shop", "feature/one").await.unwrap();
    world.control.set_ref("acme/shop", "refs/tags/v1.0/rc", &sha).await.unwrap();
    let forge = world.forge().await.unwrap();
    for name in ["feature/one", "v1.0/rc", "refs/heads/feature/one", &sha, &sha[..8]] {
        assert_eq!(forge.commit(&shop(), name).await.unwrap().as_ref(), Some(&sha), "{name}");
    }
    for name in ["feature", "nowhere/at all?", "status", "feature/one/status", &"f".repeat(40), "", "."] {
        assert_eq!(forge.commit(&shop(), name).await.unwrap(), None, "{name}");
    }
    world.forget().await;
    assert_eq!(forge.commit(&shop(), "feature/one").await.unwrap().as_ref(), Some(&sha));
    assert_eq!(world.answers().await, (vec![304], 0));
    let next = world.control.push("acme/shop", "feature/one").await.unwrap();
    assert_eq!(forge.commit(&shop(), "feature/one").await.unwrap(), Some(next));
}

#[tokio::test]
async fn only_a_missing_commit_is_none() {
    for (answer, expected) in [
        (json_answer(422, &json!({"message": "No commit found for SHA: x"})), Some(Ok(None))),
        (json_answer(404, &json!({"message": "Not Found"})), Some(Ok(None))),
        (json_answer(422, &json!({"message": "Validation Failed"})), None),
        (json_answer(409, &json!({"message": "Git PreviewRepository is empty."})), None),
        // JSON without its media type, as from a proxy that drops it.
        (json_answer(200, &json!({"sha": "a".repeat(40)})), None),
    ] {
        let server = MockServer::start().await;
        in_turn(&server, "GET", "/repos/acme/shop/commits/x", vec![answer]).await;
        let found = forge(&server).await.commit(&shop(), "x").await;
        match expected {
            Some(expected) => assert_eq!(found, expected),
            None => assert!(found.is_err(), "{found:?}"),
        }
    }
}

fn status(context: &str, state: CommitState, description: &str) -> NewCommitStatus {
    NewCommitStatus { context: context.into(), state, description: description.into(), target_url: None }
}

#[tokio::test]
async fn a_commit_status_is_created_and_its_description_cut() {
    let (server, sha) = (MockServer::start().await, "a".repeat(40));
    in_turn(&server, "POST", &format!("/repos/acme/shop/statuses/{sha}"), vec![json_answer(201, &json!({}))])
        .await;
    let forge = forge(&server).await;
    let mut wanted = status("preview", CommitState::Pending, &"é".repeat(141));
    forge.create_commit_status(&shop(), &sha, &wanted).await.unwrap();
    wanted.target_url = Some("http://pr-7.example.com".into());
    forge.create_commit_status(&shop(), &sha, &wanted).await.unwrap();
    let description = format!("{}…", "é".repeat(139));
    assert_eq!(
        bodies(&server, "POST").await,
        [
            json!({"context": "preview", "state": "pending", "description": description}),
            json!({"context": "preview", "state": "pending", "description": description,
                "target_url": "http://pr-7.example.com"}),
        ]
    );
}

#[tokio::test]
async fn of_statuses_waiting_for_one_commit_and_context_the_newest_is_sent() {
    let server = MockServer::start().await;
    let (one, two) = ("a".repeat(40), "b".repeat(40));
    let made = json_answer(201, &json!({}));
    let slow = made.clone().set_delay(Duration::from_secs(1));
    in_turn(&server, "POST", &format!("/repos/acme/shop/statuses/{one}"), vec![slow, made.clone()]).await;
    in_turn(&server, "POST", &format!("/repos/acme/shop/statuses/{two}"), vec![made]).await;
    let forge = forge(&server).await;
    let create = |sha: &str, status: NewCommitStatus| {
        let (forge, sha): (Arc<dyn Forge>, String) = (Arc::clone(&forge), sha.to_owned());
        tokio::spawn(async move { forge.create_commit_status(&shop(), &sha, &status).await })
    };
    let first = create(&one, status("preview", CommitState::Pending, "being sent"));
    arrived(&server, "POST", 1).await;
    let mut tasks = vec![first];
    for (sha, status) in [
        (&one, status("preview", CommitState::Pending, "old")),
        (&one, status("other", CommitState::Pending, "other context")),
        (&two, status("preview", CommitState::Pending, "other commit")),
        (&one, status("Preview", CommitState::Success, "new")),
    ] {
        tasks.push(create(sha, status));
        tokio::task::yield_now().await;
    }
    let outcomes: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes, [Ok(()), Err(ForgeError::Superseded), Ok(()), Ok(()), Ok(())]);
    let sent: Vec<Value> =
        bodies(&server, "POST").await.iter().map(|body| body["description"].clone()).collect();
    assert_eq!(sent, ["being sent", "new", "other context", "other commit"]);
}

#[tokio::test]
async fn a_commit_status_is_seen_among_the_checks_and_needs_a_whole_sha_and_the_permission() {
    let world = World::new().await;
    let sha = world.control.push("acme/shop", "feature").await.unwrap();
    let forge = world.forge().await.unwrap();
    let failure = status("matinee/preview", CommitState::Failure, "web: ImagePullBackOff");
    forge.create_commit_status(&shop(), &sha, &failure).await.unwrap();
    let checks = forge.checks(&shop(), &sha).await.unwrap();
    assert_eq!(checks.len(), 1);
    assert_eq!(
        (checks[0].name.as_str(), &checks[0].state),
        ("matinee/preview", &CheckState::Failed("failure".into()))
    );
    for short in [&sha[..8], "feature", ".."] {
        let refused = forge.create_commit_status(&shop(), short, &failure).await;
        assert!(matches!(refused, Err(ForgeError::Invalid(_))), "{refused:?}");
    }
    let (world, forge) = World::lacking("statuses").await;
    let sha = world.control.head("acme/shop", "main").await.unwrap();
    let error = forge.create_commit_status(&shop(), &sha, &failure).await.unwrap_err();
    assert!(
        matches!(error, ForgeError::Forbidden(_)) && error.to_string().contains("Commit statuses: write"),
        "{error}"
    );
}
