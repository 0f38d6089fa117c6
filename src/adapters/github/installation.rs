//! Requests that the controllers send to GitHub.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use serde_json::json;

use super::account::Account;
use super::comments::{self, Comments};
use super::commits::{self, Commits};
use super::path::{in_repository, query};
use super::requester::Requester;
use crate::adapters::github::conditional_get::Known;
use crate::adapters::github::conditional_list::{Extent, Listings, newest_first};
use crate::adapters::github::json::commits::{ChangedFile, CommitJson};
use crate::adapters::github::json::{DeploymentJson, DeploymentStatusJson, PullRequestJson};
use crate::adapters::github::response::{Answer, Call};
use crate::adapters::github::single_flight::Singles;
use crate::adapters::github::write_order::Write;
use crate::adapters::github::write_queue::{Queue, Written};
use crate::api::DeploymentReport;
use crate::core::forge::{
    Branch, Check, Comment, Deployment, DeploymentStatus, Emoji, NewCommitStatus, NewDeployment, PullRequest,
    RepositoryName, RepositoryRole, same_environment,
};
use crate::core::truncate::cut;
use crate::ports::{Forge, ForgeError, Listing};

const PULL_REQUESTS: &str = "Pull requests: read";
const DEPLOYMENTS: &str = "Deployments: read";
const DEPLOY: &str = "Deployments: write";
/// GitHub's limit for the descriptions of deployments, deployment statuses and commit statuses, in
/// characters.
pub(super) const DESCRIPTION: usize = 140;

pub(super) const fn up_to(count: usize) -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(count - 1)
}

/// One installation of the App, or one token.
pub(super) struct Installation {
    requester: Arc<Requester>,
    queue: Arc<Queue>,
    pull_requests: Singles<(RepositoryName, i64), Known<PullRequest>>,
    open: Listings<PullRequest>,
    deployments: Listings<Deployment>,
    of_environment: Listings<Deployment>,
    statuses: Listings<DeploymentStatus>,
    files: Listings<ChangedFile>,
    pull_request_commits: Listings<String>,
    commits: Commits,
    comments: Comments,
}

impl Installation {
    pub fn new(account: Arc<Account>, id: Option<u64>) -> Self {
        let (pace, permission_max_age) = (account.settings.pace, account.settings.permission_max_age);
        let requester = Arc::new(Requester::new(account, id));
        Self {
            queue: Queue::new(Arc::clone(&requester), pace),
            requester,
            pull_requests: Singles::new(up_to(4096)),
            open: Listings::new(up_to(512)),
            deployments: Listings::new(up_to(512)),
            of_environment: Listings::new(up_to(512)),
            statuses: Listings::new(up_to(1024)),
            files: Listings::new(up_to(512)),
            pull_request_commits: Listings::new(up_to(128)),
            commits: Commits::new(),
            comments: Comments::new(permission_max_age),
        }
    }

    /// Stops the queue: no further write is started.
    pub fn close(&self) {
        self.queue.close();
    }

    async fn read_pull_request(
        &self,
        repository: &RepositoryName,
        number: i64,
        last: Option<Known<PullRequest>>,
    ) -> Result<Known<PullRequest>, ForgeError> {
        let path = in_repository(repository, &format!("/pulls/{number}"))?;
        let call = Call::get(repository, path, PULL_REQUESTS);
        let read = |answer: &Answer, call: &Call| Ok(answer.json::<PullRequestJson>(call)?.into());
        Known::ask(&self.requester, call, last, read).await
    }
}

#[async_trait]
impl Forge for Installation {
    async fn pull_request(
        &self,
        repository: &RepositoryName,
        number: i64,
        max_age: Duration,
    ) -> Result<PullRequest, ForgeError> {
        let known = self.pull_requests.of((repository.clone(), number));
        let fresh = |_: &Known<PullRequest>, age| age < max_age;
        Ok(known.get(fresh, |last| self.read_pull_request(repository, number, last)).await?.value)
    }

