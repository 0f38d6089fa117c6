//! <https://docs.github.com/rest/commits/commits> and <https://docs.github.com/rest/commits/statuses>

use axum::http::Method;
use serde_json::{Value, json};

use crate::api::auth::Need;
use crate::api::call::{Answer, Problem, Reply};
use crate::api::deployment_statuses::is_web;
use crate::api::deployments::check_description;
use crate::api::input::Fields;
use crate::api::{Cx, checks};
use crate::show;
use crate::state::checks::{CommitStatus, combined, latest};
use crate::state::git::Commit;
use crate::state::pulls::Pull;

const READ: Need = Need::read(&["contents"]);
const STATUSES: Need = Need::read(&["statuses"]);
const WRITE: Need = Need::write(&["statuses"]);

pub(crate) fn route(
    cx: &mut Cx<'_>,
    method: &Method,
    repo: (&str, &str),
    rest: &[&str],
) -> (&'static str, Answer) {
    // A ref may contain slashes, so the end of the path decides on the endpoint.
    match (method.as_str(), rest) {
        ("GET", []) => ("commits/commits#list-commits", list(cx, repo)),
        ("GET", [name @ .., "status"]) if !name.is_empty() => (
            "commits/statuses#get-the-combined-status-for-a-specific-reference",
            combined_status(cx, repo, &name.join("/")),
        ),
        ("GET", [name @ .., "statuses"]) if !name.is_empty() => {
            ("commits/statuses#list-commit-statuses-for-a-reference", statuses(cx, repo, &name.join("/")))
        }
        ("GET", [name @ .., kind @ ("check-runs" | "check-suites")]) if !name.is_empty() => {
            checks::for_ref(cx, repo, &name.join("/"), kind)
        }
        ("GET", [sha, "pulls"]) => {
            ("commits/commits#list-pull-requests-associated-with-a-commit", pulls(cx, repo, sha))
        }
        ("GET", name) => ("commits/commits#get-a-commit", get(cx, repo, &name.join("/"))),
        _ => ("", Err(Problem::not_found())),
    }
}

/// Returns the commit that a ref or SHA names.
pub(crate) fn resolve(cx: &Cx<'_>, repo: u64, name: &str) -> Result<String, Problem> {
    let found = cx.found(repo)?;
    cx.state
        .resolve(found, name)
        .ok_or_else(|| Problem::unprocessable(format!("No commit found for SHA: {name}")))
}

fn get(cx: &mut Cx<'_>, (owner, name): (&str, &str), reference: &str) -> Answer {
    let repo = cx.repo(owner, name, READ)?;
    let sha = resolve(cx, repo, reference)?;
    let accept = cx.call.header("accept").unwrap_or_default();
    if accept.contains("application/vnd.github.sha") {
        let mut reply = Reply::no_content();
        reply.status = axum::http::StatusCode::OK;
        reply.body = crate::api::call::Body::Text("application/vnd.github.sha; charset=utf-8", sha);
        return Ok(reply);
    }
    let found = cx.found(repo)?;
    Ok(Reply::ok(show::commits::full_commit(cx.state, found, &cx.state.commits[&sha])))
}

fn list(cx: &mut Cx<'_>, (owner, name): (&str, &str)) -> Answer {
    let id = cx.repo(owner, name, READ)?;
    let repo = cx.found(id)?;
    let from = cx.call.query("sha").unwrap_or(&repo.default_branch);
    let head = cx.state.resolve(repo, from).ok_or_else(Problem::not_found)?;
    let (author, path) = (cx.call.query("author"), cx.call.query("path"));
    let touches = |commit: &Commit, path: &str| {
        cx.state
            .diff(commit.parents.first().map(String::as_str), &commit.sha)
            .iter()
            .flat_map(|change| [Some(&change.path), change.previous.as_ref()])
            .flatten()
            .any(|changed| changed == path || changed.starts_with(&format!("{path}/")))
    };
    let commits: Vec<&Commit> = cx
        .state
        .log(&head)
        .into_iter()
        .filter(|commit| author.is_none_or(|login| commit.author.login.as_deref() == Some(login)))
        .filter(|commit| path.is_none_or(|path| touches(commit, path)))
        .collect();
    Ok(cx.list(id, &commits, |commit| show::commits::commit(cx.state, repo, commit)))
}

