//! Processing of every request around its endpoint: faults, the log, and routing to a part of
//! Slack.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use serde_json::Value;

use crate::control::types::FaultEffect;
use crate::world::World;
use crate::{api, responses};

/// The largest body of a request, in bytes.
const MAX_BODY: usize = 1 << 20;

/// Response extension that closes the connection instead of sending the response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hangup;

/// A request as endpoints see it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Call {
    /// Returns a header's text; `None` when it is missing or not text.
    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the content type without its parameters, in lower case.
    pub(crate) fn content_type(&self) -> Option<String> {
        let value = self.header(header::CONTENT_TYPE)?;
        Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    }
}

/// A reply to a request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// JSON.
    Json(StatusCode, Value),
    /// Text.
    Text(StatusCode, &'static str),
    /// `429` with `Retry-After` in seconds.
    Limited(u64),
}

impl Reply {
    fn into_response(self) -> Response {
        match self {
            Self::Json(status, body) => (status, axum::Json(body)).into_response(),
            Self::Text(status, body) => (status, body).into_response(),
            Self::Limited(seconds) => {
                let body = serde_json::json!({"ok": false, "error": "ratelimited"});
                let headers = [(header::RETRY_AFTER, seconds.to_string())];
                (StatusCode::TOO_MANY_REQUESTS, headers, axum::Json(body)).into_response()
            }
        }
    }
}

/// Answers a request.
pub(crate) async fn answer(State(world): State<Arc<World>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = http_body_util::Limited::new(body, MAX_BODY).collect().await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large").into_response();
    };
    let path = parts.uri.path().to_owned();
    let call = Call { path, headers: parts.headers, body: body.to_bytes().to_vec() };
    let (sequence, fault) = {
        let mut state = world.lock();
        let agent = call.header(header::USER_AGENT).unwrap_or_default();
        (state.arrived(parts.method.as_str(), &call.path, agent), state.take_fault(&call.path))
    };
    match &fault {
        Some(FaultEffect::Answer { status, headers, body }) => {
            world.lock().ended(sequence, *status);
            return made_up(*status, headers, body);
        }
        Some(FaultEffect::CloseBefore) => return hangup(),
        Some(FaultEffect::DelayMs(delay)) => tokio::time::sleep(Duration::from_millis(*delay)).await,
        Some(FaultEffect::CloseAfter) | None => {}
    }
    let response = dispatch(&world, &parts.method, &call).into_response();
    if matches!(fault, Some(FaultEffect::CloseAfter)) {
        return hangup();
    }
    world.lock().ended(sequence, response.status().as_u16());
    response
}

fn dispatch(world: &World, method: &Method, call: &Call) -> Reply {
    if *method != Method::POST {
        return Reply::Text(StatusCode::METHOD_NOT_ALLOWED, "the stand-in takes nothing but POST here");
    }
    if let Some(name) = call.path.strip_prefix("/api/") {
        api::answer(&mut world.lock(), name, call)
    } else if call.path.starts_with("/commands/") {
        responses::answer(&mut world.lock(), world.response_window, call)
    } else {
        Reply::Text(StatusCode::NOT_FOUND, "the stand-in has no such path")
    }
}

fn made_up(status: u16, headers: &std::collections::BTreeMap<String, String>, body: &str) -> Response {
    let mut response = body.to_owned().into_response();
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn hangup() -> Response {
    let mut response = Response::default();
    response.extensions_mut().insert(Hangup);
    response
}
