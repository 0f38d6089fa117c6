//! Commit statuses, which show a reviewer the state of a deployment request.

use crate::core::deployment::gates::{Evaluation, GateSummary};
use crate::core::forge::{CommitState, NewCommitStatus};
use crate::core::publish::deployment_status::DESCRIPTION_LIMIT;
use crate::core::truncate::cut;

/// State of a request, with the details that a reviewer needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Its gates were evaluated.
    Judged(&'a Evaluation),
    /// It was rejected before any gate, for this reason.
    Refused(&'a str),
    /// Its deployment is in progress.
    UnderWay,
    /// Its deployment is live.
    Live,
    /// Its deployment failed, for this reason.
    Failed(&'a str),
    /// Another request replaced it, for this reason.
    Superseded(&'a str),
}

/// Returns the commit status of a request for an environment. Its context is
/// `matinee/<environment>`.
///
/// `environment` is the name in the PreviewRepository, also where each pull request has its own
/// environment. `target_url` is the URL of the details or of the live environment.
pub fn commit_status(
    environment: &str,
    standing: Standing<'_>,
    target_url: Option<String>,
) -> NewCommitStatus {
    let (state, text) = match standing {
        Standing::Judged(evaluation) => match &evaluation.summary {
            GateSummary::Open => (CommitState::Pending, format!("about to be deployed to {environment}")),
            GateSummary::Waiting { message, .. } => (CommitState::Pending, message.clone()),
            GateSummary::Refused { message, .. } => (CommitState::Failure, message.clone()),
        },
        Standing::Refused(why) => (CommitState::Failure, why.to_owned()),
        Standing::UnderWay => (CommitState::Pending, format!("deploying to {environment}")),
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

/// Returns the text that `status.commitStatus` records of a commit status, so that Matinee doesn't create
/// the same one twice.
pub fn recorded(status: &NewCommitStatus) -> String {
    format!("{}: {}", status.state.as_github(), status.description)
}
