//! <https://docs.github.com/rest/reactions/reactions>, for comments only.

use axum::http::{Method, StatusCode};

use crate::api::auth::Need;
use crate::api::call::{Answer, Problem, Reply};
use crate::api::input::Fields;
use crate::api::{Cx, number};
use crate::control::types::Role;
use crate::show;

// The permission "Pull requests" covers comments but not reactions to them:
// <https://docs.github.com/rest/authentication/permissions-required-for-github-apps>
const READ: Need = Need::read(&["issues"]);
const WRITE: Need = Need::write(&["issues"]).role(Role::Read);

pub(crate) fn route(
    cx: &mut Cx<'_>,
    method: &Method,
    repo: (&str, &str),
    comment: &str,
    rest: &[&str],
) -> (&'static str, Answer) {
    match (method.as_str(), rest) {
        ("GET", []) => ("reactions/reactions#list-reactions-for-an-issue-comment", list(cx, repo, comment)),
        ("POST", []) => {
            ("reactions/reactions#create-reaction-for-an-issue-comment", create(cx, repo, comment))
        }
        ("DELETE", [id]) => {
            ("reactions/reactions#delete-an-issue-comment-reaction", delete(cx, repo, comment, id))
        }
        _ => ("", Err(Problem::not_found())),
    }
}

fn list(cx: &mut Cx<'_>, (owner, name): (&str, &str), comment: &str) -> Answer {
    let id = cx.repo(owner, name, READ)?;
    let repo = cx.found(id)?;
    let comment = repo.comments.get(&number(comment)?).ok_or_else(Problem::not_found)?;
    let content = cx.call.query("content");
    let found: Vec<_> = comment
        .reactions
        .iter()
        .filter(|reaction| content.is_none_or(|content| reaction.content == content))
        .collect();
    Ok(cx.list(id, &found, |reaction| show::reaction(cx.state, reaction)))
}

fn create(cx: &mut Cx<'_>, (owner, name): (&str, &str), comment: &str) -> Answer {
    let repo = cx.repo(owner, name, WRITE)?;
    let comment = number(comment)?;
    let mut fields = Fields::read(cx.call)?;
    let content = fields.required("content");
    fields.check()?;
    if !show::REACTIONS.contains(&content.as_str()) {
        let message = "content is not included in the list";
        return Err(Problem::validation("Reaction", "custom", "content", Some(message)));
    }
    let author = cx.login();
    let (reaction, new) = cx.state.react(repo, comment, &author, &content)?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Reply::with_status(status, show::reaction(cx.state, &reaction)))
}

fn delete(cx: &mut Cx<'_>, (owner, name): (&str, &str), comment: &str, id: &str) -> Answer {
    let repo = cx.repo(owner, name, WRITE)?;
    let (comment, id) = (number(comment)?, number(id)?);
    let author = cx.login();
    let found = cx.state.repo_mut(repo)?.comments.get_mut(&comment).ok_or_else(Problem::not_found)?;
    let place = found
        .reactions
        .iter()
        .position(|reaction| reaction.id == id && reaction.author == author)
        .ok_or_else(Problem::not_found)?;
    found.reactions.remove(place);
    Ok(Reply::no_content())
}
