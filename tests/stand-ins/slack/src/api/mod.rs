//! The Web API: <https://docs.slack.dev/apis/web-api>. Errors are answered with 200 and `ok` false.

pub(crate) mod blocks;
mod chat;

use axum::http::{StatusCode, header};
use serde_json::{Map, Value, json};

use crate::pipeline::{Call, Reply};
use crate::state::State;

/// A call's arguments.
pub(crate) type Arguments = Map<String, Value>;

/// Rejection of a call: Slack's error code, and further fields.
#[derive(Debug)]
pub(crate) enum Refusal {
    Word(&'static str),
    Scope { needed: &'static str, provided: String },
    Limited(u64),
}

impl From<&'static str> for Refusal {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

/// Answers a call of a method.
pub(crate) fn answer(state: &mut State, method: &str, call: &Call) -> Reply {
    let result = match method {
        "chat.postMessage" => {
            prepare(state, call).and_then(|arguments| chat::post_message(state, &arguments))
        }
        "chat.update" => prepare(state, call).and_then(|arguments| chat::update(state, &arguments)),
        _ => Err(Refusal::Word("unknown_method")),
    };
    let mut body = match result {
        Ok(body) => body,
        Err(Refusal::Word(word)) => json!({"ok": false, "error": word}),
        Err(Refusal::Scope { needed, provided }) => {
            json!({"ok": false, "error": "missing_scope", "needed": needed, "provided": provided})
        }
        Err(Refusal::Limited(seconds)) => return Reply::Limited(seconds),
    };
    // https://docs.slack.dev/apis/web-api/#slack-web-api__basics__post-bodies__json-encoded-bodies
    let charset = call.header(header::CONTENT_TYPE).is_some_and(|value| value.contains("charset"));
    if call.content_type().as_deref() == Some("application/json") && !charset {
        body["warning"] = "missing_charset".into();
        body["response_metadata"] = json!({"warnings": ["missing_charset"]});
    }
    Reply::Json(StatusCode::OK, body)
}

/// Parses the arguments and checks the token.
fn prepare(state: &State, call: &Call) -> Result<Arguments, Refusal> {
    let json = match call.content_type().as_deref() {
        Some("application/json") => true,
        Some("application/x-www-form-urlencoded") => false,
        Some(_) => return Err("invalid_post_type".into()),
        None => return Err("missing_post_type".into()),
    };
    let arguments = if json {
        match serde_json::from_slice(&call.body) {
            Ok(Value::Object(arguments)) => arguments,
            Ok(_) => return Err("json_not_object".into()),
            Err(_) => return Err("invalid_json".into()),
        }
    } else {
        form_urlencoded::parse(&call.body)
            .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
            .collect()
    };
    let bearer = call.header(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    // With a JSON body, only the header may have the token.
    let token = bearer.or_else(|| if json { None } else { arguments.get("token")?.as_str() });
    let token = state.tokens.get(token.ok_or("not_authed")?).ok_or("invalid_auth")?;
    if token.revoked {
        return Err("token_revoked".into());
    }
    if !token.scopes.iter().any(|scope| scope == "chat:write") {
        return Err(Refusal::Scope { needed: "chat:write", provided: token.scopes.join(",") });
    }
    Ok(arguments)
}
