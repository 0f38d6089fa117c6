//! Tokens of registries. <https://distribution.github.io/distribution/spec/auth/token/>

use std::time::{Duration, Instant};

use http::{HeaderValue, Method, StatusCode};
use serde::Deserialize;
use url::Url;

use super::Question;
use super::answer::{Verdict, verdict};
use super::memory::TokenKey;
use crate::adapters::http::read;
use crate::core::image::{Bearer, token_url};
use crate::ports::RegistryError;

/// Most bytes of an answer; real ones have a few thousand.
const LARGEST: usize = 64 << 10;
/// Lifetime of a token in seconds when the answer has none.
const LIFE: u64 = 60;

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    /// The token under the name that OAuth 2.0 uses.
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Question<'_> {
    pub(super) fn token_url(&self, bearer: &Bearer) -> Result<Url, RegistryError> {
        let hosts = &self.client.settings.token_hosts;
        token_url(bearer, &self.url, self.image.host(), self.image.repository(), hosts)
            .map_err(|why| RegistryError::Invalid(self.about(&format!("it asks for a token, but {why}"))))
    }

    pub(super) fn token_key(&self, url: &Url) -> TokenKey {
        TokenKey { registry: self.origin.clone(), url: url.to_string(), identity: self.identity }
    }

    /// Returns a token, and whether it is new.
    pub(super) async fn token(&self, bearer: &Bearer) -> Result<(HeaderValue, bool), RegistryError> {
        let url = self.token_url(bearer)?;
        let key = self.token_key(&url);
        let asked = Instant::now();
        if let Some(token) = self.client.memory.token(&key, asked) {
            return Ok((token, false));
        }
        let basic = self.credentials.map(|credentials| self.basic(credentials)).transpose()?;
        let answer = self.send(&Method::GET, &url, "application/json", basic.as_ref()).await?;
        match (answer.status(), verdict(answer.status(), answer.headers())) {
            (StatusCode::OK, _) => {}
            (status, Verdict::Unauthorized | Verdict::Forbidden) => return Err(self.refused(status.as_u16())),
            (_, verdict @ (Verdict::Limited | Verdict::Failed(_))) => {
                return Err(self.failed(&verdict, answer.headers(), "a token"));
            }
            // This includes redirects: the token endpoint must not send the credentials elsewhere.
            (status, _) => return Err(self.failed(&Verdict::Other(status), answer.headers(), "a token")),
        }
        let answer = read(answer, LARGEST)
            .await
            .map_err(|why| RegistryError::NotAnswered(self.about(&format!("asked for a token it {why}"))))?;
        // The error doesn't repeat the body, which may contain secrets.
        let unusable = || RegistryError::Invalid(self.about("asked for a token it answered with none"));
        let answer: Answer = serde_json::from_slice(answer.body()).map_err(|_| unusable())?;
        let token = [answer.token, answer.access_token].into_iter().flatten().find(|token| !token.is_empty());
        let token =
            token.filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic())).ok_or_else(unusable)?;
        let mut token = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| unusable())?;
        token.set_sensitive(true);
        let life = Duration::from_secs(answer.expires_in.unwrap_or(LIFE));
        self.client.memory.remember_token(key, token.clone(), asked, life);
        Ok((token, true))
    }
}
