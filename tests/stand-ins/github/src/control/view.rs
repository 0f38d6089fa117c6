//! Objects as the control API shows them.

use crate::control::types::{Comment, Delivery, Deployment, DeploymentStatus, PullRequest};
use crate::state::hooks::Attempt;
use crate::state::{comments, deployments, pulls};

pub(crate) fn pull(pull: &pulls::Pull) -> PullRequest {
    PullRequest {
        number: pull.number,
        state: if pull.open { "open" } else { "closed" }.to_owned(),
        merged: pull.merged_at.is_some(),
        draft: pull.draft,
        title: pull.title.clone(),
        head_sha: pull.head.sha.clone(),
        head_ref: pull.head.branch.clone(),
        head_repository: pull.head.repo,
        base_ref: pull.base.branch.clone(),
        labels: pull.labels.clone(),
    }
}

pub(crate) fn comment(comment: &comments::Comment) -> Comment {
    Comment {
        id: comment.id,
        author: comment.author.clone(),
        body: comment.body.clone(),
        reactions: comment.reactions.iter().map(|r| format!("{} {}", r.content, r.author)).collect(),
    }
}

pub(crate) fn deployment(deployment: &deployments::Deployment) -> Deployment {
    Deployment {
        id: deployment.id,
        sha: deployment.sha.clone(),
        r#ref: deployment.reference.clone(),
        environment: deployment.environment.clone(),
        transient: deployment.transient,
        production: deployment.production,
        payload: deployment.payload.clone(),
        creator: deployment.creator.clone(),
        state: deployment.state().map(str::to_owned),
        statuses: deployment.statuses.iter().map(status).collect(),
    }
}

fn status(status: &deployments::DeploymentStatus) -> DeploymentStatus {
    DeploymentStatus {
        id: status.id,
        state: status.state.clone(),
        description: status.description.clone(),
        environment_url: status.environment_url.clone(),
        log_url: status.log_url.clone(),
        automatic: status.automatic,
    }
}

pub(crate) fn delivery(attempt: &Attempt) -> Delivery {
    Delivery {
        id: attempt.id,
        guid: attempt.sent.guid.clone(),
        event: attempt.sent.event.clone(),
        action: attempt.sent.action.clone(),
        redelivery: attempt.sent.redelivery,
        status: attempt.status.clone(),
        status_code: attempt.status_code,
        payload: serde_json::from_str(&attempt.sent.body).unwrap_or_default(),
    }
}
