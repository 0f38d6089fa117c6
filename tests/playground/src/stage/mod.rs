//! The stage: everything around the operator. A cluster, a stand-in for GitHub, the operator with its own rights and no others, and what a
//! platform team sets up once: the chart, credentials, a class.
//!
//! The demo plays on it, and so do the cluster tests. The operator is known by its command line, its YAML and its
//! effects only.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use std::time::Duration;
//!
//! use playground::stage::{NewProject, Settings, Stage};
//!
//! // In tests of the package `matinee`: env!("CARGO_BIN_EXE_matinee").
//! let stage = Stage::start(Settings::new("target/debug/matinee"), |line| eprintln!("{line}")).await?;
//!
//! // A repository on the stand-in with a webhook, a namespace, a PreviewTemplate and a PreviewRepository; every part can be
//! // given by the caller. Give each test one of its own.
//! let shop = stage.project(NewProject::new("shop")).await?;
//! let sha = stage.github().push(&shop.repository, "feature").await?;
//! let pull = stage.github().open_pull_request(&shop.repository, "feature").await?;
//!
//! // What GitHub shows. Whoever waits too long is told what there was instead, and the operator's last words.
//! let minute = Duration::from_secs(60);
//! let deployment = stage.deployed(&shop, &sha, "success", minute).await?;
//! let url = &deployment.statuses.last().unwrap().environment_url;
//! if stage.serves() {
//!     assert!(stage.fetch(url).await?.body.contains(&sha[..7]));
//! }
//!
//! // What the cluster shows.
//! let name = format!("shop-preview-pr-{}", pull.number);
//! let environment = stage.environments(&shop.namespace).get(&name).await?;
//! assert_eq!(playground::stage::condition(&environment, "Ready").unwrap().status, "True");
//!
//! // Anything else is waited for by a check that fails as long as it isn't there; the reason is told at the end.
//! stage.github().close(&shop.repository, pull.number).await?;
//! stage.wait_for("the environment goes", minute, async || {
//!     match stage.environments(&shop.namespace).get_opt(&name).await? {
//!         None => Ok(()),
//!         Some(environment) => anyhow::bail!("{}", playground::stage::conditions(&environment)),
//!     }
//! })
//! .await?;
//!
//! stage.operator().kill()?; // as a crash would
//! stage.operator().restart().await?;
//! stage.stop().await
//! # }
//! ```

mod account;
mod cluster;
mod operator;
mod outside;
mod pods;
mod process;
mod project;
mod release;
mod responder;
mod wait;
mod web;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use github_stand_in::StandIn;
use kube::Client;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use slack_stand_in::control::types::{NewChannel, Typed};

use crate::progress::Progress;
use crate::{Mark, Mode, Playground, Write, programs};
use account::Accounts;
use operator::Running;
use outside::Outside;
use pods::Pods;
use process::Process;
use responder::Responder;

pub use cluster::{Condition, condition, conditions};
pub use github_stand_in::control as github;
pub use operator::Operator;
pub use pods::OperatorPod;
pub use project::{NewProject, Project};
pub use registry_stand_in::control as registry;
pub use release::{RELEASE, Release};
pub use slack_stand_in::control as slack;
pub use web::Answer;

/// The operator's namespace, where its Secrets are.
pub const SYSTEM: &str = "matinee-system";
/// The operator's service account, as the chart calls it.
pub const ACCOUNT: &str = "matinee";
/// The PreviewClass whose GitHub credentials are a personal token's.
pub const CLASS: &str = "standard";
/// The PreviewClass whose GitHub credentials are an App's, installed on [`OWNER`] and nowhere else.
pub const APP_CLASS: &str = "app";
/// The account that repositories of projects belong to unless said otherwise.
pub const OWNER: &str = "acme";
/// The ConfigMap that says who in Slack is who on GitHub.
pub const SLACK_USERS: &str = "slack-users";
/// The channel in Slack that results are posted to.
pub const SLACK_CHANNEL: &str = "deploys";

/// Where the operator runs. The chart is installed either way, so it has the same rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// As a process of this machine, which is killed and started within a tenth of a second.
    #[default]
    Process,
    /// In pods, as users have it. Where the node is simulated no pod runs: it is a process then, and a line says so.
    Cluster {
        /// How many.
        replicas: u32,
    },
}

