//! <https://docs.github.com/rest/pulls/pulls>

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::api::auth::Need;
use crate::api::call::{Answer, Problem, Reply};
use crate::api::input::Fields;
use crate::api::{Cx, number};
use crate::control::types::Role;
use crate::show;
use crate::state::pulls::{Opening, Pull};

const READ: Need = Need::read(&["pull_requests"]);
const WRITE: Need = Need::write(&["pull_requests"]).role(Role::Triage);
const OPEN: Need = Need::write(&["pull_requests"]).role(Role::Read);
const MERGE: Need = Need::write(&["contents"]);

/// "Responses include a maximum of 3000 files."
const MOST_FILES: usize = 3_000;

pub(crate) fn route(
    cx: &mut Cx<'_>,
    method: &Method,
    repo: (&str, &str),
    rest: &[&str],
) -> (&'static str, Answer) {
    match (method.as_str(), rest) {
        ("GET", []) => ("pulls/pulls#list-pull-requests", list(cx, repo)),
        ("POST", []) => ("pulls/pulls#create-a-pull-request", create(cx, repo)),
        ("GET", [id]) => ("pulls/pulls#get-a-pull-request", get(cx, repo, id)),
        ("PATCH", [id]) => ("pulls/pulls#update-a-pull-request", update(cx, repo, id)),
        ("GET", [id, "files"]) => ("pulls/pulls#list-pull-requests-files", files(cx, repo, id)),
        ("GET", [id, "commits"]) => ("pulls/pulls#list-commits-on-a-pull-request", commits(cx, repo, id)),
        ("GET", [id, "merge"]) => {
            ("pulls/pulls#check-if-a-pull-request-has-been-merged", merged(cx, repo, id))
        }
        ("PUT", [id, "merge"]) => ("pulls/pulls#merge-a-pull-request", merge(cx, repo, id)),
        _ => ("", Err(Problem::not_found())),
    }
}

fn list(cx: &mut Cx<'_>, (owner, name): (&str, &str)) -> Answer {
    let id = cx.repo(owner, name, READ)?;
    let repo = cx.found(id)?;
    let call = cx.call;
    let state = call.query("state").unwrap_or("open");
    let head = call.query("head").and_then(|head| head.split_once(':'));
    let base = call.query("base");
    let fits = |pull: &&Pull| {
        let wanted = match state {
            "all" => true,
            "closed" => !pull.open,
            _ => pull.open,
        };
        wanted
            && head.is_none_or(|(owner, branch)| {
                pull.head.owner.eq_ignore_ascii_case(owner) && pull.head.branch == branch
            })
            && base.is_none_or(|base| pull.base.branch == base)
    };
    let mut pulls: Vec<&Pull> = repo.pulls.values().filter(fits).collect();
    let sort = call.query("sort").unwrap_or("created");
    let comments = |pull: &Pull| repo.comments.values().filter(|c| c.number == pull.number).count();
    match sort {
        "updated" => pulls.sort_by_key(|pull| (pull.updated_at, pull.number)),
        "popularity" => pulls.sort_by_key(|pull| (comments(pull), pull.number)),
        "long-running" => pulls.sort_by_key(|pull| (pull.created_at, pull.number)),
        _ => pulls.sort_by_key(|pull| pull.number),
    }
    // "Default: `desc` when sort is `created` or sort is not specified, otherwise `asc`."
    let direction = call.query("direction").unwrap_or(if sort == "created" { "desc" } else { "asc" });
    if direction == "desc" {
        pulls.reverse();
    }
    Ok(cx.list(id, &pulls, |pull| show::pulls::simple(cx.state, repo, pull)))
}

fn get(cx: &mut Cx<'_>, (owner, name): (&str, &str), id: &str) -> Answer {
    let repo = cx.repo(owner, name, READ)?;
    let id = number(id)?;
    let found = cx.found(repo)?;
    let pull = found.pulls.get(&id).ok_or_else(Problem::not_found)?;
    let shown = show::pulls::full(cx.state, found, pull);
    // Reading starts the computation, so the next answer has its result. It doesn't change the pull
    // request.
    cx.state.try_to_merge(repo, id)?;
    Ok(Reply::ok(shown))
}

