//! A client of the control API. Its methods are named after events on Slack.

use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::types::{
    Answer, App, Channel, FaultEffect, Invocation, Limits, Message, NewChannel, NewCommand, NewFault,
    NewToken, Request, Response, Token, Typed,
};

/// Client of the control API for tests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    http: reqwest::Client,
}

/// An error of the control API.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The stand-in could not be reached, or its answer could not be read.
    #[error("cannot reach the stand-in: {0}")]
    Http(#[from] reqwest::Error),
    /// The stand-in rejected the request.
    #[error("{method} {path} was refused with {status}: {message}")]
    Refused {
        /// The method.
        method: Method,
        /// The path below the control API.
        path: String,
        /// The answer's HTTP status.
        status: u16,
        /// The stand-in's explanation.
        message: String,
    },
}

type Result<T> = std::result::Result<T, ControlError>;

impl Client {
    /// Creates a client of the control API at a base URL, such as `http://127.0.0.1:3001/_control`.
    pub fn new(base: &str) -> Self {
        // reqwest panics without a provider where the workspace builds it with TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { base: base.trim_end_matches('/').to_owned(), http: reqwest::Client::new() }
    }

    /// Returns the app with its secrets.
    pub async fn app(&self) -> Result<App> {
        self.get("/app").await
    }

    /// Adds a command to the app, or changes the command's request URL.
    pub async fn set_command(&self, command: &str, request_url: &str) -> Result<()> {
        let new = NewCommand { command: command.to_owned(), request_url: request_url.to_owned() };
        self.ask(Method::PUT, "/commands", Some(&new)).await
    }

    /// Creates a channel, or changes the existing one of that name.
    pub async fn set_channel(&self, new: NewChannel) -> Result<Channel> {
        self.ask(Method::PUT, "/channels", Some(&new)).await
    }

    /// Creates a bot token with these scopes.
    pub async fn create_token(&self, scopes: &[&str]) -> Result<String> {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let made: Token = self.ask(Method::POST, "/tokens", Some(&NewToken { scopes })).await?;
        Ok(made.token)
    }

    /// Revokes a bot token.
    pub async fn revoke_token(&self, token: &str) -> Result<()> {
        self.ask(Method::DELETE, "/tokens", Some(&Token { token: token.to_owned() })).await
    }

    /// Types a command as a user. Returns after its answer, at the latest after 3000 ms.
    pub async fn type_command(&self, typed: Typed) -> Result<Invocation> {
        self.ask(Method::POST, "/invocations", Some(&typed)).await
    }

    /// Sends Slack's check of the certificate of a command's request URL.
    pub async fn check_certificate(&self, command: &str) -> Result<Answer> {
        let new = NewCommand { command: command.to_owned(), request_url: String::new() };
        self.ask(Method::POST, "/certificate-checks", Some(&new)).await
    }

    /// Returns every typed command, oldest first.
    pub async fn invocations(&self) -> Result<Vec<Invocation>> {
        self.get("/invocations").await
    }

    /// Expires the response URL of a command.
    pub async fn expire(&self, invocation: u64) -> Result<()> {
        self.ask(Method::POST, &format!("/invocations/{invocation}/expire"), None::<&()>).await
    }

    /// Returns every later answer to a command, oldest first.
    pub async fn responses(&self) -> Result<Vec<Response>> {
        self.get("/responses").await
    }

    /// Returns every message in a channel in its present state, oldest first.
    pub async fn messages(&self) -> Result<Vec<Message>> {
        self.get("/messages").await
    }

    /// Returns every request to a response URL or the Web API, oldest first.
    pub async fn requests(&self) -> Result<Vec<Request>> {
        self.get("/requests").await
    }

    /// Sets the limits and resets the counters.
    pub async fn set_limits(&self, limits: Limits) -> Result<()> {
        self.ask(Method::PUT, "/limits", Some(&limits)).await
    }

    /// Applies a fault to the next request with this path; `*` at its end matches any rest.
    pub async fn break_next(&self, path: &str, effect: FaultEffect) -> Result<()> {
        self.add_fault(NewFault { path: path.to_owned(), times: None, effect }).await
    }

    /// Adds a fault.
    pub async fn add_fault(&self, new: NewFault) -> Result<()> {
        self.ask(Method::POST, "/faults", Some(&new)).await
    }

    /// Removes all faults.
    pub async fn clear_faults(&self) -> Result<()> {
        self.ask(Method::DELETE, "/faults", None::<&()>).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.ask(Method::GET, path, None::<&()>).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync + ?Sized)>,
    ) -> Result<T> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response.json().await?);
        }
        let text = response.text().await?;
        let message = serde_json::from_str::<Value>(&text)
            .ok()
            .and_then(|body| body["message"].as_str().map(str::to_owned))
            .unwrap_or(text);
        Err(ControlError::Refused { method, path: path.to_owned(), status: status.as_u16(), message })
    }
}
