//! Apps, installations and deliveries in bodies.

use serde_json::{Map, Value, json};

use crate::show::{time, user};
use crate::state::State;
use crate::state::apps::{App, Installation};
use crate::state::hooks::Attempt;
use crate::state::ids::{Kind, node_id};

/// Returns an App.
pub(crate) fn app(state: &State, app: &App) -> Value {
    let html_url = format!("{}/apps/{}", state.urls.html, app.slug);
    json!({
        "id": app.id,
        "client_id": app.client_id,
        "slug": app.slug,
        "node_id": node_id(Kind::App, app.id),
        "owner": user(state, &app.owner),
        "name": app.profile.name,
        "description": app.profile.description,
        "external_url": app.profile.url.as_ref().unwrap_or(&html_url),
        "html_url": html_url,
        "created_at": time(app.created_at),
        "updated_at": time(app.created_at),
        "permissions": app.permissions,
        "events": app.events,
    })
}

/// Returns the App that performed an action, or null.
pub(crate) fn performed_via(state: &State, id: Option<u64>) -> Value {
    id.and_then(|id| state.apps.get(&id)).map_or(Value::Null, |found| app(state, found))
}

/// Returns an installation.
pub(crate) fn installation(state: &State, installation: &Installation) -> Value {
    let api = &state.urls.api;
    let account = state.user(&installation.account);
    let found = state.apps.get(&installation.app);
    json!({
        "id": installation.id,
        "client_id": found.map(|app| app.client_id.clone()),
        "account": user(state, &installation.account),
        "repository_selection": if installation.repositories.is_some() { "selected" } else { "all" },
        "access_tokens_url": format!("{api}/app/installations/{}/access_tokens", installation.id),
        "repositories_url": format!("{api}/installation/repositories"),
        "html_url": format!("{}/settings/installations/{}", state.urls.html, installation.id),
        "app_id": installation.app,
        "app_slug": found.map(|app| app.slug.clone()),
        "target_id": account.map(|account| account.id),
        "target_type": if state.is_organization(&installation.account) { "Organization" } else { "User" },
        "permissions": found.map(|app| app.permissions.clone()),
        "events": found.map(|app| app.events.clone()),
        "created_at": time(installation.created_at),
        "updated_at": time(installation.created_at),
        "single_file_name": null,
        "has_multiple_single_files": false,
        "single_file_paths": [],
        "suspended_by": null,
        "suspended_at": installation.suspended_at.map(time),
    })
}

/// Returns a delivery in a list.
pub(crate) fn delivery(attempt: &Attempt) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("id".to_owned(), json!(attempt.id));
    shown.insert("guid".to_owned(), json!(attempt.sent.guid));
    shown.insert("delivered_at".to_owned(), json!(time(attempt.at)));
    shown.insert("redelivery".to_owned(), json!(attempt.sent.redelivery));
    shown.insert("duration".to_owned(), json!(attempt.seconds));
    shown.insert("status".to_owned(), json!(attempt.status));
    shown.insert("status_code".to_owned(), json!(attempt.status_code));
    shown.insert("event".to_owned(), json!(attempt.sent.event));
    shown.insert("action".to_owned(), json!(attempt.sent.action));
    shown.insert("installation_id".to_owned(), json!(attempt.sent.installation));
    shown.insert("repository_id".to_owned(), json!(attempt.sent.repository));
    shown.insert("throttled_at".to_owned(), Value::Null);
    shown
}

/// Returns a delivery with its request and response.
pub(crate) fn full_delivery(attempt: &Attempt, url: &str) -> Value {
    let mut shown = delivery(attempt);
    let payload: Value = serde_json::from_str(&attempt.sent.body).unwrap_or(Value::Null);
    shown.insert("url".to_owned(), json!(url));
    shown.insert("request".to_owned(), json!({"headers": attempt.request_headers, "payload": payload}));
    let response = json!({"headers": attempt.response_headers, "payload": attempt.response});
    shown.insert("response".to_owned(), response);
    Value::Object(shown)
}
