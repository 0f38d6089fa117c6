//! The parts of payloads that are specific to an event. Repository, organization, sender and
//! installation are added when the event is queued.

use serde_json::{Map, Value, json};

use crate::show::{self, time};
use crate::state::State;
use crate::state::checks::CommitStatus;
use crate::state::git::Commit;
use crate::state::refs::{Moved, ZERO};
use crate::state::repos::Repo;

type Body = Map<String, Value>;

fn body(fields: Value) -> Body {
    match fields {
        Value::Object(fields) => fields,
        _ => Body::new(),
    }
}

/// `pull_request`; `more` are the fields of the action.
pub(crate) fn pull_request(state: &State, repo: u64, number: u64, action: &str, more: Value) -> Body {
    let Some((repo, pull)) = state.repos.get(&repo).and_then(|repo| Some((repo, repo.pulls.get(&number)?)))
    else {
        return Body::new();
    };
    let mut fields = body(more);
    fields.insert("action".to_owned(), json!(action));
    fields.insert("number".to_owned(), json!(number));
    fields.insert("pull_request".to_owned(), show::pulls::full(state, repo, pull));
    fields
}

/// `issue_comment`; `before` is the text before an edit.
pub(crate) fn issue_comment(state: &State, repo: u64, comment: u64, before: Option<&str>) -> Body {
    let found = state.repos.get(&repo).and_then(|repo| {
        let comment = repo.comments.get(&comment)?;
        Some((repo, comment, repo.pulls.get(&comment.number)?))
    });
    let Some((repo, comment, pull)) = found else { return Body::new() };
    let mut fields = body(json!({
        "issue": show::pulls::issue(state, repo, pull),
        "comment": show::comment(state, repo, comment),
    }));
    if let Some(before) = before {
        fields.insert("changes".to_owned(), json!({"body": {"from": before}}));
    }
    fields
}

/// `deployment`.
pub(crate) fn deployment(state: &State, repo: u64, id: u64) -> Body {
    let found = state.repos.get(&repo).and_then(|repo| Some((repo, repo.deployments.get(&id)?)));
    let Some((repo, deployment)) = found else { return Body::new() };
    body(json!({
        "deployment": show::deployments::deployment(state, repo, deployment),
        "workflow": null,
        "workflow_run": null,
    }))
}

/// `deployment_status`.
pub(crate) fn deployment_status(state: &State, repo: u64, deployment: u64, id: u64) -> Body {
    let found = state.repos.get(&repo).and_then(|repo| {
        let deployment = repo.deployments.get(&deployment)?;
        Some((repo, deployment, deployment.statuses.iter().find(|status| status.id == id)?))
    });
    let Some((repo, deployment, status)) = found else { return Body::new() };
    body(json!({
        "deployment_status": show::deployments::status(state, repo, deployment, status),
        "deployment": show::deployments::deployment(state, repo, deployment),
        "check_run": null,
        "workflow": null,
        "workflow_run": null,
    }))
}

/// `check_run`.
pub(crate) fn check_run(state: &State, repo: u64, id: u64) -> Body {
    let found = state.repos.get(&repo).and_then(|repo| Some((repo, repo.checks.get(&id)?)));
    let Some((repo, run)) = found else { return Body::new() };
    let mut shown = show::commits::check_run(state, repo, run);
    if let Some(suite) = repo.suites.get(&run.suite) {
        let suite = show::commits::check_suite(state, repo, suite);
        show::users::extend(&mut shown, json!({"check_suite": suite}));
    }
    body(json!({"check_run": shown}))
}

/// `status`.
pub(crate) fn status(state: &State, repo: u64, status: &CommitStatus) -> Body {
    let Some(repo) = state.repos.get(&repo) else { return Body::new() };
    let commit = state.commits.get(&status.sha).map(|commit| show::commits::commit(state, repo, commit));
    let avatar = show::user(state, &status.creator)["avatar_url"].clone();
    body(json!({
        "id": status.id,
        "sha": status.sha,
        "name": repo.full_name(),
        "avatar_url": avatar,
        "target_url": status.target_url,
        "context": status.context,
        "description": status.description,
        "state": status.state,
        "commit": commit,
        "branches": state.branches_at(repo, &status.sha),
        "created_at": time(status.created_at),
        "updated_at": time(status.created_at),
    }))
}

