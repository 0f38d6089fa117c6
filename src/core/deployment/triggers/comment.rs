//! Commands in a comment.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::Change;
use crate::api::{
    CommentReference, DeploymentCommandSpec, LocalReference, PreviewRepository, PullRequestReference,
};
use crate::core::chatops;
use crate::core::deployment::ownership;
use crate::core::forge::Comment;

/// Age after which a comment is ignored. Commands are kept longer than that, so that a redelivered
/// webhook finds its existing command.
const TOO_OLD: SignedDuration = SignedDuration::from_hours(12);

/// Returns whether a comment is so old that its webhook is late or a redelivery.
pub fn is_too_old(comment: &Comment, now: Timestamp) -> bool {
    comment.created_at.parse::<Timestamp>().is_ok_and(|written| now.duration_since(written) > TOO_OLD)
}

/// A command is answered once. So of several PreviewRepositories for one GitHub repository only the
/// oldest takes it, which owns all of its environments. Comments can't command environments that
/// only the younger PreviewRepositories have.
pub(super) fn changes(
    repositories: &[&PreviewRepository],
    repository: &PreviewRepository,
    comment: &Comment,
) -> Vec<Change> {
    if comment.bot || comment.edited || !comment.on_pull_request || comment.author.is_empty() {
        return Vec::new();
    }
    if !ownership::is_oldest(repositories, repository) {
        return Vec::new();
    }
    chatops::lines(&comment.body)
        .into_iter()
        .enumerate()
        .map(|(index, text)| Change::Command {
            namespace: repository.namespace().unwrap_or_default(),
            name: name(repository, comment.id, index),
            spec: DeploymentCommandSpec {
                repository_ref: LocalReference { name: repository.name_any() },
                text,
                login: comment.author.clone(),
                comment: Some(CommentReference {
                    id: comment.id,
                    pull_request: PullRequestReference { number: comment.number },
                }),
                slack: None,
            },
        })
        .collect()
}

/// Returns `shop-comment-31` for the first command of a comment, `shop-comment-31-2` for the
/// second.
fn name(repository: &PreviewRepository, comment: i64, index: usize) -> String {
    let first = format!("{}-comment-{comment}", repository.name_any());
    if index == 0 { first } else { format!("{first}-{}", index + 1) }
}
