//! Controllers: watches, reconciles, backoff, the sweep and the reporter. Decisions are in `core`,
//! effects in `adapters`.

mod class_and_template;
mod command;
mod election;
mod environment;
mod events;
#[cfg(test)]
mod fakes;
mod github_writes;
mod ingest;
mod leadership;
mod lifecycle;
mod queues;
mod references;
mod reporter;
mod repository;
mod request;
mod runner;
mod slack_commands;
mod trouble;
mod wiring;
mod write;

use std::sync::Arc;
use std::time::Duration;

use kube::runtime::reflector::{ObjectRef, Store};

use self::command::Responses;
use self::environment::{Applications, Asked, DeletedPods};
use self::github_writes::GithubWrites;
use self::reporter::Reporter;
use self::repository::Sweeps;
use self::request::Creations;
use crate::api::{
    DeploymentCommand, DeploymentRequest, PreviewClass, PreviewEnvironment, PreviewRepository,
    PreviewTemplate,
};
use crate::controllers::ingest::{Hints, Reception};
use crate::controllers::leadership::Standing;
use crate::controllers::runner::Freshest;
use crate::core::environment::resolve;
use crate::core::forge::RepositoryName;
use crate::metrics::Metrics;
use crate::ports::{
    Chat, Clock, Cluster, Events, Forge, ForgeError, Forges, LiveObjects, Prober, Registry, Renderer, Secrets,
};

pub use wiring::{Candidacy, Options, Running, start};

/// Data and clients that all reconciles share.
pub struct Context {
    pub(crate) cluster: Arc<dyn Cluster>,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) live: Arc<dyn LiveObjects>,
    pub(crate) forges: Arc<dyn Forges>,
    pub(crate) renderer: Arc<dyn Renderer>,
    pub(crate) prober: Arc<dyn Prober>,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) chat: Arc<dyn Chat>,
    pub(crate) events: Arc<dyn Events>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) standing: Arc<Standing>,
    pub(crate) metrics: Metrics,
    pub(crate) classes: Store<PreviewClass>,
    pub(crate) repositories: Store<PreviewRepository>,
    pub(crate) templates: Store<PreviewTemplate>,
    pub(crate) requests: Store<DeploymentRequest>,
    pub(crate) environments: Store<PreviewEnvironment>,
    pub(crate) commands: Store<DeploymentCommand>,
    pub(crate) reception: Arc<Reception>,
    pub(crate) reporter: Reporter,
    pub(crate) writes: GithubWrites,
    pub(crate) hints: Arc<Hints>,
    pub(crate) applications: Applications,
    pub(crate) deleted_pods: DeletedPods,
    pub(crate) sweeps: Sweeps,
    pub(crate) creations: Creations,
    pub(crate) asked: Asked,
    pub(crate) fresh_environments: Freshest<PreviewEnvironment>,
    pub(crate) fresh_requests: Freshest<DeploymentRequest>,
    pub(crate) fresh_commands: Freshest<DeploymentCommand>,
    pub(crate) responses: Responses,
    pub(crate) cluster_id: String,
    pub(crate) own_namespace: String,
    pub(crate) public_url: Option<String>,
    pub(crate) sweep_interval: Duration,
}

impl Context {
    /// Returns the URL of the environment's page, if the operator is reachable from outside.
    fn log_url(&self, namespace: &str, name: &str) -> Option<String> {
        let base = self.public_url.as_deref()?.trim_end_matches('/');
        Some(format!("{base}/environments/{namespace}/{name}"))
    }

    /// Reads the annotation with the newest event of a pull request from an object, and marks older
    /// cached pull requests as stale. Another replica may have received the event.
    fn heard_of<K: kube::Resource>(&self, object: &K, repository: &str, number: Option<i64>) {
        let word = ingest::last_word(object);
        let (Some(word), Some(number), Some(namespace)) = (word, number, &object.meta().namespace) else {
            return;
        };
        let known = self.repositories.get(&ObjectRef::new(repository).within(namespace));
        if let Some(name) = known.and_then(|known| known.spec.repository.parse::<RepositoryName>().ok()) {
            self.hints.noticed(&name, number, word);
        }
    }

    /// Returns the maximum age of a cached pull request for this object. First takes the object's
    /// annotation into account, which may be newer here (from the response to a write) than in the
    /// watch.
    fn reading_age<K: kube::Resource>(
        &self,
        object: &K,
        repository: &RepositoryName,
        number: i64,
    ) -> Duration {
        if let Some(word) = ingest::last_word(object) {
            self.hints.noticed(repository, number, word);
        }
        self.hints.max_age(repository, number)
    }

    /// Returns the client for an admitted repository, and the repository's name.
    async fn forge(
        &self,
        admitted: &resolve::Admitted<'_>,
    ) -> Result<(Arc<dyn Forge>, RepositoryName), ForgeError> {
        let name: RepositoryName =
            admitted.repository.spec.repository.parse().map_err(ForgeError::Invalid)?;
        let forge = self.forges.forge(&admitted.class.spec.forge.github, &name).await?;
        Ok((forge, name))
    }
}
