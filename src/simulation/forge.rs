//! A replica's client for the simulated GitHub. Calls take time, fail, and lose their answers. One
//! write is sent at a time, in the order of the product's own write queue.

use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::clock::SimulatedClock;
use super::github::{APP, Github};
use super::process::Process;
use super::random::Random;
use super::weather::Weather;
use crate::api::{DeploymentReport, GithubConnection};
use crate::core::forge::{
    Branch, Check, Comment, Deployment, DeploymentStatus, Emoji, NewCommitStatus, NewDeployment, PullRequest,
    RepositoryName, RepositoryRole, StatusState, same_environment,
};
use crate::ports::{Clock as _, Forge, ForgeError, Forges, Listing};

/// The clients of one replica.
pub struct FakeForges(Arc<FakeForge>);

impl FakeForges {
    /// Creates the client of a replica, which serves all repositories.
    pub fn new(
        github: Arc<Github>,
        process: Arc<Process>,
        weather: Arc<Weather>,
        clock: SimulatedClock,
        seed: u64,
    ) -> Self {
        let random = Random::new(seed, &format!("forge {}", process.name));
        Self(Arc::new(FakeForge {
            github,
            process,
            weather,
            clock,
            random,
            listings: Mutex::default(),
            readings: Mutex::default(),
            waiting: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            closed: AtomicBool::new(false),
        }))
    }
}

#[async_trait]
impl Forges for FakeForges {
    async fn forge(&self, _: &GithubConnection, _: &RepositoryName) -> Result<Arc<dyn Forge>, ForgeError> {
        Ok(Arc::<FakeForge>::clone(&self.0))
    }

    fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
    }
}

/// The newest answer of each listing, with its version.
type Listings = HashMap<String, (Arc<dyn Any + Send + Sync>, u64)>;

struct FakeForge {
    github: Arc<Github>,
    process: Arc<Process>,
    weather: Arc<Weather>,
    clock: SimulatedClock,
    random: Random,
    listings: Mutex<Listings>,
    /// Pull requests as they were read.
    readings: Mutex<HashMap<(RepositoryName, i64), (Instant, PullRequest)>>,
    /// Number of the newest waiting write of each subject, of which only that one is sent.
    waiting: Mutex<HashMap<String, u64>>,
    /// The write that is being sent.
    turn: tokio::sync::Mutex<()>,
    closed: AtomicBool,
}

impl FakeForge {
    fn by(&self) -> String {
        format!("{} {APP}", self.process.name)
    }

    fn fault(&self) -> Option<ForgeError> {
        if let Some(left) = self.weather.forge_limit() {
            return Some(ForgeError::RateLimited { until: self.clock.now() + left });
        }
        let fails = self.weather.forecast().forge_fails;
        (self.weather.is_forge_down() || self.random.chance(fails))
            .then(|| ForgeError::Unknown("the simulated GitHub doesn't answer".to_owned()))
    }

    async fn read<T: Send>(
        &self,
        read: impl FnOnce(&Github) -> Result<T, ForgeError> + Send,
    ) -> Result<T, ForgeError> {
        self.process.survive().await;
        tokio::time::sleep(self.random.time(5..=60)).await;
        self.process.survive().await;
        if let Some(fault) = self.fault() {
            return Err(fault);
        }
        let answer = read(&self.github);
        tokio::time::sleep(self.random.time(5..=60)).await;
        self.process.survive().await;
        answer
    }

    /// Sends a write in its turn. Of several that wait for one subject, only the newest is sent.
    async fn write<T: Send>(
        &self,
        subject: Option<String>,
        write: impl FnOnce(&Github) -> Result<T, ForgeError> + Send,
    ) -> Result<T, ForgeError> {
        self.process.survive().await;
        let mine = subject.map(|subject| {
            let mut waiting = self.waiting.lock().unwrap();
            let number = waiting.get(&subject).copied().unwrap_or_default() + 1;
            waiting.insert(subject.clone(), number);
            (subject, number)
        });
        let _turn = self.turn.lock().await;
        if self.closed.load(Ordering::SeqCst) {
            return Err(ForgeError::NotSent("this replica ends".to_owned()));
        }
        if let Some((subject, number)) = mine
            && self.waiting.lock().unwrap().get(&subject) != Some(&number)
        {
            return Err(ForgeError::Superseded);
        }
        tokio::time::sleep(self.random.time(5..=80)).await;
        // A request that was on its way when the process crashed still arrives half of the time.
        if self.process.is_dead() && self.random.chance(0.5) {
            std::future::pending::<()>().await;
        }
        if let Some(fault) = self.fault() {
            self.process.survive().await;
            return Err(fault);
        }
        let answer = write(&self.github);
        if answer.is_ok() {
            self.process.wrote();
        }
        self.process.survive().await;
        tokio::time::sleep(self.random.time(5..=80)).await;
        self.process.survive().await;
        if self.random.chance(self.weather.forecast().forge_answers_lost) {
            tokio::time::sleep(Duration::from_secs(10)).await;
            self.process.survive().await;
            return Err(ForgeError::Unknown("the simulated GitHub's answer is lost".to_owned()));
        }
        answer
    }

