//! What happened on GitHub, wherever it was learned: from a webhook, or from a sweep.

use super::forge::{Deployment, PullRequest, RepositoryName};

/// Something that happened in a repository. It is a hint: what is created because of it is checked against GitHub first.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A pull request is now like this.
    PullRequest {
        /// Its repository.
        repository: RepositoryName,
        /// The pull request.
        pull_request: PullRequest,
    },
    /// A deployment was created.
    Deployment {
        /// Its repository.
        repository: RepositoryName,
        /// The deployment.
        deployment: Deployment,
    },
    /// GitHub tries out the webhook.
    Ping,
}

/// What a webhook's body was.
#[allow(clippy::large_enum_variant)] // one at a time, taken apart at once
#[derive(Clone, Debug, PartialEq)]
pub enum Parsed {
    /// Something to act on.
    Event(Event),
    /// Nothing Matinee acts on; the text says why, for the log and the delivery's answer.
    Ignored(String),
}
