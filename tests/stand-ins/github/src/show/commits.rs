//! Commits, diffs, statuses and check runs in bodies.

use serde_json::{Value, json};

use crate::show::{apps, maybe_time, minimal, time, user};
use crate::state::State;
use crate::state::checks::{CheckRun, CheckSuite, CommitStatus};
use crate::state::git::{Author, Commit, FileChange};
use crate::state::ids::{Kind, named_node_id, node_id, sha};
use crate::state::repos::Repo;

fn git_user(author: &Author, commit: &Commit) -> Value {
    json!({"name": author.name, "email": author.email, "date": time(commit.at)})
}

/// Returns a commit as it appears in lists.
pub(crate) fn commit(state: &State, repo: &Repo, commit: &Commit) -> Value {
    let (api, html) = (state.api(repo), state.html(repo));
    let parents: Vec<Value> = commit
        .parents
        .iter()
        .map(|sha| {
            json!({
                "sha": sha,
                "url": format!("{api}/commits/{sha}"),
                "html_url": format!("{html}/commit/{sha}"),
            })
        })
        .collect();
    let author = commit.author.login.as_deref().map_or(Value::Null, |login| user(state, login));
    json!({
        "sha": commit.sha,
        "node_id": named_node_id("C", &commit.sha),
        "url": format!("{api}/commits/{}", commit.sha),
        "html_url": format!("{html}/commit/{}", commit.sha),
        "comments_url": format!("{api}/commits/{}/comments", commit.sha),
        "commit": {
            "url": format!("{api}/git/commits/{}", commit.sha),
            "author": git_user(&commit.author, commit),
            "committer": git_user(&commit.author, commit),
            "message": commit.message,
            "comment_count": 0,
            "tree": {"sha": commit.tree, "url": format!("{api}/git/trees/{}", commit.tree)},
            "verification": {
                "verified": false,
                "reason": "unsigned",
                "signature": null,
                "payload": null,
                "verified_at": null,
            },
        },
        "author": author.clone(),
        "committer": author,
        "parents": parents,
    })
}

/// Returns a commit with its changes.
pub(crate) fn full_commit(state: &State, repo: &Repo, one: &Commit) -> Value {
    let changes = state.diff(one.parents.first().map(String::as_str), &one.sha);
    let additions: usize = changes.iter().map(|change| change.additions).sum();
    let deletions: usize = changes.iter().map(|change| change.deletions).sum();
    let mut shown = commit(state, repo, one);
    let files: Vec<Value> = changes.iter().map(|change| file(state, repo, change, &one.sha)).collect();
    let totals = json!({"additions": additions, "deletions": deletions, "total": additions + deletions});
    crate::show::users::extend(&mut shown, json!({"stats": totals, "files": files}));
    shown
}

/// Returns one changed file.
pub(crate) fn file(state: &State, repo: &Repo, change: &FileChange, at: &str) -> Value {
    let (api, html) = (state.api(repo), state.html(repo));
    let path = change.path.split('/').map(crate::show::segment).collect::<Vec<_>>().join("/");
    let mut shown = json!({
        "sha": sha(&format!("file {} {}", change.path, change.patch)),
        "filename": change.path,
        "status": change.status,
        "additions": change.additions,
        "deletions": change.deletions,
        "changes": change.additions + change.deletions,
        "blob_url": format!("{html}/blob/{at}/{path}"),
        "raw_url": format!("{html}/raw/{at}/{path}"),
        "contents_url": format!("{api}/contents/{path}?ref={at}"),
    });
    let more = match &change.previous {
        // The content is unchanged, so there is no patch.
        Some(previous) => json!({"previous_filename": previous}),
        None => json!({"patch": change.patch}),
    };
    crate::show::users::extend(&mut shown, more);
    shown
}

/// Returns a commit status.
pub(crate) fn status(state: &State, repo: &Repo, status: &CommitStatus) -> Value {
    let mut shown = simple_status(state, repo, status);
    crate::show::users::extend(&mut shown, json!({"creator": user(state, &status.creator)}));
    shown
}