    /// Returns a listing whose version changes with its items.
    fn listing<T: PartialEq + Send + Sync + 'static>(&self, key: String, items: Vec<T>) -> Listing<T> {
        let mut listings = self.listings.lock().unwrap();
        let next = listings.values().map(|(_, version)| version).max().copied().unwrap_or_default() + 1;
        if let Some((known, version)) = listings.get(&key)
            && let Ok(known) = Arc::clone(known).downcast::<Vec<T>>()
            && *known == items
        {
            return Listing { items: known, version: *version };
        }
        let items = Arc::new(items);
        listings.insert(key, (Arc::<Vec<T>>::clone(&items), next));
        Listing { items, version: next }
    }
}

#[async_trait]
impl Forge for FakeForge {
    async fn pull_request(
        &self,
        repository: &RepositoryName,
        number: i64,
        max_age: Duration,
    ) -> Result<PullRequest, ForgeError> {
        let key = (repository.clone(), number);
        if let Some((when, known)) = self.readings.lock().unwrap().get(&key)
            && when.elapsed() < max_age
        {
            return Ok(known.clone());
        }
        let when = Instant::now();
        let found = self
            .read(|github| github.read(repository, |known| known.pull_requests.get(&number).cloned()))
            .await?
            .ok_or_else(|| ForgeError::NotFound(format!("pull request {number}")))?;
        self.readings.lock().unwrap().insert(key, (when, found.clone()));
        Ok(found)
    }

    async fn open_pull_requests(
        &self,
        repository: &RepositoryName,
    ) -> Result<Listing<PullRequest>, ForgeError> {
        let open = self
            .read(|github| {
                github.read(repository, |known| {
                    known.pull_requests.values().filter(|found| found.open).cloned().collect()
                })
            })
            .await?;
        Ok(self.listing(format!("{repository} pull requests"), open))
    }

    async fn recent_deployments(
        &self,
        repository: &RepositoryName,
    ) -> Result<Listing<Deployment>, ForgeError> {
        let recent = self
            .read(|github| {
                github.read(repository, |known| {
                    known.deployments.values().rev().take(100).map(|one| one.deployment.clone()).collect()
                })
            })
            .await?;
        Ok(self.listing(format!("{repository} deployments"), recent))
    }

    async fn deployments(
        &self,
        repository: &RepositoryName,
        environment: &str,
        sha: Option<&str>,
    ) -> Result<Vec<Deployment>, ForgeError> {
        self.read(|github| {
            github.read(repository, |known| {
                let all = known.deployments.values().rev().map(|one| &one.deployment);
                all.filter(|one| same_environment(&one.environment, environment))
                    .filter(|one| sha.is_none_or(|sha| one.sha == sha))
                    .cloned()
                    .collect()
            })
        })
        .await
    }

    async fn deployment_statuses(
        &self,
        repository: &RepositoryName,
        deployment_id: i64,
    ) -> Result<Listing<DeploymentStatus>, ForgeError> {
        let statuses = self
            .read(|github| {
                github.read(repository, |known| {
                    let deployed = known.deployments.get(&deployment_id);
                    deployed.map(|deployed| deployed.statuses.iter().rev().take(100).cloned().collect())
                })
            })
            .await?
            .ok_or_else(|| ForgeError::NotFound(format!("deployment {deployment_id}")))?;
        Ok(self.listing(format!("{repository} statuses of {deployment_id}"), statuses))
    }

    async fn checks(&self, repository: &RepositoryName, sha: &str) -> Result<Vec<Check>, ForgeError> {
        self.read(|github| {
            github.read(repository, |known| known.checks.get(sha).cloned().unwrap_or_default())
        })
        .await
    }

