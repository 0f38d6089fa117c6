//! Workloads that don't simply roll forward.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Bounds, Told, World, is_live, wrongs};
use crate::simulation::github::sha;
use crate::simulation::machinery::FAILING;
use crate::simulation::world::{template_of, web};

fn job(script: &str) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"},
        "spec": {
            "ttlSecondsAfterFinished": 60,
            "template": {"spec": {
                "restartPolicy": "Never",
                "containers": [{
                    "name": "migrate", "image": "registry.example.com/acme/shop:{{ sha }}",
                    "command": ["sh", "-c", script],
                }],
            }},
        },
    })
}

/// A Job's pod template can't be changed, and finished Jobs are deleted by their TTL.
pub async fn job_replaced(world: Arc<World>) -> Told {
    let repository = &world.repository;
    let image = "registry.example.com/acme/shop:{{ sha }}";
    world.apply(&template_of(&[job(FAILING), web(image)]));
    world.github.open(repository, 1, &sha(1), |_| {});
    world.pass(0..=120_000).await;
    world.apply(&template_of(&[job("true"), web(image)]));
    for number in 2..=3 {
        world.pass(0..=60_000).await;
        world.github.push_to(repository, 1, &sha(number));
    }
    world.settle().await?;
    // The first deployment succeeds with the new Job, after it failed with the old one.
    let mut wrong = wrongs(&world, Bounds { statuses_of_a_deployment: 8, ..Bounds::default() });
    is_live(&world, &sha(3), &mut wrong);
    Ok(wrong)
}

/// A StatefulSet doesn't replace a broken pod of an earlier revision.
pub async fn stateful_set_fixed(world: Arc<World>) -> Told {
    let repository = &world.repository;
    let mut database = web("registry.example.com/acme/shop:{{ sha }}");
    database["kind"] = json!("StatefulSet");
    database["spec"]["serviceName"] = json!("web");
    world.apply(&template_of(&[database]));
    world.github.open(repository, 1, &sha(1), |_| {});
    world.pass(0..=60_000).await;
    world.github.push_to(repository, 1, &sha(0xbad));
    if world.chance(0.5) {
        world.settle().await?;
    }
    world.pass(0..=60_000).await;
    world.github.push_to(repository, 1, &sha(3));
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    is_live(&world, &sha(3), &mut wrong);
    Ok(wrong)
}
