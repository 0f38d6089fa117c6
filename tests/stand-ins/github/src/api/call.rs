//! Requests and replies as endpoints see them.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::state::Refusal;

/// Documentation URL of problems whose endpoint has no page of its own.
pub(crate) const DOCS: &str = "https://docs.github.com/rest";

/// A request.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// The path below the base path, undecoded, without the query.
    pub(crate) path: String,
    /// The path's segments, decoded.
    pub(crate) segments: Vec<String>,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Call {
    /// Returns a header's text; `None` when it is missing or not text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns a query parameter's text; `None` when it is missing or empty.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// A reply to a request.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body,
}

/// The body of a reply.
#[derive(Debug)]
pub(crate) enum Body {
    /// No body.
    Empty,
    /// JSON.
    Json(Value),
    /// A media type and text.
    Text(&'static str, String),
}

/// Result of an endpoint.
pub(crate) type Answer = Result<Reply, Problem>;

impl Reply {
    /// `200 OK` with JSON.
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body: Body::Json(body) }
    }

    /// `201 Created` with JSON and the new object's URL.
    pub(crate) fn created(body: Value) -> Self {
        let location = body["url"].as_str().map(|url| ("location", url.to_owned()));
        let headers = location.into_iter().collect();
        Self { status: StatusCode::CREATED, headers, body: Body::Json(body) }
    }

    /// `204 No Content`.
    pub(crate) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: Vec::new(), body: Body::Empty }
    }

    /// JSON with another status.
    pub(crate) fn with_status(status: StatusCode, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Body::Json(body) }
    }
}

/// A problem in GitHub's words.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) errors: Vec<Value>,
    pub(crate) documentation: String,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Problem {
    /// A problem with nothing but a message.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            errors: Vec::new(),
            documentation: DOCS.to_owned(),
            headers: Vec::new(),
        }
    }

    /// `404 Not Found`: the object does not exist, or the token may not see it.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found")
    }

    /// `422` with a message of its own.
    pub(crate) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// `422 Validation Failed` about one field.
    pub(crate) fn validation(resource: &str, code: &str, field: &str, message: Option<&str>) -> Self {
        let mut error = json!({"resource": resource, "code": code});
        if let Some(fields) = error.as_object_mut() {
            if !field.is_empty() {
                fields.insert("field".to_owned(), json!(field));
            }
            if let Some(message) = message {
                fields.insert("message".to_owned(), json!(message));
            }
        }
        let mut problem = Self::unprocessable("Validation Failed");
        problem.errors.push(error);
        problem
    }

    /// Adds the endpoint's documentation page, given as its path below
    /// `https://docs.github.com/rest`.
    pub(crate) fn see(mut self, page: &str) -> Self {
        if self.documentation == DOCS && !page.is_empty() {
            self.documentation = format!("{DOCS}/{page}");
        }
        self
    }

    /// Returns the body.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({
            "message": self.message,
            "documentation_url": self.documentation,
            "status": self.status.as_u16().to_string(),
        });
        if !self.errors.is_empty()
            && let Some(fields) = body.as_object_mut()
        {
            fields.insert("errors".to_owned(), json!(self.errors));
        }
        body
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Missing(message) if message == "Label does not exist" => {
                Self::new(StatusCode::NOT_FOUND, message)
            }
            Refusal::Missing(_) => Self::not_found(),
            Refusal::Conflict(message) => Self::new(StatusCode::CONFLICT, message),
            Refusal::Invalid { resource, field, message } => match (resource, message.as_str()) {
                (_, "invalid") => Self::validation(resource, "invalid", field, None),
                ("IssueComment", _) => Self::validation(resource, "unprocessable", field, Some(&message)),
                _ => Self::validation(resource, "custom", field, Some(&message)),
            },
        }
    }
}
