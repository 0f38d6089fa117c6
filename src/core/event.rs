//! What happened on GitHub, wherever it was learned: from a webhook, or from a sweep.

use jiff::Timestamp;

use super::forge::{Comment, Deployment, DeploymentStatus, PullRequest, RepositoryName};

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
    /// A deployment has a new status.
    DeploymentStatus {
        /// Its repository.
        repository: RepositoryName,
        /// The deployment.
        deployment: Deployment,
        /// The status.
        status: DeploymentStatus,
    },
    /// A branch points to a commit now.
    Push {
        /// Its repository.
        repository: RepositoryName,
        /// The branch's name, without `refs/heads/`.
        branch: String,
        /// The commit.
        sha: String,
        /// When the repository was last pushed to, by GitHub's clock and in whole seconds; `None` where nothing says so.
        pushed_at: Option<Timestamp>,
    },
    /// Something about a commit's check runs or statuses changed.
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
    /// GitHub tries out the webhook.
    Ping,
}

impl Event {
    /// The repository in which it happened; a ping is about none.
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

/// What a webhook's body was.
#[allow(clippy::large_enum_variant)] // one at a time, taken apart at once
#[derive(Clone, Debug, PartialEq)]
pub enum Parsed {
    /// Something to act on.
    Event(Event),
    /// Nothing Matinee acts on; the text says why, for the log and the delivery's answer.
    Ignored(String),
}
