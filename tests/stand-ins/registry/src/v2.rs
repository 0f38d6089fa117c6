//! The registry's API: `GET /v2/`, and manifests.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>

use axum::body::Body;
use axum::http::header::{self, HeaderMap};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;

use crate::access::{Authorization, authorization};
use crate::answer::error;
use crate::control::types::Authentication;
use crate::server::World;
use crate::state::State;
use crate::token::SERVICE;

pub(crate) fn answer(world: &World, path: &str, parts: &Parts) -> Response {
    let Some(rest) = path.strip_prefix("/v2") else {
        return error(StatusCode::NOT_FOUND, "UNSUPPORTED", "there is no such path");
    };
    if parts.method != Method::GET && parts.method != Method::HEAD {
        return error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "the operation is unsupported");
    }
    let state = world.lock();
    if matches!(rest, "" | "/") {
        return match admit(&state, world, parts, None) {
            Ok(()) => plain(StatusCode::OK, "{}"),
            Err(refusal) => *refusal,
        };
    }
    // The repository's name may have a segment "manifests" itself.
    let Some((name, reference)) = rest
        .strip_prefix('/')
        .and_then(|rest| rest.rsplit_once("/manifests/"))
        .filter(|(_, r)| !r.contains('/'))
    else {
        return error(StatusCode::NOT_FOUND, "UNSUPPORTED", "there is no such path");
    };
    if !is_name(name) {
        return error(StatusCode::BAD_REQUEST, "NAME_INVALID", "invalid repository name");
    }
    if let Err(refusal) = admit(&state, world, parts, Some(name)) {
        return *refusal;
    }
    manifest(&state, name, reference, &parts.headers)
}

fn manifest(state: &State, name: &str, reference: &str, headers: &HeaderMap) -> Response {
    let unknown = |why: &str| error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", why);
    let is_digest = reference.contains(':');
    if is_digest && !is_sha256(reference) {
        return error(StatusCode::BAD_REQUEST, "DIGEST_INVALID", "the digest is none of SHA-256");
    }
    if !is_digest && !is_tag(reference) {
        return error(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", "the tag has not the form of one");
    }
    let Some(repository) = state.repositories.get(name) else {
        return error(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "repository name not known to registry");
    };
    let digest = if is_digest { Some(reference) } else { repository.tags.get(reference).map(String::as_str) };
    let found = digest.and_then(|digest| Some((digest, repository.manifests.get(digest)?)));
    let Some((digest, manifest)) = found else {
        return unknown("manifest unknown to registry");
    };
    // The registry `distribution` does the same:
    // https://github.com/distribution/distribution/blob/main/registry/handlers/manifests.go
    if !accepts(headers, &manifest.media_type) {
        return unknown(&format!("{} found, but the header Accept does not support it", manifest.media_type));
    }
    let mut response = plain(StatusCode::OK, &manifest.body);
    let length = HeaderValue::from(manifest.body.len());
    for (name, value) in [
        (header::CONTENT_TYPE, HeaderValue::from_str(&manifest.media_type).ok()),
        (header::HeaderName::from_static("docker-content-digest"), HeaderValue::from_str(digest).ok()),
        (header::ETAG, HeaderValue::from_str(&format!("\"{digest}\"")).ok()),
        (header::CONTENT_LENGTH, Some(length)),
    ] {
        if let Some(value) = value {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn plain(status: StatusCode, body: &str) -> Response {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Returns whether `Accept` names a type, in one header or several. Like real registries, this one
/// doesn't support `*/*`.
fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|one| one.split(';').next().is_some_and(|one| one.trim() == media_type))
}

/// Checks that a request may pull from the repository or, without a repository, that it is
/// authenticated.
fn admit(state: &State, world: &World, parts: &Parts, name: Option<&str>) -> Result<(), Box<Response>> {
    let unauthorized = |failure: Option<&str>| {
        let mut response = error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required");
        let challenge = challenge(state.authentication, world, parts, name, failure);
        if let Some(challenge) = HeaderValue::from_str(&challenge).ok().filter(|_| !challenge.is_empty()) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        Err(Box::new(response))
    };
    match (state.authentication, authorization(&parts.headers)) {
        (Authentication::Open, _) => Ok(()),
        (Authentication::Basic, Authorization::Basic { username, password })
            if state.knows(&username, &password) =>
        {
            if name.is_none_or(|name| state.may_pull(Some(&username), name)) {
                return Ok(());
            }
            Err(Box::new(error(
                StatusCode::FORBIDDEN,
                "DENIED",
                "requested access to the resource is denied",
            )))
        }
        (Authentication::Bearer, Authorization::Bearer(token)) => match state.live_token(&token) {
            None => unauthorized(Some("invalid_token")),
            Some(token) if name.is_none_or(|name| token.pulls.iter().any(|pulls| pulls == name)) => Ok(()),
            Some(_) => unauthorized(Some("insufficient_scope")),
        },
        _ => unauthorized(None),
    }
}

fn challenge(
    authentication: Authentication,
    world: &World,
    parts: &Parts,
    name: Option<&str>,
    failure: Option<&str>,
) -> String {
    match authentication {
        Authentication::Open => String::new(),
        Authentication::Basic => format!("Basic realm=\"{SERVICE}\""),
        Authentication::Bearer => {
            let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let host = host.map_or_else(|| world.address.to_string(), str::to_owned);
            let scope = name.map(|name| format!(",scope=\"repository:{name}:pull\"")).unwrap_or_default();
            let failure = failure.map(|failure| format!(",error=\"{failure}\"")).unwrap_or_default();
            format!("Bearer realm=\"http://{host}/token\",service=\"{SERVICE}\"{scope}{failure}")
        }
    }
}

fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Returns whether a text matches
/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`, as in the
/// specification.
pub(crate) fn is_name(name: &str) -> bool {
    name.split('/').all(|segment| {
        let bytes = segment.as_bytes();
        let ends = |byte: Option<&u8>| byte.is_some_and(|byte| alphanumeric(*byte));
        ends(bytes.first())
            && ends(bytes.last())
            && bytes.split(|byte| alphanumeric(*byte)).all(|separator| {
                matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|byte| *byte == b'-')
            })
    })
}

/// Returns whether a text matches `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
pub(crate) fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

fn is_sha256(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}
