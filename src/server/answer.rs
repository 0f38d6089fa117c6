//! HTTP responses with a status and one sentence as JSON.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

/// `{"message": "…"}` with a status.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub message: String,
    /// Value of `Retry-After`.
    retry_after: Option<Duration>,
    /// Whether to close the connection after this response, because the rest of the request won't
    /// be read.
    close: bool,
}

impl Answer {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: None, close: false }
    }

    /// Sets the time after which the sender should retry.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Closes the connection, because the body was not read completely.
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response =
            (self.status, Json(serde_json::json!({ "message": self.message }))).into_response();
        if let Some(wait) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        if self.close {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
