//! Commits: resolves branches and refs, reads checks and statuses, and creates statuses.

use std::sync::Arc;

use futures::future::try_join;
use http::StatusCode;
use serde_json::json;

use super::installation::{DESCRIPTION, up_to};
use super::path::{encode, in_repository, is_segment};
use super::requester::Requester;
use crate::adapters::github::conditional_get::Known;
use crate::adapters::github::conditional_list::{Extent, Listings};
use crate::adapters::github::json::commits::{
    BranchJson, CheckRunsJson, CombinedStatusJson, ListedCheck, newest,
};
use crate::adapters::github::response::{Answer, Call};
use crate::adapters::github::single_flight::Singles;
use crate::adapters::github::write_order::{CommitContext, Write};
use crate::adapters::github::write_queue::Queue;
use crate::core::forge::{Branch, Check, NewCommitStatus, RepositoryName};
use crate::core::truncate::cut;
use crate::ports::{ForgeError, Listing};

const CONTENTS: &str = "Contents: read";
const CHECKS: &str = "Checks: read";
const STATUSES: &str = "Commit statuses: read";
const WRITE_STATUSES: &str = "Commit statuses: write";
/// Media type for an answer with only the SHA, without the commit's changes.
/// <https://docs.github.com/rest/commits/commits#get-a-commit>
const SHA: &str = "application/vnd.github.sha";

/// Caches of commits, their checks and branches.
pub(super) struct Commits {
    runs: Listings<ListedCheck>,
    statuses: Listings<ListedCheck>,
    branches: Listings<Branch>,
    branch: Singles<(RepositoryName, String), Known<Option<Branch>>>,
    sha: Singles<(RepositoryName, String), Known<Option<String>>>,
}

impl Commits {
    pub fn new() -> Self {
        Self {
            runs: Listings::new(up_to(1024)),
            statuses: Listings::new(up_to(1024)),
            branches: Listings::new(up_to(512)),
            branch: Singles::new(up_to(4096)),
            sha: Singles::new(up_to(4096)),
        }
    }

    pub async fn checks(
        &self,
        requester: &Requester,
        repository: &RepositoryName,
        sha: &str,
    ) -> Result<Vec<Check>, ForgeError> {
        if !is_segment(sha) {
            return Err(ForgeError::Invalid(format!("\"{sha}\" is not the SHA of a commit")));
        }
        let of = |what: &str| in_repository(repository, &format!("/commits/{}/{what}", encode(sha)));
        let call = Call::get(repository, of("check-runs?filter=latest&per_page=100")?, CHECKS);
        let runs = self.runs.list_in(
            requester,
            call,
            Extent::Growing,
            |run| run.id,
            |page: CheckRunsJson| page.into(),
        );
        // The combined status has only the newest status of each context. The list of statuses
        // would have all, up to a thousand for each context.
        let call = Call::get(repository, of("status?per_page=100")?, STATUSES);
        let statuses = self.statuses.list_in(
            requester,
            call,
            Extent::Growing,
            |status| status.id,
            |page: CombinedStatusJson| page.into(),
        );
        let (runs, statuses) = try_join(runs, statuses).await?;
        Ok(newest(&runs.items).chain(newest(&statuses.items)).collect())
    }

    pub async fn branches(
        &self,
        requester: &Requester,
        repository: &RepositoryName,
    ) -> Result<Listing<Branch>, ForgeError> {
        let call = Call::get(repository, in_repository(repository, "/branches?per_page=100")?, CONTENTS);
        let name = |branch: &Branch| branch.name.clone();
        self.branches.list::<BranchJson, _>(requester, call, Extent::Growing, name).await
    }

    pub async fn branch(
        &self,
        requester: &Requester,
        repository: &RepositoryName,
        name: &str,
    ) -> Result<Option<Branch>, ForgeError> {
        if !is_segment(name) {
            return Ok(None);
        }
        let mut call = Call::get(
            repository,
            in_repository(repository, &format!("/branches/{}", encode(name)))?,
            CONTENTS,
        );
        // For a repository that doesn't exist or isn't visible, GitHub says only "Not Found".
        call.absent = |answer| answer.status == StatusCode::NOT_FOUND && answer.says("Branch not found");
        let read = |answer: &Answer, call: &Call| {
            if !answer.status.is_success() {
                return Ok(None);
            }
            let branch: Branch = answer.json::<BranchJson>(call)?.into();
            // GitHub redirects from the old name of a renamed branch to the new one. A branch with
            // the old name no longer exists.
            Ok(Some(branch).filter(|branch| branch.name == name))
        };
        let known = self.branch.of((repository.clone(), name.to_owned()));
        Ok(known.get(|_, _| false, |last| Known::ask(requester, call, last, read)).await?.value)
    }

    pub async fn commit(
        &self,
        requester: &Requester,
        repository: &RepositoryName,
        git_ref: &str,
    ) -> Result<Option<String>, ForgeError> {
        if !is_segment(git_ref) {
            return Ok(None);
        }
        let mut call = Call::get(
            repository,
            in_repository(repository, &format!("/commits/{}", encode(git_ref)))?,
            CONTENTS,
        );
        call.accept = SHA;
        call.absent = |answer| match answer.status {
            StatusCode::NOT_FOUND => true,
            StatusCode::UNPROCESSABLE_ENTITY => answer.says("No commit found"),
            _ => false,
        };
        let read = |answer: &Answer, call: &Call| {
            if !answer.status.is_success() {
                return Ok(None);
            }
            // GitHub may use SHA-256 in the future.
            match std::str::from_utf8(&answer.body).map(str::trim) {
                Ok(sha)
                    if matches!(sha.len(), 40 | 64) && sha.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
                {
                    Ok(Some(sha.to_owned()))
                }
                _ => Err(call.unknown(format!("answered {} with something else than a SHA", answer.status))),
            }
        };
        let known = self.sha.of((repository.clone(), git_ref.to_owned()));
        Ok(known.get(|_, _| false, |last| Known::ask(requester, call, last, read)).await?.value)
    }
}

pub(super) async fn create_status(
    queue: &Arc<Queue>,
    repository: &RepositoryName,
    sha: &str,
    status: &NewCommitStatus,
) -> Result<(), ForgeError> {
    if !is_segment(sha) {
        return Err(ForgeError::Invalid(format!("\"{sha}\" is not the SHA of a commit")));
    }
    let mut body = json!({
        "context": status.context,
        "state": status.state.as_github(),
        "description": cut(&status.description, DESCRIPTION),
    });
    if let Some(url) = &status.target_url {
        body["target_url"] = json!(url);
    }
    let path = in_repository(repository, &format!("/statuses/{}", encode(sha)))?;
    let call = Call::post(repository, path, WRITE_STATUSES, &body);
    let of = CommitContext::new(repository, sha, &status.context);
    queue.send_always(Write::CommitStatus(of), call, &[StatusCode::CREATED]).await?;
    Ok(())
}
