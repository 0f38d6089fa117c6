//! One replica of the operator: the real controllers on the simulated world.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::ResourceExt as _;
use secrecy::SecretString;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::api_server::ApiServer;
use super::cluster::{FakeCluster, Shared};
use super::forge::FakeForges;
use super::machinery::FakeProber;
use super::process::Process;
use super::random::Random;
use super::watches::FakeWatches;
use super::world::World;
use crate::adapters::kubernetes::{WatchedObjects, filled_by};
use crate::adapters::render::MinijinjaRenderer;
use crate::api::{
    DeploymentCommand, DeploymentRequest, PreviewClass, PreviewEnvironment, PreviewRepository,
    PreviewTemplate,
};
use crate::controllers::assembly::{Controllers, Ports, Watched};
use crate::controllers::lifecycle::{self, Stores};
use crate::controllers::start::usual_kinds;
use crate::core::image::{Credentials, ImageReference};
use crate::core::slack::ChatMessage;
use crate::metrics::Metrics;
use crate::ports::{Chat, ChatError, EventType, Events, Ingest, LiveObjects as _, Registry, RegistryError};
use crate::runtime::common::Settings;
use crate::runtime::election::Leader;
use crate::runtime::leadership::Leadership;
use crate::runtime::objects::{Indexed, Table};

/// Identity of the simulated cluster.
const CLUSTER: &str = "simulated-cluster";

/// A running replica.
pub struct Replica {
    pub process: Arc<Process>,
    pub ingest: Arc<dyn Ingest>,
    shutdown: CancellationToken,
}

/// The parts of the outside world that no story uses.
struct Nothing;

#[async_trait]
impl Events for Nothing {
    async fn publish(&self, _: &ObjectReference, _: EventType, _: &str, _: &str) {}
}

#[async_trait]
impl Chat for Nothing {
    async fn respond(&self, _: &str, _: &ChatMessage) -> Result<(), ChatError> {
        Ok(())
    }
    async fn post(
        &self,
        _: &SecretString,
        _: &str,
        _: &ChatMessage,
        _: Option<&str>,
    ) -> Result<String, ChatError> {
        Ok("1".to_owned())
    }
}

/// The registry, which fails as often as GitHub.
struct FakeRegistry {
    shared: Arc<Shared>,
    random: Random,
}

#[async_trait]
impl Registry for FakeRegistry {
    async fn exists(
        &self,
        _: &ImageReference,
        _: Option<&Credentials>,
        _: bool,
    ) -> Result<bool, RegistryError> {
        tokio::time::sleep(self.random.time(5..=200)).await;
        if self.random.chance(self.shared.weather.forecast().forge_fails) {
            return Err(RegistryError::NotAnswered("the simulated registry doesn't answer".to_owned()));
        }
        Ok(self.shared.images_exist.load(Ordering::SeqCst))
    }
}

/// What a replica is started with.
pub struct Start {
    /// Its name, for the journal and the Lease.
    pub name: String,
    /// Number of the write after which it crashes.
    pub crash_after: Option<u64>,
    /// Whether it takes part in a leader election, or always leads.
    pub elects: bool,
}

