//! Connects the watches to the controllers, and starts them.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::GroupVersionKind;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::environment::{Applications, Asked, DeletedPods};
use super::github_writes::GithubWrites;
use super::reporter::Reporter;
use super::repository::Sweeps;
use super::request::Creations;
use super::{Context, command};
use crate::adapters::clock::SystemClock;
use crate::adapters::github::write_order::Pace;
use crate::adapters::github::{GithubForges, GithubSettings};
use crate::adapters::kubernetes::{
    KubeCluster, KubeEvents, KubeLease, WatchedObjects, client, config_map, watched,
};
use crate::adapters::registry::{RegistryClient, RegistrySettings};
use crate::adapters::render::MinijinjaRenderer;
use crate::adapters::slack::{SlackChat, SlackSettings};
use crate::adapters::url_probe::WebProber;
use crate::api::{
    DeploymentCommand, DeploymentRequest, PreviewClass, PreviewEnvironment, PreviewRepository,
    PreviewTemplate,
};
use crate::controllers::class_and_template;
use crate::controllers::election::Leader;
use crate::controllers::ingest::{Hints, Reception};
use crate::controllers::leadership::Standing;
use crate::controllers::lifecycle::{AllAsked, Work};
use crate::controllers::queues::{Late, Pokes};
use crate::controllers::references::by_uid;
use crate::controllers::runner::{Freshest, Poke};
use crate::controllers::slack_commands::SlackDesk;
use crate::core::drain;
use crate::metrics::Metrics;
use crate::ports::{Clock, Desk, Intake, LiveObjects as _};

/// Kinds that nearly every environment has. They are watched before the first reconcile, so that a
/// restart finds the existing objects and writes nothing.
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
    pub intake: Arc<dyn Intake>,
    /// Receives slash commands.
    pub desk: Arc<dyn Desk>,
    /// Finds an environment by namespace and name.
    pub environments: Environments,
    /// Data of the ConfigMap with settings; `None` before it was read.
    pub settings: watch::Receiver<Option<BTreeMap<String, String>>>,
    /// Completes when every store was filled once. From then on events can be applied.
    pub ready: BoxFuture<'static, ()>,
    /// Completes after the shutdown, or with an error when a controller ends by itself.
    pub work: BoxFuture<'static, anyhow::Result<()>>,
}

