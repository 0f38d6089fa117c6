//! Requests of two installations, one of which answers no write.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::api::{DeploymentRequestStatus, Gates, Lock};
use crate::controllers::fakes::{FakeForge, World, condition, until};
use crate::core::forge::CommitState;
use crate::ports::ForgeError;

fn status(world: &World, name: &str) -> Option<DeploymentRequestStatus> {
    world.cluster.read::<DeploymentRequest>("team", name).status
}

fn ready_of(world: &World, name: &str) -> String {
    status(world, name).map_or_else(String::new, |status| condition(&status.conditions, "Ready"))
}

async fn reconcile_once(world: &World, name: &str) {
    let object = world.controllers.common.objects.requests.get("team", name).unwrap();
    reconcile(object, Arc::clone(&world.controllers.requests)).await.unwrap();
}

async fn written(world: &World, name: &str) {
    let object = world.controllers.common.objects.requests.get("team", name).unwrap();
    let writes = &world.controllers.publisher;
    until("the write ends", || {
        writes.deployments.has_result(&object) || writes.commit_statuses.has_result(&object)
    })
    .await;
}

#[tokio::test]
async fn an_installation_that_answers_no_write_delays_no_other() {
    let (hanging, well) = (Arc::new(FakeForge::hanging()), Arc::new(FakeForge::default()));
    let mut world = World::new([("hanging", Arc::clone(&hanging)), ("well", Arc::clone(&well))]);
    let stuck: Vec<_> = (0..20).map(|number| world.request("hanging", &format!("e{number}"))).collect();
    let other = world.request("well", "e0");
    let shutdown = CancellationToken::new();
    // The default concurrency is lower than the number of requests that wait for GitHub.
    let driven = world.drive_requests(&shutdown);
    for name in &stuck {
        world.controllers.common.queues.requests.enqueue_named("team", name);
    }
    until("all wait for their turn", || hanging.waiting.load(Ordering::SeqCst) == 20).await;
    world.controllers.common.queues.requests.enqueue_named("team", &other);
    until("the other installation's deployment exists", || {
        status(&world, &other).is_some_and(|status| status.deployment_id.is_some())
    })
    .await;
    assert!(ready_of(&world, &other).starts_with("Unknown Deploying"), "{}", ready_of(&world, &other));
    for name in &stuck {
        let status = status(&world, name).unwrap();
        assert!(status.intent.is_some() && status.deployment_id.is_none());
        let said = "Unknown Creating: waiting in the queue of writes to GitHub";
        assert_eq!(condition(&status.conditions, "Ready"), said);
    }
    shutdown.cancel();
    driven.await.unwrap();
}

#[tokio::test]
async fn a_request_that_is_not_wanted_any_more_leaves_the_queue() {
    let hanging = Arc::new(FakeForge::hanging());
    let mut world = World::new([("shop", Arc::clone(&hanging))]);
    let name = world.request("shop", "e0");
    reconcile_once(&world, &name).await;
    until("the write is waiting", || hanging.waiting.load(Ordering::SeqCst) == 1).await;
    world.repository("shop", |repository| {
        repository.spec.locks = vec![Lock {
            environment: "e0".to_owned(),
            by: "ada".to_owned(),
            reason: "we are moving house".to_owned(),
            lock_time: None,
        }];
    });
    reconcile_once(&world, &name).await;
    assert!(ready_of(&world, &name).contains("Locked"), "{}", ready_of(&world, &name));
    until("its creation was taken back", || world.controllers.publisher.deployments.under_way().is_empty())
        .await;
    // The remaining write is the commit status, which hangs too.
    until("one write is left", || hanging.waiting.load(Ordering::SeqCst) == 1).await;
    let conditions = status(&world, &name).unwrap().conditions;
    assert_eq!(condition(&conditions, "Created"), "Unknown NotReached: ");
}

