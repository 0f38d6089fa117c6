//! Accounts in bodies.

use serde_json::{Value, json};

use crate::control::types::{AccountKind, Role};
use crate::show::{segment, time};
use crate::state::ids::{Kind, node_id};
use crate::state::repos::Repo;
use crate::state::users::{GHOST, User};
use crate::state::{State, now};

/// Returns an account as it appears inside other objects; a deleted account is the ghost.
pub(crate) fn user(state: &State, login: &str) -> Value {
    match state.user(login).or_else(|| state.user(GHOST)) {
        Some(user) => simple(state, user),
        None => Value::Null,
    }
}

fn simple(state: &State, user: &User) -> Value {
    let login = segment(&user.login);
    let api = format!("{}/users/{login}", state.urls.api);
    let html = match user.login.strip_suffix("[bot]") {
        Some(slug) => format!("{}/apps/{slug}", state.urls.html),
        None => format!("{}/{login}", state.urls.html),
    };
    json!({
        "login": user.login,
        "id": user.id,
        "node_id": node_id(Kind::User, user.id),
        "avatar_url": format!("{}/_assets/avatar/{}", state.urls.html, user.id),
        "gravatar_id": "",
        "url": api,
        "html_url": html,
        "followers_url": format!("{api}/followers"),
        "following_url": format!("{api}/following{{/other_user}}"),
        "gists_url": format!("{api}/gists{{/gist_id}}"),
        "starred_url": format!("{api}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{api}/subscriptions"),
        "organizations_url": format!("{api}/orgs"),
        "repos_url": format!("{api}/repos"),
        "events_url": format!("{api}/events{{/privacy}}"),
        "received_events_url": format!("{api}/received_events"),
        "type": kind(user.kind),
        "user_view_type": "public",
        "site_admin": false,
    })
}

fn kind(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::User => "User",
        AccountKind::Organization => "Organization",
        AccountKind::Bot => "Bot",
    }
}

/// Returns an account as its own endpoint shows it; `private` adds the fields that only the account
/// sees.
pub(crate) fn profile(state: &State, user: &User, private: bool) -> Value {
    let mut shown = simple(state, user);
    let count = |wanted: bool| {
        state
            .repos
            .values()
            .filter(|repo| repo.owner.eq_ignore_ascii_case(&user.login) && repo.private == wanted)
            .count()
    };
    let more = json!({
        "name": user.name,
        "company": null,
        "blog": "",
        "location": null,
        "email": null,
        "hireable": null,
        "bio": null,
        "twitter_username": null,
        "public_repos": count(false),
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": time(user.created_at),
        "updated_at": time(user.created_at),
    });
    extend(&mut shown, more);
    if private {
        let more = json!({
            "private_gists": 0,
            "total_private_repos": count(true),
            "owned_private_repos": count(true),
            "disk_usage": 0,
            "collaborators": 0,
            "two_factor_authentication": true,
        });
        extend(&mut shown, more);
    }
    shown
}

/// Returns an organization as it appears in webhook payloads.
pub(crate) fn organization(state: &State, login: &str) -> Value {
    let Some(user) = state.user(login) else { return Value::Null };
    let api = format!("{}/orgs/{}", state.urls.api, user.login);
    json!({
        "login": user.login,
        "id": user.id,
        "node_id": node_id(Kind::User, user.id),
        "url": api,
        "repos_url": format!("{api}/repos"),
        "events_url": format!("{api}/events"),
        "hooks_url": format!("{api}/hooks"),
        "issues_url": format!("{api}/issues"),
        "members_url": format!("{api}/members{{/member}}"),
        "public_members_url": format!("{api}/public_members{{/member}}"),
        "avatar_url": format!("{}/_assets/avatar/{}", state.urls.html, user.id),
        "description": user.name,
    })
}

/// Returns an author's association with a repository. It doesn't tell the author's rights.
pub(crate) fn association(state: &State, repo: &Repo, login: &str) -> &'static str {
    if login.eq_ignore_ascii_case(&repo.owner) {
        return "OWNER";
    }
    if repo.collaborators.contains_key(&login.to_lowercase()) {
        return if state.is_organization(&repo.owner) { "MEMBER" } else { "COLLABORATOR" };
    }
    let merged = |pull: &crate::state::pulls::Pull| {
        pull.merged_at.is_some_and(|at| at <= now()) && pull.author.eq_ignore_ascii_case(login)
    };
    if repo.pulls.values().any(merged) { "CONTRIBUTOR" } else { "NONE" }
}

/// Returns the answer of the collaborator permission endpoint for a role: `permission` has only
/// four values, `role_name` has the role.
pub(crate) fn collaborator(state: &State, login: &str, role: Role) -> Value {
    let permission = match role {
        Role::None => "none",
        Role::Read | Role::Triage => "read",
        Role::Write | Role::Maintain => "write",
        Role::Admin => "admin",
    };
    let role_name = match role {
        Role::Triage => "triage",
        Role::Maintain => "maintain",
        _ => permission,
    };
    let mut user = user(state, login);
    let permissions = json!({
        "pull": role >= Role::Read,
        "triage": role >= Role::Triage,
        "push": role >= Role::Write,
        "maintain": role >= Role::Maintain,
        "admin": role >= Role::Admin,
    });
    extend(&mut user, json!({"permissions": permissions, "role_name": role_name}));
    json!({"permission": permission, "role_name": role_name, "user": user})
}

/// Adds the fields of one object to another.
pub(crate) fn extend(object: &mut Value, more: Value) {
    if let (Value::Object(fields), Value::Object(more)) = (object, more) {
        fields.extend(more);
    }
}
