//! Commands of two installations, one of which answers no write.

use std::sync::atomic::Ordering;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::controllers::fakes::{FakeForge, World, condition, until};
use crate::ports::ForgeError;

fn said(world: &World, name: &str, kind: &str) -> String {
    let status = world.cluster.read::<api::DeploymentCommand>("team", name).status;
    status.map_or_else(String::new, |status| condition(&status.conditions, kind))
}

#[tokio::test]
async fn an_answer_that_hangs_delays_no_other_installation() {
    let (hanging, well) = (Arc::new(FakeForge::hanging()), Arc::new(FakeForge::default()));
    let mut world = World::new([("hanging", Arc::clone(&hanging)), ("well", Arc::clone(&well))]);
    let stuck: Vec<_> = (0..20).map(|number| world.command("hanging", number, "/help")).collect();
    let other = world.command("well", 1, "/help");
    let shutdown = CancellationToken::new();
    let driven = world.drive_commands(&shutdown);
    for name in &stuck {
        world.controllers.common.queues.commands.enqueue_named("team", name);
    }
    // Each command also has a reaction in the write queue.
    until("all wait for their turn", || hanging.waiting.load(Ordering::SeqCst) == 40).await;
    world.controllers.common.queues.commands.enqueue_named("team", &other);
    until("the other installation's command is answered", || {
        said(&world, &other, "Answered").starts_with("True")
    })
    .await;
    for name in &stuck {
        assert!(said(&world, name, "Executed").starts_with("True"), "recorded before it is answered");
        assert!(said(&world, name, "Answered").starts_with("Unknown Answering"));
    }
    shutdown.cancel();
    driven.await.unwrap();
}

#[tokio::test]
async fn an_answer_that_failed_is_given_once_in_the_end() {
    let forge = Arc::new(FakeForge::default());
    let mut world = World::new([("shop", Arc::clone(&forge))]);
    let name = world.command("shop", 1, "/help");
    let object = world.controllers.common.objects.commands.get("team", &name).unwrap();
    let reconcile_once =
        async || reconcile(Arc::clone(&object), Arc::clone(&world.controllers.commands)).await.unwrap();
    let answered = async || {
        until("the answer ends", || world.controllers.publisher.answers.has_result(&object)).await;
        reconcile_once().await
    };
    // The comment is written, and GitHub's response is lost.
    forge.errors.lock().unwrap().push(ForgeError::Unknown("POST: 502".to_owned()));
    reconcile_once().await;
    answered().await;
    assert_eq!(said(&world, &name, "Answered"), "False NotAnswered: GitHub did not answer: POST: 502");
    reconcile_once().await;
    assert!(world.controllers.publisher.answers.under_way().is_empty(), "it is put off");
    tokio::time::sleep(Duration::from_millis(600)).await;
    reconcile_once().await;
    answered().await;
    assert!(said(&world, &name, "Answered").starts_with("True"));
    assert_eq!(forge.counts().1, 1);
}
