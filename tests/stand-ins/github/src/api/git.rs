//! <https://docs.github.com/rest/branches/branches>, <https://docs.github.com/rest/git/refs>, tags and
//! comparisons.

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::api::Cx;
use crate::api::auth::Need;
use crate::api::call::{Answer, Problem, Reply};
use crate::api::input::Fields;
use crate::show;
use crate::state::git::Commit;
use crate::state::repos::Repo;

const READ: Need = Need::read(&["contents"]);
const WRITE: Need = Need::write(&["contents"]);

pub(crate) fn route(
    cx: &mut Cx<'_>,
    method: &Method,
    repo: (&str, &str),
    rest: &[&str],
) -> (&'static str, Answer) {
    match (method.as_str(), rest) {
        ("GET", ["branches"]) => ("branches/branches#list-branches", branches(cx, repo)),
        ("GET", ["branches", name @ ..]) => {
            ("branches/branches#get-a-branch", branch(cx, repo, &name.join("/")))
        }
        ("GET", ["tags"]) => ("repos/repos#list-repository-tags", tags(cx, repo)),
        ("GET", ["git", "ref", name @ ..]) => {
            ("git/refs#get-a-reference", reference(cx, repo, &name.join("/")))
        }
        ("GET", ["git", "matching-refs", name @ ..]) => {
            ("git/refs#list-matching-references", matching(cx, repo, &name.join("/")))
        }
        ("POST", ["git", "refs"]) => ("git/refs#create-a-reference", create(cx, repo)),
        ("PATCH", ["git", "refs", name @ ..]) => {
            ("git/refs#update-a-reference", update(cx, repo, &name.join("/")))
        }
        ("DELETE", ["git", "refs", name @ ..]) => {
            ("git/refs#delete-a-reference", delete(cx, repo, &name.join("/")))
        }
        ("GET", ["compare", range @ ..]) => {
            ("commits/commits#compare-two-commits", compare(cx, repo, &range.join("/")))
        }
        _ => ("", Err(Problem::not_found())),
    }
}

fn branches(cx: &mut Cx<'_>, (owner, name): (&str, &str)) -> Answer {
    let id = cx.repo(owner, name, READ)?;
    let repo = cx.found(id)?;
    let all: Vec<(&String, &String)> = repo.branches.iter().collect();
    Ok(cx.list(id, &all, |(name, sha)| show::repos::short_branch(cx.state, repo, name, sha)))
}

fn branch(cx: &mut Cx<'_>, (owner, name): (&str, &str), branch: &str) -> Answer {
    let repo = cx.repo(owner, name, READ)?;
    let repo = cx.found(repo)?;
    let Some(sha) = repo.branches.get(branch) else {
        if let Some(now) = repo.renamed.get(branch) {
            return Ok(moved(cx, repo, now));
        }
        return Err(Problem::new(StatusCode::NOT_FOUND, "Branch not found"));
    };
    Ok(Reply::ok(show::repos::branch(cx.state, repo, branch, sha)))
}

/// Redirects from a branch's old name to its new one: 301 of
/// <https://docs.github.com/rest/branches/branches#get-a-branch>
fn moved(cx: &Cx<'_>, repo: &Repo, name: &str) -> Reply {
    let name = name.split('/').map(show::segment).collect::<Vec<_>>().join("/");
    let url = format!("{}/repositories/{}/branches/{name}", cx.state.urls.api, repo.id);
    let body = json!({
        "message": "Moved Permanently",
        "url": url,
        "documentation_url": "https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects",
    });
    let mut reply = Reply::with_status(StatusCode::MOVED_PERMANENTLY, body);
    reply.headers.push(("location", url));
    reply
}

