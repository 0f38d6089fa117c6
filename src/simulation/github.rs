//! The simulated GitHub: repositories with their pull requests, branches, checks, comments and
//! deployments. It reports changes as webhooks, which come late, twice, in any order, or never.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use jiff::Timestamp;

use super::clock::SimulatedClock;
use super::journal::Journal;
use super::random::Random;
use super::weather::Weather;
use crate::core::event::Event;
use crate::core::forge::{
    Branch, Check, CheckState, Comment, CommitState, Deployment, DeploymentStatus, Emoji, NewCommitStatus,
    NewDeployment, PullRequest, RepositoryName, RepositoryRole, StatusState,
};
use crate::core::freshness::Delivery;
use crate::ports::{Clock as _, ForgeError, Ingest};

/// A commit status, and the commit that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitStatus {
    pub sha: String,
    pub context: String,
    pub state: CommitState,
    pub description: String,
}

/// A deployment with its statuses, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployed {
    pub deployment: Deployment,
    pub transient: bool,
    pub statuses: Vec<DeploymentStatus>,
}

impl Deployed {
    /// Returns the state of the newest status.
    pub fn state(&self) -> Option<&StatusState> {
        self.statuses.last().map(|status| &status.state)
    }
}

/// A repository.
#[derive(Default)]
pub struct Repository {
    pub pull_requests: BTreeMap<i64, PullRequest>,
    /// Commits of each pull request, oldest first.
    pub commits: BTreeMap<i64, Vec<String>>,
    pub branches: BTreeMap<String, String>,
    pub checks: BTreeMap<String, Vec<Check>>,
    pub comments: BTreeMap<i64, Comment>,
    pub reactions: Vec<(i64, Emoji)>,
    pub deployments: BTreeMap<i64, Deployed>,
    pub commit_statuses: Vec<CommitStatus>,
    pub permissions: BTreeMap<String, RepositoryRole>,
    pushed_at: Option<Timestamp>,
}

#[derive(Default)]
struct State {
    repositories: BTreeMap<String, Repository>,
    ids: i64,
    /// The operator's replicas that receive webhooks.
    receivers: Vec<Weak<dyn Ingest>>,
}

/// GitHub.
pub struct Github {
    state: Mutex<State>,
    clock: SimulatedClock,
    journal: Arc<Journal>,
    weather: Arc<Weather>,
    webhooks: Random,
    this: Weak<Self>,
}

/// Login of the App.
pub const APP: &str = "matinee[bot]";
const REPOSITORY_ID: i64 = 1;

/// Returns the full SHA of the commit with this number.
pub fn sha(number: u64) -> String {
    format!("{number:040x}")
}

fn not_found(what: &str) -> ForgeError {
    ForgeError::NotFound(format!("{what} in the simulated GitHub"))
}

impl Github {
    /// Creates a GitHub without repositories.
    pub fn new(clock: SimulatedClock, journal: Arc<Journal>, weather: Arc<Weather>, seed: u64) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            state: Mutex::default(),
            clock,
            journal,
            weather,
            webhooks: Random::new(seed, "webhooks"),
            this: this.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Sends each webhook to one of these replicas from now on.
    pub fn send_webhooks_to(&self, receivers: Vec<Weak<dyn Ingest>>) {
        self.lock().receivers = receivers;
    }

    /// Returns the present time as GitHub writes it, in whole seconds.
    fn now(&self) -> String {
        Timestamp::from_second(self.clock.now().as_second()).unwrap().to_string()
    }

    /// Returns the names of all repositories.
    pub fn repositories(&self) -> Vec<RepositoryName> {
        self.lock().repositories.keys().map(|name| name.parse().unwrap()).collect()
    }

    /// Reads a repository.
    pub fn read<T>(
        &self,
        name: &RepositoryName,
        read: impl FnOnce(&Repository) -> T,
    ) -> Result<T, ForgeError> {
        let state = self.lock();
        let found = state.repositories.get(&name.to_string().to_lowercase());
        found.map(read).ok_or_else(|| not_found("no such repository"))
    }

