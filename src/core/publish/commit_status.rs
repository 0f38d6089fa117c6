//! What a reviewer sees of a request: a commit status.

use crate::core::deployment::gates::{Evaluation, Summary};
use crate::core::forge::{CommitState, NewCommitStatus};
use crate::core::publish::deployment_status::DESCRIPTION_LIMIT;
use crate::core::truncate::cut;

/// How a request stands, as far as a reviewer cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Its gates were judged.
    Judged(&'a Evaluation),
    /// It may not be carried out, for a reason before any gate.
    Refused(&'a str),
    /// The deployment exists and is under way.
    UnderWay,
    /// It is live.
    Live,
    /// It failed, and why.
    Failed(&'a str),
    /// Another request took its place, and why.
    Superseded(&'a str),
}

/// The commit status that tells how a request for an environment stands. Its context is `matinee/<environment>`.
///
/// `environment` is the name in the PreviewRepository, also where each pull request has its own. `target_url` leads to details, or to what is
/// live.
pub fn commit_status(
    environment: &str,
    standing: Standing<'_>,
    target_url: Option<String>,
) -> NewCommitStatus {
    let (state, text) = match standing {
        Standing::Judged(evaluation) => match &evaluation.summary {
            Summary::Open => (CommitState::Pending, format!("about to be deployed to {environment}")),
            Summary::Waiting { message, .. } => (CommitState::Pending, message.clone()),
            Summary::Refused { message, .. } => (CommitState::Failure, message.clone()),
        },
        Standing::Refused(why) => (CommitState::Failure, why.to_owned()),
        Standing::UnderWay => (CommitState::Pending, format!("is being deployed to {environment}")),
        Standing::Live => (CommitState::Success, format!("deployed to {environment}")),
        Standing::Failed(cause) => (CommitState::Failure, format!("not deployed to {environment}: {cause}")),
        Standing::Superseded(why) => (CommitState::Error, format!("not deployed to {environment}: {why}")),
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    NewCommitStatus {
        context: format!("matinee/{environment}"),
        state,
        description: cut(&line, DESCRIPTION_LIMIT),
        target_url,
    }
}

/// What `status.told` records of a commit status, so that the same isn't told twice.
pub fn told(status: &NewCommitStatus) -> String {
    format!("{}: {}", status.state.as_github(), status.description)
}
