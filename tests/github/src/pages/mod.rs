//! The pages people look at.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use crate::world::World;

/// Whether a path is one of a page.
pub(crate) fn is_page(path: &str) -> bool {
    path == "/"
}

pub(crate) fn answer(_world: &Arc<World>, _request: &Request) -> Response {
    StatusCode::NOT_FOUND.into_response()
}