    /// Returns the deployments of a commit, oldest first.
    pub fn deployments_of(&self, name: &RepositoryName, head: &str) -> Vec<Deployment> {
        let of_commit = |known: &Repository| {
            let all = known.deployments.values().map(|one| one.deployment.clone());
            all.filter(|deployment| deployment.sha == head).collect()
        };
        self.read(name, of_commit).unwrap()
    }

    fn change<T>(
        &self,
        name: &RepositoryName,
        by: &str,
        what: String,
        change: impl FnOnce(&mut Repository) -> T,
    ) -> Result<T, ForgeError> {
        let mut state = self.lock();
        let found = state.repositories.get_mut(&name.to_string().to_lowercase());
        let changed = found.map(change).ok_or_else(|| not_found("no such repository"))?;
        drop(state);
        self.journal.write(by, what);
        Ok(changed)
    }

    fn next_id(&self) -> i64 {
        let mut state = self.lock();
        state.ids += 1;
        state.ids
    }

    /// Sends a webhook, or loses it.
    fn send(&self, event: &Event) {
        let forecast = self.weather.forecast();
        let copies = if self.webhooks.chance(forecast.webhooks_lost) {
            0
        } else if self.webhooks.chance(forecast.webhooks_doubled) {
            2
        } else {
            1
        };
        // GitHub repeats a delivery under the same id.
        let delivery = Delivery::new(&self.webhooks.number(0..=u64::MAX).to_string());
        for _ in 0..copies {
            let mut delay = self.webhooks.time(5..=400);
            if self.webhooks.chance(forecast.webhooks_late) {
                delay += self.webhooks.time(500..=90_000);
            }
            let (this, event, delivery) = (self.this.clone(), event.clone(), delivery.clone());
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                let Some(this) = this.upgrade() else { return };
                this.deliver(event, delivery).await;
            });
        }
    }

    /// Delivers a webhook to one of the replicas. GitHub doesn't try again by itself.
    async fn deliver(&self, event: Event, delivery: Delivery) {
        let receivers: Vec<_> = self.lock().receivers.iter().filter_map(Weak::upgrade).collect();
        let Some(last) = receivers.len().checked_sub(1) else { return };
        let chosen = self.webhooks.number(0..=last as u64);
        let Some(receiver) = usize::try_from(chosen).ok().and_then(|index| receivers.get(index)) else {
            return;
        };
        // GitHub's timeout.
        let accepted = receiver.accept(event, Some(delivery));
        tokio::time::timeout(Duration::from_secs(10), accepted).await.ok();
    }

    // What people and CI do.

    /// Creates a repository with a branch `main`.
    pub fn create_repository(&self, name: &RepositoryName) {
        let mut repository = Repository::default();
        repository.branches.insert("main".to_owned(), sha(0));
        repository.permissions.insert("ada".to_owned(), RepositoryRole::Admin);
        self.lock().repositories.insert(name.to_string().to_lowercase(), repository);
    }

    /// Opens a pull request of the branch `topic-<number>` with one commit.
    pub fn open(&self, name: &RepositoryName, number: i64, head: &str, set: impl FnOnce(&mut PullRequest)) {
        let mut pull_request = PullRequest {
            number,
            open: true,
            head_sha: head.to_owned(),
            head_branch: format!("topic-{number}"),
            head_repository_id: Some(REPOSITORY_ID),
            base_repository_id: REPOSITORY_ID,
            base_branch: "main".to_owned(),
            draft: false,
            author: "ada".to_owned(),
            bot: false,
            labels: vec!["preview".to_owned()],
            merge_commit_sha: None,
            updated_at: self.now(),
        };
        set(&mut pull_request);
        let opened = pull_request.clone();
        let what = format!("opens #{number} at {}", short(head));
        let done = self.change(name, "ada", what, |repository| {
            repository.commits.entry(number).or_default().push(pull_request.head_sha.clone());
            repository.pull_requests.insert(number, pull_request);
        });
        done.unwrap();
        self.send(&Event::PullRequest { repository: name.clone(), pull_request: opened });
    }

    /// Changes a pull request, and reports that.
    pub fn edit(&self, name: &RepositoryName, number: i64, what: &str, edit: impl FnOnce(&mut PullRequest)) {
        let now = self.now();
        let edited = self.change(name, "ada", format!("#{number}: {what}"), |repository| {
            let pull_request = repository.pull_requests.get_mut(&number).unwrap();
            edit(pull_request);
            pull_request.updated_at = now;
            let commits = repository.commits.entry(number).or_default();
            if !commits.contains(&pull_request.head_sha) {
                commits.push(pull_request.head_sha.clone());
            }
            pull_request.clone()
        });
        self.send(&Event::PullRequest { repository: name.clone(), pull_request: edited.unwrap() });
    }

    /// Pushes a commit to a pull request's branch, also by force.
    pub fn push_to(&self, name: &RepositoryName, number: i64, head: &str) {
        let what = format!("head is {}", short(head));
        self.edit(name, number, &what, |pull_request| pull_request.head_sha = head.to_owned());
    }

    /// Closes a pull request.
    pub fn close(&self, name: &RepositoryName, number: i64) {
        self.edit(name, number, "closed", |pull_request| pull_request.open = false);
    }

    /// Reopens a pull request.
    pub fn reopen(&self, name: &RepositoryName, number: i64) {
        self.edit(name, number, "reopened", |pull_request| pull_request.open = true);
    }

    /// Pushes a commit to a branch.
    pub fn push(&self, name: &RepositoryName, branch: &str, head: &str) {
        let now = Timestamp::from_second(self.clock.now().as_second()).unwrap();
        let done = self.change(name, "ada", format!("pushes {} to {branch}", short(head)), |repository| {
            repository.branches.insert(branch.to_owned(), head.to_owned());
            repository.pushed_at = Some(now);
        });
        done.unwrap();
        self.send(&Event::Push {
            repository: name.clone(),
            branch: branch.to_owned(),
            sha: head.to_owned(),
            pushed_at: Some(now),
        });
    }

    /// Sets the state of a check.
    pub fn check(&self, name: &RepositoryName, head: &str, check: &str, state: CheckState) {
        let what = format!("check {check} of {} is {state:?}", short(head));
        let done = self.change(name, "CI", what, |repository| {
            let checks = repository.checks.entry(head.to_owned()).or_default();
            checks.retain(|known| known.name != check);
            checks.push(Check { name: check.to_owned(), state });
        });
        done.unwrap();
        self.send(&Event::Checks { repository: name.clone(), sha: head.to_owned() });
    }

    /// Writes a comment under a pull request. Returns its id.
    pub fn comment(&self, name: &RepositoryName, number: i64, author: &str, body: &str) -> i64 {
        self.add_comment(name, number, author, body).unwrap().id
    }

    /// Gives a user a role.
    pub fn permit(&self, name: &RepositoryName, login: &str, role: RepositoryRole) {
        let done = self.change(name, "ada", format!("gives {login} the role {role:?}"), |repository| {
            repository.permissions.insert(login.to_owned(), role);
        });
        done.unwrap();
    }

    // What the operator does.

    /// Creates a comment.
    pub fn add_comment(
        &self,
        name: &RepositoryName,
        number: i64,
        author: &str,
        body: &str,
    ) -> Result<Comment, ForgeError> {
        let comment = Comment {
            id: self.next_id(),
            number,
            on_pull_request: true,
            author: author.to_owned(),
            bot: author.ends_with("[bot]"),
            edited: false,
            body: body.to_owned(),
            created_at: self.now(),
        };
        let what = format!("comments on #{number}: {}", body.lines().next().unwrap_or_default());
        self.change(name, author, what, |repository| {
            repository.comments.insert(comment.id, comment.clone());
        })?;
        self.send(&Event::Comment { repository: name.clone(), comment: comment.clone() });
        Ok(comment)
    }

    /// Replaces the text of a comment.
    pub fn edit_comment(
        &self,
        name: &RepositoryName,
        by: &str,
        id: i64,
        body: &str,
    ) -> Result<(), ForgeError> {
        let what = format!("edits comment {id}: {}", body.lines().next().unwrap_or_default());
        self.change(name, by, what, |repository| {
            let comment = repository.comments.get_mut(&id).ok_or_else(|| not_found("no such comment"))?;
            body.clone_into(&mut comment.body);
            comment.edited = true;
            Ok(())
        })?
    }

    /// Adds a reaction to a comment.
    pub fn react(&self, name: &RepositoryName, by: &str, id: i64, emoji: Emoji) -> Result<(), ForgeError> {
        self.change(name, by, format!("reacts to comment {id} with {emoji:?}"), |repository| {
            if !repository.reactions.contains(&(id, emoji)) {
                repository.reactions.push((id, emoji));
            }
        })
    }

    /// Creates a deployment.
    pub fn deploy(
        &self,
        name: &RepositoryName,
        by: &str,
        creator: &str,
        new: &NewDeployment,
    ) -> Result<Deployment, ForgeError> {
        let deployment = Deployment {
            id: self.next_id(),
            sha: new.sha.clone(),
            environment: new.environment.clone(),
            payload: new.payload.clone(),
            creator: creator.to_owned(),
            created_at: self.now(),
        };
        let what =
            format!("creates deployment {} of {} to {}", deployment.id, short(&new.sha), new.environment);
        self.change(name, by, what, |repository| {
            let deployed =
                Deployed { deployment: deployment.clone(), transient: new.transient, statuses: Vec::new() };
            repository.deployments.insert(deployment.id, deployed);
        })?;
        self.send(&Event::Deployment { repository: name.clone(), deployment: deployment.clone() });
        Ok(deployment)
    }

    /// Creates a deployment status.
    pub fn set_deployment_status(
        &self,
        name: &RepositoryName,
        by: &str,
        id: i64,
        state: &StatusState,
        description: &str,
        environment_url: Option<&str>,
    ) -> Result<(), ForgeError> {
        let status = DeploymentStatus {
            id: self.next_id(),
            state: state.clone(),
            description: description.to_owned(),
            environment_url: environment_url.map(str::to_owned),
            created_at: self.now(),
        };
        let what = format!("deployment {id} is {}: {description}", state.as_str());
        let deployment = self.change(name, by, what, |repository| {
            let deployed = repository.deployments.get_mut(&id)?;
            deployed.statuses.push(status.clone());
            Some(deployed.deployment.clone())
        })?;
        let deployment = deployment.ok_or_else(|| not_found("no such deployment"))?;
        // GitHub sends no webhook for this state.
        if *state != StatusState::Inactive {
            self.send(&Event::DeploymentStatus { repository: name.clone(), deployment, status });
        }
        Ok(())
    }

    /// Creates a commit status.
    pub fn set_commit_status(
        &self,
        name: &RepositoryName,
        by: &str,
        head: &str,
        status: &NewCommitStatus,
    ) -> Result<(), ForgeError> {
        let what = format!(
            "commit status {} of {} is {}: {}",
            status.context,
            short(head),
            status.state.as_github(),
            status.description
        );
        let created = CommitStatus {
            sha: head.to_owned(),
            context: status.context.clone(),
            state: status.state,
            description: status.description.clone(),
        };
        self.change(name, by, what, |repository| repository.commit_statuses.push(created))?;
        self.send(&Event::Checks { repository: name.clone(), sha: head.to_owned() });
        Ok(())
    }

    /// Lists the branches.
    pub fn branches(repository: &Repository) -> Vec<Branch> {
        let branch = |(name, head): (&String, &String)| Branch { name: name.clone(), sha: head.clone() };
        repository.branches.iter().map(branch).collect()
    }
}

/// Returns a commit's last characters: the simulated ones differ there.
fn short(sha: &str) -> &str {
    &sha[sha.len().saturating_sub(4)..]
}
