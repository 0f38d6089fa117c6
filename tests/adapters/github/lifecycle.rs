//! A preview's life on GitHub, with the stand-in.

use std::time::Duration;

use github_stand_in::control::types::{FaultEffect, Limits, NewPullRequest};
use matinee::api::DeploymentState;
use matinee::core::forge::{NewDeployment, StatusState};
use matinee::ports::ForgeError;

use crate::stand_in::World;
use crate::support::{new_deployment, report, shop};

#[tokio::test]
async fn from_pull_request_to_inactive() {
    let world = World::new().await;
    let sha = world.control.push("acme/shop", "feature/ü").await.unwrap();
    let number = world.control.open_pull_request("acme/shop", "feature/ü").await.unwrap().number;
    let number = i64::try_from(number).unwrap();
    let forge = world.forge().await.unwrap();
    let pull = forge.pull_request(&shop(), number, Duration::ZERO).await.unwrap();
    assert_eq!((pull.head_sha.as_str(), pull.head_branch.as_str()), (sha.as_str(), "feature/ü"));
    assert!(pull.open && !pull.is_fork());

    let wanted = NewDeployment { sha: sha.clone(), ..new_deployment() };
    let created = forge.create_deployment(&shop(), &wanted).await.unwrap();
    assert_eq!((created.sha.as_str(), created.environment.as_str()), (sha.as_str(), "preview/pr-7"));
    assert_eq!(created.payload, wanted.payload);
    assert_eq!(created.creator, "matinee[bot]");
    assert_eq!(forge.deployment_state(&shop(), created.id).await.unwrap(), None);
    let found = forge.deployments(&shop(), "preview/pr-7", Some(&sha)).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&created));
    assert_eq!(*forge.recent_deployments(&shop()).await.unwrap().items, found);

    let mut success = report(created.id, DeploymentState::Success, &"é".repeat(200));
    success.environment_url = Some("http://pr-7-shop.preview.example.com".into());
    for report in [
        report(created.id, DeploymentState::Queued, "waiting"),
        report(created.id, DeploymentState::InProgress, "applying"),
        success.clone(),
        success,
        report(created.id, DeploymentState::Inactive, "closed"),
    ] {
        forge.create_deployment_status(&shop(), &report).await.unwrap();
    }
    assert_eq!(forge.deployment_state(&shop(), created.id).await.unwrap(), Some(StatusState::Inactive));
    let shown = world.control.deployments("acme/shop").await.unwrap();
    let states: Vec<&str> = shown[0].statuses.iter().map(|status| status.state.as_str()).collect();
    assert_eq!(states, ["queued", "in_progress", "success", "inactive"]);
    assert_eq!(shown[0].statuses[2].description.chars().count(), 140);
    let listing = forge.deployment_statuses(&shop(), created.id).await.unwrap();
    let told: Vec<_> =
        listing.items.iter().map(|status| (status.state.as_str(), status.description.as_str())).collect();
    let long = shown[0].statuses[2].description.as_str();
    assert_eq!(
        told,
        [("inactive", "closed"), ("success", long), ("in_progress", "applying"), ("queued", "waiting")]
    );
    assert_eq!(listing.items[1].environment_url.as_deref(), Some("http://pr-7-shop.preview.example.com"));
    assert_eq!(listing.items[0].environment_url, None);
    let again = forge.deployment_statuses(&shop(), created.id).await.unwrap();
    assert_eq!(again.version, listing.version);
    let agents = world.control.requests().await.unwrap();
    assert!(agents.iter().all(|request| request.user_agent.starts_with("matinee/")), "{agents:?}");
}

#[tokio::test]
async fn an_answer_lost_on_the_way_is_unknown_and_found_by_looking() {
    let world = World::new().await;
    let sha = world.control.push("acme/shop", "feature").await.unwrap();
    let forge = world.forge().await.unwrap();
    let at = "/repos/acme/shop/deployments";
    let wanted = NewDeployment { sha: sha.clone(), ..new_deployment() };
    for (effect, done) in [(FaultEffect::CloseBefore, 0), (FaultEffect::CloseAfter, 1)] {
        // This read leaves an open connection, which the next request reuses.
        forge.open_pull_requests(&shop()).await.unwrap();
        world.control.reset_requests().await.unwrap();
        world.control.break_next("POST", at, effect).await.unwrap();
        let error = forge.create_deployment(&shop(), &wanted).await.unwrap_err();
        assert!(matches!(error, ForgeError::Unknown(_)), "{error:?}");
        assert_eq!(world.requests("POST", at).await.len(), 1, "sent once");
        let found = forge.deployments(&shop(), "preview/pr-7", Some(&sha)).await.unwrap();
        assert_eq!(found.len(), done);
    }
}

