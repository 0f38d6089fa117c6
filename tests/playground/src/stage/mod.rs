//! The stage: a cluster, a stand-in for GitHub, the operator with its own rights and no others, and
//! what a platform team sets up once: the chart, credentials, a class.
//!
//! The demo and the cluster tests run on it. It uses the operator's command line, YAML and effects
//! only.
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
//! // A repository on the stand-in with a webhook, a namespace, a PreviewTemplate and a PreviewRepository.
//! // The caller may replace every part. Give each test a project of its own.
//! let shop = stage.project(NewProject::new("shop")).await?;
//! let sha = stage.github().push(&shop.repository, "feature").await?;
//! let pull = stage.github().open_pull_request(&shop.repository, "feature").await?;
//!
//! // What GitHub shows. After a timeout the error has the present state and the end of the operator's log.
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
//! // To wait for anything else, pass a check that fails until it holds; a timeout reports its last error.
//! stage.github().close(&shop.repository, pull.number).await?;
//! stage.wait_for("the environment is deleted", minute, async || {
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
/// The operator's service account, as in the chart.
pub const ACCOUNT: &str = "matinee";
/// The PreviewClass whose GitHub credentials are a personal token.
pub const CLASS: &str = "standard";
/// The PreviewClass whose GitHub credentials are those of an App, which is installed on [`OWNER`]
/// only.
pub const APP_CLASS: &str = "app";
/// The default owner of projects' GitHub repositories.
pub const OWNER: &str = "acme";
/// The ConfigMap that maps users in Slack to users on GitHub.
pub const SLACK_USERS: &str = "slack-users";
/// The channel in Slack to which results are posted.
pub const SLACK_CHANNEL: &str = "deploys";

/// Where the operator runs. The chart is installed either way, so the operator has the same rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// As a process of this machine, which can be killed and started within a tenth of a second.
    #[default]
    Process,
    /// In pods, as users run it. On a simulated node, where no pod runs, it is a process instead,
    /// and a progress line says so.
    Cluster {
        /// Number of pods.
        replicas: u32,
    },
}

/// Settings of a stage.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Settings of the cluster.
    pub playground: crate::Settings,
    /// The operator's binary.
    pub operator: PathBuf,
    /// Where it runs.
    pub place: Place,
    /// Further values of the chart, which override the stage's own; null for none.
    pub values: serde_json::Value,
    /// Interval of the operator's sweeps, in whole seconds, at least 5.
    pub sweep_interval: Duration,
    /// Least time between two of the operator's writes to GitHub, in whole seconds. Below one
    /// second the stand-in has no limits on content either, which GitHub would enforce at that
    /// rate.
    pub github_write_interval: Duration,
    /// The operator's log filter, as in `RUST_LOG`.
    pub log: String,
    /// Further flags of `matinee run`.
    pub flags: Vec<String>,
    /// Whether the operator's writes to the cluster are recorded, for [`Stage::writes`].
    pub record_writes: bool,
}

impl Settings {
    /// Returns a user's usual settings: one sweep a minute and one write to GitHub a second.
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

/// A running stage. Stop it with [`Stage::stop`]; dropping it stops everything too, without
/// reporting problems.
pub struct Stage {
    // Fields are dropped in this order, so that each part stops before those that it needs.
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
    /// Starts everything and waits until the operator is ready. Calls `progress` with a line for
    /// each step that takes long.
    ///
    /// # Errors
    /// When a part can't be started; the message names it. Everything that was started has then
    /// been stopped.
    pub async fn start(settings: Settings, progress: impl Fn(&str) + Send + Sync + 'static) -> Result<Self> {
        let progress = Progress::new(progress);
        // The lock comes after the builds, which can take longer than another run would wait.
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
            // Projects deploy the sample unless they name another image.
            playground.sample_image().await?;
            if in_cluster {
                playground.program_image("matinee", &settings.operator).await.map(Some)
            } else {
                Ok(None)
            }
        };
        // Creating an App's key takes a while.
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

    /// Returns the operator.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Returns where the operator runs.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Returns a client with the administrator's rights.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the control client of the stand-in for GitHub.
    pub fn github(&self) -> github::Client {
        self.github.control()
    }

    /// Returns the control client of the stand-in for Slack, whose app has the command `/deploy`.
    pub fn slack(&self) -> slack::Client {
        self.slack.control()
    }

    /// Returns the control client of the registry, which every class lists.
    pub fn registry(&self) -> registry::Client {
        self.registry.control()
    }

    /// Returns the registry's host and port, as in the names of its images.
    pub fn registry_host(&self) -> String {
        self.registry.host()
    }

    /// Maps a new user in Slack to a user on GitHub for the operator. Returns the Slack user's id.
    ///
    /// # Errors
    /// When Slack's stand-in or the API server rejects it.
    pub async fn slack_user(&self, name: &str, login: &str) -> Result<String> {
        let typed = self.slack().type_command(Typed::new(name, SLACK_CHANNEL, "/deploy help")).await?;
        let id = typed.field("user_id").to_owned();
        let patch = Patch::Merge(json!({"data": {id.as_str(): login}}));
        self.objects("v1", "ConfigMap", Some(SYSTEM))
            .patch(SLACK_USERS, &PatchParams::default(), &patch)
            .await?;
        Ok(id)
    }

    /// Returns the URL of the stand-in's pages.
    pub fn github_pages(&self) -> &str {
        self.github.html_url()
    }

    /// Returns the base URL of the stand-in's REST API.
    pub fn github_api(&self) -> &str {
        self.github.api_url()
    }

    /// Returns the secret that signs webhooks to the operator.
    pub fn webhook_secret(&self) -> &str {
        &self.accounts.webhook_secret
    }

    /// Returns a personal token with a collaborator's write permissions on every project's
    /// repository. A person who creates a deployment by hand uses it.
    pub fn token(&self) -> &str {
        &self.accounts.token
    }

    /// Returns the cluster.
    pub fn playground(&self) -> &Playground {
        &self.playground
    }

    /// Returns whether containers run, so that URLs answer and containers fail. If not, a progress
    /// line has said why.
    pub fn serves(&self) -> bool {
        self.responder.is_none()
    }

    /// Returns the present position in the record of the operator's writes.
    pub fn mark(&self) -> Mark {
        self.playground.mark()
    }

    /// Returns the operator's writes to the cluster since a mark, including those that it made as a
    /// preview's deployer.
    ///
    /// # Errors
    /// When they are not recorded: [`Settings::record_writes`].
    pub fn writes(&self, since: Mark) -> Result<Vec<Write>> {
        self.playground.writes(since)
    }

    /// Stops everything and removes everything but the logs.
    ///
    /// # Errors
    /// When something could not be stopped or removed.
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

/// Returns where the operator can run, and this machine's address as the operator reaches it from
/// there.
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
