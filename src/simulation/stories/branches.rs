//! Environments that follow branches, or other environments.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Bounds, Told, World, are_live, wrongs};
use crate::api::DeploymentRequest;
use crate::core::forge::CheckState;
use crate::simulation::github::sha;

pub async fn promoted(world: Arc<World>) -> Told {
    let repository = &world.repository;
    let both = |head: &str| [("shop-staging", head.to_owned()), ("shop-production", head.to_owned())];
    world.github.push(repository, "main", &sha(1));
    world.pass(0..=30_000).await;
    world.github.check(repository, &sha(1), "test", CheckState::Passed);
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    let expected = both(&sha(1));
    let expected = expected.each_ref().map(|(name, head)| (*name, head.as_str()));
    are_live(&world, &expected, &mut wrong);
    world.github.push(repository, "main", &sha(2));
    world.pass(0..=30_000).await;
    world.github.check(repository, &sha(2), "test", CheckState::Failed("failure".to_owned()));
    world.pass(0..=120_000).await;
    world.github.push(repository, "main", &sha(3));
    world.github.check(repository, &sha(3), "test", CheckState::Pending);
    world.pass(0..=60_000).await;
    world.github.check(repository, &sha(3), "test", CheckState::Passed);
    world.settle().await?;
    wrong.extend(wrongs(&world, Bounds::default()));
    let expected = both(&sha(3));
    let expected = expected.each_ref().map(|(name, head)| (*name, head.as_str()));
    are_live(&world, &expected, &mut wrong);
    Ok(wrong)
}

/// Each branch's head is a commit of its own, and the newest push wins. Matinee knows of the first
/// push before the second one: if its webhook is lost, the sweep that finds it counts as its time.
pub async fn several_branches(world: Arc<World>) -> Told {
    let repository = &world.repository;
    world.github.push(repository, "main", &sha(1));
    world.pass(0..=120_000).await;
    while !world.all::<DeploymentRequest>().iter().any(|request| request.spec.sha == sha(1)) {
        world.pass(1_000..=1_000).await;
    }
    // GitHub reports whole seconds.
    world.pass(1_000..=1_000).await;
    world.github.push(repository, "release/1", &sha(2));
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    are_live(&world, &[("shop-staging", &sha(2))], &mut wrong);
    Ok(wrong)
}

pub async fn one_commit_on_several_branches(world: Arc<World>) -> Told {
    let repository = &world.repository;
    world.github.push(repository, "main", &sha(1));
    world.pass(0..=5_000).await;
    world.github.push(repository, "release/1", &sha(1));
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    are_live(&world, &[("shop-staging", &sha(1))], &mut wrong);
    world.github.push(repository, "release/1", &sha(2));
    world.settle().await?;
    wrong.extend(wrongs(&world, Bounds::default()));
    are_live(&world, &[("shop-staging", &sha(2))], &mut wrong);
    Ok(wrong)
}

pub async fn image_published_late(world: Arc<World>) -> Told {
    let repository = &world.repository;
    world.shared.images_exist.store(false, Ordering::SeqCst);
    world.github.push(repository, "main", &sha(1));
    world.pass(1_000..=1_800_000).await;
    let mut wrong = Vec::new();
    if !world.github.deployments_of(repository, &sha(1)).is_empty() {
        wrong.push("deployed without an image".to_owned());
    }
    world.shared.images_exist.store(true, Ordering::SeqCst);
    world.settle().await?;
    wrong.extend(wrongs(&world, Bounds::default()));
    are_live(&world, &[("shop-staging", &sha(1))], &mut wrong);
    Ok(wrong)
}
