//! Requests to GitHub, and the interpretation of its answers.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::path::next_query;
use crate::adapters::github::rate_limits::RateLimitSignal;
use crate::core::forge::RepositoryName;
use crate::core::truncate::cut;
use crate::ports::ForgeError;

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub method: Method,
    /// Encoded path and query below the base URL.
    pub path: String,
    /// The body, in JSON.
    pub body: Option<Bytes>,
    /// `ETag` of the version that is known already.
    pub etag: Option<String>,
    /// The repository of the request, for messages.
    pub repository: Option<RepositoryName>,
    /// The App permission that the request needs, for messages.
    pub permission: &'static str,
    /// The requested media type.
    pub accept: &'static str,
    /// Returns whether an answer means that the resource doesn't exist and is not an error.
    pub absent: fn(&Answer) -> bool,
}

/// JSON, in the media type that GitHub recommends.
pub(super) const JSON: &str = "application/vnd.github+json";

/// Prefix of paths that contain a code.
pub(super) const CONVERSIONS: &str = "/app-manifests/";

impl Call {
    /// Creates a request that concerns no repository.
    pub fn new(method: Method, path: String, permission: &'static str) -> Self {
        Self {
            method,
            path,
            body: None,
            etag: None,
            repository: None,
            permission,
            accept: JSON,
            absent: |_| false,
        }
    }

    pub fn get(repository: &RepositoryName, path: String, permission: &'static str) -> Self {
        Self { repository: Some(repository.clone()), ..Self::new(Method::GET, path, permission) }
    }

    pub fn post(repository: &RepositoryName, path: String, permission: &'static str, body: &Value) -> Self {
        let body = Some(Bytes::from(body.to_string()));
        Self { method: Method::POST, body, ..Self::get(repository, path, permission) }
    }

    pub fn patch(repository: &RepositoryName, path: String, permission: &'static str, body: &Value) -> Self {
        Self { method: Method::PATCH, ..Self::post(repository, path, permission, body) }
    }

    /// Returns method and path, without the query and without the code that can be exchanged for
    /// credentials.
    pub fn name(&self) -> String {
        if self.path.starts_with(CONVERSIONS) {
            return format!("{} {CONVERSIONS}…/conversions", self.method);
        }
        format!("{} {}", self.method, self.path.split('?').next().unwrap_or_default())
    }

    /// Returns the error for a request without an answer, or with an unreadable one.
    pub fn unknown(&self, why: impl std::fmt::Display) -> ForgeError {
        ForgeError::Unknown(format!("{}: {why}", self.name()))
    }
}

/// An answer with its body. It must not be logged, since the body may be a token.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// GitHub's error body.
/// <https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api#validation-failed>
#[derive(Deserialize)]
struct ErrorBody {
    message: String,
    #[serde(default)]
    errors: Value,
    #[serde(default)]
    documentation_url: Option<String>,
}

impl Answer {
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn etag(&self) -> Option<String> {
        self.header(header::ETAG).map(str::to_owned)
    }

    /// Returns the query of the list's next page.
    pub fn next_query(&self) -> Option<String> {
        self.headers.get_all(header::LINK).iter().find_map(|link| next_query(link.to_str().ok()?))
    }

