//! The control API's server. Every path below `/_control` is one transaction on the state.

use std::sync::Arc;

use axum::extract::{FromRequest, Path, Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::types::{Authentication, Image, NewFault, NewImage, NewUser, Request, Visibility};
use crate::server::World;
use crate::v2::{is_name, is_tag};

pub(crate) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/authentication", put(set_authentication))
        .route("/images", post(put_image))
        .route("/images/{tag}/{*name}", delete(remove_image))
        .route("/visibility/{*name}", put(set_visibility))
        .route("/users/{name}", put(put_user).delete(remove_user))
        .route("/tokens", delete(expire_tokens))
        .route("/faults", post(add_fault).delete(clear_faults))
        .route("/requests", get(requests).delete(clear_requests))
        .fallback(|| async { Sorry(StatusCode::NOT_FOUND, "the control API has no such path".into()) })
        .method_not_allowed_fallback(|| async {
            Sorry(StatusCode::METHOD_NOT_ALLOWED, "the control API has no such method on this path".into())
        })
}

/// An error of the control API.
struct Sorry(StatusCode, String);

impl IntoResponse for Sorry {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"message": self.1}))).into_response()
    }
}

type Said<T> = Result<Json<T>, Sorry>;
type Shared = State<Arc<World>>;

/// A JSON body, rejected with an explanation when it is invalid.
struct Input<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = Sorry;

    async fn from_request(request: HttpRequest, state: &S) -> Result<Self, Sorry> {
        let bytes = axum::body::Bytes::from_request(request, state)
            .await
            .map_err(|error| Sorry(StatusCode::BAD_REQUEST, error.to_string()))?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Sorry(StatusCode::UNPROCESSABLE_ENTITY, format!("the body: {error}")))
    }
}

async fn set_authentication(State(world): Shared, Input(new): Input<Authentication>) -> Said<()> {
    world.lock().authentication = new;
    Ok(Json(()))
}

async fn put_image(State(world): Shared, Input(new): Input<NewImage>) -> Said<Image> {
    let refuse = |what| Err(Sorry(StatusCode::UNPROCESSABLE_ENTITY, what));
    if !is_name(&new.name) {
        return refuse(format!("`{}` is no name of a repository", new.name));
    }
    if !is_tag(&new.tag) {
        return refuse(format!("`{}` is no tag", new.tag));
    }
    let digest = world.lock().put_image(new);
    Ok(Json(Image { digest }))
}

async fn remove_image(State(world): Shared, Path((tag, name)): Path<(String, String)>) -> Said<()> {
    if world.lock().remove_image(&name, &tag) {
        return Ok(Json(()));
    }
    Err(Sorry(StatusCode::NOT_FOUND, format!("there is no image {name}:{tag}")))
}

async fn set_visibility(
    State(world): Shared,
    Path(name): Path<String>,
    Input(visibility): Input<Visibility>,
) -> Said<()> {
    match world.lock().repositories.get_mut(&name) {
        Some(repository) => {
            repository.private = visibility == Visibility::Private;
            Ok(Json(()))
        }
        None => Err(Sorry(StatusCode::NOT_FOUND, format!("there is no repository {name}"))),
    }
}

async fn put_user(State(world): Shared, Path(name): Path<String>, Input(new): Input<NewUser>) -> Said<()> {
    if name.contains(':') {
        let what = format!("`{name}` has a colon, which Basic authentication can't tell from its own");
        return Err(Sorry(StatusCode::UNPROCESSABLE_ENTITY, what));
    }
    world.lock().users.insert(name, new);
    Ok(Json(()))
}

async fn remove_user(State(world): Shared, Path(name): Path<String>) -> Said<()> {
    match world.lock().users.remove(&name) {
        Some(_) => Ok(Json(())),
        None => Err(Sorry(StatusCode::NOT_FOUND, format!("there is no user {name}"))),
    }
}

async fn expire_tokens(State(world): Shared) -> Said<()> {
    world.lock().tokens.clear();
    Ok(Json(()))
}

async fn add_fault(State(world): Shared, Input(new): Input<NewFault>) -> Said<()> {
    world.lock().faults.push(new);
    Ok(Json(()))
}

async fn clear_faults(State(world): Shared) -> Said<()> {
    world.lock().faults.clear();
    Ok(Json(()))
}

async fn requests(State(world): Shared) -> Said<Vec<Request>> {
    Ok(Json(world.lock().requests()))
}

async fn clear_requests(State(world): Shared) -> Said<()> {
    world.lock().forget_requests();
    Ok(Json(()))
}
