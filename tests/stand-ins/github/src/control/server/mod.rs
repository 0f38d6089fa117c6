//! The control API's server. Every path below `/_control` is one transaction on the state.

mod accounts;
mod hooks;
pub(crate) mod pulls;
mod repositories;
mod watch;

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::state::Refusal;
use crate::world::World;

pub(crate) fn router() -> Router<Arc<World>> {
    let repository = "/repos/{owner}/{name}";
    let at = |rest: &str| format!("{repository}{rest}");
    Router::new()
        .route("/users/{login}", put(accounts::put_user))
        .route("/apps", post(accounts::create_app))
        .route("/apps/{app}/hook", get(accounts::app_hook))
        .route("/apps/{app}/installations", post(accounts::install))
        .route("/installations/{id}/suspended", put(accounts::suspend).delete(accounts::resume))
        .route("/tokens", post(accounts::create_token).delete(accounts::expire_tokens))
        .route("/repos", post(repositories::create))
        .route(repository, delete(repositories::remove))
        .route(&at("/forks"), post(repositories::fork))
        .route(&at("/collaborators/{login}"), put(repositories::set_collaborator))
        .route(&at("/pushes"), post(repositories::push))
        .route(&at("/refs"), put(repositories::set_ref))
        .route(&at("/branches/{*branch}"), get(repositories::branch).delete(repositories::remove_branch))
        .route(&at("/renames"), post(repositories::rename_branch))
        .route(&at("/checks"), post(repositories::set_check))
        .route(&at("/statuses"), post(repositories::add_status))
        .route(&at("/pulls"), get(pulls::list).post(pulls::open))
        .route(&at("/pulls/{number}"), get(pulls::get).patch(pulls::change))
        .route(&at("/pulls/{number}/comments"), get(pulls::comments).post(pulls::comment))
        .route(&at("/pulls/{number}/timeline"), get(watch::pull_timeline))
        .route(&at("/timeline"), get(watch::timeline))
        .route(&at("/deployments"), get(watch::deployments))
        .route(&at("/hooks"), post(hooks::create))
        .route("/hooks/{id}/mode", put(hooks::set_mode))
        .route("/hooks/{id}/flush", post(hooks::flush))
        .route("/hooks/{id}/deliveries", get(hooks::deliveries))
        .route("/hooks/{id}/deliveries/{delivery}/attempts", post(hooks::redeliver))
        .route("/settle", post(hooks::settle))
        .route("/faults", post(watch::add_fault).delete(watch::clear_faults))
        .route("/limits", get(watch::limits).put(watch::set_limits))
        .route("/requests", get(watch::requests).delete(watch::clear_requests))
        .fallback(|| async { Sorry::new(StatusCode::NOT_FOUND, "the control API has no such path") })
        .method_not_allowed_fallback(|| async {
            Sorry::new(StatusCode::METHOD_NOT_ALLOWED, "the control API has no such method on this path")
        })
}

/// An error of the control API.
#[derive(Debug)]
pub(crate) struct Sorry {
    status: StatusCode,
    message: String,
}

impl Sorry {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl IntoResponse for Sorry {
    fn into_response(self) -> Response {
        (self.status, Json(json!({"message": self.message}))).into_response()
    }
}

impl From<Refusal> for Sorry {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::Missing(_) => StatusCode::NOT_FOUND,
            Refusal::Conflict(_) => StatusCode::CONFLICT,
            Refusal::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, refusal.to_string())
    }
}

/// Result of a control endpoint.
type Said<T> = Result<Json<T>, Sorry>;

/// A JSON body, rejected with an explanation when it is invalid.
struct Input<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = Sorry;

    async fn from_request(request: Request, state: &S) -> Result<Self, Sorry> {
        let bytes = axum::body::Bytes::from_request(request, state)
            .await
            .map_err(|error| Sorry::new(StatusCode::BAD_REQUEST, error.to_string()))?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text)
            .map(Self)
            .map_err(|error| Sorry::new(StatusCode::UNPROCESSABLE_ENTITY, format!("the body: {error}")))
    }
}
