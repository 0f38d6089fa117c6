//! Lives of pull requests and environments. Each story tells what people, CI and the network do, and
//! returns what is wrong at its end.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::github::sha;
use super::oracles::{Bounds, wrongs};
use super::world::{World, class, previews, template};
use crate::api::{ConditionStatus, DeploymentRequest, PreviewEnvironment, find_condition};
use crate::core::forge::{CheckState, RepositoryRole};

/// What is wrong at the end of a story, or why it has none.
type Told = Result<Vec<String>, String>;

/// A story, with the environments of its PreviewRepository.
pub struct Story {
    pub name: &'static str,
    pub environments: fn() -> Value,
    /// Whether the replicas elect a leader. Without an election there is only one.
    pub elects: bool,
    pub tell: fn(Arc<World>) -> BoxFuture<'static, Told>,
}

macro_rules! stories {
    ($($environments:ident $(, elects: $elects:literal)? => $tell:ident),* $(,)?) => {
        /// All stories.
        pub const ALL: &[Story] = &[$(Story {
            name: stringify!($tell),
            environments: $environments,
            elects: false $(|| $elects)?,
            tell: |world| $tell(world).boxed(),
        }),*];
    };
}

stories! {
    previews => opened_and_closed,
    previews => pushed,
    previews => pushed_back,
    previews => broken_and_fixed,
    previews => closed_early,
    previews => closed_and_reopened,
    previews => two_pull_requests,
    previews => label_removed_and_added,
    previews => class_withdraws_its_grant,
    previews => template_mistake,
    previews => github_outage,
    previews => cluster_outage,
    previews, elects: true => leadership_changes,
    chain => promoted,
    branches => one_commit_on_several_branches,
    by_command => deployed_by_command,
    by_command => approved,
}

/// Staging follows `main` once a check passed, and production follows staging.
fn chain() -> Value {
    let deploy = json!({"template": {"ref": {"name": "shop"}}});
    json!([
        {
            "name": "staging", "trigger": {"push": {"branches": ["main"]}},
            "gates": {"checks": ["test"]}, "deploy": deploy,
        },
        {
            "name": "production", "trigger": {"deploymentStatus": {"environment": "staging"}},
            "gates": {"after": ["staging"]}, "deploy": deploy,
        },
    ])
}

fn branches() -> Value {
    json!([{
        "name": "staging", "trigger": {"push": {"branches": ["main", "release/*"]}},
        "deploy": {"template": {"ref": {"name": "shop"}}},
    }])
}

fn by_command() -> Value {
    let deploy = json!({"template": {"ref": {"name": "shop"}}});
    json!([
        {"name": "staging", "deploy": deploy},
        {"name": "production", "gates": {"approvals": 1}, "deploy": deploy},
    ])
}

/// Checks that these are all environments, by name, and that each is ready with its commit.
fn are_live(world: &World, expected: &[(&str, &str)], wrong: &mut Vec<String>) {
    let found: Vec<PreviewEnvironment> = world.all();
    if found.len() != expected.len() {
        let names: Vec<String> = found.iter().map(kube::ResourceExt::name_any).collect();
        wrong.push(format!("the environments are {names:?}"));
    }
    for (name, head) in expected {
        let of_name = found.iter().find(|found| found.metadata.name.as_deref() == Some(name));
        let Some(environment) = of_name else {
            wrong.push(format!("there is no environment {name}"));
            continue;
        };
        let status = environment.status.as_ref();
        let ready = status.and_then(|status| find_condition(&status.conditions, "Ready"));
        let is_ready = ready.is_some_and(|ready| ready.status == ConditionStatus::True.as_str());
        if environment.spec.revision.sha != *head || !is_ready {
            wrong.push(format!("{name} isn't ready with {head}: {ready:?}"));
        }
    }
}

/// Checks that the preview of the only pull request is ready with this commit.
fn is_live(world: &World, head: &str, wrong: &mut Vec<String>) {
    are_live(world, &[("shop-preview-pr-1", head)], wrong);
}

fn is_empty(world: &World, wrong: &mut Vec<String>) {
    let namespaces = world.preview_namespaces();
    if !namespaces.is_empty() {
        wrong.push(format!("namespaces are left: {namespaces:?}"));
    }
}

async fn opened_and_closed(world: Arc<World>) -> Told {
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

async fn pushed(world: Arc<World>) -> Told {
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

async fn pushed_back(world: Arc<World>) -> Told {
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

async fn broken_and_fixed(world: Arc<World>) -> Told {
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

async fn closed_early(world: Arc<World>) -> Told {
    let repository = &world.repository;
    world.github.open(repository, 1, &sha(1), |_| {});
    world.pass(0..=8_000).await;
    world.github.close(repository, 1);
    world.settle().await?;
    let mut wrong = wrongs(&world, Bounds::default());
    is_empty(&world, &mut wrong);
    Ok(wrong)
}

async fn closed_and_reopened(world: Arc<World>) -> Told {
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

async fn two_pull_requests(world: Arc<World>) -> Told {
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

async fn label_removed_and_added(world: Arc<World>) -> Told {
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

async fn class_withdraws_its_grant(world: Arc<World>) -> Told {
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

async fn template_mistake(world: Arc<World>) -> Told {
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

async fn github_outage(world: Arc<World>) -> Told {
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

async fn cluster_outage(world: Arc<World>) -> Told {
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
async fn leadership_changes(world: Arc<World>) -> Told {
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

async fn promoted(world: Arc<World>) -> Told {
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

async fn one_commit_on_several_branches(world: Arc<World>) -> Told {
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

async fn deployed_by_command(world: Arc<World>) -> Told {
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

async fn approved(world: Arc<World>) -> Told {
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
