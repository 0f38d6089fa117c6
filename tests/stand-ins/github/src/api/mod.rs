//! The REST API: routes requests to endpoints.
//!
//! Each endpoint follows its page below <https://docs.github.com/rest>, which is named beside it
//! here and in the `documentation_url` of its problems.

pub(crate) mod apps;
pub(crate) mod auth;
pub(crate) mod call;
pub(crate) mod checks;
pub(crate) mod commits;
pub(crate) mod contents;
pub(crate) mod deployment_statuses;
pub(crate) mod deployments;
pub(crate) mod environments;
pub(crate) mod git;
pub(crate) mod hooks;
pub(crate) mod input;
pub(crate) mod issues;
pub(crate) mod jwt;
pub(crate) mod labels;
pub(crate) mod page;
pub(crate) mod pipeline;
pub(crate) mod pulls;
pub(crate) mod reactions;
pub(crate) mod repos;

use axum::http::Method;

use crate::api::auth::{Identity, Need};
use crate::api::call::{Answer, Call, Problem, Reply};
use crate::state::State;
use crate::state::repos::Repo;

/// A request together with the state it works on.
pub(crate) struct Cx<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) call: &'a Call,
    pub(crate) who: Identity,
}

impl Cx<'_> {
    /// Returns the repository of that name if the caller sees it and has the rights that the
    /// endpoint needs.
    pub(crate) fn repo(&self, owner: &str, name: &str, need: Need) -> Result<u64, Problem> {
        let repo = self.state.find_repo(owner, name).ok_or_else(Problem::not_found)?;
        if !self.who.sees(self.state, repo) {
            return Err(Problem::not_found());
        }
        self.who.may(self.state, repo, &need)?;
        Ok(repo.id)
    }

    /// Returns the login under which the request acts.
    pub(crate) fn login(&self) -> String {
        self.who.login(self.state)
    }

    /// Returns the repository with that id.
    pub(crate) fn found(&self, repo: u64) -> Result<&Repo, Problem> {
        Ok(self.state.repo(repo)?)
    }

    /// Returns a page of a plain list.
    pub(crate) fn list<T>(&self, repo: u64, items: &[T], show: impl FnMut(&T) -> serde_json::Value) -> Reply {
        self.wrapped(repo, items, show, |shown, _| serde_json::Value::Array(shown))
    }

    /// Returns a page of a list inside an object.
    pub(crate) fn wrapped<T>(
        &self,
        repo: u64,
        items: &[T],
        show: impl FnMut(&T) -> serde_json::Value,
        wrap: impl FnOnce(Vec<serde_json::Value>, usize) -> serde_json::Value,
    ) -> Reply {
        // GitHub's links name the repository by its id, whatever name the request used.
        let named = if self.call.path.starts_with("/repositories/") { 3 } else { 4 };
        let rest: Vec<&str> = self.call.path.split('/').skip(named).collect();
        let path = format!("/repositories/{repo}/{}", rest.join("/"));
        page::reply(&self.state.urls, &path, self.call, items, show, wrap)
    }
}

/// Answers a request. Returns the page that documents the endpoint too.
pub(crate) fn dispatch(cx: &mut Cx<'_>) -> (&'static str, Answer) {
    let call = cx.call;
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    let method = if call.method == Method::HEAD { Method::GET } else { call.method.clone() };
    match segments.as_slice() {
        ["repositories", id] => {
            let answer = renamed(cx, id).and_then(|(owner, name)| repos::get(cx, &owner, &name));
            ("repos/repos#get-a-repository", answer)
        }
        ["repositories", id, rest @ ..] => match renamed(cx, id) {
            Ok((owner, name)) => repository(cx, &method, &owner, &name, rest),
            Err(problem) => ("", Err(problem)),
        },
        ["repos", owner, name] if method == Method::GET => {
            ("repos/repos#get-a-repository", repos::get(cx, owner, name))
        }
        ["repos", owner, name, rest @ ..] => repository(cx, &method, owner, name, rest),
        _ => top(cx, &method, &segments),
    }
}

/// Returns the present name of the repository with that id.
fn renamed(cx: &Cx<'_>, id: &str) -> Result<(String, String), Problem> {
    let id: u64 = id.parse().map_err(|_| Problem::not_found())?;
    let repo = cx.state.repo(id)?;
    Ok((repo.owner.clone(), repo.name.clone()))
}

