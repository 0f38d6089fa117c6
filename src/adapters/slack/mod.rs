//! Slack: answers commands by their `response_url`, and posts messages by the Web API.
//! <https://docs.slack.dev/apis/web-api>

mod answer;
mod base;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::{HeaderValue, Request, header};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use self::answer::Answer;
use self::base::Base;
use super::http::HttpClient;
use crate::core::slack::ChatMessage;
use crate::ports::{Chat, ChatError};

/// Most bytes of an answer, in which Slack repeats the message.
const LARGEST: usize = 1 << 20;

/// Settings of the connection to Slack. The defaults suit Slack.
#[derive(Clone, Debug)]
pub struct SlackSettings {
    /// Timeout of one request, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// Base URL of every `response_url`. Anybody who knows a signing secret chooses that URL, so
    /// Matinee sends requests only below this base.
    pub response_url: String,
    /// Base URL of the Web API. Tokens are sent there.
    pub api_url: String,
}

impl Default for SlackSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            response_url: "https://hooks.slack.com/".to_owned(),
            api_url: "https://slack.com/api/".to_owned(),
        }
    }
}

/// A client for Slack. It sends every message once and follows no redirects, since a redirect
/// target isn't Slack's.
pub struct SlackChat {
    client: HttpClient,
    responses: Base,
    api: Base,
}

impl SlackChat {
    /// Creates a client without sending anything. It needs a running tokio runtime. Errors name the
    /// setting.
    pub fn new(settings: &SlackSettings) -> Result<Self, String> {
        Ok(Self {
            client: HttpClient::new(settings.timeout)?,
            responses: Base::new("the base URL of Slack's response URLs", &settings.response_url)?,
            api: Base::new("the base URL of Slack's Web API", &settings.api_url)?,
        })
    }

    /// Sends the request once and reads the whole answer, within the timeout. Logs and errors show
    /// `name` instead of the URL.
    async fn send(
        &self,
        name: &'static str,
        url: &Url,
        authorization: Option<HeaderValue>,
        body: &Value,
    ) -> Result<Answer, ChatError> {
        let mut request = Request::post(url.as_str())
            // Without the charset, the Web API answers with a warning.
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8");
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request
            .body(body.to_string())
            .map_err(|_| ChatError::NotSent(format!("{name}: the URL can't be requested")))?;
        let start = Instant::now();
        let answer = self.client.exchange(request, LARGEST).await;
        let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
        tracing::debug!(request = name, status, milliseconds = start.elapsed().as_millis(), "Slack");
        let (parts, body) = answer.map_err(|why| ChatError::Unknown(format!("{name}: {why}")))?.into_parts();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

#[async_trait]
impl Chat for SlackChat {
    async fn respond(&self, response_url: &str, message: &ChatMessage) -> Result<(), ChatError> {
        let url = self.responses.admit(response_url).map_err(ChatError::NotSent)?;
        let answer = self.send("response_url", &url, None, &message.response()).await?;
        answer.response("response_url", Timestamp::now())
    }

    async fn post(
        &self,
        token: &SecretString,
        channel: &str,
        message: &ChatMessage,
        update: Option<&str>,
    ) -> Result<String, ChatError> {
        let method = if update.is_some() { "chat.update" } else { "chat.postMessage" };
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
            .map_err(|_| ChatError::NotSent("the bot token has characters that no token has".to_owned()))?;
        authorization.set_sensitive(true);
        let url = self.api.join(method).map_err(ChatError::NotSent)?;
        let answer = self.send(method, &url, Some(authorization), &message.post(channel, update)).await?;
        answer.posted(method, Timestamp::now())
    }
}
