//! <https://docs.github.com/rest/apps/apps> and <https://docs.github.com/rest/apps/installations>

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::api::auth::Identity;
use crate::api::call::{Answer, Problem, Reply};
use crate::api::input::Fields;
use crate::api::{Cx, jwt, number, page};
use crate::control::types::Permissions;
use crate::show;
use crate::state::apps::Installation;
use crate::state::repos::Repo;

/// Returns the App whose JWT came with the request.
pub(crate) fn asking(cx: &Cx<'_>) -> Result<u64, Problem> {
    match cx.who {
        Identity::App(id) => Ok(id),
        _ => Err(jwt::undecodable()),
    }
}

pub(crate) fn app(cx: &mut Cx<'_>) -> Answer {
    let id = asking(cx)?;
    let app = &cx.state.apps[&id];
    let count = cx.state.installations.values().filter(|one| one.app == id).count();
    let mut shown = show::apps::app(cx.state, app);
    show::users::extend(&mut shown, json!({"installations_count": count}));
    Ok(Reply::ok(shown))
}

/// Returns the credentials of an App created from a manifest, once. The code suffices; no
/// authentication is needed.
pub(crate) fn convert(cx: &mut Cx<'_>, code: &str) -> Answer {
    let conversion = cx.state.take_conversion(code).ok_or_else(Problem::not_found)?;
    let mut shown = show::apps::app(cx.state, &cx.state.apps[&conversion.app]);
    show::users::extend(
        &mut shown,
        json!({
            "client_secret": conversion.client_secret,
            "webhook_secret": conversion.webhook_secret,
            "pem": conversion.private_pem,
        }),
    );
    Ok(Reply::with_status(StatusCode::CREATED, shown))
}

pub(crate) fn installations(cx: &mut Cx<'_>) -> Answer {
    let app = asking(cx)?;
    let all: Vec<&Installation> = cx.state.installations.values().filter(|one| one.app == app).collect();
    let show = |one: &&Installation| show::apps::installation(cx.state, one);
    let path = "/app/installations";
    Ok(page::reply(&cx.state.urls, path, cx.call, &all, show, |shown, _| Value::Array(shown)))
}

fn own<'a>(cx: &'a Cx<'_>, id: &str) -> Result<&'a Installation, Problem> {
    let app = asking(cx)?;
    let id = number(id)?;
    cx.state.installations.get(&id).filter(|one| one.app == app).ok_or_else(Problem::not_found)
}

pub(crate) fn installation(cx: &mut Cx<'_>, id: &str) -> Answer {
    let found = own(cx, id)?;
    Ok(Reply::ok(show::apps::installation(cx.state, found)))
}

/// Returns the installation on an account.
pub(crate) fn for_account(cx: &mut Cx<'_>, login: &str) -> Answer {
    let app = asking(cx)?;
    let found = cx
        .state
        .installations
        .values()
        .find(|one| one.app == app && one.account.eq_ignore_ascii_case(login))
        .ok_or_else(Problem::not_found)?;
    Ok(Reply::ok(show::apps::installation(cx.state, found)))
}

/// Returns the installation that sees a repository.
pub(crate) fn for_repository(cx: &mut Cx<'_>, owner: &str, name: &str) -> Answer {
    let app = asking(cx)?;
    let repo = cx.state.find_repo(owner, name).ok_or_else(Problem::not_found)?;
    let found = cx
        .state
        .installations
        .values()
        .find(|one| one.app == app && cx.state.installation_sees(one, repo.id))
        .ok_or_else(Problem::not_found)?;
    Ok(Reply::ok(show::apps::installation(cx.state, found)))
}

pub(crate) fn create_token(cx: &mut Cx<'_>, id: &str) -> Answer {
    let found = own(cx, id)?.clone();
    if found.suspended_at.is_some() {
        return Err(Problem::new(StatusCode::FORBIDDEN, "This installation has been suspended"));
    }
    let mut fields = Fields::read(cx.call)?;
    let names = fields.strings("repositories");
    let ids = fields.any("repository_ids").and_then(Value::as_array).cloned();
    let wanted = fields.object("permissions");
    fields.check()?;
    let granted = cx.state.apps[&found.app].permissions.clone();
    let permissions = narrow(&granted, wanted)?;
    let asked = repositories(cx, &found, names, ids)?;
    let selected = asked.clone().or_else(|| found.repositories.clone());
    let (token, expires_at) = cx.state.installation_token(found.id, permissions.clone(), asked.clone());
    let mut body = json!({
        "token": token,
        "expires_at": show::time(expires_at),
        "permissions": permissions,
        "repository_selection": if selected.is_some() { "selected" } else { "all" },
    });
    if let Some(asked) = asked {
        let shown: Vec<Value> = asked
            .iter()
            .filter_map(|id| cx.state.repos.get(id))
            .map(|repo| show::repository(cx.state, repo))
            .collect();
        show::users::extend(&mut body, json!({"repositories": shown}));
    }
    Ok(Reply::with_status(StatusCode::CREATED, body))
}