    /// Parses the body. An unreadable body counts as no answer, since the request may have taken
    /// effect.
    pub fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ForgeError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            call.unknown(format!("answered {} with a body not understood: {error}", self.status))
        })
    }

    fn error_body(&self) -> Option<ErrorBody> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Returns whether GitHub's message contains these words.
    pub fn says(&self, words: &str) -> bool {
        self.error_body().is_some_and(|body| body.message.contains(words))
    }

    /// Returns GitHub's message in one line of bounded length.
    pub fn message(&self) -> String {
        let Some(body) = self.error_body() else { return self.status.to_string() };
        let mut details = Vec::new();
        for error in body.errors.as_array().into_iter().flatten() {
            let word = |name: &str| error.get(name).and_then(Value::as_str);
            match (error.as_str().or_else(|| word("message")), word("field"), word("code")) {
                (Some(message), _, _) => details.push(message.to_owned()),
                (None, Some(field), Some(code)) => details.push(format!("{field}: {code}")),
                _ => (),
            }
        }
        if let Some(text) = body.errors.as_str() {
            details.push(text.to_owned());
        }
        let mut text = body.message;
        if !details.is_empty() {
            text = format!("{text} ({})", details.join("; "));
        }
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        cut(&format!("{} {line}", self.status.as_u16()), 500)
    }

    /// Returns what the answer says about rate limits, by GitHub's rules: `retry-after`, else
    /// `x-ratelimit-reset` if no requests remain, else nothing. `now` is used only when the answer
    /// has no `Date`, so that different clocks don't matter.
    pub fn verdict(&self, now: Timestamp) -> RateLimitSignal {
        let exhausted = self.header("x-ratelimit-remaining") == Some("0");
        let reset = self.header("x-ratelimit-reset").and_then(|text| text.parse::<i64>().ok());
        let now = self.header(header::DATE).and_then(http_date).unwrap_or(now);
        let reset = reset.map(|at| Duration::from_secs((at - now.as_second()).try_into().unwrap_or(0)));
        if !self.is_limited(exhausted) {
            return if exhausted {
                reset.map_or(RateLimitSignal::Open, RateLimitSignal::LastOne)
            } else {
                RateLimitSignal::Open
            };
        }
        let retry_after = self.header(header::RETRY_AFTER).and_then(|text| {
            text.trim().parse().map(Duration::from_secs).ok().or_else(|| {
                let until = http_date(text)?;
                Some(Duration::from_secs((until.as_second() - now.as_second()).try_into().unwrap_or(0)))
            })
        });
        match (retry_after, reset) {
            (Some(wait), _) if exhausted => RateLimitSignal::Primary(wait),
            (Some(wait), _) => RateLimitSignal::Secondary(Some(wait)),
            (None, Some(reset)) if exhausted => RateLimitSignal::Primary(reset),
            _ => RateLimitSignal::Secondary(None),
        }
    }

    /// Returns whether a 403 is a rate limit. It may also be a missing permission, even on the last
    /// request of the hour.
    fn is_limited(&self, exhausted: bool) -> bool {
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::FORBIDDEN => {
                let body = self.error_body();
                let says = |word: &str| {
                    body.as_ref().is_some_and(|body| {
                        body.message.to_lowercase().contains(word)
                            || body.documentation_url.as_deref().is_some_and(|url| url.contains(word))
                    })
                };
                self.headers.contains_key(header::RETRY_AFTER)
                    || says("rate limit")
                    || says("rate-limit")
                    || says("abuse")
                    || (exhausted && !says("not accessible"))
            }
            _ => false,
        }
    }

    /// Returns the error for an answer that isn't a success.
    pub fn error(&self, call: &Call) -> ForgeError {
        let text = format!("{}: {}", call.name(), self.message());
        let of = call.repository.as_ref().map_or(String::new(), |repository| format!(" on {repository}"));
        match self.status.as_u16() {
            401 => ForgeError::Credentials(format!(
                "{text}; the token is wrong, expired or revoked: put a valid one into the Secret"
            )),
            403 if text.contains("suspended") => ForgeError::Forbidden(format!(
                "{text}; end the suspension in the settings of the account where the App is installed"
            )),
            403 => {
                let needed = self.header("x-accepted-github-permissions");
                let needed = needed.map_or(String::new(), |needed| format!(" ({needed})"));
                ForgeError::Forbidden(format!(
                    "{text}; it needs the permission {}{needed}{of}",
                    call.permission
                ))
            }
            404 | 410 => ForgeError::NotFound(format!(
                "{text}; it doesn't exist, or the App isn't installed{of} or lacks the permission {}",
                call.permission
            )),
            451 => ForgeError::Forbidden(text),
            202 | 409 => ForgeError::Conflict(text),
            408 | 500.. => ForgeError::Unknown(text),
            _ => ForgeError::Invalid(text),
        }
    }
}

/// Parses an HTTP date, for example `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp())
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
