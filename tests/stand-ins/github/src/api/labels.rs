//! <https://docs.github.com/rest/issues/labels>

use axum::http::Method;
use serde_json::{Value, json};

use crate::api::auth::Need;
use crate::api::call::{Answer, Problem, Reply};
use crate::api::{Cx, issues, number};
use crate::control::types::Role;
use crate::show;

const WRITE: Need = Need::write(&["issues", "pull_requests"]).role(Role::Triage);

pub(crate) fn route(
    cx: &mut Cx<'_>,
    method: &Method,
    repo: (&str, &str),
    issue: &str,
    rest: &[&str],
) -> (&'static str, Answer) {
    match (method.as_str(), rest) {
        ("GET", []) => ("issues/labels#list-labels-for-an-issue", list(cx, repo, issue)),
        ("POST", []) => ("issues/labels#add-labels-to-an-issue", add(cx, repo, issue)),
        ("PUT", []) => ("issues/labels#set-labels-for-an-issue", set(cx, repo, issue)),
        ("DELETE", []) => ("issues/labels#remove-all-labels-from-an-issue", clear(cx, repo, issue)),
        ("DELETE", [label]) => ("issues/labels#remove-a-label-from-an-issue", remove(cx, repo, issue, label)),
        _ => ("", Err(Problem::not_found())),
    }
}

fn shown(cx: &Cx<'_>, repo: u64, issue: u64) -> Answer {
    let found = cx.found(repo)?;
    let pull = found.pulls.get(&issue).ok_or_else(Problem::not_found)?;
    Ok(Reply::ok(json!(show::pulls::labels(cx.state, found, pull))))
}

fn list(cx: &mut Cx<'_>, (owner, name): (&str, &str), issue: &str) -> Answer {
    let id = cx.repo(owner, name, issues::READ)?;
    let repo = cx.found(id)?;
    let pull = repo.pulls.get(&number(issue)?).ok_or_else(Problem::not_found)?;
    Ok(cx.list(id, &show::pulls::labels(cx.state, repo, pull), Value::clone))
}

/// Returns the label names in a body: `{"labels": [..]}` or the list alone, in which each item is a
/// string or an object with a name.
fn names(cx: &Cx<'_>) -> Result<Vec<String>, Problem> {
    let parsing = || Problem::new(axum::http::StatusCode::BAD_REQUEST, "Problems parsing JSON");
    let body: Value = serde_json::from_slice(&cx.call.body).map_err(|_| parsing())?;
    let list = match &body {
        Value::Object(fields) => fields.get("labels").cloned().unwrap_or_else(|| json!([])),
        other => other.clone(),
    };
    let Value::Array(items) = list else {
        return Err(Problem::unprocessable(format!(
            "Invalid request.\n\nFor 'properties/labels', {list} is not an array."
        )));
    };
    items
        .iter()
        .map(|item| {
            item.as_str().or_else(|| item["name"].as_str()).map(str::to_owned).ok_or_else(|| {
                Problem::unprocessable(format!("Invalid request.\n\nFor 'items', {item} is not a string."))
            })
        })
        .collect()
}

fn add(cx: &mut Cx<'_>, (owner, name): (&str, &str), issue: &str) -> Answer {
    let repo = cx.repo(owner, name, WRITE)?;
    let issue = number(issue)?;
    cx.state.pull(repo, issue)?;
    let actor = cx.login();
    for label in names(cx)? {
        cx.state.add_label(repo, issue, &label, &actor)?;
    }
    shown(cx, repo, issue)
}

fn set(cx: &mut Cx<'_>, (owner, name): (&str, &str), issue: &str) -> Answer {
    let repo = cx.repo(owner, name, WRITE)?;
    let issue = number(issue)?;
    let wanted = names(cx)?;
    let present = cx.state.pull(repo, issue)?.labels.clone();
    let actor = cx.login();
    for label in present.iter().filter(|label| !wanted.iter().any(|name| name.eq_ignore_ascii_case(label))) {
        cx.state.remove_label(repo, issue, label, &actor)?;
    }
    for label in wanted {
        cx.state.add_label(repo, issue, &label, &actor)?;
    }
    shown(cx, repo, issue)
}

fn clear(cx: &mut Cx<'_>, (owner, name): (&str, &str), issue: &str) -> Answer {
    let repo = cx.repo(owner, name, WRITE)?;
    let issue = number(issue)?;
    let actor = cx.login();
    for label in cx.state.pull(repo, issue)?.labels.clone() {
        cx.state.remove_label(repo, issue, &label, &actor)?;
    }
    Ok(Reply::no_content())
}

fn remove(cx: &mut Cx<'_>, (owner, name): (&str, &str), issue: &str, label: &str) -> Answer {
    let repo = cx.repo(owner, name, WRITE)?;
    let issue = number(issue)?;
    let actor = cx.login();
    cx.state.remove_label(repo, issue, label, &actor)?;
    shown(cx, repo, issue)
}
