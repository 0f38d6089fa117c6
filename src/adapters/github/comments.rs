//! Comments, reactions to them, and the permissions of their authors.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use super::installation::up_to;
use super::path::{encode, in_repository, is_segment};
use super::requester::Requester;
use crate::adapters::github::conditional_get::Known;
use crate::adapters::github::conditional_list::{Extent, Listings};
use crate::adapters::github::json::comments::{ListedCommentJson, PermissionJson};
use crate::adapters::github::response::{Answer, Call};
use crate::adapters::github::single_flight::Singles;
use crate::adapters::github::write_order::Write;
use crate::adapters::github::write_queue::Queue;
use crate::core::forge::{Comment, Emoji, RepositoryName, RepositoryRole};
use crate::ports::{ForgeError, Listing};

/// Permission to read comments. "Issues: read" would do too.
const READ: &str = "Pull requests: read";
/// Permission to write comments. "Issues: write" would do too.
const COMMENT: &str = "Pull requests: write";
/// Permission to react, as documented in
/// <https://docs.github.com/rest/authentication/permissions-required-for-github-apps#repository-permissions-for-issues>.
const REACT: &str = "Issues: write";
const METADATA: &str = "Metadata: read";

/// Caches of comments and of users' roles.
pub(super) struct Comments {
    recent: Listings<Comment>,
    of_one: Listings<Comment>,
    roles: Singles<(RepositoryName, String), Known<RepositoryRole>>,
    role_max_age: Duration,
}

impl Comments {
    /// Creates empty caches. A role that is older than `role_max_age` is requested again.
    pub fn new(role_max_age: Duration) -> Self {
        Self {
            recent: Listings::new(up_to(512)),
            of_one: Listings::new(up_to(512)),
            roles: Singles::new(up_to(4096)),
            role_max_age,
        }
    }

    pub async fn recent(
        &self,
        requester: &Requester,
        repository: &RepositoryName,
    ) -> Result<Listing<Comment>, ForgeError> {
        let path = "/issues/comments?sort=updated&direction=desc&per_page=100";
        let call = Call::get(repository, in_repository(repository, path)?, READ);
        self.recent.list::<ListedCommentJson, _>(requester, call, Extent::First, |comment| comment.id).await
    }

    pub async fn of(
        &self,
        requester: &Requester,
        repository: &RepositoryName,
        number: i64,
    ) -> Result<Vec<Comment>, ForgeError> {
        let path = in_repository(repository, &format!("/issues/{number}/comments?per_page=100"))?;
        let call = Call::get(repository, path, READ);
        let id = |comment: &Comment| comment.id;
        let listing = self.of_one.list::<ListedCommentJson, _>(requester, call, Extent::Growing, id).await?;
        Ok(listing.items.to_vec())
    }

    pub async fn permission(
        &self,
        requester: &Requester,
        repository: &RepositoryName,
        login: &str,
    ) -> Result<RepositoryRole, ForgeError> {
        // The user's account was deleted.
        if !is_segment(login) {
            return Ok(RepositoryRole::None);
        }
        let path = in_repository(repository, &format!("/collaborators/{}/permission", encode(login)))?;
        let mut call = Call::get(repository, path, METADATA);
        call.absent = |answer| answer.status == StatusCode::NOT_FOUND;
        let read = |answer: &Answer, call: &Call| {
            if answer.status.is_success() {
                Ok(answer.json::<PermissionJson>(call)?.into())
            } else {
                Ok(RepositoryRole::None)
            }
        };
        let known = self.roles.of((repository.clone(), login.to_lowercase()));
        let fresh = |_: &Known<RepositoryRole>, age| age < self.role_max_age;
        Ok(known.get(fresh, |last| Known::ask(requester, call, last, read)).await?.value)
    }
}

pub(super) async fn create(
    queue: &Arc<Queue>,
    repository: &RepositoryName,
    number: i64,
    body: &str,
) -> Result<Comment, ForgeError> {
    let path = in_repository(repository, &format!("/issues/{number}/comments"))?;
    let call = Call::post(repository, path, COMMENT, &json!({"body": body}));
    let answer = queue.send_always(Write::Comment, call.clone(), &[StatusCode::CREATED]).await?;
    Ok(answer.json::<ListedCommentJson>(&call)?.into())
}

pub(super) async fn edit(
    queue: &Arc<Queue>,
    repository: &RepositoryName,
    id: i64,
    body: &str,
) -> Result<(), ForgeError> {
    let path = in_repository(repository, &format!("/issues/comments/{id}"))?;
    let call = Call::patch(repository, path, COMMENT, &json!({"body": body}));
    queue.send_always(Write::EditComment(id), call, &[StatusCode::OK]).await?;
    Ok(())
}

pub(super) async fn react(
    queue: &Arc<Queue>,
    repository: &RepositoryName,
    comment: i64,
    emoji: Emoji,
) -> Result<(), ForgeError> {
    let path = in_repository(repository, &format!("/issues/comments/{comment}/reactions"))?;
    let call = Call::post(repository, path, REACT, &json!({"content": emoji.as_github()}));
    // GitHub answers 200 when the reaction exists already.
    queue.send_always(Write::React, call, &[StatusCode::CREATED, StatusCode::OK]).await?;
    Ok(())
}
