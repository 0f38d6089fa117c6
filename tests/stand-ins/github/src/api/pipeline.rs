//! Processing of every request around its endpoint: faults, authentication, limits, versions,
//! `ETag`s and GitHub's common headers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use sha2::{Digest as _, Sha256};

use crate::api::auth::{Identity, identify};
use crate::api::call::{Body, Call, Problem, Reply};
use crate::api::{Cx, dispatch};
use crate::control::types::FaultEffect;
use crate::limits::{Exceeded, Standing};
use crate::show::time;
use crate::state::State;
use crate::state::ids::{hex, random_text};
use crate::world::World;

/// Supported API versions, newest first.
const VERSIONS: [&str; 2] = ["2026-03-10", "2022-11-28"];

/// The version of a request without the header.
const DEFAULT_VERSION: &str = "2022-11-28";

/// Response extension that closes the connection instead of sending the response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hangup;

/// Guard that counts a request as running while it exists.
struct Running<'a>(&'a World);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Facts about a request, known once it has been answered.
struct Outcome {
    reply: Reply,
    who: Identity,
    standing: Standing,
    counted: bool,
}

/// Answers a request.
pub(crate) async fn answer(world: &Arc<World>, call: Call, query: &str) -> Response {
    let running = world.running.fetch_add(1, Ordering::Relaxed) + 1;
    let _running = Running(world);
    let shown = if query.is_empty() { call.path.clone() } else { format!("{}?{query}", call.path) };
    let agent = call.header("user-agent").unwrap_or_default().to_owned();
    let (sequence, fault) = {
        let mut state = world.lock();
        let sequence = state.log.arrived(call.method.as_str(), &shown, &agent);
        (sequence, state.take_fault(call.method.as_str(), &call.path))
    };
    match &fault {
        Some(FaultEffect::Answer { status, headers, body }) => {
            world.lock().log.ended(sequence, *status, "anonymous", false);
            return made_up(*status, headers, body.as_deref());
        }
        Some(FaultEffect::CloseBefore) => return hangup(),
        Some(FaultEffect::DelayMs(delay)) => tokio::time::sleep(Duration::from_millis(*delay)).await,
        Some(FaultEffect::CloseAfter | FaultEffect::AnswerAfterMs(_)) | None => {}
    }
    let outcome = world.transact(|state| {
        let outcome = process(state, &call, running);
        let status =
            if matches!(fault, Some(FaultEffect::CloseAfter)) { 0 } else { outcome.reply.status.as_u16() };
        state.log.ended(sequence, status, &outcome.who.key(), outcome.counted);
        outcome
    });
    match fault {
        Some(FaultEffect::CloseAfter) => return hangup(),
        Some(FaultEffect::AnswerAfterMs(delay)) => tokio::time::sleep(Duration::from_millis(delay)).await,
        _ => {}
    }
    respond(&call, outcome)
}

fn process(state: &mut State, call: &Call, running: u64) -> Outcome {
    let (who, refused) = match identify(state, call) {
        Ok(who) => (who, None),
        Err(problem) => (Identity::Anonymous, Some(problem)),
    };
    let key = who.key();
    let anonymous = matches!(who, Identity::Anonymous);
    // Requests for the limits are free.
    let free = call.path == "/rate_limit";
    let mut cx = Cx { state, call, who };
    let reply = match refused.map_or(Ok(()), Err).and_then(|()| admit(&mut cx, running, free)) {
        Ok(()) => {
            let (page, answer) = dispatch(&mut cx);
            answer.unwrap_or_else(|problem| say(&problem.see(page)))
        }
        Err(problem) => say(&problem),
    };
    let reply = with_etag(call, reply);
    let who = cx.who;
    let state = cx.state;
    let counted = !free && (reply.status != StatusCode::NOT_MODIFIED || anonymous);
    if counted {
        state.limiter.count(&key);
    }
    let standing = state.limiter.standing(&key, anonymous);
    Outcome { reply, who, standing, counted }
}

/// Applies all checks that may reject a request before its endpoint.
fn admit(cx: &mut Cx<'_>, running: u64, free: bool) -> Result<(), Problem> {
    let call = cx.call;
    if call.header("user-agent").is_none_or(|agent| agent.trim().is_empty()) {
        return Err(no_agent());
    }
    if let Some(version) = call.header("x-github-api-version")
        && !VERSIONS.contains(&version)
    {
        let message = format!(
            "The version you specified in the \"X-GitHub-API-Version\" request header, \"{version}\", is not a \
             supported version. The following versions are currently supported: \"{}\" (most recent), \"{}\".",
            VERSIONS[0], VERSIONS[1]
        );
        return Err(Problem::new(StatusCode::BAD_REQUEST, message));
    }
    if free {
        return Ok(());
    }
    let key = cx.who.key();
    let limits = cx.state.limiter.limits().clone();
    let anonymous = matches!(cx.who, Identity::Anonymous);
    if cx.state.limiter.standing(&key, anonymous).remaining() == 0 {
        return Err(primary(&cx.who, limits.primary_status));
    }
    let writes = !matches!(call.method, Method::GET | Method::HEAD | Method::OPTIONS);
    // Everything that a request creates or changes counts as content, except tokens.
    let token = call.path.ends_with("/access_tokens");
    let content = writes && call.method != Method::DELETE && !token;
    let exceeded = if running > limits.concurrent {
        Some(Exceeded { content: false, retry_after: limits.retry_after.unwrap_or(60) })
    } else {
        cx.state.limiter.admit(&key, writes, content).err()
    };
    exceeded
        .map_or(Ok(()), |exceeded| Err(secondary(exceeded, limits.secondary_status, limits.omit_retry_after)))
}