/// Connects to the cluster and starts the controllers.
///
/// # Errors
/// No cluster is configured, or it can't be reached, or it denies the read of its identity.
#[allow(clippy::too_many_lines)] // wiring: one line per wire
pub async fn start(options: Options) -> anyhow::Result<Running> {
    let client =
        client().await.context("no Kubernetes cluster to talk to: set KUBECONFIG, or run in a pod")?;
    let cluster_id = match options.cluster_id {
        Some(id) => id,
        None => identity(&client).await?,
    };
    let cluster = Arc::new(KubeCluster::new(client.clone(), options.namespace.clone()));

    let standing = Arc::new(Standing::default());
    let (ask_environment, asked_environments) = Poke::<PreviewEnvironment>::channel(&standing);
    let (ask_request, asked_requests) = Poke::<DeploymentRequest>::channel(&standing);
    let (ask_command, asked_commands) = Poke::<DeploymentCommand>::channel(&standing);
    let (ask_repository, asked_repositories) = Poke::<PreviewRepository>::channel(&standing);
    let (ask_class, asked_classes) = Poke::<PreviewClass>::channel(&standing);
    let (ask_template, asked_templates) = Poke::<PreviewTemplate>::channel(&standing);
    let late = Arc::new(Late::default());

    let on_class = {
        let (late, ask) = (Arc::clone(&late), ask_class.clone());
        move |class: &PreviewClass| {
            ask.object(class);
            late.with(|context, pokes| {
                let name = class.name_any();
                context
                    .repositories
                    .state_filter(|one| one.spec.class_name.as_ref().is_none_or(|class| *class == name))
                    .iter()
                    .for_each(|one| pokes.all_of(context, one));
            });
        }
    };
    let on_repository = {
        let late = Arc::clone(&late);
        let ask = ask_repository.clone();
        move |repository: &PreviewRepository| {
            ask.object(repository);
            // The owner of an environment may have changed for other PreviewRepositories too.
            late.with(|context, pokes| {
                let same = |one: &PreviewRepository| {
                    one.spec.repository.eq_ignore_ascii_case(&repository.spec.repository)
                };
                context.repositories.state_filter(same).iter().for_each(|one| pokes.all_of(context, one));
            });
        }
    };
    let on_template = {
        let (late, ask) = (Arc::clone(&late), ask_template.clone());
        move |template: &PreviewTemplate| {
            ask.object(template);
            late.with(|context, pokes| {
                let uses = |one: &PreviewRepository| {
                    one.namespace() == template.namespace()
                        && one
                            .spec
                            .environments
                            .iter()
                            .filter_map(|entry| entry.deploy.as_ref())
                            .any(|deploy| deploy.template.reference.name == template.name_any())
                };
                context.repositories.state_filter(uses).iter().for_each(|one| pokes.all_of(context, one));
            });
        }
    };
    let on_environment = {
        let (late, ask) = (Arc::clone(&late), ask_environment.clone());
        move |environment: &PreviewEnvironment| {
            late.with(|context, _| {
                let number = environment.spec.pull_request.as_ref().map(|reference| reference.number);
                context.heard_of(environment, &environment.spec.repository_ref.name, number);
            });
            ask.object(environment);
            late.with(|context, pokes| {
                if let Some(class) = class_and_template::refused_class(environment, context) {
                    pokes.classes.object(&class);
                }
                context.reporter.tell(&context.fresh_environments.of(Arc::new(environment.clone())));
            });
        }
    };
    let on_request = {
        let (late, ask) = (Arc::clone(&late), ask_request.clone());
        move |request: &DeploymentRequest| {
            late.with(|context, _| {
                let number = request.spec.pull_request.as_ref().map(|reference| reference.number);
                context.heard_of(request, &request.spec.repository_ref.name, number);
            });
            ask.object(request);
            late.with(|context, pokes| pokes.of_request(context, request));
            let Some(command) = &request.spec.requested_by.command else { return };
            late.with(|_, pokes| pokes.commands.named(&request.namespace().unwrap_or_default(), command));
        }
    };
    let on_command = {
        let (late, ask) = (Arc::clone(&late), ask_command.clone());
        move |command: &DeploymentCommand| {
            ask.object(command);
            late.with(|context, _| {
                if by_uid(&context.commands, &command.uid().unwrap_or_default()).is_none() {
                    context.writes.answers.forget(command);
                }
                command::relay(context, command);
            });
        }
    };

    let config = watcher::Config::default;
    let (classes, follow_classes) = watched(Api::all(client.clone()), config(), on_class);
    let (repositories, follow_repositories) = watched(Api::all(client.clone()), config(), on_repository);
    let (templates, follow_templates) = watched(Api::all(client.clone()), config(), on_template);
    let (requests, follow_requests) = watched(Api::all(client.clone()), config(), on_request);
    let (commands, follow_commands) = watched(Api::all(client.clone()), config(), on_command);
    let (environments, follow_environments) = watched(Api::all(client.clone()), config(), on_environment);

    let touched = {
        let (ask, environments) = (ask_environment.clone(), environments.clone());
        Box::new(move |uid: &str| {
            if let Some(environment) = by_uid(&environments, uid) {
                ask.object(&environment);
            }
        })
    };
    let live = WatchedObjects::new(client.clone(), Arc::clone(&cluster), touched);
    let usual = USUAL_KINDS.map(|(group, version, kind)| GroupVersionKind::gvk(group, version, kind));
    for kind in &usual {
        live.follow(kind);
    }
    live.follow(&GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute"));

    let hints = Arc::new(Hints::default());
    let reception = Arc::new(Reception::new(
        cluster.clone(),
        repositories.clone(),
        requests.clone(),
        environments.clone(),
        commands.clone(),
        cluster_id.clone(),
        Arc::clone(&hints),
        Arc::clone(&standing),
    ));
    let github =
        GithubSettings { pace: Pace::with_gap(options.github_write_interval), ..GithubSettings::default() };
    let registry =
        RegistryClient::new(RegistrySettings::default()).map_err(|error| anyhow::anyhow!(error))?;
    let chat = SlackChat::new(&options.slack).map_err(|error| anyhow::anyhow!(error))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let leader = options.election.map(|candidacy| {
        let lease = KubeLease::new(client.clone(), &options.namespace, candidacy.lease);
        Leader::new(Arc::new(lease), Arc::clone(&clock), Arc::clone(&standing), candidacy.identity)
    });
    let context = Arc::new_cyclic(|context: &Weak<Context>| Context {
        cluster: cluster.clone(),
        secrets: cluster.clone(),
        live: live.clone(),
        forges: Arc::new(GithubForges::new(cluster.clone(), github, options.metrics.clone())),
        renderer: Arc::new(MinijinjaRenderer::new()),
        prober: Arc::new(WebProber::default()),
        registry: Arc::new(registry),
        chat: Arc::new(chat),
        events: Arc::new(KubeEvents::new(client.clone())),
        clock: Arc::clone(&clock),
        standing: Arc::clone(&standing),
        metrics: options.metrics.clone(),
        classes: classes.clone(),
        repositories: repositories.clone(),
        templates: templates.clone(),
        requests: requests.clone(),
        environments: environments.clone(),
        commands: commands.clone(),
        reception: Arc::clone(&reception),
        reporter: Reporter::new(context.clone(), ask_environment.clone(), ask_request.clone()),
        writes: GithubWrites::new(ask_request.clone(), ask_command.clone()),
        hints,
        applications: Applications::default(),
        deleted_pods: DeletedPods::default(),
        sweeps: Sweeps::default(),
        creations: Creations::default(),
        asked: Asked::default(),
        fresh_environments: Freshest::default(),
        fresh_requests: Freshest::default(),
        fresh_commands: Freshest::default(),
        responses: command::Responses::default(),
        cluster_id,
        own_namespace: options.namespace.clone(),
        public_url: options.public_url,
        sweep_interval: options.sweep_interval,
    });
    late.set(
        &context,
        Pokes {
            classes: ask_class,
            templates: ask_template,
            environments: ask_environment,
            requests: ask_request,
            repositories: ask_repository,
            commands: ask_command,
        },
    );

    let mut follow = JoinSet::new();
    follow.spawn(follow_classes);
    follow.spawn(follow_repositories);
    follow.spawn(follow_templates);
    follow.spawn(follow_requests);
    follow.spawn(follow_commands);
    follow.spawn(follow_environments);
    let known = options.config_map.is_none().then(BTreeMap::new);
    let (changed, settings) = watch::channel(known);
    if let Some(name) = options.config_map {
        let (standing, metrics) = (Arc::clone(&standing), options.metrics.clone());
        follow.spawn(config_map(client.clone(), options.namespace, name, move |data| {
            // The deletion of the ConfigMap doesn't end draining, because an uninstallation deletes
            // it too.
            if let Some(data) = &data {
                standing.drain(drain::is_on(data));
                metrics.draining(standing.drains());
            }
            changed.send_replace(Some(data.unwrap_or_default()));
        }));
    }

    let listed = environments.clone();
    options.metrics.previews(Arc::new(move || listed.state()));
    let desk = Arc::new(SlackDesk::new(Arc::downgrade(&context)));
    let filled = filled(Arc::clone(&context), live, usual.to_vec(), settings.clone()).shared();
    let work = Work {
        context,
        client,
        leader,
        follow,
        asked: AllAsked {
            classes: asked_classes,
            templates: asked_templates,
            repositories: asked_repositories,
            requests: asked_requests,
            commands: asked_commands,
            environments: asked_environments,
        },
        late,
        concurrency: options.concurrency,
        shutdown: options.shutdown,
    };
    let work = {
        let filled = filled.clone();
        async move {
            filled.await;
            tracing::info!(
                environments = work.context.environments.len(),
                repositories = work.context.repositories.len(),
                "everything is listed"
            );
            work.run().await
        }
        .boxed()
    };
    let find = move |namespace: &str, name: &str| environments.get(&ObjectRef::new(name).within(namespace));
    Ok(Running {
        intake: reception,
        desk,
        environments: Arc::new(find),
        settings,
        ready: filled.boxed(),
        work,
    })
}

/// Completes when every store was filled once and the settings are known.
async fn filled(
    context: Arc<Context>,
    live: Arc<WatchedObjects>,
    kinds: Vec<GroupVersionKind>,
    mut settings: watch::Receiver<Option<BTreeMap<String, String>>>,
) {
    // An error is impossible: a store's writer lives as long as the process.
    context.classes.wait_until_ready().await.ok();
    context.repositories.wait_until_ready().await.ok();
    context.templates.wait_until_ready().await.ok();
    context.requests.wait_until_ready().await.ok();
    context.commands.wait_until_ready().await.ok();
    context.environments.wait_until_ready().await.ok();
    live.listed(&kinds).await;
    // The operator must know whether it drains before it creates anything.
    settings.wait_for(Option::is_some).await.ok();
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