#[tokio::test]
async fn a_lost_answer_is_looked_for_and_makes_no_second_deployment() {
    let forge = Arc::new(FakeForge::default());
    let mut world = World::new([("shop", Arc::clone(&forge))]);
    let name = world.request("shop", "e0");
    reconcile_once(&world, &name).await;
    written(&world, &name).await;
    assert_eq!(forge.counts().0, 1);
    // The process ends before it records the result.
    let object = world.controllers.common.objects.requests.get("team", &name).unwrap();
    world.controllers.requests.forget(&object);
    assert!(status(&world, &name).unwrap().intent.is_some());
    reconcile_once(&world, &name).await;
    written(&world, &name).await;
    reconcile_once(&world, &name).await;
    assert_eq!((forge.counts().0, status(&world, &name).unwrap().deployment_id), (1, Some(1)));
}

#[tokio::test]
async fn a_failed_creation_is_shown_and_tried_again() {
    let forge = Arc::new(FakeForge::default());
    forge.errors.lock().unwrap().push(ForgeError::Unknown("POST: 502".to_owned()));
    let mut world = World::new([("shop", Arc::clone(&forge))]);
    let name = world.request("shop", "e0");
    reconcile_once(&world, &name).await;
    written(&world, &name).await;
    reconcile_once(&world, &name).await;
    let conditions = status(&world, &name).unwrap().conditions;
    for kind in ["Ready", "Created"] {
        let said = "Unknown Creating: GitHub did not answer: POST: 502";
        assert_eq!(condition(&conditions, kind), said);
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    reconcile_once(&world, &name).await;
    written(&world, &name).await;
    reconcile_once(&world, &name).await;
    assert_eq!((forge.counts().0, status(&world, &name).unwrap().deployment_id), (1, Some(1)));
}

#[tokio::test]
async fn what_github_refuses_to_create_is_not_asked_for_again_at_once() {
    let forge = Arc::new(FakeForge::default());
    forge.errors.lock().unwrap().push(ForgeError::Forbidden("Resource not accessible".to_owned()));
    let mut world = World::new([("shop", Arc::clone(&forge))]);
    let name = world.request("shop", "e0");
    reconcile_once(&world, &name).await;
    written(&world, &name).await;
    for _ in 0..3 {
        reconcile_once(&world, &name).await;
        assert_eq!(ready_of(&world, &name), "False Refused: Resource not accessible");
        assert!(world.controllers.publisher.deployments.under_way().is_empty());
    }
    assert_eq!(forge.counts().0, 0);
}

#[tokio::test]
async fn the_last_commit_status_survives_failures() {
    let forge = Arc::new(FakeForge::default());
    let mut world = World::new([("shop", Arc::clone(&forge))]);
    world.repository("shop", |repository| {
        let gates = serde_json::json!({"checks": ["test"], "timeout": "1s"});
        let gates: Gates = serde_json::from_value(gates).unwrap();
        repository.spec.environments[0].gates = Some(gates);
    });
    let name = world.request("shop", "e0");
    reconcile_once(&world, &name).await;
    written(&world, &name).await;
    forge.errors.lock().unwrap().push(ForgeError::Unknown("POST: 502".to_owned()));
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    reconcile_once(&world, &name).await;
    let reported = || condition(&status(&world, &name).unwrap().conditions, "Reported");
    assert!(ready_of(&world, &name).contains("ChecksTimedOut"), "{}", ready_of(&world, &name));
    assert_eq!(reported(), "Unknown Reporting: ");
    written(&world, &name).await;
    reconcile_once(&world, &name).await;
    assert_eq!(reported(), "False NotReported: GitHub did not answer: POST: 502");
    tokio::time::sleep(Duration::from_millis(600)).await;
    reconcile_once(&world, &name).await;
    written(&world, &name).await;
    reconcile_once(&world, &name).await;
    assert_eq!(reported(), "True Reported: ");
    let states: Vec<_> = forge.commit_statuses.lock().unwrap().iter().map(|status| status.state).collect();
    assert_eq!(states, [CommitState::Pending, CommitState::Failure]);
    // The request has ended, and nothing more is written.
    reconcile_once(&world, &name).await;
    let object = world.controllers.common.objects.requests.get("team", &name).unwrap();
    assert!(is_over(&object));
}