    async fn open_pull_requests(
        &self,
        repository: &RepositoryName,
    ) -> Result<Listing<PullRequest>, ForgeError> {
        // With the newest first, a new pull request changes the first page. At the end of the list
        // it would leave a full last page unchanged.
        let of = [("state", "open"), ("sort", "created"), ("direction", "desc"), ("per_page", "100")];
        let path = in_repository(repository, &format!("/pulls{}", query(&of)))?;
        let call = Call::get(repository, path, PULL_REQUESTS);
        self.open.list::<PullRequestJson, _>(&self.requester, call, Extent::All, |pull| pull.number).await
    }

    async fn recent_deployments(
        &self,
        repository: &RepositoryName,
    ) -> Result<Listing<Deployment>, ForgeError> {
        let path = in_repository(repository, "/deployments?per_page=100")?;
        let call = Call::get(repository, path, DEPLOYMENTS);
        self.deployments
            .list::<DeploymentJson, _>(&self.requester, call, Extent::First, |found| found.id)
            .await
    }

    async fn deployments(
        &self,
        repository: &RepositoryName,
        environment: &str,
        sha: Option<&str>,
    ) -> Result<Vec<Deployment>, ForgeError> {
        let mut of = vec![("environment", environment), ("per_page", "100")];
        of.extend(sha.map(|sha| ("sha", sha)));
        let path = in_repository(repository, &format!("/deployments{}", query(&of)))?;
        let call = Call::get(repository, path, DEPLOYMENTS);
        let listing = self
            .of_environment
            .list::<DeploymentJson, _>(&self.requester, call, Extent::All, |found| found.id)
            .await?;
        let mut found: Vec<_> = listing
            .items
            .iter()
            .filter(|found| same_environment(&found.environment, environment))
            .cloned()
            .collect();
        found.sort_by_key(|found| std::cmp::Reverse(found.id));
        Ok(found)
    }

    async fn deployment_statuses(
        &self,
        repository: &RepositoryName,
        deployment_id: i64,
    ) -> Result<Listing<DeploymentStatus>, ForgeError> {
        let path = in_repository(repository, &format!("/deployments/{deployment_id}/statuses?per_page=100"))?;
        let call = Call::get(repository, path, DEPLOYMENTS);
        let id = |status: &DeploymentStatus| status.id;
        let listing =
            self.statuses.list::<DeploymentStatusJson, _>(&self.requester, call, Extent::First, id).await?;
        // GitHub returns the newest first but doesn't document that order. Ids only grow.
        Ok(newest_first(listing, id))
    }

    async fn checks(&self, repository: &RepositoryName, sha: &str) -> Result<Vec<Check>, ForgeError> {
        self.commits.checks(&self.requester, repository, sha).await
    }

    async fn branches(&self, repository: &RepositoryName) -> Result<Listing<Branch>, ForgeError> {
        self.commits.branches(&self.requester, repository).await
    }

    async fn branch(&self, repository: &RepositoryName, name: &str) -> Result<Option<Branch>, ForgeError> {
        self.commits.branch(&self.requester, repository, name).await
    }

    async fn commit(&self, repository: &RepositoryName, git_ref: &str) -> Result<Option<String>, ForgeError> {
        self.commits.commit(&self.requester, repository, git_ref).await
    }

    async fn changed_files(
        &self,
        repository: &RepositoryName,
        number: i64,
    ) -> Result<Vec<String>, ForgeError> {
        let path = in_repository(repository, &format!("/pulls/{number}/files?per_page=100"))?;
        let call = Call::get(repository, path, PULL_REQUESTS);
        let id = |file: &ChangedFile| file.filename.clone();
        let files = self.files.list::<ChangedFile, _>(&self.requester, call, Extent::Growing, id).await?;
        let names =
            files.items.iter().flat_map(|file| [Some(&file.filename), file.previous_filename.as_ref()]);
        let mut seen = HashSet::new();
        Ok(names.flatten().filter(|name| seen.insert(*name)).cloned().collect())
    }

    async fn pull_request_commits(
        &self,
        repository: &RepositoryName,
        number: i64,
    ) -> Result<Vec<String>, ForgeError> {
        let path = in_repository(repository, &format!("/pulls/{number}/commits?per_page=100"))?;
        let call = Call::get(repository, path, PULL_REQUESTS);
        let commits = self
            .pull_request_commits
            .list::<CommitJson, _>(&self.requester, call, Extent::Growing, Clone::clone)
            .await?;
        Ok(commits.items.to_vec())
    }

