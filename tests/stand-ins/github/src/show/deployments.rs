//! Deployments, their statuses, and environments in bodies.

use serde_json::{Value, json};

use crate::show::apps::performed_via;
use crate::show::{segment, time, user};
use crate::state::State;
use crate::state::deployments::{Deployment, DeploymentStatus};
use crate::state::environments::Environment;
use crate::state::ids::{Kind, node_id};
use crate::state::repos::Repo;

/// Returns a deployment.
pub(crate) fn deployment(state: &State, repo: &Repo, deployment: &Deployment) -> Value {
    let url = format!("{}/deployments/{}", state.api(repo), deployment.id);
    json!({
        "statuses_url": format!("{url}/statuses"),
        "url": url,
        "id": deployment.id,
        "node_id": node_id(Kind::Deployment, deployment.id),
        "task": deployment.task,
        "original_environment": deployment.original_environment,
        "environment": deployment.environment,
        "description": deployment.description,
        "created_at": time(deployment.created_at),
        "updated_at": time(deployment.updated_at),
        "repository_url": state.api(repo),
        "creator": user(state, &deployment.creator),
        "sha": deployment.sha,
        "ref": deployment.reference,
        "payload": deployment.payload,
        "transient_environment": deployment.transient,
        "production_environment": deployment.production,
        "performed_via_github_app": performed_via(state, deployment.app),
    })
}

/// Returns a deployment's status.
pub(crate) fn status(
    state: &State,
    repo: &Repo,
    deployment: &Deployment,
    status: &DeploymentStatus,
) -> Value {
    let parent = format!("{}/deployments/{}", state.api(repo), deployment.id);
    json!({
        "url": format!("{parent}/statuses/{}", status.id),
        "id": status.id,
        "node_id": node_id(Kind::DeploymentStatus, status.id),
        "state": status.state,
        "creator": user(state, &status.creator),
        "description": status.description,
        "environment": status.environment,
        "target_url": status.log_url,
        "created_at": time(status.created_at),
        "updated_at": time(status.created_at),
        "deployment_url": parent,
        "repository_url": state.api(repo),
        "environment_url": status.environment_url,
        "log_url": status.log_url,
        "performed_via_github_app": performed_via(state, status.app),
    })
}

/// Returns an environment.
pub(crate) fn environment(state: &State, repo: &Repo, environment: &Environment) -> Value {
    let name = segment(&environment.name);
    let mut rules = Vec::new();
    if let Some(minutes) = environment.wait_timer {
        rules.push(json!({
            "id": environment.id + 1,
            "node_id": node_id(Kind::Environment, environment.id + 1),
            "type": "wait_timer",
            "wait_timer": minutes,
        }));
    }
    json!({
        "id": environment.id,
        "node_id": node_id(Kind::Environment, environment.id),
        "name": environment.name,
        "url": format!("{}/environments/{name}", state.api(repo)),
        "html_url": format!("{}/deployments/activity_log?environments_filter={name}", state.html(repo)),
        "created_at": time(environment.created_at),
        "updated_at": time(environment.updated_at),
        "can_admins_bypass": true,
        "protection_rules": rules,
        "deployment_branch_policy": null,
    })
}
