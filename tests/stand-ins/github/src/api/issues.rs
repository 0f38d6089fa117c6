//! <https://docs.github.com/rest/issues/issues> and <https://docs.github.com/rest/issues/comments>. Every
//! issue here is a pull request.

use axum::http::Method;

use crate::api::auth::Need;
use crate::api::call::{Answer, Problem, Reply};
use crate::api::input::Fields;
use crate::api::{Cx, number};
use crate::control::types::Role;
use crate::show;
use crate::state::comments::Comment;
use crate::state::pulls::Pull;

pub(crate) const READ: Need = Need::read(&["issues", "pull_requests"]);
const COMMENT: Need = Need::write(&["issues", "pull_requests"]).role(Role::Read);

pub(crate) fn route(
    cx: &mut Cx<'_>,
    method: &Method,
    repo: (&str, &str),
    rest: &[&str],
) -> (&'static str, Answer) {
    match (method.as_str(), rest) {
        ("GET", []) => ("issues/issues#list-repository-issues", list(cx, repo)),
        ("GET", ["comments"]) => {
            ("issues/comments#list-issue-comments-for-a-repository", comments(cx, repo, None))
        }
        ("GET", ["comments", id]) => ("issues/comments#get-an-issue-comment", comment(cx, repo, id)),
        ("PATCH", ["comments", id]) => ("issues/comments#update-an-issue-comment", edit(cx, repo, id)),
        ("DELETE", ["comments", id]) => ("issues/comments#delete-an-issue-comment", delete(cx, repo, id)),
        ("GET", [id]) => ("issues/issues#get-an-issue", get(cx, repo, id)),
        ("GET", [id, "comments"]) => ("issues/comments#list-issue-comments", comments(cx, repo, Some(id))),
        ("POST", [id, "comments"]) => ("issues/comments#create-an-issue-comment", create(cx, repo, id)),
        _ => ("", Err(Problem::not_found())),
    }
}

fn list(cx: &mut Cx<'_>, (owner, name): (&str, &str)) -> Answer {
    let id = cx.repo(owner, name, READ)?;
    let repo = cx.found(id)?;
    let state = cx.call.query("state").unwrap_or("open");
    let labels: Vec<&str> = cx.call.query("labels").map(|text| text.split(',').collect()).unwrap_or_default();
    let fits = |pull: &&Pull| {
        (state == "all" || (state == "open") == pull.open)
            && labels.iter().all(|label| pull.labels.iter().any(|known| known.eq_ignore_ascii_case(label)))
    };
    let pulls: Vec<&Pull> = repo.pulls.values().rev().filter(fits).collect();
    Ok(cx.list(id, &pulls, |pull| show::pulls::issue(cx.state, repo, pull)))
}

fn get(cx: &mut Cx<'_>, (owner, name): (&str, &str), id: &str) -> Answer {
    let repo = cx.repo(owner, name, READ)?;
    let repo = cx.found(repo)?;
    let pull = repo.pulls.get(&number(id)?).ok_or_else(Problem::not_found)?;
    Ok(Reply::ok(show::pulls::issue(cx.state, repo, pull)))
}

fn comments(cx: &mut Cx<'_>, (owner, name): (&str, &str), issue: Option<&str>) -> Answer {
    let id = cx.repo(owner, name, READ)?;
    let wanted = issue.map(number).transpose()?;
    if let Some(wanted) = wanted {
        cx.state.pull(id, wanted)?;
    }
    let repo = cx.found(id)?;
    let since = cx.call.query("since").and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok());
    let fits = |comment: &&Comment| {
        wanted.is_none_or(|number| comment.number == number)
            && since.is_none_or(|since| comment.updated_at >= since)
    };
    let mut found: Vec<&Comment> = repo.comments.values().filter(fits).collect();
    // Only the repository's comments are sorted; "direction: ignored without the sort parameter".
    if let (None, Some(sort)) = (wanted, cx.call.query("sort")) {
        if sort == "updated" {
            found.sort_by_key(|comment| comment.updated_at);
        }
        if cx.call.query("direction").unwrap_or("desc") == "desc" {
            found.reverse();
        }
    }
    Ok(cx.list(id, &found, |comment| show::comment(cx.state, repo, comment)))
}

fn comment(cx: &mut Cx<'_>, (owner, name): (&str, &str), id: &str) -> Answer {
    let repo = cx.repo(owner, name, READ)?;
    let repo = cx.found(repo)?;
    let comment = repo.comments.get(&number(id)?).ok_or_else(Problem::not_found)?;
    Ok(Reply::ok(show::comment(cx.state, repo, comment)))
}

fn create(cx: &mut Cx<'_>, (owner, name): (&str, &str), issue: &str) -> Answer {
    let repo = cx.repo(owner, name, COMMENT)?;
    let issue = number(issue)?;
    cx.state.pull(repo, issue)?;
    let body = body(cx)?;
    let (author, app) = (cx.login(), cx.who.app());
    let id = cx.state.add_comment(repo, issue, &author, &body, app)?;
    let repo = cx.found(repo)?;
    Ok(Reply::created(show::comment(cx.state, repo, &repo.comments[&id])))
}

fn edit(cx: &mut Cx<'_>, (owner, name): (&str, &str), id: &str) -> Answer {
    let repo = cx.repo(owner, name, COMMENT)?;
    let id = number(id)?;
    own_or_write(cx, repo, id)?;
    let body = body(cx)?;
    let actor = cx.login();
    cx.state.edit_comment(repo, id, &body, &actor)?;
    let repo = cx.found(repo)?;
    Ok(Reply::ok(show::comment(cx.state, repo, &repo.comments[&id])))
}

fn delete(cx: &mut Cx<'_>, (owner, name): (&str, &str), id: &str) -> Answer {
    let repo = cx.repo(owner, name, COMMENT)?;
    let id = number(id)?;
    own_or_write(cx, repo, id)?;
    let actor = cx.login();
    cx.state.delete_comment(repo, id, &actor)?;
    Ok(Reply::no_content())
}

fn body(cx: &Cx<'_>) -> Result<String, Problem> {
    let mut fields = Fields::read(cx.call)?;
    let body = fields.required("body");
    fields.check()?;
    Ok(body)
}

/// Checks that the caller may change a comment: others' comments need the right to push, or an
/// App's permission.
fn own_or_write(cx: &Cx<'_>, repo: u64, id: u64) -> Result<(), Problem> {
    let repo = cx.found(repo)?;
    let comment = repo.comments.get(&id).ok_or_else(Problem::not_found)?;
    let login = cx.login();
    if comment.author == login || cx.who.app().is_some() || repo.role(&login) >= Role::Write {
        return Ok(());
    }
    Err(Problem::new(axum::http::StatusCode::FORBIDDEN, "Must have admin rights to Repository."))
}