/// `installation`.
pub(crate) fn installation(state: &State, id: u64) -> Body {
    let Some(installation) = state.installations.get(&id) else { return Body::new() };
    let repositories: Vec<Value> = state
        .repos
        .values()
        .filter(|repo| state.installation_sees(installation, repo.id))
        .map(|repo| {
            json!({
                "id": repo.id,
                "node_id": crate::state::ids::node_id(crate::state::ids::Kind::Repository, repo.id),
                "name": repo.name,
                "full_name": repo.full_name(),
                "private": repo.private,
            })
        })
        .collect();
    body(json!({
        "installation": show::apps::installation(state, installation),
        "repositories": repositories,
        "requester": null,
    }))
}

/// `push`.
pub(crate) fn push(state: &State, repo: u64, moved: &Moved<'_>, actor: &str) -> Body {
    let Some(repo) = state.repos.get(&repo) else { return Body::new() };
    let zero = || ZERO.to_owned();
    let before = moved.before.clone().unwrap_or_else(zero);
    let after = moved.after.clone().unwrap_or_else(zero);
    let known = moved.before.as_deref().or_else(|| {
        // A push of a new branch lists the commits that the default branch lacks.
        repo.branches.get(&repo.default_branch).map(String::as_str).filter(|sha| *sha != after)
    });
    let commits: Vec<Value> = match (known, &moved.after) {
        (Some(known), Some(after)) => {
            state.commits_between(known, after).into_iter().map(|c| push_commit(state, repo, c)).collect()
        }
        _ => Vec::new(),
    };
    let head = moved.after.as_ref().and_then(|sha| state.commits.get(sha));
    let html = state.html(repo);
    let mut fields = body(json!({
        "ref": format!("refs/heads/{}", moved.branch),
        "before": before,
        "after": after,
        "created": moved.before.is_none(),
        "deleted": moved.after.is_none(),
        "forced": moved.forced,
        "base_ref": null,
        "compare": format!("{html}/compare/{}...{}", &before[..12], &after[..12]),
        "commits": commits,
        "head_commit": head.map(|commit| push_commit(state, repo, commit)),
        "pusher": {"name": actor, "email": format!("{actor}@users.noreply.github.com")},
    }));
    // Only this event has a repository with these fields, among them times in seconds since 1970.
    let mut shown = show::repository(state, repo);
    show::users::extend(
        &mut shown,
        json!({
            "url": html,
            "created_at": repo.created_at.timestamp(),
            "pushed_at": repo.pushed_at.timestamp(),
            "stargazers": 0,
            "master_branch": repo.default_branch,
        }),
    );
    let mut owner = show::user(state, &repo.owner);
    show::users::extend(&mut owner, json!({"name": repo.owner, "email": null}));
    show::users::extend(&mut shown, json!({"owner": owner}));
    fields.insert("repository".to_owned(), shown);
    fields
}

fn push_commit(state: &State, repo: &Repo, commit: &Commit) -> Value {
    let changes = state.diff(commit.parents.first().map(String::as_str), &commit.sha);
    let paths = |status: &str| -> Vec<&str> {
        changes.iter().filter(|change| change.status == status).map(|change| change.path.as_str()).collect()
    };
    let author = json!({
        "name": commit.author.name,
        "email": commit.author.email,
        "date": time(commit.at),
        "username": commit.author.login,
    });
    json!({
        "id": commit.sha,
        "tree_id": commit.tree,
        "distinct": true,
        "message": commit.message,
        "timestamp": time(commit.at),
        "url": format!("{}/commit/{}", state.html(repo), commit.sha),
        "author": author.clone(),
        "committer": author,
        "added": paths("added"),
        "removed": paths("removed"),
        "modified": paths("modified"),
    })
}
