//! <https://docs.github.com/rest/repos/webhooks> and <https://docs.github.com/rest/apps/webhooks>

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::auth::Need;
use crate::api::call::{Answer, Call, Problem, Reply};
use crate::api::input::Fields;
use crate::api::{Cx, apps, number};
use crate::control::types::{NewHook, Role};
use crate::show;
use crate::state::hooks::{Attempt, Hook, Target};
use crate::state::now;

const READ: Need = Need::read(&["repository_hooks"]).role(Role::Admin).always();
const WRITE: Need = Need::write(&["repository_hooks"]).role(Role::Admin);

pub(crate) fn route(
    cx: &mut Cx<'_>,
    method: &Method,
    repo: (&str, &str),
    rest: &[&str],
) -> (&'static str, Answer) {
    match (method.as_str(), rest) {
        ("GET", []) => ("repos/webhooks#list-repository-webhooks", list(cx, repo)),
        ("POST", []) => ("repos/webhooks#create-a-repository-webhook", create(cx, repo)),
        ("GET", [id]) => ("repos/webhooks#get-a-repository-webhook", get(cx, repo, id)),
        ("PATCH", [id]) => ("repos/webhooks#update-a-repository-webhook", update(cx, repo, id)),
        ("DELETE", [id]) => ("repos/webhooks#delete-a-repository-webhook", delete(cx, repo, id)),
        ("POST", [id, "pings"]) => ("repos/webhooks#ping-a-repository-webhook", ping(cx, repo, id)),
        (_, [id, "deliveries", rest @ ..]) => {
            let need = if *method == Method::GET { READ } else { WRITE };
            let found = own(cx, repo, id, need);
            deliveries(cx, method, found, rest, &OF_REPOSITORY)
        }
        _ => ("", Err(Problem::not_found())),
    }
}

/// Returns the hook with that id if it belongs to the repository.
fn own(cx: &Cx<'_>, (owner, name): (&str, &str), id: &str, need: Need) -> Result<u64, Problem> {
    let repo = cx.repo(owner, name, need)?;
    let id = number(id)?;
    let hook = cx.state.hooks.get(&id).filter(|hook| hook.repository() == Some(repo));
    hook.map(|hook| hook.id).ok_or_else(Problem::not_found)
}

fn list(cx: &mut Cx<'_>, (owner, name): (&str, &str)) -> Answer {
    let repo = cx.repo(owner, name, READ)?;
    let all: Vec<&Hook> = cx.state.hooks.values().filter(|hook| hook.repository() == Some(repo)).collect();
    Ok(cx.list(repo, &all, |hook| show::hook(cx.state, hook)))
}

fn get(cx: &mut Cx<'_>, repo: (&str, &str), id: &str) -> Answer {
    let id = own(cx, repo, id, READ)?;
    Ok(Reply::ok(show::hook(cx.state, &cx.state.hooks[&id])))
}