#[tokio::test]
async fn unchanged_listings_are_free() {
    let world = World::new().await;
    for branch in ["a", "b", "c"] {
        world.control.push("acme/shop", branch).await.unwrap();
        world.control.open_pull_request("acme/shop", branch).await.unwrap();
    }
    let forge = world.forge().await.unwrap();
    let first = forge.open_pull_requests(&shop()).await.unwrap();
    assert_eq!(first.items.len(), 3);
    for _ in 0..3 {
        assert_eq!(forge.open_pull_requests(&shop()).await.unwrap().version, first.version);
    }
    let asked = world.requests("GET", "/repos/acme/shop/pulls*").await;
    assert_eq!(asked.iter().filter(|request| request.counted).count(), 1, "{asked:?}");
    // A new token leads to other ETags for the same content.
    world.control.expire_installation_tokens().await.unwrap();
    assert_eq!(forge.open_pull_requests(&shop()).await.unwrap().version, first.version);
    world.control.close("acme/shop", 2).await.unwrap();
    let last = forge.open_pull_requests(&shop()).await.unwrap();
    assert!(last.version > first.version);
    assert_eq!(last.items.iter().map(|pull| pull.number).collect::<Vec<_>>(), [3, 1]);
}

#[tokio::test]
async fn more_than_a_page_of_pull_requests_and_deployments() {
    let world = World::new().await;
    let sha = world.control.push("acme/shop", "feature").await.unwrap();
    for number in 0..101 {
        let branch = format!("b{number}");
        world.control.set_ref("acme/shop", &format!("refs/heads/{branch}"), &sha).await.unwrap();
        world.control.open_pull_request("acme/shop", &branch).await.unwrap();
    }
    let forge = world.forge().await.unwrap();
    let listing = forge.open_pull_requests(&shop()).await.unwrap();
    assert_eq!(listing.items.len(), 101);
    assert_eq!(forge.open_pull_requests(&shop()).await.unwrap().version, listing.version);
    let pages = world.requests("GET", "/repos/acme/shop/pulls*").await;
    assert_eq!(pages.iter().map(|page| page.status).collect::<Vec<_>>(), [200, 200, 304, 304]);
    // The second page becomes empty, and then no longer exists.
    world.control.close("acme/shop", 1).await.unwrap();
    assert_eq!(forge.open_pull_requests(&shop()).await.unwrap().items.len(), 100);
    world.control.set_ref("acme/shop", "refs/heads/last", &sha).await.unwrap();
    world.control.open_pull_request("acme/shop", "last").await.unwrap();
    assert_eq!(forge.open_pull_requests(&shop()).await.unwrap().items.len(), 101);
}

#[tokio::test]
async fn a_fork_is_told_by_its_repository_also_when_that_is_gone() {
    let world = World::new().await;
    world.control.fork("acme/shop", "mona").await.unwrap();
    world.control.push("mona/shop", "feature").await.unwrap();
    let new = NewPullRequest { head: "mona:feature".into(), draft: true, ..NewPullRequest::default() };
    let number = world.control.open("acme/shop", new).await.unwrap().number.try_into().unwrap();
    let forge = world.forge().await.unwrap();
    let pull = forge.pull_request(&shop(), number, Duration::ZERO).await.unwrap();
    assert!(pull.is_fork() && pull.draft && pull.open);
    assert_eq!(pull.author, "mona");
    world.control.delete_repository("mona/shop").await.unwrap();
    let pull = forge.pull_request(&shop(), number, Duration::ZERO).await.unwrap();
    assert_eq!(pull.head_repository_id, None);
    assert!(pull.is_fork() && !pull.open);
}

#[tokio::test]
async fn what_is_not_there_is_told_with_the_remedy() {
    let world = World::new().await;
    let forge = world.forge().await.unwrap();
    let error = forge.pull_request(&shop(), 99, Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, ForgeError::NotFound(_)), "{error:?}");
    assert!(error.to_string().contains("GET /repos/acme/shop/pulls/99: 404 Not Found"), "{error}");
    let wanted = NewDeployment { sha: "f".repeat(40), ..new_deployment() };
    let error = forge.create_deployment(&shop(), &wanted).await.unwrap_err();
    assert!(matches!(error, ForgeError::Invalid(_)), "{error:?}");
}

#[tokio::test]
async fn the_limits_of_github_are_obeyed_and_nothing_is_lost() {
    let world = World::new().await;
    let sha = world.control.push("acme/shop", "feature").await.unwrap();
    let forge = world.forge().await.unwrap();
    let wanted = NewDeployment { sha, ..new_deployment() };
    let created = forge.create_deployment(&shop(), &wanted).await.unwrap();
    let limits = Limits { content_per_minute: 3, retry_after: Some(1), ..Limits::default() };
    world.control.set_limits(limits).await.unwrap();
    for description in ["a", "b", "c"] {
        let next = report(created.id, DeploymentState::Queued, description);
        forge.create_deployment_status(&shop(), &next).await.unwrap();
    }
    let fourth = report(created.id, DeploymentState::Success, "d");
    let (forge, waiting) = (&forge, async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        world.control.set_limits(Limits::default()).await.unwrap();
    });
    let (sent, ()) =
        futures::join!(async { forge.create_deployment_status(&shop(), &fourth).await }, waiting);
    sent.unwrap();
    let statuses =
        world.requests("POST", &format!("/repos/acme/shop/deployments/{}/statuses", created.id)).await;
    let turned_away = statuses.iter().filter(|request| request.status == 403).count();
    assert!((1..=3).contains(&turned_away), "waits between attempts: {statuses:?}");
    assert_eq!(world.control.deployments("acme/shop").await.unwrap()[0].statuses.len(), 4);
}