fn status_of(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::FORBIDDEN)
}

fn no_agent() -> Problem {
    // The one problem that is no JSON; see `say`.
    let mut problem = Problem::new(StatusCode::FORBIDDEN, NO_AGENT);
    problem.documentation = String::new();
    problem
}

const LIMITS_PAGE: &str = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api";

const NO_AGENT: &str = "\r\nRequest forbidden by administrative rules. Please make sure your request has a \
     User-Agent header (https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required). \
     Check https://developer.github.com for other possible causes.\r\n";

fn primary(who: &Identity, status: u16) -> Problem {
    let message = match who {
        Identity::Installation { id, .. } => {
            format!("API rate limit exceeded for installation ID {id}.")
        }
        Identity::User { login, .. } => format!("API rate limit exceeded for user {login}."),
        Identity::App(id) => format!("API rate limit exceeded for App ID {id}."),
        Identity::Anonymous => "API rate limit exceeded for 127.0.0.1. (But here's the good news: Authenticated \
                                requests get a higher rate limit. Check out the documentation for more details.)"
            .to_owned(),
    };
    let mut problem = Problem::new(status_of(status), message);
    LIMITS_PAGE.clone_into(&mut problem.documentation);
    problem
}

fn secondary(exceeded: Exceeded, status: u16, omit_retry_after: bool) -> Problem {
    let message = if exceeded.content {
        "You have exceeded a secondary rate limit and have been temporarily blocked from content creation. Please \
         retry your request again later."
    } else {
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    };
    let mut problem = Problem::new(status_of(status), message);
    problem.documentation = format!("{LIMITS_PAGE}#about-secondary-rate-limits");
    if !omit_retry_after {
        problem.headers.push(("retry-after", exceeded.retry_after.to_string()));
    }
    problem
}

fn say(problem: &Problem) -> Reply {
    let body = if problem.documentation.is_empty() {
        Body::Text("text/html; charset=utf-8", problem.message.clone())
    } else {
        Body::Json(problem.body())
    };
    Reply { status: problem.status, headers: problem.headers.clone(), body }
}

/// Adds an `ETag`, and answers 304 when the caller already has this answer. Like GitHub's, the
/// `ETag` depends on the caller, as `Vary` says.
fn with_etag(call: &Call, mut reply: Reply) -> Reply {
    let reads = matches!(call.method, Method::GET | Method::HEAD);
    if !reads || reply.status != StatusCode::OK {
        return reply;
    }
    let mut digest = Sha256::new();
    for name in ["accept", "authorization"] {
        digest.update(call.headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default());
        digest.update([0]);
    }
    match &reply.body {
        Body::Json(body) => digest.update(body.to_string()),
        Body::Text(_, text) => digest.update(text),
        Body::Empty => {}
    }
    let etag = format!("W/\"{}\"", hex(&digest.finalize()));
    let known = call.header("if-none-match").is_some_and(|known| {
        let strip = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        known.trim() == "*" || known.split(',').any(|tag| strip(tag) == strip(&etag))
    });
    if known {
        reply.status = StatusCode::NOT_MODIFIED;
        reply.body = Body::Empty;
    }
    reply.headers.push(("etag", etag));
    reply.headers.push(("cache-control", "private, max-age=60, s-maxage=60".to_owned()));
    reply.headers.push(("vary", "Accept, Authorization, Cookie, X-GitHub-OTP".to_owned()));
    reply
}

fn respond(call: &Call, outcome: Outcome) -> Response {
    let Outcome { reply, who, standing, .. } = outcome;
    let (kind, body) = match reply.body {
        Body::Empty => (None, String::new()),
        Body::Json(body) => (Some("application/json; charset=utf-8"), body.to_string()),
        Body::Text(kind, text) => (Some(kind), text),
    };
    let mut response = Response::new(axum::body::Body::from(body));
    *response.status_mut() = reply.status;
    let mut headers = reply.headers;
    headers.extend(kind.map(|kind| ("content-type", kind.to_owned())));
    let version = call.header("x-github-api-version").unwrap_or(DEFAULT_VERSION).to_owned();
    headers.push(("x-github-api-version-selected", version));
    headers.push(("x-github-media-type", "github.v3; format=json".to_owned()));
    headers.push(("x-github-request-id", random_text(20).to_uppercase()));
    headers.push(("x-ratelimit-limit", standing.limit.to_string()));
    headers.push(("x-ratelimit-remaining", standing.remaining().to_string()));
    headers.push(("x-ratelimit-used", standing.used.to_string()));
    headers.push(("x-ratelimit-reset", standing.reset.to_string()));
    headers.push(("x-ratelimit-resource", "core".to_owned()));
    if let Identity::User { permissions, expires_at, .. } = &who {
        if permissions.is_none() {
            headers.push(("x-oauth-scopes", "repo".to_owned()));
        }
        headers.extend(expires_at.map(|at| ("github-authentication-token-expiration", time(at))));
    }
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(&value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Builds the answer of a fault.
fn made_up(
    status: u16,
    headers: &std::collections::BTreeMap<String, String>,
    body: Option<&str>,
) -> Response {
    const UNICORN: &str = "<!DOCTYPE html><html><head><title>Unicorn! &middot; GitHub</title></head>\
                           <body><p>This page is taking too long to load.</p></body></html>";
    let text = body.unwrap_or(UNICORN).to_owned();
    let kind = if body.is_some() { "application/json; charset=utf-8" } else { "text/html" };
    let mut response = Response::new(axum::body::Body::from(text));
    *response.status_mut() = status_of(status);
    response.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
        {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn hangup() -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    response.extensions_mut().insert(Hangup);
    response
}