/// How to start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the cluster is started.
    pub playground: crate::Settings,
    /// The operator's binary.
    pub operator: PathBuf,
    /// Where it runs.
    pub place: Place,
    /// Further values of the chart, which win over the stage's own; none when null.
    pub values: serde_json::Value,
    /// Time between two of its sweeps, in whole seconds, at least 5.
    pub sweep_interval: Duration,
    /// Least time between two of its writes to GitHub, in whole seconds. Below one second, the stand-in's limits on what
    /// creates content are lifted too, since that many GitHub wouldn't take.
    pub github_write_interval: Duration,
    /// What it logs, as `RUST_LOG` says it.
    pub log: String,
    /// Further flags of `matinee run`.
    pub flags: Vec<String>,
    /// Whether its writes to the cluster are recorded, for [`Stage::writes`].
    pub record_writes: bool,
}

impl Settings {
    /// The usual settings: a sweep a minute, a write to GitHub a second, as a user would have it.
    pub fn new(operator: impl Into<PathBuf>) -> Self {
        Self {
            playground: crate::Settings::default(),
            operator: operator.into(),
            place: Place::Process,
            values: serde_json::Value::Null,
            sweep_interval: Duration::from_mins(1),
            github_write_interval: Duration::from_secs(1),
            log: "info".to_owned(),
            flags: Vec::new(),
            record_writes: false,
        }
    }
}

/// A running stage. End it with [`Stage::stop`]; dropping it ends everything too, without telling of problems.
pub struct Stage {
    // Dropped in this order: nobody is asked who is gone.
    operator: Operator,
    place: Place,
    release: Release,
    responder: Option<Responder>,
    github: StandIn,
    slack: slack_stand_in::StandIn,
    registry: registry_stand_in::StandIn,
    accounts: Accounts,
    client: Client,
    web: reqwest::Client,
    playground: Playground,
}

impl Stage {
    /// Starts everything and waits until the operator is ready. `progress` is told a line for everything that takes long.
    ///
    /// # Errors
    /// When a part can't be started; the message names it. Everything that was started has then been ended.
    pub async fn start(settings: Settings, progress: impl Fn(&str) + Send + Sync + 'static) -> Result<Self> {
        let progress = Progress::new(progress);
        // Only now: builds can take longer than anybody would wait for another run.
        programs::helm(&progress).await?;
        let mut playground = settings.playground.clone();
        if settings.record_writes {
            playground.record_writes_of.push(cluster::operator_user());
        }
        let told = progress.clone();
        let playground = Playground::start(playground, move |line| told.say(line)).await?;
        let (place, host) = place(settings.place, &playground);
        let settings = Settings { place, ..settings };
        let in_cluster = place != Place::Process;
        let unlimited = settings.github_write_interval < Duration::from_secs(1);
        let Outside { github, slack, registry } = Outside::start(host, unlimited).await?;
        let responder = match playground.mode() {
            Mode::Simulated => {
                let responder = Responder::start().await?;
                playground.progress.say(
                    "since no URL answers, the operator's request to a preview's URL goes to a responder of the stage \
                     that answers it in the preview's place",
                );
                Some(responder)
            }
            _ => None,
        };

        let began = Instant::now();
        let images = async {
            // What projects deploy, unless they say otherwise.
            playground.sample_image().await?;
            if in_cluster {
                playground.program_image("matinee", &settings.operator).await.map(Some)
            } else {
                Ok(None)
            }
        };
        // An App's key takes a while to make.
        let (image, accounts) = tokio::try_join!(images, account::make(github.control()))?;
        playground.progress.took("images and accounts", began);
        let client = playground.client().await?;
        let app = slack.control().app().await?;
        let channel = NewChannel { name: SLACK_CHANNEL.to_owned(), ..NewChannel::default() };
        let channel = slack.control().set_channel(channel).await?;
        let setup = cluster::Setup {
            registry: registry.host(),
            slack: &app,
            slack_channel: &channel.id,
            client: &client,
            accounts: &accounts,
            github_url: github.api_url(),
            gateway_port: playground.gateway_port(),
            probe_address: match &responder {
                Some(responder) => Some(responder.address()),
                None if in_cluster => playground.gateway_address(),
                None => None,
            },
        };
        cluster::prepare(&setup).await?;
        let told = release::Told {
            webhook_secret: &accounts.webhook_secret,
            slack_api_url: slack.api_url(),
            slack_response_url: slack.response_url(),
        };
        let began = Instant::now();
        let release = release::install(&playground, &settings, &told, image).await?;
        playground.progress.took("helm install", began);
        cluster::make_classes(&setup).await?;
        let began = Instant::now();
        let kubeconfig = playground.service_account_kubeconfig(SYSTEM, ACCOUNT).await?;
        let running = if in_cluster {
            Running::Cluster(Pods::new(&playground, &client, release::url(&playground)))
        } else {
            Running::Process(Process::start(&playground, &settings, &told, &kubeconfig).await?)
        };
        let operator = Operator::new(running, kubeconfig);
        slack.control().set_command("/deploy", &operator.slack_url()).await?;
        playground.progress.took("operator", began);
        Ok(Self {
            operator,
            place,
            release,
            responder,
            github,
            slack,
            registry,
            accounts,
            client,
            web: web::client()?,
            playground,
        })
    }

