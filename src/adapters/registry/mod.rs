//! Asks registries whether an image exists.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>,
//! <https://distribution.github.io/distribution/spec/auth/token/>
//!
//! A registry may be hostile. The module `reach` of [`crate::core::image`] describes what it could
//! make the operator do, and the rules against it.

mod answer;
mod memory;
mod token;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use jiff::{SignedDuration, Timestamp};
use reqwest::Body;
use secrecy::ExposeSecret as _;
use url::Url;

use self::answer::Verdict;
use self::memory::{Identity, Memory, identity};
use crate::adapters::http::{Failure, HttpClient, retry_at};
use crate::core::image::{
    Challenge, Credentials, ImageReference, TokenHosts, challenge, may_connect, same_origin,
};
use crate::core::truncate;
use crate::ports::{Registry, RegistryError};

/// Most redirects of a request.
const MOST_REDIRECTS: usize = 3;
/// Most attempts: without authorization or with the cached challenge, then with a cached token for
/// the new challenge, then with a new token.
const MOST_ROUNDS: usize = 3;

/// Duration of a rate limit when the registry doesn't say it.
const DEFAULT_LIMIT: SignedDuration = SignedDuration::from_mins(1);

/// Settings of the connections to registries.
#[derive(Clone, Debug)]
pub struct RegistrySettings {
    /// Timeout for one image, across all of its requests.
    pub timeout: Duration,
    /// Hosts on which token endpoints may be, besides the registries' own domains.
    pub token_hosts: TokenHosts,
}

impl Default for RegistrySettings {
    /// Returns a timeout of ten seconds, and no other hosts for token endpoints.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), token_hosts: TokenHosts::new() }
    }
}

/// A client for all registries. Connections, tokens and rate limits are shared, so the client
/// should live long.
pub struct RegistryClient {
    http: HttpClient,
    settings: RegistrySettings,
    memory: Memory,
}

impl RegistryClient {
    /// Creates a client without sending anything. It needs a running tokio runtime.
    pub fn new(settings: RegistrySettings) -> Result<Self, String> {
        let http = HttpClient::permitting(may_connect, settings.timeout)?;
        Ok(Self { http, settings, memory: Memory::default() })
    }
}

#[async_trait]
impl Registry for RegistryClient {
    async fn exists(
        &self,
        image: &ImageReference,
        credentials: Option<&Credentials>,
        insecure: bool,
    ) -> Result<bool, RegistryError> {
        let start = Instant::now();
        let question = Question::new(self, image, credentials, insecure)?;
        let result = match tokio::time::timeout(self.settings.timeout, question.ask()).await {
            Ok(result) => result,
            Err(_) => Err(RegistryError::NotAnswered(
                question.about(&format!("no answer within {} s", self.settings.timeout.as_secs_f32())),
            )),
        };
        if result.as_ref().is_err_and(|error| !matches!(error, RegistryError::RateLimited { .. })) {
            // The cached challenge may be outdated.
            self.memory.forget_challenge(&question.origin, image.repository());
        }
        let milliseconds = start.elapsed().as_millis();
        tracing::debug!(%image, result = ?result.as_ref().ok(), milliseconds, "registry");
        result
    }
}

/// A query for one image with one identity.
struct Question<'a> {
    client: &'a RegistryClient,
    image: &'a ImageReference,
    credentials: Option<&'a Credentials>,
    identity: Identity,
    /// URL of the manifest.
    url: Url,
    /// Scheme, host and port of the registry.
    origin: String,
}

impl<'a> Question<'a> {
    fn new(
        client: &'a RegistryClient,
        image: &'a ImageReference,
        credentials: Option<&'a Credentials>,
        insecure: bool,
    ) -> Result<Self, RegistryError> {
        let scheme = if insecure { "http" } else { "https" };
        let (host, repository, manifest) = (image.api_host(), image.repository(), image.manifest());
        let url = Url::parse(&format!("{scheme}://{host}/v2/{repository}/manifests/{manifest}"));
        // "1.2.3.256" is valid as the host of an image's name but not of a URL.
        let url = url.map_err(|error| RegistryError::Invalid(format!("{image}: \"{host}\": {error}")))?;
        let origin = url.origin().ascii_serialization();
        Ok(Self { client, image, credentials, identity: identity(credentials), url, origin })
    }

    fn about(&self, what: &str) -> String {
        format!("{}/{}: {what}", self.image.host(), self.image.repository())
    }

    async fn ask(&self) -> Result<bool, RegistryError> {
        let memory = &self.client.memory;
        if let Some(until) = memory.limit(&self.origin, self.identity, Timestamp::now()) {
            return Err(RegistryError::RateLimited { until });
        }
        let mut wanted = memory.challenge(&self.origin, self.image.repository());
        // Whether `wanted` comes from this query and not from the cache.
        let mut current = false;
        for _ in 0..MOST_ROUNDS {
            let (authorization, fresh) = match &wanted {
                None => (None, false),
                Some(challenge) => {
                    let (value, fresh) = self.authorization(challenge).await?;
                    (Some(value), fresh)
                }
            };
            let (verdict, headers) = self.manifest(authorization.as_ref()).await?;
            match verdict {
                Verdict::There | Verdict::Missing => {
                    if let Some(challenge) = wanted {
                        memory.remember_challenge(&self.origin, self.image.repository(), challenge);
                    }
                    return Ok(verdict == Verdict::There);
                }
                Verdict::Unauthorized if !(current && fresh) => {
                    // The rejected authorization came at least partly from the cache and is
                    // outdated.
                    if let Some(Challenge::Bearer(bearer)) = &wanted {
                        memory.forget_token(&self.token_key(&self.token_url(bearer)?));
                    }
                    wanted = Some(self.challenge(&headers)?);
                    current = true;
                }
                Verdict::Unauthorized => return Err(self.refused(401)),
                Verdict::Forbidden => return Err(self.refused(403)),
                other => return Err(self.failed(&other, &headers, "the manifest")),
            }
        }
        Err(RegistryError::Invalid(self.about("it asks for authentication in another way each time")))
    }

