//! Response URLs: five answers within 30 minutes
//! (<https://docs.slack.dev/interactivity/handling-user-interaction#message_responses>).
//!
//! A body is rejected as by incoming webhooks, whose format it has
//! (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors>).
//! The documentation doesn't say how Slack rejects an expired or used URL. Clients report a 404
//! with `{"ok":false,"error":"expired_url"}` or `"used_url"`, which the stand-in sends too.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::api::blocks;
use crate::control::types::Response;
use crate::pipeline::{Call, Reply};
use crate::state::{State, now};

/// Most answers to one command.
const MOST: u32 = 5;

pub(crate) fn answer(state: &mut State, window: Duration, call: &Call) -> Reply {
    let Some(at) = state.invocations.iter().position(|invoked| invoked.path == call.path) else {
        return Reply::Text(StatusCode::NOT_FOUND, "no_service");
    };
    let gone = |word: &str| Reply::Json(StatusCode::NOT_FOUND, json!({"ok": false, "error": word}));
    let invoked = &state.invocations[at];
    if invoked.expired || invoked.born.elapsed() >= window {
        return gone("expired_url");
    }
    if invoked.used >= MOST {
        return gone("used_url");
    }
    match read(call) {
        Err(word) => Reply::Text(StatusCode::BAD_REQUEST, word),
        Ok(response) => {
            let invoked = &mut state.invocations[at];
            invoked.used += 1;
            let number = invoked.used;
            let invocation = invoked.shown.id;
            state.responses.push(Response { invocation, number, at: now(), ..response });
            Reply::Text(StatusCode::OK, "ok")
        }
    }
}

fn read(call: &Call) -> Result<Response, &'static str> {
    if call.content_type().as_deref() != Some("application/json") {
        return Err("invalid_payload");
    }
    let body: Value = serde_json::from_slice(&call.body).map_err(|_| "invalid_payload")?;
    message(&body)
}

/// Parses a message in the format of response URLs and of immediate answers to commands.
pub(crate) fn message(body: &Value) -> Result<Response, &'static str> {
    let Value::Object(fields) = body else { return Err("invalid_payload") };
    let flag = |name: &str| match fields.get(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err("invalid_payload"),
    };
    let text = match fields.get("text") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(_) => return Err("invalid_payload"),
    };
    let response_type = match fields.get("response_type").map(Value::as_str) {
        None => "ephemeral",
        Some(Some(word @ ("ephemeral" | "in_channel"))) => word,
        Some(_) => return Err("invalid_payload"),
    };
    let blocks = blocks::read(fields.get("blocks"))?.unwrap_or_default();
    let delete_original = flag("delete_original")?;
    if text.is_empty() && blocks.is_empty() && !fields.contains_key("attachments") && !delete_original {
        return Err("no_text");
    }
    Ok(Response {
        response_type: response_type.to_owned(),
        replace_original: flag("replace_original")?,
        delete_original,
        text,
        blocks,
        ..Response::default()
    })
}