    async fn recent_comments(&self, repository: &RepositoryName) -> Result<Listing<Comment>, ForgeError> {
        self.comments.recent(&self.requester, repository).await
    }

    async fn comments(&self, repository: &RepositoryName, number: i64) -> Result<Vec<Comment>, ForgeError> {
        self.comments.of(&self.requester, repository, number).await
    }

    async fn permission(
        &self,
        repository: &RepositoryName,
        login: &str,
    ) -> Result<RepositoryRole, ForgeError> {
        self.comments.permission(&self.requester, repository, login).await
    }

    async fn create_deployment(
        &self,
        repository: &RepositoryName,
        deployment: &NewDeployment,
    ) -> Result<Deployment, ForgeError> {
        let body = json!({
            "ref": deployment.sha,
            "environment": deployment.environment,
            "description": cut(&deployment.description, DESCRIPTION),
            "payload": deployment.payload,
            "transient_environment": deployment.transient,
            "production_environment": deployment.production,
            // Matinee's own gates decide when the commit is deployed, unchanged. With GitHub's
            // defaults, GitHub would merge the default branch into the commit (and create no
            // deployment), or reject the deployment because a check hasn't passed.
            "auto_merge": false,
            "required_contexts": [],
        });
        let call = Call::post(repository, in_repository(repository, "/deployments")?, DEPLOY, &body);
        match self.queue.write(Write::Create, call.clone()).await? {
            Written::Answer(answer) if answer.status == StatusCode::CREATED => {
                Ok(answer.json::<DeploymentJson>(&call)?.into())
            }
            Written::Answer(answer) if answer.status == StatusCode::ACCEPTED => Err(answer.error(&call)),
            Written::Answer(answer) => Err(call.unknown(format!("answered {}", answer.status))),
            Written::AlreadyShown => Err(call.unknown("it was taken for a status")),
        }
    }

    async fn create_deployment_status(
        &self,
        repository: &RepositoryName,
        report: &DeploymentReport,
    ) -> Result<(), ForgeError> {
        let report =
            DeploymentReport { description: cut(&report.description, DESCRIPTION), ..report.clone() };
        let mut body = json!({
            "state": report.state.as_github(),
            "description": report.description,
            // With GitHub's default (true), a success makes earlier deployments of a non-transient
            // environment inactive, even if it arrives after the status of a newer deployment. The
            // controllers decide for every environment which deployments are superseded.
            "auto_inactive": false,
        });
        // Every status has both URLs, since GitHub shows those of the latest status. `environment`
        // isn't sent, since it would rename the environment.
        for (name, url) in [("environment_url", &report.environment_url), ("log_url", &report.log_url)] {
            if let Some(url) = url {
                body[name] = json!(url);
            }
        }
        let path = in_repository(repository, &format!("/deployments/{}/statuses", report.deployment_id))?;
        let call = Call::post(repository, path, DEPLOY, &body);
        match self.queue.write(Write::Status(report), call.clone()).await? {
            Written::AlreadyShown => Ok(()),
            Written::Answer(answer) if answer.status == StatusCode::CREATED => Ok(()),
            Written::Answer(answer) => Err(call.unknown(format!("answered {}", answer.status))),
        }
    }
    async fn create_comment(
        &self,
        repository: &RepositoryName,
        number: i64,
        body: &str,
    ) -> Result<Comment, ForgeError> {
        comments::create(&self.queue, repository, number, body).await
    }

    async fn edit_comment(
        &self,
        repository: &RepositoryName,
        comment_id: i64,
        body: &str,
    ) -> Result<(), ForgeError> {
        comments::edit(&self.queue, repository, comment_id, body).await
    }

    async fn react(
        &self,
        repository: &RepositoryName,
        comment_id: i64,
        emoji: Emoji,
    ) -> Result<(), ForgeError> {
        comments::react(&self.queue, repository, comment_id, emoji).await
    }

    async fn create_commit_status(
        &self,
        repository: &RepositoryName,
        sha: &str,
        status: &NewCommitStatus,
    ) -> Result<(), ForgeError> {
        commits::create_status(&self.queue, repository, sha, status).await
    }
}