/// Returns the requested permissions, which must not exceed the installation's.
fn narrow(
    granted: &Permissions,
    wanted: Option<serde_json::Map<String, Value>>,
) -> Result<Permissions, Problem> {
    // An empty object requests nothing in particular: some clients always send one.
    let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else { return Ok(granted.clone()) };
    let beyond = || Problem::unprocessable("The permissions requested are not granted to this installation.");
    let mut permissions = Permissions::new();
    for (name, level) in wanted {
        let level = level.as_str().ok_or_else(beyond)?;
        let most = granted.get(&name).ok_or_else(beyond)?;
        if !matches!(level, "read" | "write" | "admin") || (level != "read" && most == "read") {
            return Err(beyond());
        }
        permissions.insert(name, level.to_owned());
    }
    permissions.entry("metadata".to_owned()).or_insert_with(|| "read".to_owned());
    Ok(permissions)
}

/// Returns the requested repositories, which the installation must see; `None` when the request
/// names none.
fn repositories(
    cx: &Cx<'_>,
    installation: &Installation,
    names: Option<Vec<String>>,
    ids: Option<Vec<Value>>,
) -> Result<Option<BTreeSet<u64>>, Problem> {
    let beyond = || {
        Problem::unprocessable(
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
        )
    };
    if names.is_none() && ids.is_none() {
        return Ok(None);
    }
    let mut asked = BTreeSet::new();
    for name in names.unwrap_or_default() {
        let repo = cx.state.find_repo(&installation.account, &name).ok_or_else(beyond)?;
        asked.insert(repo.id);
    }
    for id in ids.unwrap_or_default() {
        asked.insert(id.as_u64().ok_or_else(beyond)?);
    }
    if asked.len() > 500 {
        return Err(Problem::unprocessable("Up to 500 repositories can be listed."));
    }
    if asked.iter().all(|id| cx.state.installation_sees(installation, *id)) {
        Ok(Some(asked))
    } else {
        Err(beyond())
    }
}

/// Returns the repositories an installation's token sees.
pub(crate) fn repositories_of(cx: &Cx<'_>) -> Result<Vec<u64>, Problem> {
    if matches!(cx.who, Identity::Installation { .. }) {
        let held = cx.state.repos.values().filter(|repo| cx.who.holds(cx.state, repo));
        return Ok(held.map(|repo| repo.id).collect());
    }
    let message = "You must authenticate with an installation access token in order to list repositories for an \
                   installation.";
    Err(Problem::new(StatusCode::FORBIDDEN, message))
}

pub(crate) fn repositories_list(cx: &mut Cx<'_>) -> Answer {
    let ids = repositories_of(cx)?;
    let all: Vec<&Repo> = ids.iter().filter_map(|id| cx.state.repos.get(id)).collect();
    let Identity::Installation { id, repositories, .. } = &cx.who else {
        return Err(Problem::not_found());
    };
    let chosen = repositories.is_some()
        || cx.state.installations.get(id).is_some_and(|one| one.repositories.is_some());
    let selection = if chosen { "selected" } else { "all" };
    Ok(page::reply(
        &cx.state.urls,
        "/installation/repositories",
        cx.call,
        &all,
        |repo| show::repository(cx.state, repo),
        |shown, total| json!({"total_count": total, "repository_selection": selection, "repositories": shown}),
    ))
}

/// Revokes the token of this request.
pub(crate) fn revoke(cx: &mut Cx<'_>) -> Answer {
    if !matches!(cx.who, Identity::Installation { .. }) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "Resource not accessible by personal access token"));
    }
    let header = cx.call.header("authorization").unwrap_or_default();
    if let Some((_, token)) = header.split_once(' ') {
        cx.state.tokens.remove(token.trim());
    }
    Ok(Reply::no_content())
}
