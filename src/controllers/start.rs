//! Connects the controllers to a cluster, GitHub, Slack and registries, and starts the watches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::GroupVersionKind;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::assembly::{Controllers, Ports, Watched};
use super::lifecycle::{Replica, Stores};
use super::slack_commands::SlashCommandReceiver;
use crate::adapters::clock::SystemClock;
use crate::adapters::github::write_order::Pace;
use crate::adapters::github::{GithubForges, GithubSettings};
use crate::adapters::kubernetes::{
    KubeCluster, KubeEvents, KubeLease, WatchedObjects, caught_up, client, config_map, watched,
};
use crate::adapters::registry::{RegistryClient, RegistrySettings};
use crate::adapters::render::MinijinjaRenderer;
use crate::adapters::slack::{SlackChat, SlackSettings};
use crate::adapters::url_probe::WebProber;
use crate::api::PreviewEnvironment;
use crate::core::drain;
use crate::core::slack::{ChatMessage, SlackSignature};
use crate::metrics::Metrics;
use crate::ports::{Ingest, LiveObjects as _, Receiver};
use crate::runtime::common::Settings;
use crate::runtime::election::Leader;
use crate::runtime::leadership::Leadership;

/// Kinds whose existing objects are listed before the first reconcile, so that a restart writes
/// nothing. `HTTPRoute` is watched too, but not waited for: not every cluster serves it.
const USUAL_KINDS: [(&str, &str, &str); 19] = [
    ("", "v1", "Namespace"),
    ("", "v1", "ResourceQuota"),
    ("", "v1", "LimitRange"),
    ("", "v1", "ServiceAccount"),
    ("", "v1", "Service"),
    ("", "v1", "ConfigMap"),
    ("", "v1", "PersistentVolumeClaim"),
    ("", "v1", "Pod"),
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "StatefulSet"),
    ("apps", "v1", "DaemonSet"),
    ("apps", "v1", "ReplicaSet"),
    ("batch", "v1", "Job"),
    ("batch", "v1", "CronJob"),
    ("networking.k8s.io", "v1", "NetworkPolicy"),
    ("networking.k8s.io", "v1", "Ingress"),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding"),
    ("policy", "v1", "PodDisruptionBudget"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler"),
];

/// Settings of the controllers.
#[derive(Clone, Debug)]
pub struct Options {
    /// Namespace of the operator, where its Secrets are.
    pub namespace: String,
    /// Identity of the cluster in deployment payloads. Default: the UID of the namespace
    /// `kube-system`.
    pub cluster_id: Option<String>,
    /// Base URL of the operator's own pages.
    pub public_url: Option<String>,
    /// Time between two sweeps of a repository.
    pub sweep_interval: Duration,
    /// Maximum number of concurrent reconciles of one kind.
    pub concurrency: u16,
    /// Minimum time between two writes to GitHub.
    pub github_write_interval: Duration,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// Settings of the client for Slack.
    pub slack: SlackSettings,
    /// Lease of the leader election; `None` if this is the only replica, which always leads.
    pub election: Option<Candidacy>,
    /// ConfigMap in the operator's namespace with settings that change while it runs.
    pub config_map: Option<String>,
    /// Ends the controllers, after they have completed their running work.
    pub shutdown: CancellationToken,
}

/// A replica's part in the leader election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidacy {
    /// Name of the Lease, in the operator's namespace.
    pub lease: String,
    /// Unique name of this replica.
    pub identity: String,
}

/// Finds an environment by namespace and name.
pub type Environments = Arc<dyn Fn(&str, &str) -> Option<Arc<PreviewEnvironment>> + Send + Sync>;