/// Parses a number in a path.
pub(crate) fn number(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| Problem::not_found())
}

fn top(cx: &mut Cx<'_>, method: &Method, segments: &[&str]) -> (&'static str, Answer) {
    match (method.as_str(), segments) {
        ("GET", []) => ("meta/meta#github-api-root", Ok(repos::root(cx))),
        ("GET", ["rate_limit"]) => (
            "rate-limit/rate-limit#get-rate-limit-status-for-the-authenticated-user",
            Ok(repos::rate_limit(cx)),
        ),
        ("GET", ["user"]) => ("users/users#get-the-authenticated-user", repos::me(cx)),
        ("GET", ["users", login]) => ("users/users#get-a-user", repos::user(cx, login)),
        ("GET", ["app"]) => ("apps/apps#get-the-authenticated-app", apps::app(cx)),
        ("GET", ["app", "installations"]) => {
            ("apps/apps#list-installations-for-the-authenticated-app", apps::installations(cx))
        }
        ("GET", ["app", "installations", id]) => {
            ("apps/apps#get-an-installation-for-the-authenticated-app", apps::installation(cx, id))
        }
        ("POST", ["app-manifests", code, "conversions"]) => {
            ("apps/apps#create-a-github-app-from-a-manifest", apps::convert(cx, code))
        }
        ("POST", ["app", "installations", id, "access_tokens"]) => {
            ("apps/apps#create-an-installation-access-token-for-an-app", apps::create_token(cx, id))
        }
        ("GET", ["app", "hook", "config"]) => {
            ("apps/webhooks#get-a-webhook-configuration-for-an-app", hooks::app_config(cx))
        }
        ("PATCH", ["app", "hook", "config"]) => {
            ("apps/webhooks#update-a-webhook-configuration-for-an-app", hooks::update_app_config(cx))
        }
        (_, ["app", "hook", "deliveries", rest @ ..]) => hooks::app_deliveries(cx, method, rest),
        ("GET", ["users" | "orgs", login, "installation"]) => {
            ("apps/apps#get-a-user-installation-for-the-authenticated-app", apps::for_account(cx, login))
        }
        ("GET", ["installation", "repositories"]) => (
            "apps/installations#list-repositories-accessible-to-the-app-installation",
            apps::repositories_list(cx),
        ),
        ("DELETE", ["installation", "token"]) => {
            ("apps/installations#revoke-an-installation-access-token", apps::revoke(cx))
        }
        _ => ("", Err(Problem::not_found())),
    }
}

fn repository(
    cx: &mut Cx<'_>,
    method: &Method,
    owner: &str,
    name: &str,
    rest: &[&str],
) -> (&'static str, Answer) {
    match rest {
        ["deployments", id, "statuses", rest @ ..] => {
            deployment_statuses::route(cx, method, (owner, name), id, rest)
        }
        ["deployments", rest @ ..] => deployments::route(cx, method, (owner, name), rest),
        ["environments", rest @ ..] => environments::route(cx, method, (owner, name), rest),
        ["pulls", rest @ ..] => pulls::route(cx, method, (owner, name), rest),
        ["issues", number, "labels", rest @ ..] => labels::route(cx, method, (owner, name), number, rest),
        ["issues", "comments", comment, "reactions", rest @ ..] => {
            reactions::route(cx, method, (owner, name), comment, rest)
        }
        ["issues", rest @ ..] => issues::route(cx, method, (owner, name), rest),
        ["commits", rest @ ..] => commits::route(cx, method, (owner, name), rest),
        ["statuses", reference @ ..] if *method == Method::POST => (
            "commits/statuses#create-a-commit-status",
            commits::create_status(cx, (owner, name), &reference.join("/")),
        ),
        ["check-runs" | "check-suites", ..] => checks::route(cx, method, (owner, name), rest),
        ["branches" | "git" | "tags" | "compare", ..] => git::route(cx, method, (owner, name), rest),
        ["contents", path @ ..] => contents::route(cx, method, (owner, name), path),
        ["hooks", rest @ ..] => hooks::route(cx, method, (owner, name), rest),
        ["collaborators", ..] | ["installation"] => repos::route(cx, method, (owner, name), rest),
        _ => ("", Err(Problem::not_found())),
    }
}
