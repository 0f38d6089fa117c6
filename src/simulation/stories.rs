//! Lives of pull requests and environments. Each story tells what people, CI and the network do, and
//! returns what is wrong at its end.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::Value;

use super::github::sha;
use super::oracles::{Bounds, only, wrongs};
use super::world::{World, previews};
use crate::api::{PreviewEnvironment, find_condition};

/// A story, with the environments of its PreviewRepository.
pub struct Story {
    pub name: &'static str,
    pub environments: fn() -> Value,
    pub tell: fn(Arc<World>) -> BoxFuture<'static, Result<Vec<String>, String>>,
}

/// All stories.
pub const ALL: &[Story] = &[
    Story {
        name: "opened-and-closed",
        environments: previews,
        tell: |world| opened_and_closed(world).boxed(),
    },
    Story { name: "pushed", environments: previews, tell: |world| pushed(world).boxed() },
    Story { name: "pushed-back", environments: previews, tell: |world| pushed_back(world).boxed() },
    Story { name: "broken-and-fixed", environments: previews, tell: |world| broken_and_fixed(world).boxed() },
    Story { name: "closed-early", environments: previews, tell: |world| closed_early(world).boxed() },
    Story {
        name: "closed-and-reopened",
        environments: previews,
        tell: |world| closed_and_reopened(world).boxed(),
    },
];

/// Checks that one environment is ready with this commit.
fn is_live(world: &World, head: &str, wrong: &mut Vec<String>) {
    match only::<PreviewEnvironment>(world) {
        Ok(environment) => {
            let ready =
                environment.status.as_ref().and_then(|status| find_condition(&status.conditions, "Ready"));
            if environment.spec.revision.sha != head || ready.is_none_or(|ready| ready.status != "True") {
                wrong.push(format!("the environment isn't ready with {head}: {ready:?}"));
            }
        }
        Err(error) => wrong.push(error),
    }
}

fn is_empty(world: &World, wrong: &mut Vec<String>) {
    let namespaces = world.preview_namespaces();
    if !namespaces.is_empty() {
        wrong.push(format!("namespaces are left: {namespaces:?}"));
    }
}

async fn opened_and_closed(world: Arc<World>) -> Result<Vec<String>, String> {
    let repository = &world.repository;
    world.github.open(repository, 1, &sha(1), |_| {});
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    is_live(&world, &sha(1), &mut wrong);
    world.github.close(repository, 1);
    world.settle().await?;
    wrong.extend(wrongs(&world, Bounds::default()));
    is_empty(&world, &mut wrong);
    Ok(wrong)
}

async fn pushed(world: Arc<World>) -> Result<Vec<String>, String> {
    let repository = &world.repository;
    world.github.open(repository, 1, &sha(1), |_| {});
    for number in 2..=4 {
        world.pass(0..=20_000).await;
        world.github.push_to(repository, 1, &sha(number));
    }
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    is_live(&world, &sha(4), &mut wrong);
    Ok(wrong)
}

async fn pushed_back(world: Arc<World>) -> Result<Vec<String>, String> {
    let repository = &world.repository;
    world.github.open(repository, 1, &sha(1), |_| {});
    for number in [2, 1, 2] {
        world.pass(0..=90_000).await;
        world.github.push_to(repository, 1, &sha(number));
    }
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds { deployments_of_a_commit: 2, ..Bounds::default() });
    is_live(&world, &sha(2), &mut wrong);
    Ok(wrong)
}

async fn broken_and_fixed(world: Arc<World>) -> Result<Vec<String>, String> {
    let repository = &world.repository;
    world.github.open(repository, 1, &sha(0xbad), |_| {});
    if world.chance(0.7) {
        world.settle().await?;
    }
    world.pass(0..=30_000).await;
    world.github.push_to(repository, 1, &sha(2));
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    is_live(&world, &sha(2), &mut wrong);
    Ok(wrong)
}

async fn closed_early(world: Arc<World>) -> Result<Vec<String>, String> {
    let repository = &world.repository;
    world.github.open(repository, 1, &sha(1), |_| {});
    world.pass(0..=8_000).await;
    world.github.close(repository, 1);
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    is_empty(&world, &mut wrong);
    Ok(wrong)
}

async fn closed_and_reopened(world: Arc<World>) -> Result<Vec<String>, String> {
    let repository = &world.repository;
    world.github.open(repository, 1, &sha(1), |_| {});
    world.pass(0..=60_000).await;
    world.github.close(repository, 1);
    world.pass(0..=30_000).await;
    world.github.reopen(repository, 1);
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds { deployments_of_a_commit: 2, ..Bounds::default() });
    is_live(&world, &sha(1), &mut wrong);
    Ok(wrong)
}
