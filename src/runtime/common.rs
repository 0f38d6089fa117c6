//! Parts that the controllers of all kinds share.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::leadership::Leadership;
use super::objects::{Indexed, Objects};
use super::queue::Queues;
use super::write;
use crate::api::{GithubConnection, PreviewClass, PreviewRepository, PreviewTemplate};
use crate::core::deployment::ownership;
use crate::core::environment::resolve::Admitted;
use crate::core::forge::RepositoryName;
use crate::metrics::Metrics;
use crate::ports::{Actor, Clock, Cluster, ClusterError, Events, Forge, ForgeError, Forges};

/// Clients, objects and settings that the controllers of all kinds share.
pub struct Common {
    /// The Kubernetes API.
    pub cluster: Arc<dyn Cluster>,
    /// The clients for GitHub.
    pub forges: Arc<dyn Forges>,
    /// Kubernetes events.
    pub events: Arc<dyn Events>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// Matinee's objects.
    pub objects: Arc<Objects>,
    /// The queues of the controllers.
    pub queues: Arc<Queues>,
    /// Whether this replica leads, and whether it drains.
    pub leadership: Arc<Leadership>,
    /// Settings.
    pub settings: Settings,
}

/// Settings that stay the same while the operator runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Identity of the cluster in deployment payloads.
    pub cluster_id: String,
    /// Namespace of the operator, where its Secrets are.
    pub own_namespace: String,
    /// Base URL of the operator's own pages.
    pub public_url: Option<String>,
    /// Time between two sweeps of a repository.
    pub sweep_interval: Duration,
}

impl Settings {
    /// Returns the URL of the environment's page, if the operator is reachable from outside.
    pub fn log_url(&self, namespace: &str, name: &str) -> Option<String> {
        let base = self.public_url.as_deref()?.trim_end_matches('/');
        Some(format!("{base}/environments/{namespace}/{name}"))
    }
}

impl Common {
    /// Returns the PreviewRepository of that name.
    ///
    /// # Errors
    /// The Kubernetes API is not available.
    pub async fn repository(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<PreviewRepository>>, ClusterError> {
        self.look_up(namespace, name).await
    }

    /// Returns the `PreviewTemplate` of that name.
    ///
    /// # Errors
    /// The Kubernetes API is not available.
    pub async fn template(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<PreviewTemplate>>, ClusterError> {
        self.look_up(namespace, name).await
    }

    /// Returns the class of a PreviewRepository; `None` without a PreviewRepository.
    ///
    /// # Errors
    /// The Kubernetes API is not available.
    pub async fn class_of(
        &self,
        repository: Option<&PreviewRepository>,
    ) -> Result<Option<Arc<PreviewClass>>, ClusterError> {
        let Some(repository) = repository else { return Ok(None) };
        match &repository.spec.class_name {
            Some(name) => self.look_up("", name).await,
            None => Ok(self.known_class_of(repository)),
        }
    }

    /// Returns the class of a PreviewRepository from the watch.
    pub fn known_class_of(&self, repository: &PreviewRepository) -> Option<Arc<PreviewClass>> {
        ownership::class_of(repository, &self.objects.classes.all()).cloned()
    }

    /// Returns the client for an admitted repository, and the repository's name.
    ///
    /// # Errors
    /// The class's credentials can't be used, or the repository's name is invalid.
    pub async fn forge(
        &self,
        admitted: &Admitted<'_>,
    ) -> Result<(Arc<dyn Forge>, RepositoryName), ForgeError> {
        self.forge_of(&admitted.class.spec.forge.github, &admitted.repository.spec.repository).await
    }

    /// Returns the client for a repository, given as `owner/name`, and the repository's name.
    ///
    /// # Errors
    /// The credentials of the connection can't be used, or the repository's name is invalid.
    pub async fn forge_of(
        &self,
        connection: &GithubConnection,
        repository: &str,
    ) -> Result<(Arc<dyn Forge>, RepositoryName), ForgeError> {
        let name: RepositoryName = repository.parse().map_err(ForgeError::Invalid)?;
        let forge = self.forges.forge(connection, &name).await?;
        Ok((forge, name))
    }

    /// Returns the time until a point in time, at least one second.
    pub fn time_until(&self, time: Timestamp) -> Duration {
        let left = Duration::try_from(time.duration_since(self.clock.now())).unwrap_or_default();
        left.max(Duration::from_secs(1))
    }

    /// Returns an object to which another one refers. A watch may be behind or restarting, and
    /// Matinee reports a missing object to users, so an object that the index lacks is read from
    /// the API server.
    async fn look_up<K: Indexed + DeserializeOwned>(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<K>>, ClusterError> {
        if let Some(known) = K::table(&self.objects).get(namespace, name) {
            return Ok(Some(known));
        }
        let of = Some(namespace).filter(|namespace| !namespace.is_empty());
        let found = self.cluster.get(&Actor::Operator, &write::kind::<K>(), of, name).await?;
        found.map(|found| write::typed(found).map(Arc::new)).transpose()
    }
}
