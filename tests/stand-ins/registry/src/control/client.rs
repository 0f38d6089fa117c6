//! A client of the control API. Its methods are named after events on a registry.

use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::types::{Authentication, FaultEffect, Image, NewFault, NewImage, NewUser, Request, Visibility};

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
    /// Creates a client of the control API at a base URL, such as `http://127.0.0.1:5000/_control`.
    pub fn new(base: &str) -> Self {
        // reqwest panics without a provider where the workspace builds it with TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { base: base.trim_end_matches('/').to_owned(), http: reqwest::Client::new() }
    }

    /// Sets the kind of authentication that the registry requires.
    pub async fn set_authentication(&self, authentication: Authentication) -> Result<()> {
        self.ask(Method::PUT, "/authentication", Some(&authentication)).await
    }

    /// Stores an image, as a push would.
    pub async fn put_image(&self, new: NewImage) -> Result<Image> {
        self.ask(Method::POST, "/images", Some(&new)).await
    }

    /// Removes a tag and, unless another tag has it, its manifest.
    pub async fn remove_image(&self, name: &str, tag: &str) -> Result<()> {
        self.ask(Method::DELETE, &format!("/images/{tag}/{name}"), None::<&()>).await
    }

    /// Makes a repository public, as new ones are, or private.
    pub async fn set_visibility(&self, name: &str, visibility: Visibility) -> Result<()> {
        self.ask(Method::PUT, &format!("/visibility/{name}"), Some(&visibility)).await
    }

    /// Adds a user who may pull from all private repositories, or changes a user's password.
    pub async fn put_user(&self, name: &str, password: &str) -> Result<()> {
        let user = NewUser { password: password.to_owned(), repositories: None };
        self.put_user_with(name, &user).await
    }

    /// Adds a user, or replaces one.
    pub async fn put_user_with(&self, name: &str, user: &NewUser) -> Result<()> {
        self.ask(Method::PUT, &format!("/users/{name}"), Some(user)).await
    }

    /// Removes a user. The user's tokens stay valid.
    pub async fn remove_user(&self, name: &str) -> Result<()> {
        self.ask(Method::DELETE, &format!("/users/{name}"), None::<&()>).await
    }

    /// Expires all tokens.
    pub async fn expire_tokens(&self) -> Result<()> {
        self.ask(Method::DELETE, "/tokens", None::<&()>).await
    }

    /// Applies a fault to the next request whose path begins with `path`.
    pub async fn break_next(&self, path: &str, effect: FaultEffect) -> Result<()> {
        self.add_fault(NewFault { method: None, path: path.to_owned(), times: 1, effect }).await
    }

    /// Adds a fault.
    pub async fn add_fault(&self, new: NewFault) -> Result<()> {
        self.ask(Method::POST, "/faults", Some(&new)).await
    }

    /// Removes all faults.
    pub async fn clear_faults(&self) -> Result<()> {
        self.ask(Method::DELETE, "/faults", None::<&()>).await
    }

    /// Returns every request to the registry and its token endpoint since the start or the last
    /// reset, oldest first.
    pub async fn requests(&self) -> Result<Vec<Request>> {
        self.ask(Method::GET, "/requests", None::<&()>).await
    }

    /// Deletes the record of requests.
    pub async fn reset_requests(&self) -> Result<()> {
        self.ask(Method::DELETE, "/requests", None::<&()>).await
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