fn text(config: &serde_json::Map<String, Value>, name: &str) -> Option<String> {
    config.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn create(cx: &mut Cx<'_>, (owner, name): (&str, &str)) -> Answer {
    let repo = cx.repo(owner, name, WRITE)?;
    let mut fields = Fields::read(cx.call)?;
    let config = fields.object("config").unwrap_or_default();
    let events = fields.strings("events").unwrap_or_default();
    fields.word("name", &["web"]);
    let active = fields.boolean("active").unwrap_or(true);
    fields.check()?;
    let url =
        text(&config, "url").ok_or_else(|| Problem::validation("Hook", "missing_field", "url", None))?;
    // GitHub's default for hooks of repositories is `form`.
    let content_type = text(&config, "content_type").or_else(|| Some("form".to_owned()));
    let new = NewHook { url, secret: text(&config, "secret"), events, content_type };
    let actor = cx.login();
    let id = cx.state.create_hook(Target::Repository(repo), new, &actor)?;
    if let Some(hook) = cx.state.hooks.get_mut(&id) {
        hook.active = active;
    }
    Ok(Reply::created(show::hook(cx.state, &cx.state.hooks[&id])))
}

fn update(cx: &mut Cx<'_>, repo: (&str, &str), id: &str) -> Answer {
    let id = own(cx, repo, id, WRITE)?;
    let mut fields = Fields::read(cx.call)?;
    let config = fields.object("config");
    let events = fields.strings("events");
    let active = fields.boolean("active");
    fields.check()?;
    if let Some(hook) = cx.state.hooks.get_mut(&id) {
        if let Some(config) = config {
            // "If a secret is not included, it is removed."
            hook.secret = text(&config, "secret").filter(|secret| !secret.is_empty());
            hook.url = text(&config, "url").unwrap_or_else(|| hook.url.clone());
            hook.content_type = text(&config, "content_type").unwrap_or_else(|| hook.content_type.clone());
        }
        hook.events = events.unwrap_or_else(|| hook.events.clone());
        hook.active = active.unwrap_or(hook.active);
        hook.updated_at = now();
    }
    Ok(Reply::ok(show::hook(cx.state, &cx.state.hooks[&id])))
}

fn delete(cx: &mut Cx<'_>, repo: (&str, &str), id: &str) -> Answer {
    let id = own(cx, repo, id, WRITE)?;
    cx.state.hooks.remove(&id);
    Ok(Reply::no_content())
}

fn ping(cx: &mut Cx<'_>, repo: (&str, &str), id: &str) -> Answer {
    let id = own(cx, repo, id, READ)?;
    let actor = cx.login();
    cx.state.ping(id, &actor)?;
    Ok(Reply::no_content())
}

fn own_app_hook(cx: &Cx<'_>) -> Result<u64, Problem> {
    let app = apps::asking(cx)?;
    cx.state.apps[&app].hook.ok_or_else(Problem::not_found)
}

pub(crate) fn app_config(cx: &mut Cx<'_>) -> Answer {
    let hook = own_app_hook(cx)?;
    Ok(Reply::ok(show::hook_config(&cx.state.hooks[&hook])))
}

pub(crate) fn update_app_config(cx: &mut Cx<'_>) -> Answer {
    let id = own_app_hook(cx)?;
    let mut fields = Fields::read(cx.call)?;
    let (url, secret) = (fields.string("url"), fields.string("secret"));
    let content_type = fields.word("content_type", &["json", "form"]);
    fields.check()?;
    if let Some(hook) = cx.state.hooks.get_mut(&id) {
        // Unlike with a repository's hook, an omitted field keeps its value.
        hook.url = url.unwrap_or_else(|| hook.url.clone());
        hook.secret = secret.filter(|secret| !secret.is_empty()).or_else(|| hook.secret.clone());
        hook.content_type = content_type.unwrap_or_else(|| hook.content_type.clone());
        hook.updated_at = now();
    }
    Ok(Reply::ok(show::hook_config(&cx.state.hooks[&id])))
}

pub(crate) fn app_deliveries(cx: &mut Cx<'_>, method: &Method, rest: &[&str]) -> (&'static str, Answer) {
    let found = own_app_hook(cx);
    deliveries(cx, method, found, rest, &OF_APP)
}

/// Documentation pages of the list of deliveries, of one delivery, and of redelivery.
type Pages = [&'static str; 3];

const OF_REPOSITORY: Pages = [
    "repos/webhooks#list-deliveries-for-a-repository-webhook",
    "repos/webhooks#get-a-delivery-for-a-repository-webhook",
    "repos/webhooks#redeliver-a-delivery-for-a-repository-webhook",
];
const OF_APP: Pages = [
    "apps/webhooks#list-deliveries-for-an-app-webhook",
    "apps/webhooks#get-a-delivery-for-an-app-webhook",
    "apps/webhooks#redeliver-a-delivery-for-an-app-webhook",
];

fn deliveries(
    cx: &mut Cx<'_>,
    method: &Method,
    hook: Result<u64, Problem>,
    rest: &[&str],
    [list, get, again]: &Pages,
) -> (&'static str, Answer) {
    match (method.as_str(), rest) {
        ("GET", []) => (list, hook.and_then(|hook| delivery_page(cx, hook))),
        ("GET", [id]) => (get, hook.and_then(|hook| delivery(cx, hook, id))),
        ("POST", [id, "attempts"]) => (again, hook.and_then(|hook| redeliver(cx, hook, id))),
        _ => ("", Err(Problem::not_found())),
    }
}

/// Returns deliveries, newest first and of one outcome if requested, paged by a cursor instead of
/// page numbers.
fn delivery_page(cx: &Cx<'_>, hook: u64) -> Answer {
    let call: &Call = cx.call;
    let size = call.query("per_page").and_then(|text| text.parse().ok()).unwrap_or(30_usize).clamp(1, 100);
    let cursor = match call.query("cursor") {
        None => None,
        Some(text) => {
            let place = text.strip_prefix("v1_").and_then(|text| text.parse::<u64>().ok());
            Some(place.ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "Bad Request"))?)
        }
    };
    let codes = match call.query("status") {
        None => 0..=u16::MAX,
        Some("success") => 200..=399,
        Some("failure") => 400..=599,
        Some(_) => return Err(Problem::validation("Hook", "invalid", "status", None)),
    };
    let outcome = call.query("status").map_or_else(String::new, |status| format!("&status={status}"));
    let found = &cx.state.hooks[&hook];
    let mut rest = found
        .log
        .iter()
        .rev()
        .filter(|attempt| cursor.is_none_or(|cursor| attempt.id < cursor))
        .filter(|attempt| codes.contains(&attempt.status_code));
    let shown: Vec<&Attempt> = rest.by_ref().take(size).collect();
    let more = rest.next().is_some();
    let list = shown.iter().map(|attempt| Value::Object(show::apps::delivery(attempt))).collect();
    let mut reply = Reply::ok(Value::Array(list));
    if let Some(last) = shown.last().filter(|_| more) {
        let url =
            format!("{}{}?per_page={size}&cursor=v1_{}{outcome}", cx.state.urls.api, call.path, last.id);
        reply.headers.push(("link", format!("<{url}>; rel=\"next\"")));
    }
    Ok(reply)
}

fn delivery(cx: &Cx<'_>, hook: u64, id: &str) -> Answer {
    let id = number(id)?;
    let hook = &cx.state.hooks[&hook];
    let attempt = hook.log.iter().find(|attempt| attempt.id == id).ok_or_else(Problem::not_found)?;
    Ok(Reply::ok(show::apps::full_delivery(attempt, &hook.url)))
}

fn redeliver(cx: &mut Cx<'_>, hook: u64, id: &str) -> Answer {
    cx.state.redeliver(hook, number(id)?)?;
    Ok(Reply::with_status(StatusCode::ACCEPTED, json!({})))
}
