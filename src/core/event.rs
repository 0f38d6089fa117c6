//! Events on GitHub, received in a webhook or found by a sweep.

use jiff::Timestamp;

use super::forge::{Comment, Deployment, DeploymentStatus, PullRequest, RepositoryName};

/// Event in a repository. It is only a hint: Matinee checks with GitHub before it creates anything.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Somebody opened or changed a pull request.
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
    /// A deployment has a new status.
    DeploymentStatus {
        /// Its repository.
        repository: RepositoryName,
        /// The deployment.
        deployment: Deployment,
        /// The status.
        status: DeploymentStatus,
    },
    /// A branch points to another commit.
    Push {
        /// Its repository.
        repository: RepositoryName,
        /// The branch's name, without `refs/heads/`.
        branch: String,
        /// The commit.
        sha: String,
        /// When the repository was last pushed to, by GitHub's clock and in whole seconds; `None`
        /// when the source doesn't report it.
        pushed_at: Option<Timestamp>,
    },
    /// A check run or status of a commit changed.
    Checks {
        /// Its repository.
        repository: RepositoryName,
        /// The commit.
        sha: String,
    },
    /// Somebody wrote a comment.
    Comment {
        /// Its repository.
        repository: RepositoryName,
        /// The comment.
        comment: Comment,
    },
    /// GitHub tests the webhook.
    Ping,
}

impl Event {
    /// Returns the repository of the event; a ping has none.
    pub const fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::PullRequest { repository, .. }
            | Self::Deployment { repository, .. }
            | Self::DeploymentStatus { repository, .. }
            | Self::Push { repository, .. }
            | Self::Checks { repository, .. }
            | Self::Comment { repository, .. } => Some(repository),
            Self::Ping => None,
        }
    }
}

/// Content of a webhook's body.
#[allow(clippy::large_enum_variant)] // short-lived: one at a time
#[derive(Clone, Debug, PartialEq)]
pub enum Parsed {
    /// An event to handle.
    Event(Event),
    /// Matinee ignores the body; the text says why, for the log and the response.
    Ignored(String),
}
