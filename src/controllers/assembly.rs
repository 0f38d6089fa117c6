//! Builds the controllers from the interfaces to the outside.

use std::sync::Arc;

use super::ingest::{EventIngest, PullRequestFreshness};
use super::repository::Sweeps;
use super::{class_and_template, command, environment, repository, request};
use crate::metrics::Metrics;
use crate::ports::{Chat, Clock, Cluster, Events, Forges, LiveObjects, Prober, Registry, Renderer, Secrets};
use crate::runtime::common::{Common, Settings};
use crate::runtime::leadership::Leadership;
use crate::runtime::objects::Objects;
use crate::runtime::publisher::Publisher;
use crate::runtime::queue::Queues;

/// The interfaces to the outside that controllers use.
pub struct Ports {
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
}

/// State that the watches fill and the controllers read.
#[derive(Default)]
pub struct Watched {
    pub(crate) objects: Arc<Objects>,
    pub(crate) queues: Arc<Queues>,
}

/// All controllers of a replica.
pub struct Controllers {
    pub(crate) common: Arc<Common>,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) ingest: Arc<EventIngest>,
    pub(crate) freshness: Arc<PullRequestFreshness>,
    pub(crate) configuration: Arc<class_and_template::ClassAndTemplateContext>,
    pub(crate) repositories: Arc<repository::RepositoryContext>,
    pub(crate) requests: Arc<request::RequestContext>,
    pub(crate) commands: Arc<command::CommandContext>,
    pub(crate) environments: Arc<environment::EnvironmentContext>,
}

impl Controllers {
    /// Builds the controllers. They run once [`lead`](Self::lead) is called.
    pub fn new(
        ports: Ports,
        watched: &Watched,
        leadership: Arc<Leadership>,
        metrics: Metrics,
        settings: Settings,
    ) -> Self {
        let Ports { cluster, secrets, live, forges, renderer, prober, registry, chat, events, clock } = ports;
        let common = Arc::new(Common {
            cluster,
            forges,
            events,
            clock,
            metrics,
            objects: Arc::clone(&watched.objects),
            queues: Arc::clone(&watched.queues),
            leadership,
            settings,
        });
        let publisher = Arc::new(Publisher::new(&watched.queues));
        let (freshness, sweeps) = (Arc::<PullRequestFreshness>::default(), Arc::<Sweeps>::default());
        let ingest = Arc::new(EventIngest::new(Arc::clone(&common), Arc::clone(&freshness)));
        let configuration = Arc::new(class_and_template::ClassAndTemplateContext {
            common: Arc::clone(&common),
            secrets: Arc::clone(&secrets),
            renderer: Arc::clone(&renderer),
        });
        let repositories = Arc::new(repository::RepositoryContext {
            common: Arc::clone(&common),
            publisher: Arc::clone(&publisher),
            ingest: Arc::clone(&ingest),
            sweeps: Arc::clone(&sweeps),
        });
        let requests = Arc::new(request::RequestContext {
            common: Arc::clone(&common),
            secrets: Arc::clone(&secrets),
            renderer: Arc::clone(&renderer),
            registry,
            publisher: Arc::clone(&publisher),
            ingest: Arc::clone(&ingest),
            freshness: Arc::clone(&freshness),
            sweeps,
            creations: request::Creations::default(),
        });
        let commands = Arc::new(command::CommandContext {
            common: Arc::clone(&common),
            secrets,
            chat,
            publisher: Arc::clone(&publisher),
            ingest: Arc::clone(&ingest),
            freshness: Arc::clone(&freshness),
            responses: command::Responses::default(),
        });
        let environments = Arc::new(environment::EnvironmentContext {
            common: Arc::clone(&common),
            live,
            renderer,
            prober,
            publisher: Arc::clone(&publisher),
            requests: Arc::clone(&requests),
            memory: environment::Memory::default(),
        });
        Self {
            common,
            publisher,
            ingest,
            freshness,
            configuration,
            repositories,
            requests,
            commands,
            environments,
        }
    }
}
