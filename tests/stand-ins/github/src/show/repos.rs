//! Repositories, branches and files in bodies.

use serde_json::{Value, json};

use crate::control::types::AccountKind;
use crate::show::users::extend;
use crate::show::{segment, time, user};
use crate::state::State;
use crate::state::ids::{Kind, named_node_id, node_id, sha};
use crate::state::repos::Repo;

/// Returns a repository as it appears in lists and inside other objects.
pub(crate) fn minimal(state: &State, repo: &Repo) -> Value {
    repository(state, repo)
}

/// Returns a repository without the fields that only its own endpoint has.
pub(crate) fn repository(state: &State, repo: &Repo) -> Value {
    let api = state.api(repo);
    let mut shown = json!({
        "id": repo.id,
        "node_id": node_id(Kind::Repository, repo.id),
        "name": repo.name,
        "full_name": repo.full_name(),
        "private": repo.private,
        "owner": user(state, &repo.owner),
        "description": null,
        "fork": repo.parent.is_some(),
        "url": api,
        "html_url": state.html(repo),
    });
    let urls: serde_json::Map<String, Value> =
        URLS.iter().map(|(name, path)| ((*name).to_owned(), json!(format!("{api}/{path}")))).collect();
    extend(&mut shown, Value::Object(urls));
    extend(&mut shown, clone_urls(state, repo));
    extend(&mut shown, figures(state, repo));
    shown
}

/// The URLs below a repository's own.
const URLS: [(&str, &str); 36] = [
    ("archive_url", "{archive_format}{/ref}"),
    ("assignees_url", "assignees{/user}"),
    ("blobs_url", "git/blobs{/sha}"),
    ("branches_url", "branches{/branch}"),
    ("collaborators_url", "collaborators{/collaborator}"),
    ("comments_url", "comments{/number}"),
    ("commits_url", "commits{/sha}"),
    ("compare_url", "compare/{base}...{head}"),
    ("contents_url", "contents/{+path}"),
    ("contributors_url", "contributors"),
    ("deployments_url", "deployments"),
    ("downloads_url", "downloads"),
    ("events_url", "events"),
    ("forks_url", "forks"),
    ("git_commits_url", "git/commits{/sha}"),
    ("git_refs_url", "git/refs{/sha}"),
    ("git_tags_url", "git/tags{/sha}"),
    ("hooks_url", "hooks"),
    ("issue_comment_url", "issues/comments{/number}"),
    ("issue_events_url", "issues/events{/number}"),
    ("issues_url", "issues{/number}"),
    ("keys_url", "keys{/key_id}"),
    ("labels_url", "labels{/name}"),
    ("languages_url", "languages"),
    ("merges_url", "merges"),
    ("milestones_url", "milestones{/number}"),
    ("notifications_url", "notifications{?since,all,participating}"),
    ("pulls_url", "pulls{/number}"),
    ("releases_url", "releases{/id}"),
    ("stargazers_url", "stargazers"),
    ("statuses_url", "statuses/{sha}"),
    ("subscribers_url", "subscribers"),
    ("subscription_url", "subscription"),
    ("tags_url", "tags"),
    ("teams_url", "teams"),
    ("trees_url", "git/trees{/sha}"),
];

fn clone_urls(state: &State, repo: &Repo) -> Value {
    let html = state.html(repo);
    let host = state.urls.html.split("//").last().unwrap_or("github.com").to_owned();
    json!({
        "clone_url": format!("{html}.git"),
        "git_url": format!("git://{host}/{}.git", repo.full_name()),
        "ssh_url": format!("git@{host}:{}.git", repo.full_name()),
        "svn_url": html,
        "mirror_url": null,
        "homepage": null,
    })
}

