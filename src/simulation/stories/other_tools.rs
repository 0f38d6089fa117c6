//! Each half of Matinee alone: another tool creates the deployments, or performs them.

use std::sync::Arc;

use serde_json::json;

use super::{Bounds, Told, World, are_live, wrongs};
use crate::core::forge::{NewDeployment, StatusState};
use crate::simulation::github::sha;

pub async fn deployments_created_by_another_tool(world: Arc<World>) -> Told {
    for number in 1..=3 {
        let deployment = NewDeployment {
            sha: sha(number),
            environment: "staging".to_owned(),
            description: "by a workflow".to_owned(),
            payload: json!({"image": "registry.example.com/acme/shop:nightly"}),
            transient: false,
            production: false,
        };
        world.github.deploy(&world.repository, "CI", "github-actions[bot]", &deployment).unwrap();
        world.pass(0..=30_000).await;
    }
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    are_live(&world, &[("shop-staging", &sha(3))], &mut wrong);
    Ok(wrong)
}

pub async fn deployments_performed_by_another_tool(world: Arc<World>) -> Told {
    let repository = &world.repository;
    let bounds = Bounds { performed_by_matinee: false, ..Bounds::default() };
    world.github.push(repository, "main", &sha(1));
    world.settle().await?;
    let mut wrong = wrongs(&world, bounds);
    are_live(&world, &[], &mut wrong);
    for (environment, states) in [
        ("staging", [StatusState::InProgress, StatusState::Success]),
        ("production", [StatusState::InProgress, StatusState::Failure]),
    ] {
        let found = world.github.deployments_of(repository, &sha(1));
        let id = found.iter().find(|found| found.environment == environment).map(|found| found.id);
        let Some(id) = id else {
            wrong.push(format!("{environment} has no deployment"));
            break;
        };
        for state in states {
            world.pass(0..=60_000).await;
            world.github.set_deployment_status(repository, "tool", id, &state, "", None).unwrap();
        }
        world.settle().await?;
        wrong.extend(wrongs(&world, bounds));
    }
    Ok(wrong)
}