impl Replica {
    /// Starts a replica. Completes when it is ready to receive events, or has crashed.
    pub async fn start(world: &World, start: Start) -> Self {
        let process = Arc::new(Process::start(start.name.clone(), start.crash_after));
        let cluster = Arc::new(FakeCluster::new(Arc::clone(&world.shared), Arc::clone(&process)));
        let watches = Arc::new(FakeWatches::new(Arc::clone(&world.shared), Arc::clone(&process), world.seed));
        let state = Arc::new(Watched::default());
        let touched = {
            let state = Arc::clone(&state);
            Box::new(move |uid: &str| state.on_applied_object(uid))
        };
        let live = WatchedObjects::of(watches.clone(), touched);
        for kind in usual_kinds() {
            live.follow(&kind);
        }
        let forges = FakeForges::new(
            Arc::clone(&world.github),
            Arc::clone(&process),
            Arc::clone(&world.weather),
            world.clock,
            world.seed,
        );
        let ports = Ports {
            cluster: cluster.clone(),
            secrets: cluster.clone(),
            live: live.clone(),
            forges: Arc::new(forges),
            renderer: Arc::new(MinijinjaRenderer::new()),
            prober: Arc::new(FakeProber::new(Arc::clone(&world.server), world.seed)),
            registry: Arc::new(FakeRegistry {
                shared: Arc::clone(&world.shared),
                random: Random::new(world.seed, "registry"),
            }),
            chat: Arc::new(Nothing),
            events: Arc::new(Nothing),
            clock: Arc::new(world.clock),
        };
        let settings = Settings {
            cluster_id: CLUSTER.to_owned(),
            own_namespace: "matinee-system".to_owned(),
            public_url: None,
            sweep_interval: Duration::from_mins(1),
        };
        let leadership = Arc::new(Leadership::default());
        let controllers =
            Arc::new(Controllers::new(ports, &state, Arc::clone(&leadership), Metrics::default(), settings));
        let mut follow = JoinSet::new();
        macro_rules! watch {
            ($kind:ty, $on_change:ident) => {{
                let controllers = Arc::clone(&controllers);
                let on_change = move |change| controllers.$on_change(change);
                let (store, watch) = filled_by(watches.of::<$kind>(), on_change);
                follow.spawn(watch);
                store
            }};
        }
        let stores = Stores {
            classes: watch!(PreviewClass, on_class),
            templates: watch!(PreviewTemplate, on_template),
            repositories: watch!(PreviewRepository, on_repository),
            requests: watch!(DeploymentRequest, on_request),
            commands: watch!(DeploymentCommand, on_command),
            environments: watch!(PreviewEnvironment, on_environment),
        };
        let leader =
            start.elects.then(|| Leader::new(cluster, Arc::new(world.clock), leadership, start.name));
        let shutdown = CancellationToken::new();
        let filled = filled(stores.clone(), live);
        let replica = lifecycle::Replica {
            caught_up: caught_up(Arc::clone(&world.server), Arc::clone(&state)).boxed(),
            controllers: Arc::clone(&controllers),
            stores,
            leader,
            follow,
            concurrency: 4,
            shutdown: shutdown.clone(),
        };
        tokio::select! {
            biased;
            () = process.died() => {}
            () = filled => {}
        }
        let ends = Arc::clone(&process);
        tokio::spawn(async move {
            // A replica that loses the Lease ends. Its process ends with it.
            replica.run().await.ok();
            ends.crash();
        });
        Self { process, ingest: controllers.ingest.clone(), shutdown }
    }

    /// Ends the replica as SIGTERM does.
    pub fn shut_down(&self) {
        self.shutdown.cancel();
    }
}

/// Completes when every store was filled once.
async fn filled(stores: Stores, live: Arc<WatchedObjects>) {
    stores.classes.wait_until_ready().await.ok();
    stores.templates.wait_until_ready().await.ok();
    stores.repositories.wait_until_ready().await.ok();
    stores.requests.wait_until_ready().await.ok();
    stores.commands.wait_until_ready().await.ok();
    stores.environments.wait_until_ready().await.ok();
    live.listed(&usual_kinds()).await;
}

/// Completes when the index shows every write of the previous leader.
async fn caught_up(server: Arc<ApiServer>, state: Arc<Watched>) {
    let objects = &state.objects;
    while !(shows(&server, &objects.repositories)
        && shows(&server, &objects.requests)
        && shows(&server, &objects.environments)
        && shows(&server, &objects.commands))
    {
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn shows<K: Indexed>(server: &ApiServer, table: &Table<K>) -> bool {
    let kind = K::kind(&());
    let listed = server.list(|place, _| place.kind == kind);
    listed.iter().all(|object| {
        let known = table.get(&object.namespace().unwrap_or_default(), &object.name_any());
        let number = |version: Option<String>| version.and_then(|version| version.parse::<u64>().ok());
        known.is_some_and(|known| {
            known.uid() == object.uid()
                && number(known.resource_version()) >= number(object.resource_version())
        })
    })
}
