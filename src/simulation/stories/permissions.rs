//! Who may deploy what, and what is left when that changes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Bounds, Told, World, are_live, is_empty, is_live, previews, shop, wrongs};
use crate::api::{PreviewEnvironment, PreviewRepository};
use crate::core::forge::{NewDeployment, PullRequest};
use crate::simulation::github::sha;
use crate::simulation::world::{class, repository_of, template};

pub async fn class_withdraws_its_grant(world: Arc<World>) -> Told {
    let repository = &world.repository;
    world.github.open(repository, 1, &sha(1), |_| {});
    world.pass(0..=30_000).await;
    let mut withdrawn = class();
    withdrawn["spec"]["grants"] = json!([{"repositories": ["acme/other"], "namespaces": ["team-*"]}]);
    world.apply(&withdrawn);
    world.pass(0..=120_000).await;
    world.apply(&class());
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    is_live(&world, &sha(1), &mut wrong);
    Ok(wrong)
}

/// The team deletes its PreviewRepository.
pub async fn preview_repository_deleted(world: Arc<World>) -> Told {
    world.github.open(&world.repository, 1, &sha(1), |_| {});
    world.settle().await?;
    world.github.push_to(&world.repository, 1, &sha(2));
    world.pass(5_000..=60_000).await;
    world.delete::<PreviewRepository>("shop");
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds { unreported_deployments: 1, ..Bounds::default() });
    are_live(&world, &[], &mut wrong);
    is_empty(&world, &mut wrong);
    Ok(wrong)
}

/// The class doesn't restore the grant that it withdrew.
pub async fn grant_withdrawn_for_good(world: Arc<World>) -> Told {
    world.github.open(&world.repository, 1, &sha(1), |_| {});
    world.settle().await?;
    let mut withdrawn = revoking(class());
    withdrawn["spec"]["grants"] = json!([{"repositories": ["acme/other"], "namespaces": ["team-*"]}]);
    world.apply(&withdrawn);
    world.pass(0..=120_000).await;
    world.github.push_to(&world.repository, 1, &sha(2));
    world.pass(GRACE..=2 * GRACE).await;
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    are_live(&world, &[], &mut wrong);
    is_empty(&world, &mut wrong);
    world.apply(&class());
    world.settle().await?;
    wrong.extend(wrongs(&world, Bounds::default()));
    is_live(&world, &sha(2), &mut wrong);
    Ok(wrong)
}

/// The platform team deletes the class, and the pull request is closed afterwards.
pub async fn class_deleted_and_pull_request_closed(world: Arc<World>) -> Told {
    world.github.open(&world.repository, 1, &sha(1), |_| {});
    world.settle().await?;
    world.delete_class("standard");
    world.pass(0..=120_000).await;
    world.github.close(&world.repository, 1);
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    is_empty(&world, &mut wrong);
    Ok(wrong)
}

/// A class that allowed forks denies them, and the fork's author pushes once more.
pub async fn fork_permission_withdrawn(world: Arc<World>) -> Told {
    let mut environments = previews();
    environments[0]["trigger"]["pullRequest"]["forks"] = json!("Deploy");
    world.apply(&repository_of("shop", "acme/shop", &environments));
    let mut open = revoking(class());
    open["spec"]["pullRequests"] = json!({"forks": "Allow"});
    world.apply(&open);
    let from_fork = |pull_request: &mut PullRequest| pull_request.head_repository_id = Some(2);
    world.github.open(&world.repository, 1, &sha(1), from_fork);
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    is_live(&world, &sha(1), &mut wrong);
    world.apply(&revoking(class()));
    world.pass(0..=120_000).await;
    world.github.push_to(&world.repository, 1, &sha(2));
    world.pass(GRACE..=2 * GRACE).await;
    world.settle().await?;
    wrong.extend(wrongs(&world, Bounds::default()));
    is_empty(&world, &mut wrong);
    world.apply(&open);
    world.settle().await?;
    wrong.extend(wrongs(&world, Bounds::default()));
    is_live(&world, &sha(2), &mut wrong);
    Ok(wrong)
}

