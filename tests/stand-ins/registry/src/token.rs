//! Tokens: <https://distribution.github.io/distribution/spec/auth/token/>.

use std::time::Instant;

use axum::Json;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::access::{Authorization, authorization};
use crate::answer::error;
use crate::server::World;
use crate::state::{State, Token};

/// The service for which tokens are valid.
pub(crate) const SERVICE: &str = "registry.test";

/// Creates a token with the part of the requested scope that the caller is allowed, possibly none.
pub(crate) fn answer(world: &World, parts: &Parts) -> Response {
    if parts.method != Method::GET {
        return error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "the operation is unsupported");
    }
    let mut state = world.lock();
    let username = match authorization(&parts.headers) {
        Authorization::None => None,
        Authorization::Basic { username, password } if state.knows(&username, &password) => Some(username),
        _ => {
            let mut response =
                error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "incorrect username or password");
            let challenge = HeaderValue::from_static("Basic realm=\"registry.test\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            return response;
        }
    };
    let query: Vec<(String, String)> =
        form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let values = |name: &'static str| {
        query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    };
    if values("service").next() != Some(SERVICE) {
        return error(StatusCode::BAD_REQUEST, "UNSUPPORTED", "the service is missing or not this one");
    }
    let mut pulls = Vec::new();
    for scope in values("scope").flat_map(|value| value.split(' ')) {
        let Some((kind, rest)) = scope.split_once(':') else {
            return error(StatusCode::BAD_REQUEST, "UNSUPPORTED", "a scope is type:name:actions");
        };
        let Some((name, actions)) = rest.rsplit_once(':') else {
            return error(StatusCode::BAD_REQUEST, "UNSUPPORTED", "a scope is type:name:actions");
        };
        let pull = kind == "repository" && actions.split(',').any(|action| action == "pull");
        if pull && state.may_pull(username.as_deref(), name) {
            pulls.push(name.to_owned());
        }
    }
    let lifetime = state.token_lifetime;
    let token: String = std::iter::repeat_with(fastrand::alphanumeric).take(64).collect();
    state.tokens.insert(token.clone(), Token { pulls, expires: Instant::now() + lifetime });
    Json(json!({"token": token, "access_token": token, "expires_in": lifetime.as_secs()})).into_response()
}

impl State {
    /// Returns a token that was issued and has not expired.
    pub(crate) fn live_token(&self, token: &str) -> Option<&Token> {
        self.tokens.get(token).filter(|token| token.expires > Instant::now())
    }
}
