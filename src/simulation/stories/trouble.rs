//! Mistakes in templates, outages, and changes of the leader.

use std::sync::Arc;

use serde_json::json;

use super::{Bounds, Told, World, is_live, wrongs};
use crate::ports::ClusterError;
use crate::simulation::github::sha;
use crate::simulation::world::{template, template_of, web};

pub async fn template_mistake(world: Arc<World>) -> Told {
    let repository = &world.repository;
    world.apply(&template("registry.example.com/acme/shop:{{ nothing }}"));
    world.github.open(repository, 1, &sha(1), |_| {});
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    world.apply(&template("registry.example.com/acme/shop:{{ sha }}"));
    world.settle().await?;
    wrong.extend(wrongs(&world, Bounds::default()));
    is_live(&world, &sha(1), &mut wrong);
    Ok(wrong)
}

pub async fn github_outage(world: Arc<World>) -> Told {
    let repository = &world.repository;
    world.github.open(repository, 1, &sha(1), |_| {});
    world.pass(0..=10_000).await;
    if world.chance(0.5) {
        world.weather.forge_outage(world.time(1_000..=1_200_000));
    } else {
        world.weather.forge_rate_limit(world.time(1_000..=1_200_000));
    }
    world.pass(0..=60_000).await;
    world.github.push_to(repository, 1, &sha(2));
    world.pass(1_200_000..=1_300_000).await;
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    is_live(&world, &sha(2), &mut wrong);
    Ok(wrong)
}

pub async fn cluster_outage(world: Arc<World>) -> Told {
    let repository = &world.repository;
    world.github.open(repository, 1, &sha(1), |_| {});
    world.pass(0..=10_000).await;
    world.weather.cluster_outage(world.time(1_000..=600_000));
    world.pass(0..=60_000).await;
    world.github.push_to(repository, 1, &sha(2));
    world.pass(600_000..=700_000).await;
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    is_live(&world, &sha(2), &mut wrong);
    Ok(wrong)
}

/// A second replica leads while the first one still has calls in flight.
pub async fn leadership_changes(world: Arc<World>) -> Told {
    let repository = &world.repository;
    world.github.open(repository, 1, &sha(1), |_| {});
    for number in 2..=3 {
        world.pass(0..=8_000).await;
        world.change_leader().await;
        world.pass(0..=8_000).await;
        world.github.push_to(repository, 1, &sha(number));
    }
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    is_live(&world, &sha(3), &mut wrong);
    Ok(wrong)
}

/// An admission controller rejects the second of two objects, or fails, while the first one has been
/// applied already. Then the template has neither any more.
pub async fn objects_rejected_and_removed(world: Arc<World>) -> Told {
    let repository = &world.repository;
    let config = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    world.apply(&template_of(&[
        config("alpha"),
        config("zeta"),
        web("registry.example.com/acme/shop:{{ sha }}"),
    ]));
    let fails = world.chance(0.5);
    world.reject(move |place, _| {
        let rejected = place.kind == "ConfigMap" && place.name == "zeta";
        rejected.then(|| {
            if fails {
                return ClusterError::Unavailable("the admission webhook doesn't answer".to_owned());
            }
            let message = "admission webhook \"names\" denied the request: no zeta".to_owned();
            ClusterError::Refused { code: 403, message }
        })
    });
    world.github.open(repository, 1, &sha(1), |_| {});
    world.pass(1_000..=90_000).await;
    world.apply(&template("registry.example.com/acme/shop:{{ sha }}"));
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    is_live(&world, &sha(1), &mut wrong);
    for place in world.server.places(|place| place.kind == "ConfigMap") {
        wrong.push(format!("{place} is left"));
    }
    Ok(wrong)
}
