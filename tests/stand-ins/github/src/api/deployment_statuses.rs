//! <https://docs.github.com/rest/deployments/statuses>

use axum::http::Method;

use crate::api::auth::Need;
use crate::api::call::{Answer, Problem, Reply};
use crate::api::deployments::{check_description, check_name};
use crate::api::input::Fields;
use crate::api::{Cx, number};
use crate::show::deployments::status as show;
use crate::state::deployments::{DeploymentStatus, NewStatus};

const READ: Need = Need::read(&["deployments"]);
const WRITE: Need = Need::write(&["deployments"]);

/// Allowed states of a status.
const STATES: [&str; 7] = ["error", "failure", "inactive", "in_progress", "queued", "pending", "success"];

pub(crate) fn route(
    cx: &mut Cx<'_>,
    method: &Method,
    repo: (&str, &str),
    deployment: &str,
    rest: &[&str],
) -> (&'static str, Answer) {
    match (method.as_str(), rest) {
        ("GET", []) => ("deployments/statuses#list-deployment-statuses", list(cx, repo, deployment)),
        ("POST", []) => ("deployments/statuses#create-a-deployment-status", create(cx, repo, deployment)),
        ("GET", [id]) => ("deployments/statuses#get-a-deployment-status", get(cx, repo, deployment, id)),
        _ => ("", Err(Problem::not_found())),
    }
}

fn list(cx: &mut Cx<'_>, (owner, name): (&str, &str), deployment: &str) -> Answer {
    let id = cx.repo(owner, name, READ)?;
    let repo = cx.found(id)?;
    let deployment = repo.deployments.get(&number(deployment)?).ok_or_else(Problem::not_found)?;
    let newest_first: Vec<&DeploymentStatus> = deployment.statuses.iter().rev().collect();
    Ok(cx.list(id, &newest_first, |status| show(cx.state, repo, deployment, status)))
}

fn get(cx: &mut Cx<'_>, (owner, name): (&str, &str), deployment: &str, id: &str) -> Answer {
    let repo = cx.repo(owner, name, READ)?;
    let repo = cx.found(repo)?;
    let deployment = repo.deployments.get(&number(deployment)?).ok_or_else(Problem::not_found)?;
    let id = number(id)?;
    let status = deployment.statuses.iter().find(|status| status.id == id).ok_or_else(Problem::not_found)?;
    Ok(Reply::ok(show(cx.state, repo, deployment, status)))
}

fn create(cx: &mut Cx<'_>, (owner, name): (&str, &str), deployment: &str) -> Answer {
    let repo = cx.repo(owner, name, WRITE)?;
    let deployment = number(deployment)?;
    if !cx.found(repo)?.deployments.contains_key(&deployment) {
        return Err(Problem::not_found());
    }
    let mut fields = Fields::read(cx.call)?;
    let status = read(&mut fields)?;
    let (creator, app) = (cx.login(), cx.who.app());
    let id = cx.state.add_deployment_status(repo, deployment, status, &creator, app)?;
    let repo = cx.found(repo)?;
    let deployment = &repo.deployments[&deployment];
    let status = deployment.statuses.iter().find(|status| status.id == id).ok_or_else(Problem::not_found)?;
    Ok(Reply::created(show(cx.state, repo, deployment, status)))
}

fn read(fields: &mut Fields) -> Result<NewStatus, Problem> {
    let state = fields.required("state");
    let target_url = fields.string("target_url").unwrap_or_default();
    let log_url = fields.string("log_url").filter(|url| !url.is_empty()).unwrap_or(target_url);
    let status = NewStatus {
        state,
        description: fields.string("description").unwrap_or_default(),
        environment: fields.string("environment").filter(|name| !name.is_empty()),
        environment_url: fields.string("environment_url").unwrap_or_default(),
        log_url,
        auto_inactive: fields.boolean("auto_inactive").unwrap_or(true),
    };
    fields.check()?;
    let invalid = |field: &str, message: &str| {
        Err(Problem::validation("DeploymentStatus", "custom", field, Some(message)))
    };
    if !STATES.contains(&status.state.as_str()) {
        return invalid("state", "state is not included in the list");
    }
    check_description("DeploymentStatus", &status.description)?;
    if let Some(name) = &status.environment {
        check_name("DeploymentStatus", name)?;
    }
    for (field, url) in [("environment_url", &status.environment_url), ("log_url", &status.log_url)] {
        if !url.is_empty() && !is_web(url) {
            return invalid(field, &format!("{field} must use http(s) scheme"));
        }
    }
    Ok(status)
}

/// Returns whether GitHub would link to a URL.
pub(crate) fn is_web(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}
