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

/// Age from which a comment isn't obeyed any more. Shorter than commands are kept, so that a delivery that is sent again finds its command.
const TOO_OLD: SignedDuration = SignedDuration::from_hours(12);

/// Whether a comment was written so long ago that its delivery comes too late, or once more.
pub fn is_too_old(comment: &Comment, now: Timestamp) -> bool {
    comment.created_at.parse::<Timestamp>().is_ok_and(|written| now.duration_since(written) > TOO_OLD)
}

/// A command is answered once, so of several PreviewRepositories for one GitHub repository only one takes it: the oldest, which holds every environment
/// that it has. The environments that only younger ones have can't be commanded in comments.
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

/// `shop-comment-31` for the first command of a comment, `shop-comment-31-2` for the second.
fn name(repository: &PreviewRepository, comment: i64, index: usize) -> String {
    let first = format!("{}-comment-{comment}", repository.name_any());
    if index == 0 { first } else { format!("{first}-{}", index + 1) }
}
