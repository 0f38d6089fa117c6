//! Pull requests in bodies, also in their form as issues.

use serde_json::{Value, json};

use crate::show::users::{association, extend};
use crate::show::{apps, label, maybe_time, repository, rollup, time, user};
use crate::state::State;
use crate::state::ids::{Kind, node_id};
use crate::state::merge::test_merge;
use crate::state::pulls::{End, Pull};
use crate::state::repos::Repo;

/// Returns a pull request as it appears in lists.
pub(crate) fn simple(state: &State, repo: &Repo, pull: &Pull) -> Value {
    let (api, html) = (state.api(repo), format!("{}/pull/{}", state.html(repo), pull.number));
    let url = format!("{api}/pulls/{}", pull.number);
    let issue = format!("{api}/issues/{}", pull.number);
    let statuses = format!("{api}/statuses/{}", pull.head.sha);
    let mut shown = json!({
        "url": url,
        "id": pull.id,
        "node_id": node_id(Kind::Pull, pull.id),
        "html_url": html,
        "diff_url": format!("{html}.diff"),
        "patch_url": format!("{html}.patch"),
        "issue_url": issue,
        "number": pull.number,
        "state": if pull.open { "open" } else { "closed" },
        "locked": false,
        "title": pull.title,
        "user": user(state, &pull.author),
        "body": pull.body,
        "created_at": time(pull.created_at),
        "updated_at": time(pull.updated_at),
        "closed_at": maybe_time(pull.closed_at),
        "merged_at": maybe_time(pull.merged_at),
        "merge_commit_sha": merge_commit(pull),
        "assignee": null,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "labels": labels(state, repo, pull),
        "milestone": null,
        "draft": pull.draft,
        "commits_url": format!("{url}/commits"),
        "review_comments_url": format!("{url}/comments"),
        "review_comment_url": format!("{api}/pulls/comments{{/number}}"),
        "comments_url": format!("{issue}/comments"),
        "statuses_url": statuses,
        "head": end(state, &pull.head),
        "base": end(state, &pull.base),
    });
    let links = json!({
        "self": {"href": url},
        "html": {"href": html},
        "issue": {"href": issue},
        "comments": {"href": format!("{issue}/comments")},
        "review_comments": {"href": format!("{url}/comments")},
        "review_comment": {"href": format!("{api}/pulls/comments{{/number}}")},
        "commits": {"href": format!("{url}/commits")},
        "statuses": {"href": statuses},
    });
    let rest = json!({
        "_links": links,
        "author_association": association(state, repo, &pull.author),
        "auto_merge": null,
        "active_lock_reason": null,
    });
    extend(&mut shown, rest);
    shown
}

/// Returns a pull request as its own endpoint shows it. Mergeability is null until GitHub has
/// computed it.
pub(crate) fn full(state: &State, repo: &Repo, pull: &Pull) -> Value {
    let commits = state.commits_between(&pull.base.sha, &pull.head.sha).len();
    let base = state.merge_base(&pull.base.sha, &pull.head.sha).map(|commit| commit.sha.as_str());
    let changes = state.diff(base, &pull.head.sha);
    let computed = pull.mergeable_for.as_ref() == Some(&(pull.head.sha.clone(), pull.base.sha.clone()));
    let mergeable = (pull.open && computed).then(|| state.mergeable(pull));
    let mergeable_state = match mergeable {
        _ if pull.open && pull.draft && computed => "draft",
        Some(true) => "clean",
        Some(false) => "dirty",
        None => "unknown",
    };
    let comments = repo.comments.values().filter(|comment| comment.number == pull.number).count();
    let additions: usize = changes.iter().map(|change| change.additions).sum();
    let deletions: usize = changes.iter().map(|change| change.deletions).sum();
    let mut shown = simple(state, repo, pull);
    let more = json!({
        "merged": pull.merged_at.is_some(),
        "mergeable": mergeable,
        "rebaseable": mergeable,
        "mergeable_state": mergeable_state,
        "merged_by": pull.merged_by.as_deref().map(|login| user(state, login)),
        "comments": comments,
        "review_comments": 0,
        "maintainer_can_modify": pull.maintainer_can_modify,
        "commits": commits,
        "additions": additions,
        "deletions": deletions,
        "changed_files": changes.len(),
    });
    extend(&mut shown, more);
    shown
}

/// Returns the merge commit, or the test merge of an open pull request, on whose SHA clients must
/// not rely.
fn merge_commit(pull: &Pull) -> Value {
    if let Some(sha) = &pull.merge_commit {
        return json!(sha);
    }
    match &pull.mergeable_for {
        Some((head, base)) => json!(test_merge(head, base)),
        None => Value::Null,
    }
}

fn end(state: &State, end: &End) -> Value {
    let repo = end.repo.and_then(|id| state.repos.get(&id));
    json!({
        "label": format!("{}:{}", end.owner, end.branch),
        "ref": end.branch,
        "sha": end.sha,
        "user": user(state, &end.owner),
        "repo": repo.map(|repo| repository(state, repo)),
    })
}

/// Returns the labels of a pull request.
pub(crate) fn labels(state: &State, repo: &Repo, pull: &Pull) -> Vec<Value> {
    pull.labels
        .iter()
        .filter_map(|name| repo.labels.get(&name.to_lowercase()))
        .map(|found| label(state, repo, found))
        .collect()
}

/// Returns a pull request in its form as an issue.
pub(crate) fn issue(state: &State, repo: &Repo, pull: &Pull) -> Value {
    let (api, html) = (state.api(repo), format!("{}/pull/{}", state.html(repo), pull.number));
    let url = format!("{api}/issues/{}", pull.number);
    let comments = repo.comments.values().filter(|comment| comment.number == pull.number).count();
    json!({
        "url": url,
        "repository_url": api,
        "labels_url": format!("{url}/labels{{/name}}"),
        "comments_url": format!("{url}/comments"),
        "events_url": format!("{url}/events"),
        "html_url": html,
        "id": pull.id,
        "node_id": node_id(Kind::Pull, pull.id),
        "number": pull.number,
        "title": pull.title,
        "user": user(state, &pull.author),
        "labels": labels(state, repo, pull),
        "state": if pull.open { "open" } else { "closed" },
        "state_reason": null,
        "locked": false,
        "assignee": null,
        "assignees": [],
        "milestone": null,
        "comments": comments,
        "created_at": time(pull.created_at),
        "updated_at": time(pull.updated_at),
        "closed_at": maybe_time(pull.closed_at),
        "closed_by": pull.closed_by.as_deref().map(|login| user(state, login)),
        "author_association": association(state, repo, &pull.author),
        "active_lock_reason": null,
        "draft": pull.draft,
        "pull_request": {
            "url": format!("{api}/pulls/{}", pull.number),
            "html_url": html,
            "diff_url": format!("{html}.diff"),
            "patch_url": format!("{html}.patch"),
            "merged_at": maybe_time(pull.merged_at),
        },
        "body": pull.body,
        "reactions": rollup(&format!("{url}/reactions"), &[]),
        "timeline_url": format!("{url}/timeline"),
        "performed_via_github_app": apps::performed_via(state, None),
    })
}
