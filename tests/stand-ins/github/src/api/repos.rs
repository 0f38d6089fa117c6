//! <https://docs.github.com/rest/repos/repos>, collaborators, users, and the rate limit.

use axum::http::Method;
use serde_json::json;

use crate::api::auth::{Identity, Need};
use crate::api::call::{Answer, Problem, Reply};
use crate::api::{Cx, apps};
use crate::control::types::Role;
use crate::show;

const READ: Need = Need::read(&["metadata"]);

pub(crate) fn route(
    cx: &mut Cx<'_>,
    method: &Method,
    (owner, name): (&str, &str),
    rest: &[&str],
) -> (&'static str, Answer) {
    match (method.as_str(), rest) {
        ("GET", ["installation"]) => (
            "apps/apps#get-a-repository-installation-for-the-authenticated-app",
            apps::for_repository(cx, owner, name),
        ),
        ("GET", ["collaborators", login]) => (
            "collaborators/collaborators#check-if-a-user-is-a-repository-collaborator",
            is_collaborator(cx, owner, name, login),
        ),
        ("GET", ["collaborators", login, "permission"]) => (
            "collaborators/collaborators#get-repository-permissions-for-a-user",
            permission(cx, owner, name, login),
        ),
        _ => ("", Err(Problem::not_found())),
    }
}

pub(crate) fn get(cx: &mut Cx<'_>, owner: &str, name: &str) -> Answer {
    let id = cx.repo(owner, name, READ)?;
    let repo = cx.found(id)?;
    let mut shown = show::repos::full(cx.state, repo);
    if let Identity::User { login, .. } = &cx.who {
        let role = repo.role(login);
        let permissions = json!({
            "admin": role >= Role::Admin,
            "maintain": role >= Role::Maintain,
            "push": role >= Role::Write,
            "triage": role >= Role::Triage,
            "pull": role >= Role::Read,
        });
        show::users::extend(&mut shown, json!({"permissions": permissions}));
    }
    Ok(Reply::ok(shown))
}

fn permission(cx: &mut Cx<'_>, owner: &str, name: &str, login: &str) -> Answer {
    let id = cx.repo(owner, name, READ.always())?;
    if let Identity::User { login, .. } = &cx.who
        && cx.found(id)?.role(login) < Role::Write
    {
        let message = "Must have push access to view collaborator permission.";
        return Err(Problem::new(axum::http::StatusCode::FORBIDDEN, message));
    }
    if cx.state.user(login).is_none() {
        let message = format!("{login} is not a user");
        return Err(Problem::new(axum::http::StatusCode::NOT_FOUND, message));
    }
    let role = cx.found(id)?.role(login);
    Ok(Reply::ok(show::users::collaborator(cx.state, login, role)))
}

fn is_collaborator(cx: &mut Cx<'_>, owner: &str, name: &str, login: &str) -> Answer {
    let id = cx.repo(owner, name, READ.always())?;
    let repo = cx.found(id)?;
    let known =
        login.eq_ignore_ascii_case(&repo.owner) || repo.collaborators.contains_key(&login.to_lowercase());
    if known { Ok(Reply::no_content()) } else { Err(Problem::not_found()) }
}

pub(crate) fn me(cx: &mut Cx<'_>) -> Answer {
    match &cx.who {
        Identity::User { login, .. } => {
            let user = cx.state.user(login).ok_or_else(Problem::not_found)?;
            Ok(Reply::ok(show::users::profile(cx.state, user, true)))
        }
        Identity::Anonymous => {
            Err(Problem::new(axum::http::StatusCode::UNAUTHORIZED, "Requires authentication"))
        }
        _ => Err(Problem::new(axum::http::StatusCode::FORBIDDEN, "Resource not accessible by integration")),
    }
}

pub(crate) fn user(cx: &mut Cx<'_>, login: &str) -> Answer {
    let user = cx.state.user(login).ok_or_else(Problem::not_found)?;
    Ok(Reply::ok(show::users::profile(cx.state, user, false)))
}

pub(crate) fn root(cx: &Cx<'_>) -> Reply {
    let api = &cx.state.urls.api;
    Reply::ok(json!({
        "current_user_url": format!("{api}/user"),
        "rate_limit_url": format!("{api}/rate_limit"),
        "repository_url": format!("{api}/repos/{{owner}}/{{repo}}"),
        "user_url": format!("{api}/users/{{user}}"),
    }))
}

pub(crate) fn rate_limit(cx: &mut Cx<'_>) -> Reply {
    let anonymous = matches!(cx.who, Identity::Anonymous);
    let standing = cx.state.limiter.standing(&cx.who.key(), anonymous);
    let core = json!({
        "limit": standing.limit,
        "remaining": standing.remaining(),
        "reset": standing.reset,
        "used": standing.used,
    });
    let search = json!({"limit": 30, "remaining": 30, "reset": standing.reset, "used": 0});
    let graphql = json!({"limit": 5000, "remaining": 5000, "reset": standing.reset, "used": 0});
    Reply::ok(json!({
        "resources": {"core": core.clone(), "search": search, "graphql": graphql},
        "rate": core,
    }))
}
