//! Authentication and authorization of requests.

use axum::http::header::{self, HeaderMap};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::state::State;

/// Credentials in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Authorization {
    None,
    Basic {
        username: String,
        password: String,
    },
    Bearer(String),
    /// Another scheme.
    Other,
}

/// Parses the header `Authorization`.
pub(crate) fn authorization(headers: &HeaderMap) -> Authorization {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Authorization::None };
    let Some((scheme, rest)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
        return Authorization::Other;
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        return Authorization::Bearer(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Authorization::Other;
    }
    let decoded = STANDARD.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded.as_deref().and_then(|text| text.split_once(':')) {
        Some((username, password)) => {
            Authorization::Basic { username: username.to_owned(), password: password.to_owned() }
        }
        None => Authorization::Other,
    }
}

impl State {
    /// Returns whether the password is the user's.
    pub(crate) fn knows(&self, username: &str, password: &str) -> bool {
        self.users.get(username).is_some_and(|user| user.password == password)
    }

    /// Returns whether a user may pull from a repository. A missing repository looks like a private
    /// one to users without access.
    pub(crate) fn may_pull(&self, username: Option<&str>, name: &str) -> bool {
        let public = self.repositories.get(name).is_some_and(|repository| !repository.private);
        public
            || username.and_then(|username| self.users.get(username)).is_some_and(|user| {
                user.repositories.as_ref().is_none_or(|names| names.iter().any(|own| own == name))
            })
    }
}
