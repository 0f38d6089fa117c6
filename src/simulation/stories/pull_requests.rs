//! Lives of pull requests.

use std::sync::Arc;

use super::{Bounds, Told, World, is_empty, is_live, wrongs};
use crate::simulation::github::sha;

pub async fn opened_and_closed(world: Arc<World>) -> Told {
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

pub async fn pushed(world: Arc<World>) -> Told {
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

pub async fn pushed_back(world: Arc<World>) -> Told {
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

pub async fn broken_and_fixed(world: Arc<World>) -> Told {
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

pub async fn closed_early(world: Arc<World>) -> Told {
    let repository = &world.repository;
    world.github.open(repository, 1, &sha(1), |_| {});
    world.pass(0..=8_000).await;
    world.github.close(repository, 1);
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    is_empty(&world, &mut wrong);
    Ok(wrong)
}

pub async fn closed_and_reopened(world: Arc<World>) -> Told {
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

pub async fn two_pull_requests(world: Arc<World>) -> Told {
    let repository = &world.repository;
    world.github.open(repository, 1, &sha(1), |_| {});
    world.pass(0..=3_000).await;
    world.github.open(repository, 2, &sha(2), |_| {});
    world.pass(0..=10_000).await;
    world.github.push_to(repository, 1, &sha(3));
    world.github.close(repository, 2);
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    is_live(&world, &sha(3), &mut wrong);
    Ok(wrong)
}

pub async fn label_removed_and_added(world: Arc<World>) -> Told {
    let repository = &world.repository;
    world.github.open(repository, 1, &sha(1), |_| {});
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    is_live(&world, &sha(1), &mut wrong);
    world.github.edit(repository, 1, "unlabelled", |pull_request| pull_request.labels.clear());
    if world.chance(0.5) {
        world.settle().await?;
        is_empty(&world, &mut wrong);
    }
    world.pass(0..=20_000).await;
    world.github.edit(repository, 1, "labelled", |pull_request| {
        pull_request.labels = vec!["preview".to_owned()];
    });
    world.settle().await?;
    wrong.extend(wrongs(&world, Bounds { deployments_of_a_commit: 2, ..Bounds::default() }));
    is_live(&world, &sha(1), &mut wrong);
    Ok(wrong)
}

pub async fn draft_made_ready(world: Arc<World>) -> Told {
    let repository = &world.repository;
    world.github.open(repository, 1, &sha(1), |pull_request| pull_request.draft = true);
    let mut wrong = Vec::new();
    if world.chance(0.5) {
        world.settle().await?;
        wrong.extend(wrongs(&world, Bounds { deployments_of_a_commit: 0, ..Bounds::default() }));
    }
    world.pass(0..=20_000).await;
    is_empty(&world, &mut wrong);
    world.github.edit(repository, 1, "ready for review", |pull_request| pull_request.draft = false);
    world.settle().await?;
    wrong.extend(wrongs(&world, Bounds::default()));
    is_live(&world, &sha(1), &mut wrong);
    Ok(wrong)
}

/// The preview is deleted while its pull request stays open, and a push creates another one.
pub async fn expired(world: Arc<World>) -> Told {
    let repository = &world.repository;
    world.github.open(repository, 1, &sha(1), |_| {});
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    is_live(&world, &sha(1), &mut wrong);
    world.pass(3_600_000..=3_700_000).await;
    world.settle().await?;
    wrong.extend(wrongs(&world, Bounds::default()));
    is_empty(&world, &mut wrong);
    world.github.push_to(repository, 1, &sha(2));
    world.settle().await?;
    wrong.extend(wrongs(&world, Bounds::default()));
    is_live(&world, &sha(2), &mut wrong);
    Ok(wrong)
}
