//! A client of the control API. Its methods are named after events on GitHub; repositories are
//! given as `owner/name`.

mod accounts;
mod hooks;
mod pulls;
mod repositories;
mod watch;

use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Client of the control API for tests and the demo. Cheap to clone.
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
        /// The request's method.
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
    /// Creates a client of the control API at a base URL, such as `http://127.0.0.1:3000/_control`.
    pub fn new(base: &str) -> Self {
        // reqwest panics without a provider where the workspace builds it with TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { base: base.trim_end_matches('/').to_owned(), http: reqwest::Client::new() }
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

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.ask(Method::GET, path, None::<&()>).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &(impl Serialize + Sync)) -> Result<T> {
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn put<T: DeserializeOwned>(&self, path: &str, body: &(impl Serialize + Sync)) -> Result<T> {
        self.ask(Method::PUT, path, Some(body)).await
    }

    async fn delete(&self, path: &str) -> Result<()> {
        self.ask(Method::DELETE, path, None::<&()>).await
    }
}