/// Running controllers.
pub struct Running {
    /// Receives GitHub's events.
    pub ingest: Arc<dyn Ingest>,
    /// Receives slash commands.
    pub slack: Arc<dyn Receiver<SlackSignature, Answer = Option<ChatMessage>>>,
    /// Finds an environment by namespace and name.
    pub environments: Environments,
    /// Data of the ConfigMap with settings; `None` before it was read.
    pub settings: watch::Receiver<Option<BTreeMap<String, String>>>,
    /// Completes when every store was filled once. From then on events can be applied.
    pub ready: BoxFuture<'static, ()>,
    /// Completes after the shutdown, or with an error when a controller ends by itself.
    pub work: BoxFuture<'static, anyhow::Result<()>>,
}

/// Connects to the cluster and starts the watches. The controllers run once this replica leads.
///
/// # Errors
/// No cluster is configured, or it can't be reached, or it denies the read of its identity.
pub async fn start(options: Options) -> anyhow::Result<Running> {
    let client =
        client().await.context("no Kubernetes cluster is configured: set KUBECONFIG, or run in a pod")?;
    let settings = Settings {
        cluster_id: match options.cluster_id {
            Some(id) => id,
            None => identity(&client).await?,
        },
        own_namespace: options.namespace.clone(),
        public_url: options.public_url,
        sweep_interval: options.sweep_interval,
    };
    let leadership = Arc::new(Leadership::default());
    let watched = Arc::new(Watched::default());
    let cluster = Arc::new(KubeCluster::new(client.clone(), options.namespace.clone()));
    let live = watch_applied_objects(&client, &cluster, &watched);
    let github =
        GithubSettings { pace: Pace::with_gap(options.github_write_interval), ..GithubSettings::default() };
    let registry =
        RegistryClient::new(RegistrySettings::default()).map_err(|error| anyhow::anyhow!(error))?;
    let chat = SlackChat::new(&options.slack).map_err(|error| anyhow::anyhow!(error))?;
    let ports = Ports {
        cluster: cluster.clone(),
        secrets: cluster.clone(),
        live: live.clone(),
        forges: Arc::new(GithubForges::new(cluster.clone(), github, options.metrics.clone())),
        renderer: Arc::new(MinijinjaRenderer::new()),
        prober: Arc::new(WebProber::default()),
        registry: Arc::new(registry),
        chat: Arc::new(chat),
        events: Arc::new(KubeEvents::new(client.clone())),
        clock: Arc::new(SystemClock),
    };
    let controllers =
        Controllers::new(ports, &watched, Arc::clone(&leadership), options.metrics.clone(), settings);
    let controllers = Arc::new(controllers);

    let mut follow = JoinSet::new();
    let stores = watch_own_objects(&client, &controllers, &mut follow);
    let known = options.config_map.is_none().then(BTreeMap::new);
    let (changed, settings) = watch::channel(known);
    if let Some(name) = options.config_map {
        let (leadership, metrics) = (Arc::clone(&leadership), options.metrics.clone());
        follow.spawn(config_map(client.clone(), options.namespace.clone(), name, move |data| {
            // The deletion of the ConfigMap doesn't end draining, because an uninstallation deletes
            // it too.
            if let Some(data) = &data {
                leadership.drain(drain::is_on(data));
                metrics.draining(leadership.drains());
            }
            changed.send_replace(Some(data.unwrap_or_default()));
        }));
    }
    let objects = Arc::clone(&watched.objects);
    options.metrics.previews(Arc::new(move || objects.environments.all()));
    let filled = filled(&stores, live, settings.clone()).shared();
    let leader = options.election.map(|candidacy| {
        let lease = KubeLease::new(client.clone(), &options.namespace, candidacy.lease);
        Leader::new(Arc::new(lease), Arc::new(SystemClock), leadership, candidacy.identity)
    });
    let replica = Replica {
        caught_up: all_caught_up(client, &stores).boxed(),
        controllers: Arc::clone(&controllers),
        stores,
        leader,
        follow,
        concurrency: options.concurrency,
        shutdown: options.shutdown,
    };
    let (ready, objects) = (filled.clone(), Arc::clone(&watched.objects));
    let work = async move {
        filled.await;
        let (environments, repositories) = (objects.environments.count(), objects.repositories.count());
        tracing::info!(environments, repositories, "all objects listed");
        replica.run().await
    };
    let objects = Arc::clone(&watched.objects);
    Ok(Running {
        ingest: controllers.ingest.clone(),
        slack: Arc::new(SlashCommandReceiver::new(Arc::clone(&controllers.commands))),
        environments: Arc::new(move |namespace, name| objects.environments.get(namespace, name)),
        settings,
        ready: ready.boxed(),
        work: work.boxed(),
    })
}