fn pulls(cx: &mut Cx<'_>, (owner, name): (&str, &str), sha: &str) -> Answer {
    let id = cx.repo(owner, name, Need::read(&["pull_requests"]))?;
    let sha = resolve(cx, id, sha)?;
    let repo = cx.found(id)?;
    let holds = |pull: &&Pull| {
        cx.state.commits_between(&pull.base.sha, &pull.head.sha).iter().any(|commit| commit.sha == sha)
    };
    let found: Vec<&Pull> = repo.pulls.values().filter(holds).collect();
    Ok(cx.list(id, &found, |pull| show::pulls::simple(cx.state, repo, pull)))
}

fn combined_status(cx: &mut Cx<'_>, (owner, name): (&str, &str), reference: &str) -> Answer {
    let id = cx.repo(owner, name, STATUSES)?;
    let sha = resolve(cx, id, reference)?;
    let repo = cx.found(id)?;
    let latest = latest(&repo.statuses, &sha);
    let api = cx.state.api(repo);
    Ok(cx.wrapped(
        id,
        &latest,
        |status| show::commits::simple_status(cx.state, repo, status),
        |shown, total| {
            json!({
                "state": combined(&latest),
                "statuses": shown,
                "sha": sha,
                "total_count": total,
                "repository": show::minimal(cx.state, repo),
                "commit_url": format!("{api}/commits/{sha}"),
                "url": format!("{api}/commits/{sha}/status"),
            })
        },
    ))
}

fn statuses(cx: &mut Cx<'_>, (owner, name): (&str, &str), reference: &str) -> Answer {
    let id = cx.repo(owner, name, STATUSES)?;
    let sha = resolve(cx, id, reference)?;
    let repo = cx.found(id)?;
    let found: Vec<&CommitStatus> = repo.statuses.iter().rev().filter(|status| status.sha == sha).collect();
    Ok(cx.list(id, &found, |status| show::commits::status(cx.state, repo, status)))
}

pub(crate) fn create_status(cx: &mut Cx<'_>, (owner, name): (&str, &str), sha: &str) -> Answer {
    let repo = cx.repo(owner, name, WRITE)?;
    // This endpoint accepts only a complete SHA.
    if sha.len() != 40 || !cx.state.commits.contains_key(sha) {
        return Err(Problem::unprocessable(format!("No commit found for SHA: {sha}")));
    }
    let mut fields = Fields::read(cx.call)?;
    let state = fields.required("state");
    let context = fields.string("context").filter(|text| !text.is_empty());
    let context = context.unwrap_or_else(|| "default".to_owned());
    let description = fields.string("description").filter(|text| !text.is_empty());
    let target_url = fields.string("target_url").filter(|url| !url.is_empty());
    fields.check()?;
    if !["error", "failure", "pending", "success"].contains(&state.as_str()) {
        let message = "state is not included in the list";
        return Err(Problem::validation("Status", "custom", "state", Some(message)));
    }
    check_description("Status", description.as_deref().unwrap_or_default())?;
    if context.chars().count() > 255 {
        let message = "context is too long (maximum is 255 characters)";
        return Err(Problem::validation("Status", "custom", "context", Some(message)));
    }
    if target_url.as_deref().is_some_and(|url| !is_web(url)) {
        let message = "target_url must use http(s) scheme";
        return Err(Problem::validation("Status", "custom", "target_url", Some(message)));
    }
    let creator = cx.login();
    let id = cx.state.add_commit_status(repo, sha, &context, &state, (description, target_url), &creator)?;
    let found = cx.found(repo)?;
    let status = found.statuses.iter().rev().find(|status| status.id == id);
    let shown = status.map_or(Value::Null, |status| show::commits::status(cx.state, found, status));
    Ok(Reply::created(shown))
}