fn figures(state: &State, repo: &Repo) -> Value {
    let forks = state.repos.values().filter(|other| other.parent == Some(repo.id)).count();
    let open = repo.pulls.values().filter(|pull| pull.open).count();
    json!({
        "language": null,
        "forks_count": forks,
        "stargazers_count": 0,
        "watchers_count": 0,
        "size": 1,
        "default_branch": repo.default_branch,
        "open_issues_count": open,
        "is_template": false,
        "topics": [],
        "has_issues": true,
        "has_projects": true,
        "has_wiki": false,
        "has_pages": false,
        "has_downloads": true,
        "has_discussions": false,
        "archived": false,
        "disabled": false,
        "visibility": if repo.private { "private" } else { "public" },
        "pushed_at": time(repo.pushed_at),
        "created_at": time(repo.created_at),
        "updated_at": time(repo.pushed_at),
        "allow_forking": true,
        "web_commit_signoff_required": false,
        "license": null,
        "forks": forks,
        "open_issues": open,
        "watchers": 0,
    })
}

/// Returns a repository as its own endpoint shows it.
pub(crate) fn full(state: &State, repo: &Repo) -> Value {
    let mut shown = repository(state, repo);
    let more = json!({
        "subscribers_count": 0,
        "network_count": 0,
        "temp_clone_token": null,
        "allow_squash_merge": true,
        "allow_merge_commit": true,
        "allow_rebase_merge": true,
        "allow_auto_merge": false,
        "delete_branch_on_merge": false,
        "allow_update_branch": false,
    });
    extend(&mut shown, more);
    if state.user(&repo.owner).is_some_and(|owner| owner.kind == AccountKind::Organization) {
        extend(&mut shown, json!({"organization": user(state, &repo.owner)}));
    }
    if let Some(parent) = repo.parent.and_then(|id| state.repos.get(&id)) {
        let source = state.repos.get(&repo.network).unwrap_or(parent);
        let parents = json!({"parent": repository(state, parent), "source": repository(state, source)});
        extend(&mut shown, parents);
    }
    shown
}

/// Returns a branch in a list.
pub(crate) fn short_branch(state: &State, repo: &Repo, name: &str, sha: &str) -> Value {
    json!({
        "name": name,
        "commit": {"sha": sha, "url": format!("{}/commits/{sha}", state.api(repo))},
        "protected": false,
    })
}

/// Returns a branch as its own endpoint shows it.
pub(crate) fn branch(state: &State, repo: &Repo, name: &str, sha: &str) -> Value {
    let url = format!("{}/branches/{}", state.api(repo), segment(name));
    json!({
        "name": name,
        "commit": crate::show::commits::commit(state, repo, &state.commits[sha]),
        "_links": {"self": url, "html": format!("{}/tree/{name}", state.html(repo))},
        "protected": false,
        "protection": {
            "enabled": false,
            "required_status_checks": {"enforcement_level": "off", "contexts": [], "checks": []},
        },
        "protection_url": format!("{url}/protection"),
    })
}

/// Returns a git reference.
pub(crate) fn reference(state: &State, repo: &Repo, name: &str, sha: &str) -> Value {
    json!({
        "ref": name,
        "node_id": named_node_id("REF", &format!("{}:{name}", repo.id)),
        "url": format!("{}/git/{name}", state.api(repo)),
        "object": {"sha": sha, "type": "commit", "url": format!("{}/git/commits/{sha}", state.api(repo))},
    })
}

/// Returns a file or directory; a file's `text` becomes its content.
pub(crate) fn content(
    state: &State,
    repo: &Repo,
    (path, reference): (&str, &str),
    kind: &str,
    text: Option<&str>,
) -> Value {
    let (api, html) = (state.api(repo), state.html(repo));
    let encoded: Vec<String> = path.split('/').map(segment).collect();
    let encoded = encoded.join("/");
    let blob = sha(&format!("{kind} {path} {}", text.unwrap_or_default()));
    let (own, git, page) = (
        format!("{api}/contents/{encoded}?ref={}", segment(reference)),
        format!("{api}/git/{}/{blob}", if kind == "dir" { "trees" } else { "blobs" }),
        format!("{html}/{}/{reference}/{encoded}", if kind == "dir" { "tree" } else { "blob" }),
    );
    let download = (kind == "file").then(|| format!("{html}/raw/{}/{encoded}", segment(reference)));
    json!({
        "type": kind,
        "name": path.rsplit('/').next().unwrap_or(path),
        "path": path,
        "sha": blob,
        "size": text.map_or(0, str::len),
        "url": own,
        "html_url": page,
        "git_url": git,
        "download_url": download,
        "_links": {"self": own, "git": git, "html": page},
    })
}
