//! <https://docs.github.com/rest/deployments/environments>

use axum::http::Method;
use serde_json::json;

use crate::api::Cx;
use crate::api::auth::Need;
use crate::api::call::{Answer, Problem, Reply};
use crate::api::deployments::check_name;
use crate::api::input::Fields;
use crate::control::types::Role;
use crate::show::deployments::environment as show;
use crate::state::environments::Environment;
use crate::state::now;

const READ: Need = Need::read(&["actions"]);
const ADMIN: Need = Need::write(&["administration"]).role(Role::Admin);

pub(crate) fn route(
    cx: &mut Cx<'_>,
    method: &Method,
    repo: (&str, &str),
    rest: &[&str],
) -> (&'static str, Answer) {
    match (method.as_str(), rest) {
        ("GET", []) => ("deployments/environments#list-environments", list(cx, repo)),
        ("GET", [name]) => ("deployments/environments#get-an-environment", get(cx, repo, name)),
        ("PUT", [name]) => ("deployments/environments#create-or-update-an-environment", put(cx, repo, name)),
        ("DELETE", [name]) => ("deployments/environments#delete-an-environment", delete(cx, repo, name)),
        _ => ("", Err(Problem::not_found())),
    }
}

fn list(cx: &mut Cx<'_>, (owner, name): (&str, &str)) -> Answer {
    let id = cx.repo(owner, name, READ)?;
    let repo = cx.found(id)?;
    let all: Vec<&Environment> = repo.environments.values().collect();
    Ok(cx.wrapped(
        id,
        &all,
        |environment| show(cx.state, repo, environment),
        |shown, total| json!({"total_count": total, "environments": shown}),
    ))
}

fn get(cx: &mut Cx<'_>, (owner, name): (&str, &str), environment: &str) -> Answer {
    let repo = cx.repo(owner, name, READ)?;
    let repo = cx.found(repo)?;
    let found = repo.environments.get(&environment.to_lowercase()).ok_or_else(Problem::not_found)?;
    Ok(Reply::ok(show(cx.state, repo, found)))
}

fn put(cx: &mut Cx<'_>, (owner, name): (&str, &str), environment: &str) -> Answer {
    let repo = cx.repo(owner, name, ADMIN)?;
    let mut fields = Fields::read(cx.call)?;
    fields.only(&["wait_timer", "prevent_self_review", "reviewers", "deployment_branch_policy"]);
    let wait_timer = fields.integer("wait_timer");
    fields.boolean("prevent_self_review");
    fields.object("deployment_branch_policy");
    fields.check()?;
    check_name("Environment", environment)?;
    if wait_timer.is_some_and(|minutes| minutes > 43_200) {
        let message = "Wait timer must be between 0 and 43,200 (30 days)";
        return Err(Problem::validation("Environment", "custom", "wait_timer", Some(message)));
    }
    cx.state.ensure_environment(repo, environment)?;
    let found = cx.state.repo_mut(repo)?;
    if let Some(kept) = found.environments.get_mut(&environment.to_lowercase()) {
        kept.wait_timer = wait_timer.filter(|minutes| *minutes > 0);
        kept.updated_at = now();
    }
    get_shown(cx, repo, environment)
}

fn get_shown(cx: &Cx<'_>, repo: u64, environment: &str) -> Answer {
    let repo = cx.found(repo)?;
    let found = repo.environments.get(&environment.to_lowercase()).ok_or_else(Problem::not_found)?;
    Ok(Reply::ok(show(cx.state, repo, found)))
}

fn delete(cx: &mut Cx<'_>, (owner, name): (&str, &str), environment: &str) -> Answer {
    let repo = cx.repo(owner, name, ADMIN)?;
    let found = cx.state.repo_mut(repo)?;
    found.environments.remove(&environment.to_lowercase()).ok_or_else(Problem::not_found)?;
    Ok(Reply::no_content())
}
