//! The state of the stand-in. It is one value behind one lock, so each holder of the lock sees and
//! makes complete transactions only.

pub(crate) mod apps;
pub(crate) mod checks;
pub(crate) mod comments;
pub(crate) mod deployments;
pub(crate) mod environments;
pub(crate) mod git;
pub(crate) mod heads;
pub(crate) mod hooks;
pub(crate) mod ids;
pub(crate) mod labels;
pub(crate) mod merge;
pub(crate) mod pulls;
pub(crate) mod refs;
pub(crate) mod repos;
pub(crate) mod timeline;
pub(crate) mod users;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, SubsecRound, Utc};

use crate::faults::Fault;
use crate::limits::Limiter;
use crate::log::RequestLog;
use crate::manifest::Conversion;
use crate::state::apps::{App, Installation, Token};
use crate::state::git::Commit;
use crate::state::hooks::Hook;
use crate::state::ids::Ids;
use crate::state::repos::Repo;
use crate::state::users::User;

/// A time with GitHub's resolution of whole seconds.
pub(crate) type Moment = DateTime<Utc>;

/// Returns the present time in whole seconds.
pub(crate) fn now() -> Moment {
    Utc::now().trunc_subsecs(0)
}

/// Base URLs of the stand-in, from which every URL in a body is built.
#[derive(Clone, Debug)]
pub(crate) struct Urls {
    /// Root of the REST API, with the base path, without a trailing slash.
    pub(crate) api: String,
    /// Root of the pages, without a trailing slash.
    pub(crate) html: String,
}

/// The complete state.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) urls: Urls,
    pub(crate) ids: Ids,
    /// Accounts by login in lower case.
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) apps: BTreeMap<u64, App>,
    pub(crate) installations: BTreeMap<u64, Installation>,
    pub(crate) tokens: HashMap<String, Token>,
    /// Apps created from manifests whose credentials have not been fetched yet, by code.
    pub(crate) conversions: HashMap<String, Conversion>,
    pub(crate) repos: BTreeMap<u64, Repo>,
    /// Commits of all repositories by SHA; forks share their parent's.
    pub(crate) commits: HashMap<String, Commit>,
    pub(crate) hooks: BTreeMap<u64, Hook>,
    pub(crate) limiter: Limiter,
    pub(crate) faults: Vec<Fault>,
    pub(crate) log: RequestLog,
}

impl State {
    /// Creates an empty state.
    pub(crate) fn new(urls: Urls) -> Self {
        let mut state = Self {
            urls,
            ids: Ids::default(),
            users: BTreeMap::new(),
            apps: BTreeMap::new(),
            installations: BTreeMap::new(),
            tokens: HashMap::new(),
            conversions: HashMap::new(),
            repos: BTreeMap::new(),
            commits: HashMap::new(),
            hooks: BTreeMap::new(),
            limiter: Limiter::default(),
            faults: Vec::new(),
            log: RequestLog::default(),
        };
        state.ensure_user(users::GHOST);
        state
    }
}

/// Why a change to the state is rejected. The REST API and the control API each have their own
/// words for it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// An object that the change names does not exist.
    #[error("{0}")]
    Missing(String),
    /// The change is impossible in the present state.
    #[error("{0}")]
    Conflict(String),
    /// A value is invalid.
    #[error("{resource} {field}: {message}")]
    Invalid {
        /// The type of object in GitHub's words, such as `PullRequest`.
        resource: &'static str,
        /// The invalid field.
        field: &'static str,
        /// The explanation.
        message: String,
    },
}

impl Refusal {
    /// Returns the rejection of a field's value.
    pub(crate) fn invalid(resource: &'static str, field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { resource, field, message: message.into() }
    }
}
