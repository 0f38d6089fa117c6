//! Deployment environments of a repository.

use crate::state::ids::Kind;
use crate::state::{Moment, Refusal, State, now};

/// The longest name, in characters.
pub(crate) const MAX_NAME: usize = 255;

/// An environment.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) wait_timer: Option<u64>,
    pub(crate) created_at: Moment,
    pub(crate) updated_at: Moment,
}

impl State {
    /// Returns the environment of that name, which is created if missing. Names are
    /// case-insensitive.
    pub(crate) fn ensure_environment(&mut self, repo: u64, name: &str) -> Result<Environment, Refusal> {
        if let Some(found) = self.repo(repo)?.environments.get(&name.to_lowercase()) {
            return Ok(found.clone());
        }
        let id = self.ids.next(Kind::Environment);
        let environment =
            Environment { id, name: name.to_owned(), wait_timer: None, created_at: now(), updated_at: now() };
        self.repo_mut(repo)?.environments.insert(name.to_lowercase(), environment.clone());
        Ok(environment)
    }
}
