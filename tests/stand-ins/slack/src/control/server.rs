//! The control API's server.

use std::sync::Arc;

use axum::extract::{FromRequest, Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::types;
use crate::commands::{self, Unknown};
use crate::world::World;

type Here = State<Arc<World>>;

pub(crate) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/app", get(async |State(world): Here| Json(world.lock().app.clone())))
        .route("/commands", put(set_command))
        .route("/channels", put(set_channel))
        .route("/tokens", post(create_token).delete(revoke_token))
        .route("/invocations", get(invocations).post(type_command))
        .route("/invocations/{id}/expire", post(expire))
        .route("/certificate-checks", post(check_certificate))
        .route("/responses", get(async |State(world): Here| Json(world.lock().responses.clone())))
        .route("/messages", get(async |State(world): Here| Json(world.lock().messages.clone())))
        .route("/requests", get(async |State(world): Here| Json(world.lock().log.clone())))
        .route("/limits", put(set_limits))
        .route("/faults", post(add_fault).delete(clear_faults))
        .fallback(|| async { Sorry::new(StatusCode::NOT_FOUND, "the control API has no such path") })
        .method_not_allowed_fallback(|| async {
            Sorry::new(StatusCode::METHOD_NOT_ALLOWED, "the control API has no such method on this path")
        })
}

async fn set_command(State(world): Here, Input(new): Input<types::NewCommand>) -> Said<()> {
    if !new.command.starts_with('/') || new.command.contains(char::is_whitespace) {
        let message = format!("command `{}` must begin with a slash and have no space", new.command);
        return Err(Sorry::new(StatusCode::UNPROCESSABLE_ENTITY, message));
    }
    world.lock().commands.insert(new.command, new.request_url);
    Ok(Json(()))
}

async fn set_channel(State(world): Here, Input(new): Input<types::NewChannel>) -> Said<types::Channel> {
    if new.name.is_empty() {
        return Err(Sorry::new(StatusCode::UNPROCESSABLE_ENTITY, "the channel's `name` is missing"));
    }
    Ok(Json(world.lock().set_channel(new)))
}

async fn create_token(State(world): Here, Input(new): Input<types::NewToken>) -> Said<types::Token> {
    Ok(Json(types::Token { token: world.lock().add_token(new.scopes) }))
}

async fn revoke_token(State(world): Here, Input(token): Input<types::Token>) -> Said<()> {
    match world.lock().tokens.get_mut(&token.token) {
        Some(known) => known.revoked = true,
        None => return Err(Sorry::new(StatusCode::NOT_FOUND, "there is no such token")),
    }
    Ok(Json(()))
}

async fn type_command(State(world): Here, Input(typed): Input<types::Typed>) -> Said<types::Invocation> {
    Ok(Json(commands::typed(&world, typed).await?))
}

async fn check_certificate(State(world): Here, Input(of): Input<types::NewCommand>) -> Said<types::Answer> {
    Ok(Json(commands::check_certificate(&world, &of.command).await?))
}

async fn invocations(State(world): Here) -> Json<Vec<types::Invocation>> {
    Json(world.lock().invocations.iter().map(|invoked| invoked.shown.clone()).collect())
}

async fn expire(State(world): Here, Path(id): Path<u64>) -> Said<()> {
    match world.lock().invoked(id) {
        Some(invoked) => invoked.expired = true,
        None => return Err(Sorry::new(StatusCode::NOT_FOUND, "no such command was typed")),
    }
    Ok(Json(()))
}

async fn set_limits(State(world): Here, Input(limits): Input<types::Limits>) -> Said<()> {
    let mut state = world.lock();
    state.limits = limits;
    state.posted.clear();
    Ok(Json(()))
}

async fn add_fault(State(world): Here, Input(new): Input<types::NewFault>) -> Said<()> {
    world.lock().faults.push(new.into());
    Ok(Json(()))
}

async fn clear_faults(State(world): Here) -> Said<()> {
    world.lock().faults.clear();
    Ok(Json(()))
}

/// An error of the control API.
#[derive(Debug)]
struct Sorry {
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

impl From<Unknown> for Sorry {
    fn from(unknown: Unknown) -> Self {
        let status = match &unknown {
            Unknown::Command(_) => StatusCode::NOT_FOUND,
            Unknown::Slash(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, unknown.to_string())
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
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Sorry::new(StatusCode::UNPROCESSABLE_ENTITY, format!("the body: {error}")))
    }
}
