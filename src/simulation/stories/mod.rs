//! Lives of pull requests and environments. Each story tells what people, CI and the network do, and
//! returns what is wrong at its end.

mod branches;
mod commands;
mod other_tools;
mod permissions;
mod pull_requests;
mod trouble;
mod workloads;

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::oracles::{Bounds, wrongs};
use super::world::World;
use crate::api::{ConditionStatus, PreviewEnvironment, find_condition};

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
    ($($file:ident: { $($environments:ident $(, elects: $elects:literal)? => $tell:ident),* $(,)? })*) => {
        /// All stories.
        pub const ALL: &[Story] = &[$($(Story {
            name: stringify!($tell),
            environments: $environments,
            elects: false $(|| $elects)?,
            tell: |world| $file::$tell(world).boxed(),
        }),*),*];
    };
}

stories! {
    pull_requests: {
        previews => opened_and_closed,
        previews => pushed,
        previews => pushed_back,
        previews => broken_and_fixed,
        previews => closed_early,
        previews => closed_and_reopened,
        previews => two_pull_requests,
        previews => label_removed_and_added,
        previews => draft_made_ready,
        short_lived => expired,
    }
    branches: {
        chain => promoted,
        branches => several_branches,
        branches => one_commit_on_several_branches,
        with_image => image_published_late,
    }
    commands: {
        by_command => deployed_by_command,
        by_command => approved,
    }
    other_tools: {
        by_command => deployments_created_by_another_tool,
        performed_elsewhere => deployments_performed_by_another_tool,
    }
    permissions: {
        previews => class_withdraws_its_grant,
        previews => preview_repository_deleted,
        previews => grant_withdrawn_for_good,
        previews => class_deleted_and_pull_request_closed,
        previews => class_tightened_under_a_broken_template,
        previews => fork_permission_withdrawn,
        previews => fork_allowed_later,
        clashing => names_clash,
        branches => environment_deleted_by_hand,
    }
    workloads: {
        previews => job_replaced,
        previews => stateful_set_fixed,
    }
    trouble: {
        previews => template_mistake,
        previews => objects_rejected_and_removed,
        previews => github_outage,
        previews => cluster_outage,
        previews, elects: true => leadership_changes,
    }
}

/// Returns an environment for each pull request with the label `preview`.
fn previews() -> Value {
    json!([{
        "name": "preview", "trigger": {"pullRequest": {"labels": ["preview"]}}, "deploy": shop(),
    }])
}

fn short_lived() -> Value {
    let mut environments = previews();
    environments[0]["lifetime"] = json!({"deleteAfter": "1h"});
    environments
}

/// Staging follows `main` once a check passed, and production follows staging.
fn chain() -> Value {
    json!([
        {
            "name": "staging", "trigger": {"push": {"branches": ["main"]}},
            "gates": {"checks": ["test"]}, "deploy": shop(),
        },
        {
            "name": "production", "trigger": {"deploymentStatus": {"environment": "staging"}},
            "gates": {"after": ["staging"]}, "deploy": shop(),
        },
    ])
}

/// The same without checks; another tool deploys.
fn performed_elsewhere() -> Value {
    json!([
        {"name": "staging", "trigger": {"push": {"branches": ["main"]}}},
        {
            "name": "production", "trigger": {"deploymentStatus": {"environment": "staging"}},
            "gates": {"after": ["staging"]},
        },
    ])
}

fn branches() -> Value {
    json!([{
        "name": "staging", "trigger": {"push": {"branches": ["main", "release/*"]}}, "deploy": shop(),
    }])
}

fn with_image() -> Value {
    json!([{
        "name": "staging", "trigger": {"push": {"branches": ["main"]}},
        "gates": {"image": "registry.example.com/acme/shop:{{ sha }}", "timeout": "2h"}, "deploy": shop(),
    }])
}

fn by_command() -> Value {
    json!([
        {"name": "staging", "deploy": shop()},
        {"name": "production", "gates": {"approvals": 1}, "deploy": shop()},
    ])
}

/// With the environment `staging` of a PreviewRepository `shop-web`, this one's would have an object
/// of the same name.
fn clashing() -> Value {
    json!([{"name": "web-staging", "trigger": {"push": {"branches": ["main"]}}, "deploy": shop()}])
}

fn shop() -> Value {
    json!({"template": {"ref": {"name": "shop"}}})
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

/// Checks that no preview is left.
fn is_empty(world: &World, wrong: &mut Vec<String>) {
    let namespaces = world.preview_namespaces();
    if !namespaces.is_empty() {
        wrong.push(format!("namespaces are left: {namespaces:?}"));
    }
}