fn tags(cx: &mut Cx<'_>, (owner, name): (&str, &str)) -> Answer {
    let id = cx.repo(owner, name, READ)?;
    let repo = cx.found(id)?;
    let all: Vec<(&String, &String)> = repo.tags.iter().rev().collect();
    let api = cx.state.api(repo);
    Ok(cx.list(id, &all, |(name, sha)| {
        json!({
            "name": name,
            "commit": {"sha": sha, "url": format!("{api}/commits/{sha}")},
            "zipball_url": format!("{api}/zipball/refs/tags/{name}"),
            "tarball_url": format!("{api}/tarball/refs/tags/{name}"),
            "node_id": crate::state::ids::named_node_id("REF", &format!("{}:{name}", repo.id)),
        })
    }))
}

/// Returns all refs by full name, each with its commit.
fn all_refs(cx: &Cx<'_>, repo: u64) -> Result<Vec<(String, String)>, Problem> {
    let repo = cx.found(repo)?;
    let branches = repo.branches.iter().map(|(name, sha)| (format!("refs/heads/{name}"), sha.clone()));
    let tags = repo.tags.iter().map(|(name, sha)| (format!("refs/tags/{name}"), sha.clone()));
    let pulls =
        repo.pulls.values().map(|pull| (format!("refs/pull/{}/head", pull.number), pull.head.sha.clone()));
    Ok(branches.chain(tags).chain(pulls).collect())
}

fn reference(cx: &mut Cx<'_>, (owner, name): (&str, &str), wanted: &str) -> Answer {
    let id = cx.repo(owner, name, READ)?;
    let full = format!("refs/{wanted}");
    let refs = all_refs(cx, id)?;
    let (name, sha) = refs.iter().find(|(name, _)| *name == full).ok_or_else(Problem::not_found)?;
    let repo = cx.found(id)?;
    Ok(Reply::ok(show::repos::reference(cx.state, repo, name, sha)))
}

fn matching(cx: &mut Cx<'_>, (owner, name): (&str, &str), start: &str) -> Answer {
    let id = cx.repo(owner, name, READ)?;
    let start = format!("refs/{start}");
    let found: Vec<(String, String)> =
        all_refs(cx, id)?.into_iter().filter(|(name, _)| name.starts_with(&start)).collect();
    let repo = cx.found(id)?;
    Ok(cx.list(id, &found, |(name, sha)| show::repos::reference(cx.state, repo, name, sha)))
}

fn create(cx: &mut Cx<'_>, (owner, name): (&str, &str)) -> Answer {
    let repo = cx.repo(owner, name, WRITE)?;
    let mut fields = Fields::read(cx.call)?;
    let (full, sha) = (fields.required("ref"), fields.required("sha"));
    fields.check()?;
    if all_refs(cx, repo)?.iter().any(|(known, _)| *known == full) {
        return Err(Problem::unprocessable("Reference already exists"));
    }
    if !cx.state.commits.contains_key(&sha) {
        return Err(Problem::unprocessable("Object does not exist"));
    }
    let actor = cx.login();
    if let Some(branch) = full.strip_prefix("refs/heads/").filter(|name| !name.is_empty()) {
        cx.state.move_branch(repo, branch, Some(&sha), &actor)?;
    } else if let Some(tag) = full.strip_prefix("refs/tags/").filter(|name| !name.is_empty()) {
        cx.state.set_tag(repo, tag, &sha)?;
    } else {
        return Err(Problem::unprocessable("Reference name must start with 'refs/heads/' or 'refs/tags/'"));
    }
    let found = cx.found(repo)?;
    Ok(Reply::created(show::repos::reference(cx.state, found, &full, &sha)))
}