fn create(cx: &mut Cx<'_>, (owner, name): (&str, &str)) -> Answer {
    let repo = cx.repo(owner, name, OPEN)?;
    let mut fields = Fields::read(cx.call)?;
    let (head, base) = (fields.required("head"), fields.required("base"));
    let title = fields.string("title");
    let body = fields.string("body");
    let draft = fields.boolean("draft").unwrap_or(false);
    let modify = fields.boolean("maintainer_can_modify").unwrap_or(true);
    fields.check()?;
    let title = title
        .filter(|title| !title.trim().is_empty())
        .ok_or_else(|| Problem::validation("PullRequest", "missing_field", "title", None))?;
    let author = cx.login();
    let opening = Opening {
        head: &head,
        base: &base,
        title: &title,
        body: body.as_deref(),
        author: Some(&author),
        draft,
        maintainer_can_modify: modify,
    };
    let number = cx.state.open_pull(repo, &opening)?;
    let found = cx.found(repo)?;
    Ok(Reply::created(show::pulls::full(cx.state, found, &found.pulls[&number])))
}

fn update(cx: &mut Cx<'_>, (owner, name): (&str, &str), id: &str) -> Answer {
    let repo = cx.repo(owner, name, WRITE)?;
    let id = number(id)?;
    cx.state.pull(repo, id)?;
    let mut fields = Fields::read(cx.call)?;
    let (title, body) = (fields.string("title"), fields.string("body"));
    let base = fields.string("base");
    let state = fields.word("state", &["open", "closed"]);
    let modify = fields.boolean("maintainer_can_modify");
    fields.check()?;
    if title.as_ref().is_some_and(|title| title.trim().is_empty()) {
        return Err(Problem::validation("PullRequest", "missing_field", "title", None));
    }
    let actor = cx.login();
    let changes = (title.as_deref(), body.as_deref(), base.as_deref());
    cx.state.edit_pull(repo, id, changes, &actor)?;
    if let Some(modify) = modify {
        cx.state.pull_mut(repo, id)?.maintainer_can_modify = modify;
    }
    match state.as_deref() {
        Some("closed") => cx.state.close_pull(repo, id, &actor)?,
        Some("open") => cx.state.reopen_pull(repo, id, &actor)?,
        _ => {}
    }
    let found = cx.found(repo)?;
    Ok(Reply::ok(show::pulls::full(cx.state, found, &found.pulls[&id])))
}

fn files(cx: &mut Cx<'_>, (owner, name): (&str, &str), id: &str) -> Answer {
    let repo = cx.repo(owner, name, READ)?;
    let found = cx.found(repo)?;
    let pull = found.pulls.get(&number(id)?).ok_or_else(Problem::not_found)?;
    let base = cx.state.merge_base(&pull.base.sha, &pull.head.sha).map(|commit| commit.sha.as_str());
    let mut changes = cx.state.diff(base, &pull.head.sha);
    changes.truncate(MOST_FILES);
    Ok(cx.list(repo, &changes, |change| show::commits::file(cx.state, found, change, &pull.head.sha)))
}

fn commits(cx: &mut Cx<'_>, (owner, name): (&str, &str), id: &str) -> Answer {
    let repo = cx.repo(owner, name, READ)?;
    let found = cx.found(repo)?;
    let pull = found.pulls.get(&number(id)?).ok_or_else(Problem::not_found)?;
    let mut commits = cx.state.commits_between(&pull.base.sha, &pull.head.sha);
    // "Lists a maximum of 250 commits for a pull request."
    commits.truncate(250);
    Ok(cx.list(repo, &commits, |commit| show::commits::commit(cx.state, found, commit)))
}

fn merged(cx: &mut Cx<'_>, (owner, name): (&str, &str), id: &str) -> Answer {
    let repo = cx.repo(owner, name, READ)?;
    let pull = cx.state.pull(repo, number(id)?)?;
    if pull.merged_at.is_some() { Ok(Reply::no_content()) } else { Err(Problem::not_found()) }
}

fn merge(cx: &mut Cx<'_>, (owner, name): (&str, &str), id: &str) -> Answer {
    let repo = cx.repo(owner, name, MERGE)?;
    let id = number(id)?;
    let mut fields = Fields::read(cx.call)?;
    let sha = fields.string("sha");
    let title = fields.string("commit_title");
    let message = fields.string("commit_message");
    fields.word("merge_method", &["merge", "squash", "rebase"]);
    fields.check()?;
    let pull = cx.state.pull(repo, id)?;
    if sha.is_some_and(|sha| sha != pull.head.sha) {
        let message = "Head branch was modified. Review and try the merge again.";
        return Err(Problem::new(StatusCode::CONFLICT, message));
    }
    let message = title.map(|title| match message {
        Some(message) => format!("{title}\n\n{message}"),
        None => title,
    });
    let actor = cx.login();
    let sha = cx
        .state
        .merge_pull(repo, id, message.as_deref(), &actor)
        .map_err(|refusal| Problem::new(StatusCode::METHOD_NOT_ALLOWED, refusal.to_string()))?;
    let message = "Pull Request successfully merged";
    Ok(Reply::ok(json!({"sha": sha, "merged": true, "message": message})))
}
