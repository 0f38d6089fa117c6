//! Commands in comments.

use std::sync::Arc;

use super::{Bounds, Told, World, are_live, wrongs};
use crate::api::DeploymentRequest;
use crate::core::forge::RepositoryRole;
use crate::simulation::github::sha;

pub async fn deployed_by_command(world: Arc<World>) -> Told {
    let repository = &world.repository;
    world.github.open(repository, 1, &sha(1), |_| {});
    world.pass(0..=10_000).await;
    world.github.comment(repository, 1, "ada", "/deploy staging");
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    are_live(&world, &[("shop-staging", &sha(1))], &mut wrong);
    world.github.comment(repository, 1, "eve", "/deploy staging");
    world.settle().await?;
    wrong.extend(wrongs(&world, Bounds::default()));
    let requests: Vec<DeploymentRequest> = world.all();
    if requests.len() != 1 {
        wrong.push(format!("{} requests, though eve may request nothing", requests.len()));
    }
    Ok(wrong)
}

pub async fn approved(world: Arc<World>) -> Told {
    let repository = &world.repository;
    world.github.permit(repository, "bob", RepositoryRole::Write);
    world.github.open(repository, 1, &sha(1), |_| {});
    world.pass(0..=10_000).await;
    world.github.comment(repository, 1, "bob", "/deploy production");
    // Whoever approves has read that it waits.
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    are_live(&world, &[], &mut wrong);
    world.github.comment(repository, 1, "ada", "/approve production");
    world.settle().await?;
    wrong.extend(wrongs(&world, Bounds::default()));
    are_live(&world, &[("shop-production", &sha(1))], &mut wrong);
    Ok(wrong)
}