fn update(cx: &mut Cx<'_>, (owner, name): (&str, &str), wanted: &str) -> Answer {
    let repo = cx.repo(owner, name, WRITE)?;
    let mut fields = Fields::read(cx.call)?;
    let sha = fields.required("sha");
    let force = fields.boolean("force").unwrap_or(false);
    fields.check()?;
    let Some(branch) = wanted.strip_prefix("heads/") else {
        return Err(Problem::unprocessable("Reference does not exist"));
    };
    let Some(before) = cx.found(repo)?.branches.get(branch).cloned() else {
        return Err(Problem::unprocessable("Reference does not exist"));
    };
    if !cx.state.commits.contains_key(&sha) {
        return Err(Problem::unprocessable("Object does not exist"));
    }
    if !force && !cx.state.ancestors(&sha).contains(&before) {
        return Err(Problem::unprocessable("Update is not a fast forward"));
    }
    let actor = cx.login();
    cx.state.move_branch(repo, branch, Some(&sha), &actor)?;
    let found = cx.found(repo)?;
    Ok(Reply::ok(show::repos::reference(cx.state, found, &format!("refs/{wanted}"), &sha)))
}

fn delete(cx: &mut Cx<'_>, (owner, name): (&str, &str), wanted: &str) -> Answer {
    let repo = cx.repo(owner, name, WRITE)?;
    let missing = || Problem::unprocessable("Reference does not exist");
    if let Some(tag) = wanted.strip_prefix("tags/") {
        cx.state.repo_mut(repo)?.tags.remove(tag).ok_or_else(missing)?;
        return Ok(Reply::no_content());
    }
    let branch = wanted.strip_prefix("heads/").ok_or_else(missing)?;
    if !cx.found(repo)?.branches.contains_key(branch) {
        return Err(missing());
    }
    let actor = cx.login();
    cx.state.move_branch(repo, branch, None, &actor)?;
    Ok(Reply::no_content())
}

fn compare(cx: &mut Cx<'_>, (owner, name): (&str, &str), range: &str) -> Answer {
    let id = cx.repo(owner, name, READ)?;
    let (base, head) = range.split_once("...").ok_or_else(Problem::not_found)?;
    let repo = cx.found(id)?;
    // A head may be in a fork: `owner:branch`.
    let resolve = |name: &str| match name.split_once(':') {
        Some((owner, name)) => cx
            .state
            .repos
            .values()
            .find(|other| other.network == repo.network && other.owner.eq_ignore_ascii_case(owner))
            .and_then(|other| cx.state.resolve(other, name)),
        None => cx.state.resolve(repo, name),
    };
    let base_sha = resolve(base).ok_or_else(Problem::not_found)?;
    let head_sha = resolve(head).ok_or_else(Problem::not_found)?;
    let merge_base = cx.state.merge_base(&base_sha, &head_sha).ok_or_else(Problem::not_found)?;
    let ahead = cx.state.commits_between(&base_sha, &head_sha);
    let behind = cx.state.commits_between(&head_sha, &base_sha);
    let status = match (ahead.is_empty(), behind.is_empty()) {
        (true, true) => "identical",
        (false, true) => "ahead",
        (true, false) => "behind",
        (false, false) => "diverged",
    };
    let changes = cx.state.diff(Some(&merge_base.sha), &head_sha);
    let (api, html) = (cx.state.api(repo), cx.state.html(repo));
    let shown = |commit: &Commit| show::commits::commit(cx.state, repo, commit);
    let files: Vec<_> =
        changes.iter().map(|change| show::commits::file(cx.state, repo, change, &head_sha)).collect();
    let commits: Vec<_> = ahead.iter().map(|commit| shown(commit)).collect();
    let permalink = format!("{html}/compare/{}...{}", &base_sha[..12], &head_sha[..12]);
    Ok(Reply::ok(json!({
        "url": format!("{api}/compare/{base}...{head}"),
        "html_url": format!("{html}/compare/{base}...{head}"),
        "permalink_url": permalink,
        "diff_url": format!("{html}/compare/{base}...{head}.diff"),
        "patch_url": format!("{html}/compare/{base}...{head}.patch"),
        "base_commit": shown(&cx.state.commits[&base_sha]),
        "merge_base_commit": shown(merge_base),
        "status": status,
        "ahead_by": ahead.len(),
        "behind_by": behind.len(),
        "total_commits": ahead.len(),
        "commits": commits,
        "files": files,
    })))
}
