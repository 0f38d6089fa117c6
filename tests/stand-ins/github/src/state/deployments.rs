//! Deployments and their statuses.

use serde_json::Value;

use crate::control::types::TimelineEntry;
use crate::hooks::payload;
use crate::state::ids::Kind;
use crate::state::{Moment, Refusal, State, now};

/// A deployment.
#[derive(Clone, Debug)]
pub(crate) struct Deployment {
    pub(crate) id: u64,
    pub(crate) sha: String,
    pub(crate) reference: String,
    pub(crate) task: String,
    /// The payload as it was sent: an object or a string.
    pub(crate) payload: Value,
    pub(crate) original_environment: String,
    pub(crate) environment: String,
    pub(crate) description: Option<String>,
    pub(crate) creator: String,
    pub(crate) created_at: Moment,
    pub(crate) updated_at: Moment,
    pub(crate) transient: bool,
    pub(crate) production: bool,
    /// The App that created it.
    pub(crate) app: Option<u64>,
    /// Its statuses, oldest first.
    pub(crate) statuses: Vec<DeploymentStatus>,
}

/// One status of a deployment.
#[derive(Clone, Debug)]
pub(crate) struct DeploymentStatus {
    pub(crate) id: u64,
    pub(crate) state: String,
    pub(crate) creator: String,
    pub(crate) description: String,
    pub(crate) environment: String,
    pub(crate) environment_url: String,
    pub(crate) log_url: String,
    pub(crate) created_at: Moment,
    pub(crate) app: Option<u64>,
    /// Whether `auto_inactive` of another deployment's status created it.
    pub(crate) automatic: bool,
}

/// A status to add.
#[derive(Clone, Debug)]
pub(crate) struct NewStatus {
    pub(crate) state: String,
    pub(crate) description: String,
    pub(crate) environment: Option<String>,
    pub(crate) environment_url: String,
    pub(crate) log_url: String,
    pub(crate) auto_inactive: bool,
}

impl Deployment {
    /// Returns the latest status's state; none before the first status.
    pub(crate) fn state(&self) -> Option<&str> {
        self.statuses.last().map(|status| status.state.as_str())
    }
}

impl State {
    /// Records a deployment, whose id is still 0. Returns its id.
    pub(crate) fn add_deployment(&mut self, repo: u64, mut deployment: Deployment) -> Result<u64, Refusal> {
        self.ensure_environment(repo, &deployment.environment)?;
        let id = self.ids.next(Kind::Deployment);
        deployment.id = id;
        let creator = deployment.creator.clone();
        let entry = TimelineEntry {
            kind: "deployment".to_owned(),
            actor: creator.clone(),
            sha: Some(deployment.sha.clone()),
            deployment: Some(id),
            environment: Some(deployment.environment.clone()),
            ..TimelineEntry::default()
        };
        self.repo_mut(repo)?.deployments.insert(id, deployment);
        self.record(repo, entry);
        let body = payload::deployment(self, repo, id);
        self.emit(repo, "deployment", Some("created"), body, &creator);
        Ok(id)
    }

    /// Adds a status to a deployment. A success makes the environment's earlier deployments
    /// inactive, as documented: those that are neither transient nor in production and whose latest
    /// state is `success`.
    pub(crate) fn add_deployment_status(
        &mut self,
        repo: u64,
        deployment: u64,
        status: NewStatus,
        creator: &str,
        app: Option<u64>,
    ) -> Result<u64, Refusal> {
        let supersedes = status.state == "success" && status.auto_inactive;
        let id = self.append_status(repo, deployment, status, creator, app, false)?;
        if supersedes {
            let found = self.repo(repo)?;
            let current = &found.deployments[&deployment];
            let prior: Vec<u64> = found
                .deployments
                .values()
                .filter(|other| {
                    other.id < deployment
                        && !other.transient
                        && !other.production
                        && other.environment.eq_ignore_ascii_case(&current.environment)
                        && other.state() == Some("success")
                })
                .map(|other| other.id)
                .collect();
            for other in prior {
                let inactive = NewStatus {
                    state: "inactive".to_owned(),
                    description: String::new(),
                    environment: None,
                    environment_url: String::new(),
                    log_url: String::new(),
                    auto_inactive: false,
                };
                self.append_status(repo, other, inactive, creator, app, true)?;
            }
        }
        Ok(id)
    }

    fn append_status(
        &mut self,
        repo: u64,
        deployment: u64,
        new: NewStatus,
        creator: &str,
        app: Option<u64>,
        automatic: bool,
    ) -> Result<u64, Refusal> {
        if let Some(name) = &new.environment {
            self.ensure_environment(repo, name)?;
        }
        let id = self.ids.next(Kind::DeploymentStatus);
        let found = self
            .repo_mut(repo)?
            .deployments
            .get_mut(&deployment)
            .ok_or_else(|| Refusal::Missing("there is no such deployment".to_owned()))?;
        if let Some(environment) = new.environment {
            found.environment = environment;
        }
        found.updated_at = now();
        let status = DeploymentStatus {
            id,
            state: new.state,
            creator: creator.to_owned(),
            description: new.description,
            environment: found.environment.clone(),
            environment_url: new.environment_url,
            log_url: new.log_url,
            created_at: now(),
            app,
            automatic,
        };
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let entry = TimelineEntry {
            kind: "deployment_status".to_owned(),
            actor: creator.to_owned(),
            sha: Some(found.sha.clone()),
            deployment: Some(deployment),
            environment: Some(status.environment.clone()),
            state: Some(status.state.clone()),
            text: some(&status.description),
            environment_url: some(&status.environment_url),
            log_url: some(&status.log_url),
            ..TimelineEntry::default()
        };
        // "When a deployment status's state is set to inactive, a webhook event will not be created."
        let silent = status.state == "inactive";
        found.statuses.push(status);
        self.record(repo, entry);
        if !silent {
            let body = payload::deployment_status(self, repo, deployment, id);
            self.emit(repo, "deployment_status", Some("created"), body, creator);
        }
        Ok(id)
    }
}
