//! HTTP to GitHub: one long-lived client for each account.

use std::time::{Duration, Instant};

use http::{HeaderValue, Method, Request, Uri, header};
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};
use secrecy::{ExposeSecret, SecretString};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::GithubSettings;
use super::path::template;
use crate::adapters::github::response::{Answer, Call};
use crate::adapters::http::{HttpClient, causes, read};
use crate::metrics::Metrics;
use crate::ports::ForgeError;

/// Most bytes of an answer. A page of a hundred deployments with large payloads is far below.
const LARGEST: usize = 32 << 20;
/// Most redirects of a request. GitHub redirects once when a repository was renamed.
const MOST_REDIRECTS: usize = 3;

/// Octocrab with the HTTP client of the other adapters. Octocrab's default client can't be built
/// without certificate authorities, not even for plain HTTP. It also logs each failure as an error,
/// and a base URL with a path breaks its rules for headers and credentials. Nothing here retries.
pub(super) struct Transport {
    octocrab: Octocrab,
    /// Scheme and authority.
    origin: String,
    /// Prefix of every path: empty, or for example `/api/v3`.
    prefix: String,
    timeout: Duration,
    metrics: Metrics,
}

impl Transport {
    /// Creates the client. It needs a running tokio runtime. Errors name the URL.
    pub fn new(url: &str, settings: &GithubSettings, metrics: Metrics) -> Result<Self, ForgeError> {
        let bad = |why: &str| {
            ForgeError::Invalid(format!(
                "\"{url}\" is not the base URL of a REST API ({why}): write it like https://api.github.com or https://ghe.example.com/api/v3"
            ))
        };
        let uri: Uri = url.parse().map_err(|error| bad(&format!("{error}")))?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"));
        let (Some(scheme), Some(authority)) = (scheme, uri.authority()) else {
            return Err(bad("neither http:// nor https://"));
        };
        if authority.as_str().contains('@') {
            // The error doesn't repeat the URL, which may contain a password.
            return Err(ForgeError::Invalid(
                "the base URL of the REST API must not hold credentials: put them into the Secret".into(),
            ));
        }
        if uri.query().is_some() {
            return Err(bad("it has a query"));
        }
        let client = HttpClient::new(settings.timeout).map_err(ForgeError::Invalid)?;
        let service = tower::service_fn(move |request: Request<OctoBody>| {
            let client = client.clone();
            async move { client.send(request.map(reqwest::Body::wrap)).await }
        });
        let Ok(octocrab) =
            OctocrabBuilder::new_empty().with_service(service).with_auth(AuthState::None).build();
        Ok(Self {
            octocrab,
            origin: format!("{scheme}://{authority}"),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            timeout: settings.timeout,
            metrics,
        })
    }

    /// Sends the request once and reads the whole answer, within the timeout. Without a bearer, the
    /// request is anonymous. It is [`ForgeError::Unknown`] when there is no answer.
    pub async fn send<'a>(
        &self,
        call: &Call,
        bearer: impl Into<Option<&'a SecretString>>,
    ) -> Result<Answer, ForgeError> {
        let (method, path) = (call.method.as_str(), template(&call.path));
        let span = tracing::info_span!("github", method, path, status = Empty, otel.status_code = Empty);
        self.measured(call, bearer.into()).instrument(span).await
    }

    async fn measured(&self, call: &Call, bearer: Option<&SecretString>) -> Result<Answer, ForgeError> {
        let start = Instant::now();
        let answer = match tokio::time::timeout(self.timeout, self.follow(call, bearer)).await {
            Ok(answer) => answer,
            Err(_) => Err(call.unknown(format!("no answer within {} s", self.timeout.as_secs_f32()))),
        };
        let (status, took) = (answer.as_ref().ok().map(|answer| answer.status.as_u16()), start.elapsed());
        self.metrics.github_request(call.method.as_str(), status, took);
        tracing::debug!(request = call.name(), status, milliseconds = took.as_millis(), "GitHub");
        // The span is only for traces.
        let span = Span::current();
        span.record("status", status);
        if status.is_none_or(|status| status >= 500) {
            span.record("otel.status_code", "ERROR");
        }
        answer
    }

    /// Sends a request and follows redirects. A redirect means that nothing was done, so following
    /// it repeats nothing. Only redirects to the same host are followed, so that another host never
    /// receives the token.
    async fn follow(&self, call: &Call, bearer: Option<&SecretString>) -> Result<Answer, ForgeError> {
        let mut target = format!("{}{}", self.prefix, call.path);
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.once(call, &target, bearer).await?;
            let follows = match answer.status.as_u16() {
                301 | 302 => call.method == Method::GET,
                307 | 308 => true,
                _ => false,
            };
            if !follows {
                return Ok(answer);
            }
            let location = answer.header(header::LOCATION).unwrap_or_default();
            target = match location.strip_prefix(&self.origin) {
                Some(path) if path.starts_with('/') => path.to_owned(),
                None if location.starts_with('/') && !location.starts_with("//") => location.to_owned(),
                _ => {
                    return Err(ForgeError::Invalid(format!(
                        "{}: redirected to another host, which isn't followed: correct the base URL",
                        call.name()
                    )));
                }
            };
        }
        Err(ForgeError::Invalid(format!("{}: redirected too often", call.name())))
    }

    async fn once(
        &self,
        call: &Call,
        target: &str,
        bearer: Option<&SecretString>,
    ) -> Result<Answer, ForgeError> {
        let invalid =
            |error: &dyn std::fmt::Display| ForgeError::Invalid(format!("{}: {error}", call.name()));
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{}{target}", self.origin))
            .header(header::ACCEPT, call.accept)
            .header("x-github-api-version", "2022-11-28");
        if let Some(bearer) = bearer {
            let mut authorization = HeaderValue::from_str(&format!("Bearer {}", bearer.expose_secret()))
                .map_err(|_| ForgeError::Credentials("the token has characters that no token has".into()))?;
            authorization.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Some(etag) = &call.etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        if call.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = call.body.clone().map_or_else(OctoBody::empty, OctoBody::from);
        let request = request.body(body).map_err(|error| invalid(&error))?;
        let answer = self.octocrab.execute(request).await.map_err(|error| call.unknown(causes(&error)))?;
        let (parts, body) = read(answer, LARGEST).await.map_err(|why| call.unknown(why))?.into_parts();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}