    async fn branches(&self, repository: &RepositoryName) -> Result<Listing<Branch>, ForgeError> {
        let branches = self.read(|github| github.read(repository, Github::branches)).await?;
        Ok(self.listing(format!("{repository} branches"), branches))
    }

    async fn branch(&self, repository: &RepositoryName, name: &str) -> Result<Option<Branch>, ForgeError> {
        let branches = self.read(|github| github.read(repository, Github::branches)).await?;
        Ok(branches.into_iter().find(|branch| branch.name == name))
    }

    async fn commit(&self, repository: &RepositoryName, git_ref: &str) -> Result<Option<String>, ForgeError> {
        self.read(|github| {
            github.read(repository, |known| {
                let branch = known.branches.get(git_ref).cloned();
                let heads = known.branches.values().chain(known.commits.values().flatten());
                branch.or_else(|| heads.into_iter().find(|sha| sha.starts_with(git_ref)).cloned())
            })
        })
        .await
    }

    async fn changed_files(&self, _: &RepositoryName, _: i64) -> Result<Vec<String>, ForgeError> {
        self.read(|_| Ok(vec!["src/main.rs".to_owned()])).await
    }

    async fn pull_request_commits(
        &self,
        repository: &RepositoryName,
        number: i64,
    ) -> Result<Vec<String>, ForgeError> {
        self.read(|github| {
            github.read(repository, |known| known.commits.get(&number).cloned().unwrap_or_default())
        })
        .await
    }

    async fn recent_comments(&self, repository: &RepositoryName) -> Result<Listing<Comment>, ForgeError> {
        let recent = self
            .read(|github| {
                github.read(repository, |known| known.comments.values().rev().take(100).cloned().collect())
            })
            .await?;
        Ok(self.listing(format!("{repository} comments"), recent))
    }

    async fn comments(&self, repository: &RepositoryName, number: i64) -> Result<Vec<Comment>, ForgeError> {
        self.read(|github| {
            github.read(repository, |known| {
                known.comments.values().filter(|comment| comment.number == number).cloned().collect()
            })
        })
        .await
    }

    async fn permission(
        &self,
        repository: &RepositoryName,
        login: &str,
    ) -> Result<RepositoryRole, ForgeError> {
        self.read(|github| {
            github.read(repository, |known| {
                known.permissions.get(login).copied().unwrap_or(RepositoryRole::None)
            })
        })
        .await
    }

    async fn create_deployment(
        &self,
        repository: &RepositoryName,
        deployment: &NewDeployment,
    ) -> Result<Deployment, ForgeError> {
        self.write(None, |github| github.deploy(repository, &self.by(), APP, deployment)).await
    }

    async fn create_deployment_status(
        &self,
        repository: &RepositoryName,
        report: &DeploymentReport,
    ) -> Result<(), ForgeError> {
        let subject = format!("{repository} deployment {}", report.deployment_id);
        let state = StatusState::from(report.state.as_github());
        self.write(Some(subject), |github| {
            let url = report.environment_url.as_deref();
            let (id, by) = (report.deployment_id, self.by());
            github.set_deployment_status(repository, &by, id, &state, &report.description, url)
        })
        .await
    }

    async fn create_comment(
        &self,
        repository: &RepositoryName,
        number: i64,
        body: &str,
    ) -> Result<Comment, ForgeError> {
        self.write(None, |github| github.add_comment(repository, number, APP, body)).await
    }

    async fn edit_comment(
        &self,
        repository: &RepositoryName,
        comment_id: i64,
        body: &str,
    ) -> Result<(), ForgeError> {
        let subject = format!("{repository} comment {comment_id}");
        self.write(Some(subject), |github| github.edit_comment(repository, &self.by(), comment_id, body))
            .await
    }

    async fn react(
        &self,
        repository: &RepositoryName,
        comment_id: i64,
        emoji: Emoji,
    ) -> Result<(), ForgeError> {
        self.write(None, |github| github.react(repository, &self.by(), comment_id, emoji)).await
    }

    async fn create_commit_status(
        &self,
        repository: &RepositoryName,
        sha: &str,
        status: &NewCommitStatus,
    ) -> Result<(), ForgeError> {
        let subject = format!("{repository} commit {sha} {}", status.context);
        self.write(Some(subject), |github| github.set_commit_status(repository, &self.by(), sha, status))
            .await
    }
}