    /// The operator.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Where the operator runs.
    pub fn place(&self) -> Place {
        self.place
    }

    /// A client with the administrator's rights.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What makes things happen on the stand-in, and tells what happened there.
    pub fn github(&self) -> github::Client {
        self.github.control()
    }

    /// What makes people type commands in Slack, and tells what they were answered. The app has the command `/deploy`.
    pub fn slack(&self) -> slack::Client {
        self.slack.control()
    }

    /// What puts images into the registry, which every class lists.
    pub fn registry(&self) -> registry::Client {
        self.registry.control()
    }

    /// The registry's host and port, as it stands in the names of its images.
    pub fn registry_host(&self) -> String {
        self.registry.host()
    }

    /// Tells the operator who somebody in Slack is on GitHub; the id of the Slack user.
    ///
    /// # Errors
    /// When Slack's stand-in or the API server refuses it.
    pub async fn slack_user(&self, name: &str, login: &str) -> Result<String> {
        let typed = self.slack().type_command(Typed::new(name, SLACK_CHANNEL, "/deploy help")).await?;
        let id = typed.field("user_id").to_owned();
        let patch = Patch::Merge(json!({"data": {id.as_str(): login}}));
        self.objects("v1", "ConfigMap", Some(SYSTEM))
            .patch(SLACK_USERS, &PatchParams::default(), &patch)
            .await?;
        Ok(id)
    }

    /// The stand-in's pages.
    pub fn github_pages(&self) -> &str {
        self.github.html_url()
    }

    /// The base URL of the stand-in's REST API.
    pub fn github_api(&self) -> &str {
        self.github.api_url()
    }

    /// The secret that webhooks to the operator are signed with.
    pub fn webhook_secret(&self) -> &str {
        &self.accounts.webhook_secret
    }

    /// A personal token that may do with every project's repository what its collaborators with write permission may:
    /// what somebody uses who creates a deployment by hand.
    pub fn token(&self) -> &str {
        &self.accounts.token
    }

    /// The cluster.
    pub fn playground(&self) -> &Playground {
        &self.playground
    }

    /// Whether containers run, so that URLs answer and containers fail. When not, a line on the progress said why.
    pub fn serves(&self) -> bool {
        self.responder.is_none()
    }

    /// A point in the record of the operator's writes.
    pub fn mark(&self) -> Mark {
        self.playground.mark()
    }

    /// The operator's writes to the cluster since a mark, those it made as a preview's deployer too.
    ///
    /// # Errors
    /// When they are not recorded: [`Settings::record_writes`].
    pub fn writes(&self, since: Mark) -> Result<Vec<Write>> {
        self.playground.writes(since)
    }

    /// Ends everything and removes everything but the logs.
    ///
    /// # Errors
    /// What could not be ended or removed.
    pub async fn stop(self) -> Result<()> {
        let Self { operator, responder, github, slack, registry, playground, .. } = self;
        let ended = tokio::task::spawn_blocking(move || operator.finish()).await?;
        drop(responder);
        github.stop().await;
        slack.stop().await;
        drop(registry);
        playground.stop().await?;
        ended.context("the operator did not end well")
    }
}

/// Where the operator can run, and the address of this machine that it reaches from there.
fn place(wanted: Place, playground: &Playground) -> (Place, Ipv4Addr) {
    match (wanted, playground.host_address()) {
        (Place::Cluster { .. }, None) => {
            playground.progress.say("since no pod runs, the operator runs as a process of this machine");
            (Place::Process, Ipv4Addr::LOCALHOST)
        }
        (Place::Cluster { .. }, Some(host)) => (wanted, host),
        (Place::Process, _) => (Place::Process, Ipv4Addr::LOCALHOST),
    }
}
