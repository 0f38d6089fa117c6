//! Authentication and authorization of requests.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::api::call::{Call, Problem};
use crate::api::jwt;
use crate::control::types::{Permissions, Role};
use crate::state::apps::Holder;
use crate::state::repos::Repo;
use crate::state::{Moment, State, now};

/// Identity behind a request.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    /// A request without credentials.
    Anonymous,
    /// A GitHub App itself, with its JWT.
    App(u64),
    /// An installation of an App, with its token.
    Installation { id: u64, app: u64, permissions: Permissions, repositories: Option<BTreeSet<u64>> },
    /// A user with a personal token: a fine-grained one if it has permissions, else a classic one.
    User {
        login: String,
        permissions: Option<Permissions>,
        repositories: Option<BTreeSet<u64>>,
        expires_at: Option<Moment>,
    },
}

/// Rights that an endpoint requires.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// Permissions of which one is enough for an App's or fine-grained token.
    pub(crate) any_of: &'static [&'static str],
    /// Whether the permission must be `write`.
    pub(crate) write: bool,
    /// The role that the user behind a personal token must have.
    pub(crate) role: Role,
    /// Whether everybody may do it on a public repository.
    pub(crate) public: bool,
}

impl Need {
    /// Reading; on a public repository everybody may.
    pub(crate) const fn read(any_of: &'static [&'static str]) -> Self {
        Self { any_of, write: false, role: Role::Read, public: true }
    }

    /// Writing, for users who may push.
    pub(crate) const fn write(any_of: &'static [&'static str]) -> Self {
        Self { any_of, write: true, role: Role::Write, public: false }
    }

    /// Requires this role instead.
    pub(crate) const fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// Requires the permission on public repositories too.
    pub(crate) const fn always(mut self) -> Self {
        self.public = false;
        self
    }

    /// Returns the header that names the required permission to the App's author.
    pub(crate) fn header(&self) -> String {
        let level = if self.write { "write" } else { "read" };
        self.any_of.iter().map(|name| format!("{name}={level}")).collect::<Vec<_>>().join("; ")
    }
}

impl Identity {
    /// Returns whose limits count: `installation 87`, `user octocat`, `app 12` or `anonymous`.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Anonymous => "anonymous".to_owned(),
            Self::App(id) => format!("app {id}"),
            Self::Installation { id, .. } => format!("installation {id}"),
            Self::User { login, .. } => format!("user {login}"),
        }
    }

    /// Returns the login under which the request acts.
    pub(crate) fn login(&self, state: &State) -> String {
        match self {
            Self::User { login, .. } => login.clone(),
            Self::Installation { app, .. } | Self::App(app) => {
                state.apps.get(app).map(|app| format!("{}[bot]", app.slug)).unwrap_or_default()
            }
            Self::Anonymous => crate::state::users::GHOST.to_owned(),
        }
    }

    /// Returns the App behind the request, if there is one.
    pub(crate) fn app(&self) -> Option<u64> {
        match self {
            Self::App(id) => Some(*id),
            Self::Installation { app, .. } => Some(*app),
            _ => None,
        }
    }

    /// Returns whether a repository is visible at all.
    pub(crate) fn sees(&self, state: &State, repo: &Repo) -> bool {
        !repo.private || self.holds(state, repo)
    }

    /// Returns whether this token covers a repository.
    pub(crate) fn holds(&self, state: &State, repo: &Repo) -> bool {
        match self {
            Self::Anonymous | Self::App(_) => false,
            Self::Installation { id, repositories, .. } => {
                state.installations.get(id).is_some_and(|found| state.installation_sees(found, repo.id))
                    && repositories.as_ref().is_none_or(|ids| ids.contains(&repo.id))
            }
            Self::User { login, repositories, .. } => {
                repo.role(login) >= Role::Read
                    && repositories.as_ref().is_none_or(|ids| ids.contains(&repo.id))
            }
        }
    }

    /// Checks that the request has the needed rights in a visible repository.
    pub(crate) fn may(&self, state: &State, repo: &Repo, need: &Need) -> Result<(), Problem> {
        if need.public && !repo.private {
            return Ok(());
        }
        let granted = |permissions: &Permissions| {
            need.any_of.iter().any(|name| {
                permissions
                    .get(*name)
                    .is_some_and(|level| !need.write || level == "write" || level == "admin")
            })
        };
        let refuse = |whom: &str| {
            let mut problem =
                Problem::new(StatusCode::FORBIDDEN, format!("Resource not accessible by {whom}"));
            problem.headers.push(("x-accepted-github-permissions", need.header()));
            Err(problem)
        };
        match self {
            Self::Anonymous => Err(Problem::new(StatusCode::UNAUTHORIZED, "Requires authentication")),
            Self::App(_) => refuse("integration"),
            Self::Installation { permissions, .. } => {
                if self.holds(state, repo) && granted(permissions) {
                    Ok(())
                } else {
                    refuse("integration")
                }
            }
            Self::User { login, permissions, .. } => {
                if let Some(permissions) = permissions
                    && !(self.holds(state, repo) && granted(permissions) && repo.role(login) >= need.role)
                {
                    return refuse("personal access token");
                }
                if repo.role(login) >= need.role {
                    Ok(())
                } else if need.role == Role::Admin {
                    Err(Problem::new(StatusCode::FORBIDDEN, "Must have admin rights to Repository."))
                } else {
                    Err(Problem::not_found())
                }
            }
        }
    }
}

/// Authenticates a request.
pub(crate) fn identify(state: &State, call: &Call) -> Result<Identity, Problem> {
    let Some(header) = call.headers.get("authorization") else { return Ok(Identity::Anonymous) };
    let bad = || Problem::new(StatusCode::UNAUTHORIZED, "Bad credentials");
    let header = header.to_str().map_err(|_| bad())?;
    let (scheme, value) = header.split_once(' ').ok_or_else(bad)?;
    let value = value.trim();
    let token = match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "token" => value.to_owned(),
        "basic" => basic(value).ok_or_else(bad)?,
        _ => return Err(bad()),
    };
    if jwt::looks_like_one(&token) {
        return jwt::verify(state, &token).map(Identity::App);
    }
    let found = state.tokens.get(&token).ok_or_else(bad)?;
    if found.expires_at.is_some_and(|at| at <= now()) {
        return Err(bad());
    }
    match &found.holder {
        Holder::User { login, permissions, repositories } => Ok(Identity::User {
            login: login.clone(),
            permissions: permissions.clone(),
            repositories: repositories.clone(),
            expires_at: found.expires_at,
        }),
        Holder::Installation { id, permissions, repositories } => {
            let installation = state.installations.get(id).ok_or_else(bad)?;
            if installation.suspended_at.is_some() {
                return Err(Problem::new(StatusCode::FORBIDDEN, "This installation has been suspended"));
            }
            Ok(Identity::Installation {
                id: *id,
                app: installation.app,
                permissions: permissions.clone(),
                repositories: repositories.clone(),
            })
        }
    }
}

/// Returns the token in basic credentials: the password, or the user name when there is no
/// password.
fn basic(value: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    let token = if password.is_empty() || password == "x-oauth-basic" { user } else { password };
    Some(token.to_owned())
}