/// Watches the kinds that nearly every environment has. Further kinds are watched from their first
/// use on.
fn watch_applied_objects(
    client: &Client,
    cluster: &Arc<KubeCluster>,
    watched: &Arc<Watched>,
) -> Arc<WatchedObjects> {
    let touched = {
        let watched = Arc::clone(watched);
        Box::new(move |uid: &str| watched.on_applied_object(uid))
    };
    let live = WatchedObjects::new(client.clone(), Arc::clone(cluster), touched);
    for kind in usual_kinds() {
        live.follow(&kind);
    }
    live.follow(&GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute"));
    live
}

/// Returns the kinds that are watched before the first reconcile.
pub fn usual_kinds() -> Vec<GroupVersionKind> {
    USUAL_KINDS.map(|(group, version, kind)| GroupVersionKind::gvk(group, version, kind)).into()
}

/// Watches Matinee's own kinds. Returns their stores.
fn watch_own_objects(client: &Client, controllers: &Arc<Controllers>, follow: &mut JoinSet<()>) -> Stores {
    macro_rules! watch {
        ($on_change:ident) => {{
            let controllers = Arc::clone(controllers);
            let on_change = move |change| controllers.$on_change(change);
            let (store, watch) = watched(Api::all(client.clone()), watcher::Config::default(), on_change);
            follow.spawn(watch);
            store
        }};
    }
    Stores {
        classes: watch!(on_class),
        templates: watch!(on_template),
        repositories: watch!(on_repository),
        requests: watch!(on_request),
        commands: watch!(on_command),
        environments: watch!(on_environment),
    }
}

/// Completes when every store was filled once and the settings are known.
fn filled(
    stores: &Stores,
    live: Arc<WatchedObjects>,
    mut settings: watch::Receiver<Option<BTreeMap<String, String>>>,
) -> impl Future<Output = ()> + Send + 'static {
    let Stores { classes, templates, repositories, requests, commands, environments } = stores.clone();
    async move {
        // An error is impossible: a store's writer lives as long as the process.
        classes.wait_until_ready().await.ok();
        templates.wait_until_ready().await.ok();
        repositories.wait_until_ready().await.ok();
        requests.wait_until_ready().await.ok();
        commands.wait_until_ready().await.ok();
        environments.wait_until_ready().await.ok();
        live.listed(&usual_kinds()).await;
        // The operator must know whether it drains before it creates anything.
        settings.wait_for(Option::is_some).await.ok();
    }
}

/// Completes when the stores of PreviewRepositories, requests, commands and environments show the
/// last writes of the previous leader.
fn all_caught_up(client: Client, stores: &Stores) -> impl Future<Output = ()> + Send + 'static {
    let Stores { repositories, requests, environments, commands, .. } = stores.clone();
    async move {
        tokio::join!(
            caught_up(Api::all(client.clone()), &repositories),
            caught_up(Api::all(client.clone()), &requests),
            caught_up(Api::all(client.clone()), &environments),
            caught_up(Api::all(client.clone()), &commands),
        );
    }
}

/// Returns the UID of `kube-system`, which is unique and stays the same for the whole life of a
/// cluster.
async fn identity(client: &Client) -> anyhow::Result<String> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = tokio::time::timeout(Duration::from_secs(15), namespaces.get("kube-system"))
        .await
        .context("the Kubernetes API did not answer within 15 s")?
        .context("the namespace kube-system can't be read: grant it, or set --cluster-id")?;
    namespace.uid().context("the namespace kube-system has no UID")
}
