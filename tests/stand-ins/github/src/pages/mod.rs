//! The pages for people: plain HTML from the server. All user input is escaped.

mod actions;
mod apps;
mod deployments;
mod home;
mod layout;
mod markdown;
mod pull;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::Markup;

use crate::state::State;
use crate::world::World;

/// The largest form, in bytes.
const MAX_FORM: usize = 256 * 1024;

const HTML: (header::HeaderName, &str) = (header::CONTENT_TYPE, "text/html; charset=utf-8");

/// Response extension: another site to which a form on the page leads.
#[derive(Clone, Debug)]
pub(crate) struct FormTarget(String);

/// A page that can't be shown.
pub(crate) struct Missing;

/// Returns a page, or executes the form of one.
pub(crate) async fn answer(world: &Arc<World>, request: Request) -> Response {
    let path = percent_encoding::percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
    let segments: Vec<String> =
        path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let mut response = match *request.method() {
        Method::GET | Method::HEAD => get(world, &segments),
        // Manifests are meant to be posted from other sites.
        Method::POST if !segments.ends_with(&["settings", "apps", "new"]) && from_elsewhere(&request) => {
            (StatusCode::FORBIDDEN, "forms are taken from these pages only").into_response()
        }
        Method::POST => post(world, &segments, request).await,
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    };
    let target = response.extensions().get::<FormTarget>().map_or("", |target| target.0.as_str());
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
         form-action 'self' {target}; base-uri 'none'; frame-ancestors 'none'"
    );
    let headers = response.headers_mut();
    headers
        .extend(HeaderValue::from_str(&policy).ok().map(|policy| (header::CONTENT_SECURITY_POLICY, policy)));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Returns whether the browser says that another site sent the form.
fn from_elsewhere(request: &Request) -> bool {
    request.headers().get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none")
}

fn get(world: &Arc<World>, segments: &[&str]) -> Response {
    let asset = |kind: &'static str, text: String| {
        ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text).into_response()
    };
    match segments {
        ["_assets", "style.css"] => return asset("text/css", layout::STYLE.to_owned()),
        ["_assets", "live.js"] => return asset("text/javascript", layout::SCRIPT.to_owned()),
        ["_assets", "avatar", id] => {
            let id = id.parse().unwrap_or_default();
            return asset("image/svg+xml", layout::avatar(&world.lock(), id));
        }
        _ => {}
    }
    let state = world.lock();
    let (status, page) = match show(&state, segments) {
        Ok(page) => (StatusCode::OK, page),
        Err(Missing) => (StatusCode::NOT_FOUND, layout::missing()),
    };
    let mut response = (status, [HTML], page.into_string()).into_response();
    if let ["apps", slug, "installations", "new"] = segments
        && let Some(url) = apps::setup_url(&state, slug)
    {
        response.extensions_mut().insert(FormTarget(url.origin().ascii_serialization()));
    }
    response
}

fn show(state: &State, segments: &[&str]) -> Result<Markup, Missing> {
    match segments {
        [] => Ok(home::all(state)),
        ["apps", slug] => apps::profile(state, slug),
        ["apps", slug, "installations", "new"] => apps::installing(state, slug),
        ["settings", "installations", id] => apps::installed(state, id),
        [owner, name] | [owner, name, "pulls"] => home::repository(state, owner, name),
        [owner, name, "pull", number] => pull::page(state, owner, name, number),
        [owner, name, "deployments"] => deployments::page(state, owner, name),
        [owner, name, "commit", sha] => home::commit(state, owner, name, sha),
        _ => Err(Missing),
    }
}

async fn post(world: &Arc<World>, segments: &[&str], request: Request) -> Response {
    let query = form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    let state = query.into_owned().find(|(name, _)| name == "state").map(|(_, value)| value);
    let Ok(body) = axum::body::to_bytes(request.into_body(), MAX_FORM).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the form is too large").into_response();
    };
    let fields: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let organization = match segments {
        ["organizations", login, ..] => Some(*login),
        _ => None,
    };
    match segments {
        ["settings", "apps", "new"] | ["organizations", _, "settings", "apps", "new"] => {
            return apps::offer(world, organization, state.as_deref(), &fields);
        }
        ["settings", "apps"] | ["organizations", _, "settings", "apps"] => {
            return apps::create(world, organization, &fields).await;
        }
        _ => {}
    }
    let done = world.transact(|state| match segments {
        ["apps", slug, "installations"] => apps::install(state, slug, &fields),
        _ => actions::act(state, segments, &fields.into_iter().collect()),
    });
    match done {
        // A redirect shows the page, so that reloading it doesn't repeat the action.
        Ok(place) => Redirect::to(&place).into_response(),
        Err(refusal) => {
            let page = layout::refused(&refusal.to_string()).into_string();
            (StatusCode::UNPROCESSABLE_ENTITY, [HTML], page).into_response()
        }
    }
}