    /// Requests the manifest by HEAD, or by GET (without reading the body) if HEAD isn't allowed.
    /// Only redirects to the same origin are followed.
    async fn manifest(
        &self,
        authorization: Option<&HeaderValue>,
    ) -> Result<(Verdict, HeaderMap), RegistryError> {
        let mut method = Method::HEAD;
        let mut url = self.url.clone();
        for _ in 0..=MOST_REDIRECTS + 1 {
            let sent = self.send(&method, &url, answer::MANIFESTS, authorization).await?;
            let (parts, _) = sent.into_parts();
            let headers = parts.headers;
            match answer::verdict(parts.status, &headers) {
                Verdict::NotAllowed if method == Method::HEAD => method = Method::GET,
                Verdict::Redirect => {
                    let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
                    let target = location.and_then(|location| url.join(location).ok());
                    let target = target.ok_or_else(|| {
                        RegistryError::Invalid(self.about("it redirects, and doesn't say where"))
                    })?;
                    if !same_origin(&target, &self.url) || !target.username().is_empty() {
                        let host = truncate::cut(target.host_str().unwrap_or("nowhere"), 100);
                        return Err(RegistryError::Invalid(self.about(&format!(
                            "it redirects to {host}, which isn't followed: name the image there"
                        ))));
                    }
                    url = target;
                }
                verdict => return Ok((verdict, headers)),
            }
        }
        Err(RegistryError::Invalid(self.about("it redirects too often")))
    }

    /// Sends a request once and returns the head of the answer, before its body is read.
    async fn send(
        &self,
        method: &Method,
        url: &Url,
        accept: &'static str,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Body>, RegistryError> {
        let mut request = Request::builder().method(method).uri(url.as_str()).header(header::ACCEPT, accept);
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request
            .body(Body::default())
            .map_err(|error| RegistryError::Invalid(self.about(&error.to_string())))?;
        self.client.http.send(request).await.map_err(|failure| match failure {
            Failure::Forbidden(why) => RegistryError::Invalid(self.about(&why)),
            Failure::NoAnswer(why) => RegistryError::NotAnswered(self.about(&why)),
        })
    }

    fn challenge(&self, headers: &HeaderMap) -> Result<Challenge, RegistryError> {
        let values = headers.get_all(header::WWW_AUTHENTICATE);
        challenge(values.iter().filter_map(|value| value.to_str().ok())).map_err(|why| {
            RegistryError::Invalid(self.about(&format!("it asks for authentication, but {why}")))
        })
    }

    /// Returns the authorization for a challenge, and whether it is new, that is, not a cached
    /// token.
    async fn authorization(&self, challenge: &Challenge) -> Result<(HeaderValue, bool), RegistryError> {
        match (challenge, self.credentials) {
            (Challenge::Bearer(bearer), _) => self.token(bearer).await,
            (Challenge::Basic, Some(credentials)) => Ok((self.basic(credentials)?, true)),
            (Challenge::Basic, None) => Err(self.refused(401)),
        }
    }

    fn basic(&self, credentials: &Credentials) -> Result<HeaderValue, RegistryError> {
        let (username, password) =
            (credentials.username.expose_secret(), credentials.password.expose_secret());
        let encoded = STANDARD.encode(format!("{username}:{password}"));
        let mut value = HeaderValue::from_str(&format!("Basic {encoded}"))
            .map_err(|_| RegistryError::Invalid(self.about("the credentials can't be sent")))?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn refused(&self, status: u16) -> RegistryError {
        let host = self.image.host();
        RegistryError::Refused(self.about(&match self.credentials {
            None => format!(
                "{host} lets nobody see it without credentials ({status}): add those of {host}, or correct the name if there is no such repository"
            ),
            Some(_) => format!(
                "{host} refuses the credentials ({status}): they are wrong, or may not pull this repository, or there is none"
            ),
        }))
    }

    /// Returns the error for an answer to a request for `what`.
    fn failed(&self, verdict: &Verdict, headers: &HeaderMap, what: &str) -> RegistryError {
        match verdict {
            Verdict::Limited => {
                let now = Timestamp::now();
                let until = retry_at(headers, now, DEFAULT_LIMIT);
                self.client.memory.remember_limit(&self.origin, self.identity, until);
                RegistryError::RateLimited { until }
            }
            Verdict::Failed(status) => {
                RegistryError::NotAnswered(self.about(&format!("asked for {what} it answered {status}")))
            }
            Verdict::WebPage => RegistryError::Invalid(
                self.about(&format!("asked for {what} it answered with a web page: it is no registry")),
            ),
            Verdict::Other(status) => {
                RegistryError::Invalid(self.about(&format!("asked for {what} it answered {status}")))
            }
            other => RegistryError::Invalid(self.about(&format!("asked for {what} it answered {other:?}"))),
        }
    }
}