/// A class becomes stricter while the template of a running preview is broken.
pub async fn class_tightened_under_a_broken_template(world: Arc<World>) -> Told {
    world.github.open(&world.repository, 1, &sha(1), |_| {});
    world.settle().await?;
    world.apply(&template("registry.example.com/acme/shop:{{ nothing }}"));
    world.pass(0..=60_000).await;
    let mut stricter = class();
    stricter["spec"]["isolation"] = json!({"quota": {"pods": "3"}});
    world.apply(&stricter);
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    let quotas = world.server.list(|place, _| place.kind == "ResourceQuota");
    if !quotas.iter().any(|quota| quota.data["spec"]["hard"]["pods"] == "3") {
        wrong.push(format!("the quota isn't the class's: {quotas:?}"));
    }
    world.apply(&template("registry.example.com/acme/shop:{{ sha }}"));
    world.settle().await?;
    wrong.extend(wrongs(&world, Bounds::default()));
    is_live(&world, &sha(1), &mut wrong);
    Ok(wrong)
}

/// Time in milliseconds that a class with [`revoking`] leaves to environments without permission.
const GRACE: u64 = 600_000;

/// Returns the class with a short grace.
fn revoking(mut class: Value) -> Value {
    class["spec"]["onRevoked"] = json!({"deleteAfter": "10m"});
    class
}

/// The class and the PreviewRepository allow forks some time after a fork opened a pull request.
pub async fn fork_allowed_later(world: Arc<World>) -> Told {
    let repository = &world.repository;
    world.github.open(repository, 1, &sha(1), |pull_request| pull_request.head_repository_id = Some(2));
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds { deployments_of_a_commit: 0, ..Bounds::default() });
    is_empty(&world, &mut wrong);
    let mut environments = previews();
    environments[0]["trigger"]["pullRequest"]["forks"] = json!("Deploy");
    world.apply(&repository_of("shop", "acme/shop", &environments));
    world.pass(0..=60_000).await;
    let mut open = class();
    open["spec"]["pullRequests"] = json!({"forks": "Allow"});
    world.apply(&open);
    world.settle().await?;
    wrong.extend(wrongs(&world, Bounds::default()));
    is_live(&world, &sha(1), &mut wrong);
    Ok(wrong)
}

/// A second PreviewRepository has an environment whose object would have the name of the first one's.
pub async fn names_clash(world: Arc<World>) -> Told {
    let other = "acme/shop-web".parse().unwrap();
    world.github.create_repository(&other);
    world.github.push(&world.repository, "main", &sha(1));
    world.settle().await?;
    let entry = json!([{"name": "staging", "trigger": {"push": {"branches": ["main"]}}, "deploy": shop()}]);
    world.apply(&repository_of("shop-web", "acme/shop-web", &entry));
    world.pass(0..=10_000).await;
    world.github.push(&other, "main", &sha(2));
    world.pass(0..=60_000).await;
    let deployment = NewDeployment {
        sha: sha(3),
        environment: "staging".to_owned(),
        description: String::new(),
        payload: json!({}),
        transient: false,
        production: false,
    };
    world.github.deploy(&other, "ada", "ada", &deployment).unwrap();
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds { rejected_deployments: 1, ..Bounds::default() });
    are_live(&world, &[("shop-web-staging", &sha(1))], &mut wrong);
    Ok(wrong)
}

/// Somebody deletes an environment, whose branch stays. The next push creates it again.
pub async fn environment_deleted_by_hand(world: Arc<World>) -> Told {
    world.github.push(&world.repository, "main", &sha(1));
    world.settle().await?;
    world.delete::<PreviewEnvironment>("shop-staging");
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    is_empty(&world, &mut wrong);
    world.github.push(&world.repository, "main", &sha(2));
    world.settle().await?;
    wrong.extend(wrongs(&world, Bounds::default()));
    are_live(&world, &[("shop-staging", &sha(2))], &mut wrong);
    Ok(wrong)
}