/// Returns a commit status inside a combined one.
pub(crate) fn simple_status(state: &State, repo: &Repo, status: &CommitStatus) -> Value {
    let avatar = user(state, &status.creator)["avatar_url"].clone();
    json!({
        "url": format!("{}/statuses/{}", state.api(repo), status.sha),
        "avatar_url": avatar,
        "id": status.id,
        "node_id": node_id(Kind::CommitStatus, status.id),
        "state": status.state,
        "description": status.description,
        "target_url": status.target_url,
        "context": status.context,
        "created_at": time(status.created_at),
        "updated_at": time(status.created_at),
    })
}

/// Returns a check run.
pub(crate) fn check_run(state: &State, repo: &Repo, run: &CheckRun) -> Value {
    let (api, html) = (state.api(repo), state.html(repo));
    let url = format!("{api}/check-runs/{}", run.id);
    let page = format!("{html}/runs/{}", run.id);
    json!({
        "id": run.id,
        "head_sha": run.sha,
        "node_id": node_id(Kind::CheckRun, run.id),
        "external_id": run.external_id,
        "url": url,
        "html_url": page,
        "details_url": run.details_url.as_deref().unwrap_or(&page),
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": time(run.started_at),
        "completed_at": maybe_time(run.completed_at),
        "output": {
            "title": run.title,
            "summary": run.summary,
            "text": run.text,
            "annotations_count": 0,
            "annotations_url": format!("{url}/annotations"),
        },
        "name": run.name,
        "check_suite": {"id": run.suite},
        "app": apps::performed_via(state, run.app),
        "pull_requests": pulls_of(state, repo, &run.sha),
    })
}

/// Returns a check suite.
pub(crate) fn check_suite(state: &State, repo: &Repo, suite: &CheckSuite) -> Value {
    let runs: Vec<&CheckRun> = repo.checks.values().filter(|run| run.suite == suite.id).collect();
    let done = runs.iter().all(|run| run.status == "completed");
    let bad = runs.iter().find_map(|run| run.conclusion.as_deref().filter(|end| *end != "success"));
    let head = &state.commits[&suite.sha];
    let url = format!("{}/check-suites/{}", state.api(repo), suite.id);
    let branch = repo.branches.iter().find(|(_, sha)| **sha == suite.sha).map(|(name, _)| name);
    let author = json!({"name": head.author.name, "email": head.author.email});
    json!({
        "id": suite.id,
        "node_id": node_id(Kind::CheckSuite, suite.id),
        "head_branch": branch,
        "head_sha": suite.sha,
        "status": if done { "completed" } else { "in_progress" },
        "conclusion": done.then(|| bad.unwrap_or("success")),
        "url": url,
        "before": head.parents.first(),
        "after": suite.sha,
        "pull_requests": pulls_of(state, repo, &suite.sha),
        "app": apps::performed_via(state, suite.app),
        "repository": minimal(state, repo),
        "created_at": time(suite.created_at),
        "updated_at": time(suite.created_at),
        "head_commit": {
            "id": head.sha,
            "tree_id": head.tree,
            "message": head.message,
            "timestamp": time(head.at),
            "author": author.clone(),
            "committer": author,
        },
        "latest_check_runs_count": runs.len(),
        "check_runs_url": format!("{url}/check-runs"),
        "rerequestable": true,
        "runs_rerequestable": true,
    })
}

/// Returns the open pull requests whose head is a commit, without those from forks, as on GitHub.
fn pulls_of(state: &State, repo: &Repo, sha: &str) -> Value {
    let short = json!({"id": repo.id, "url": state.api(repo), "name": repo.name});
    repo.pulls
        .values()
        .filter(|pull| pull.open && pull.head.sha == sha && pull.head.repo == Some(repo.id))
        .map(|pull| {
            json!({
                "url": format!("{}/pulls/{}", state.api(repo), pull.number),
                "id": pull.id,
                "number": pull.number,
                "head": {"ref": pull.head.branch, "sha": pull.head.sha, "repo": short.clone()},
                "base": {"ref": pull.base.branch, "sha": pull.base.sha, "repo": short.clone()},
            })
        })
        .collect()
}
