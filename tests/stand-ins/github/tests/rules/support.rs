//! Starts a stand-in with a repository, and has a small HTTP client for its REST API.

use github_stand_in::control::Client;
use github_stand_in::control::types::{NewRepository, Permissions};
use github_stand_in::{Settings, StandIn};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

/// The repository most tests use.
pub(crate) const SHOP: &str = "acme/shop";

/// A running stand-in with the repository `acme/shop` and a classic token of its owner.
pub(crate) struct World {
    pub(crate) stand_in: StandIn,
    pub(crate) control: Client,
    pub(crate) api: Api,
}

/// An answer of the REST API.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Said {
    /// Returns a header's text; empty when it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Returns the message of a problem.
    pub(crate) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    /// Asserts the status. Returns the answer.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Asserts a problem with this status and message.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, message: &str) {
        assert_eq!((self.status, self.message()), (status, message), "{}", self.text);
        assert_eq!(self.body["status"], status.to_string());
        let page = self.body["documentation_url"].as_str().unwrap();
        assert!(page.starts_with("https://docs.github.com/rest"), "{page}");
    }

    /// Asserts `422 Validation Failed` about one field.
    #[track_caller]
    pub(crate) fn invalid(&self, resource: &str, field: &str, code: &str) {
        self.refused(422, "Validation Failed");
        let error = &self.body["errors"][0];
        let found = (error["resource"].as_str(), error["field"].as_str(), error["code"].as_str());
        assert_eq!(found, (Some(resource), Some(field), Some(code)), "{}", self.text);
    }
}

/// The REST API with one token.
#[derive(Clone)]
pub(crate) struct Api {
    base: String,
    token: Option<String>,
    http: reqwest::Client,
}

impl Api {
    pub(crate) fn new(base: &str, token: Option<&str>) -> Self {
        let http = reqwest::Client::builder().user_agent("rules/1").build().unwrap();
        Self { base: base.to_owned(), token: token.map(str::to_owned), http }
    }

    /// Returns a request with the token, for changes before it is sent.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Said {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Said { status, headers, body, text }
    }

    pub(crate) async fn get(&self, path: &str) -> Said {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Said {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Said {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Said {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Said {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }
}

/// Starts a stand-in.
pub(crate) async fn start() -> World {
    start_below("").await
}

/// Starts a stand-in whose REST API has a base path.
pub(crate) async fn start_below(base_path: &str) -> World {
    let settings = Settings { base_path: base_path.to_owned(), ..Settings::default() };
    let stand_in = StandIn::start(settings).await.unwrap();
    let control = stand_in.control();
    let new = NewRepository { full_name: SHOP.to_owned(), ..NewRepository::default() };
    control.create_repository(new).await.unwrap();
    let token = control.create_classic_token("acme").await.unwrap();
    let api = Api::new(stand_in.api_url(), Some(&token));
    World { stand_in, control, api }
}

impl World {
    /// Returns the REST API with another token.
    pub(crate) fn with_token(&self, token: &str) -> Api {
        Api::new(self.stand_in.api_url(), Some(token))
    }

    /// Returns the REST API without a token.
    pub(crate) fn anonymous(&self) -> Api {
        Api::new(self.stand_in.api_url(), None)
    }
}

/// Returns permissions from pairs.
pub(crate) fn permissions(pairs: &[(&str, &str)]) -> Permissions {
    pairs.iter().map(|(name, level)| ((*name).to_owned(), (*level).to_owned())).collect()
}
