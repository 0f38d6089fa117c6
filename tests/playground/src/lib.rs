//! A real Kubernetes cluster on one machine, from packages, in which tests and the demo run.
//!
//! [`Playground::start`] starts etcd, the API server, controllers, scheduler, a node with
//! containerd, kubelet and kube-proxy, CoreDNS and a Gateway API gateway. All but the gateway run
//! in a network namespace of their own. Without root or cgroups the node is simulated, and
//! [`Playground::simulated_reason`] says why.

mod audit;
mod building;
mod cargo;
mod certificates;
mod cgroups;
mod control_plane;
mod dns;
mod gateway;
mod helm;
mod home;
mod image;
mod images;
mod kubeconfig;
mod leftovers;
mod machine;
mod network;
mod node;
mod objects;
mod outside;
mod policies;
mod processes;
mod programs;
mod progress;
mod prometheus;
mod relay;
mod sample;
mod simulated;
pub mod stage;
mod tunables;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};

use certificates::Authority;
use cgroups::Cgroups;
use control_plane::{Addresses, ControlPlane};
use home::Home;
use images::{import, sample_image};
use kubeconfig::Proof;
use node::Node;
use processes::Processes;
use programs::Programs;
use progress::Progress;
use relay::Relay;

pub use audit::{Mark, Write};
pub use cargo::build;
pub use helm::helm;
pub use image::Image;
pub use objects::{apply, client};
pub use prometheus::{prometheus, promtool};
pub use sample::SAMPLE_IMAGE;

/// Kind of node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A real node where that is possible, else a simulated one.
    #[default]
    Auto,
    /// A real node: containers run, URLs answer. Needs root and cgroups.
    Node,
    /// A simulated node: pods become ready without running, so no URL can answer.
    Simulated,
}

/// Settings of a cluster.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Kind of node.
    pub mode: Mode,
    /// Whether etcd makes every write durable; for measurements of durability and speed only.
    pub fsync: bool,
    /// The gateway's port on 127.0.0.1. By default 8088 if free, else any.
    pub gateway_port: Option<u16>,
    /// Users whose writes to the API are recorded, for [`Playground::writes`].
    pub record_writes_of: Vec<String>,
    /// How long to wait for another run on this machine to end.
    pub wait_for_other: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            fsync: false,
            gateway_port: None,
            record_writes_of: Vec::new(),
            wait_for_other: Duration::from_mins(10),
        }
    }
}

/// A running cluster. Stop it with [`Playground::stop`]; dropping it stops it too, without
/// reporting problems. The next start removes what a killed process leaves running.
pub struct Playground {
    home: Home,
    processes: Processes,
    programs: Programs,
    authority: Authority,
    addresses: Addresses,
    progress: Progress,
    kubeconfig: PathBuf,
    simulated_reason: Option<String>,
    gateway_port: u16,
    /// The connection from pods to the gateway.
    relay: Option<Relay>,
    sample: Option<PathBuf>,
    helm: helm::Found,
    stopped: bool,
}

impl Playground {
    /// Starts a cluster, and waits until pods can be created and the gateway serves. Calls
    /// `progress` with a line for each step that takes long.
    ///
    /// # Errors
    /// When another run does not end in time, a program can't be built or does not become ready, or
    /// a real node was requested and is impossible here. Everything that was started has then been
    /// stopped.
    pub async fn start(settings: Settings, progress: impl Fn(&str) + Send + Sync + 'static) -> Result<Self> {
        let progress = Progress::new(progress);
        let (cgroups, simulated_reason) = choose(settings.mode, &progress)?;
        if let Some(reason) = &simulated_reason {
            progress.say(&format!(
                "the node is simulated ({reason}): pods become ready without running, no URL answers"
            ));
        }
        let programs = Programs::find(cgroups.is_some(), &progress).await?;
        let sample = if cgroups.is_some() { Some(sample::build(&progress).await?) } else { None };

        // The lock comes after the builds, which can take longer than another run would wait.
        let home = Home::claim(settings.wait_for_other, &progress).await?;
        let began = Instant::now();
        leftovers::clear(home.directory()).context("an earlier playground can't be cleared away")?;
        let logs = home.logs();
        if logs.exists() {
            std::fs::remove_dir_all(&logs).with_context(|| format!("cannot empty {}", logs.display()))?;
        }
        std::fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
        let authority = Authority::new(&home.make("certificates")?)?;
        let addresses = if cgroups.is_some() { Addresses::inside() } else { Addresses::loopback()? };
        let mut playground = Self {
            processes: Processes::new(home.directory(), &logs),
            kubeconfig: PathBuf::new(),
            gateway_port: gateway::free_port(settings.gateway_port)?,
            home,
            programs,
            authority,
            addresses,
            progress,
            simulated_reason,
            relay: None,
            sample,
            helm: helm::Found::new(),
            stopped: false,
        };
        // From here on, dropping `playground` removes what has been started.
        playground.bring_up(&settings, cgroups.as_ref()).await?;
        playground.progress.took("start", began);
        Ok(playground)
    }

    async fn bring_up(&mut self, settings: &Settings, cgroups: Option<&Cgroups>) -> Result<()> {
        let mut began = Instant::now();
        let progress = self.progress.clone();
        let mut took = |part: &str| {
            progress.took(part, began);
            began = Instant::now();
        };
        if let Some(cgroups) = cgroups {
            tunables::keep(&self.home.run())?;
            network::make()?;
            policies::close()?;
            cgroups.make()?;
            took("network and cgroups");
        }
        let control_plane = ControlPlane {
            home: &self.home,
            programs: &self.programs,
            authority: &self.authority,
            addresses: &self.addresses,
        };
        let processes = &mut self.processes;
        self.kubeconfig = control_plane.kubeconfig("admin", "playground:admin", Some("system:masters"))?;
        control_plane.start_api(processes, settings.fsync, &settings.record_writes_of)?;
        let node = Node { of: &control_plane };
        if let Some(sample) = &self.sample {
            outside::start(sample, processes)?;
            node.start_containerd(processes).await?;
            let pause = Image { entrypoint: &["/sample", "pause"], ..sample_image(sample::PAUSE_IMAGE, &[]) };
            let files = [("/sample", sample.as_path())];
            import(&self.programs, &node.socket(), &self.home, &Image { files: &files, ..pause }).await?;
            took("containerd");
        }
        let client = client(&self.kubeconfig).await?;
        processes
            .wait("the API server is ready", Duration::from_mins(1), async || {
                objects::server_ready(&client).await
            })
            .await?;
        took("API server");
        control_plane.start_controllers(processes)?;
        if cgroups.is_some() {
            node.start_kubelet(processes)?;
            dns::start(&control_plane, processes)?;
            apply(&client, dns::MANIFEST).await?;
            apply(&client, policies::MANIFEST).await?;
        } else {
            simulated::start(&control_plane, processes)?;
            objects::apply_object(&client, simulated::node()).await?;
        }
        gateway::start(&control_plane, &client, self.gateway_port, processes).await?;
        if cgroups.is_some() {
            let port = self.gateway_port;
            let (pods, own) = ((network::HOST_ADDRESS, port), (Ipv4Addr::LOCALHOST, port));
            self.relay = Some(Relay::start(pods.into(), own.into()).await?);
        }
        took("controllers and definitions");
        processes
            .wait("the node is ready", Duration::from_mins(1), async || {
                let kind = objects::Kind { version: "v1", name: "Node", namespace: None };
                objects::has_condition(&client, &kind, node::NAME, "Ready").await
            })
            .await?;
        if cgroups.is_some() {
            // kube-router ends without its node.
            policies::start(&control_plane, processes)?;
        }
        took("node");
        // The API server rejects pods until the controllers have created their namespace's account.
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
        processes
            .wait("the controllers work", Duration::from_mins(1), async || {
                accounts.get("default").await?;
                Ok(())
            })
            .await?;
        if cgroups.is_some() {
            dns::wait(processes).await?;
        }
        gateway::wait(&client, self.gateway_port, processes).await?;
        took("DNS and gateway");
        Ok(())
    }

    /// Returns the path of the administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Returns a client with the administrator's rights.
    pub async fn client(&self) -> Result<Client> {
        client(&self.kubeconfig).await
    }

    /// Returns the kind of node; never [`Mode::Auto`].
    pub fn mode(&self) -> Mode {
        if self.simulated_reason.is_some() { Mode::Simulated } else { Mode::Node }
    }

    /// Returns why the node is simulated, if it is.
    pub fn simulated_reason(&self) -> Option<&str> {
        self.simulated_reason.as_deref()
    }

    /// Returns the gateway's port on 127.0.0.1. It serves every host name; those that end in
    /// `.localhost` need no DNS.
    pub fn gateway_port(&self) -> u16 {
        self.gateway_port
    }

    /// Returns the gateway's address for pods, to which names that end in `.localhost` are their
    /// own loopback. `None` when no pod runs.
    pub fn gateway_address(&self) -> Option<SocketAddr> {
        self.host_address().map(|host| SocketAddr::from((host, self.gateway_port)))
    }

    /// Returns this machine's address for pods, on which a program must listen to be reached from
    /// the cluster. `None` when no pod runs.
    pub fn host_address(&self) -> Option<Ipv4Addr> {
        self.simulated_reason.is_none().then_some(network::HOST_ADDRESS)
    }

    /// Returns the address outside the cluster at which something listens, and which stands for the
    /// Internet. `None` when no pod runs.
    pub fn outside_address(&self) -> Option<SocketAddr> {
        self.simulated_reason.is_none().then_some(outside::INTERNET)
    }

    /// Returns the address at which clouds give an instance its credentials. Something listens
    /// there. `None` when no pod runs.
    pub fn metadata_address(&self) -> Option<SocketAddr> {
        self.simulated_reason.is_none().then_some(outside::METADATA)
    }

    /// Returns the folder with the programs' logs, one file each, and with those of the containers
    /// below `pods`. The logs stay until the next start.
    pub fn directory(&self) -> PathBuf {
        self.home.logs()
    }

    /// Returns durations in the order in which they ended: builds, parts of the start, and `start`
    /// as a whole without builds.
    pub fn timings(&self) -> Vec<(String, Duration)> {
        self.progress.timings()
    }

    /// Returns the present position in the record of writes, for [`Playground::writes`].
    pub fn mark(&self) -> Mark {
        audit::mark(&self.home.logs())
    }

    /// Returns every write since a mark by the users of [`Settings::record_writes_of`], including
    /// those with impersonation, oldest first.
    ///
    /// # Errors
    /// When the record can't be read, and when no user's writes are recorded.
    pub fn writes(&self, since: Mark) -> Result<Vec<Write>> {
        audit::writes(&self.home.logs(), since)
    }

    /// Writes a kubeconfig that authenticates as a service account, which must exist, with a token
    /// that is valid for a day. It grants that account's rights and no others.
    ///
    /// # Errors
    /// When there is no such account.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let wanted = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(24 * 60 * 60), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &wanted)
            .await
            .with_context(|| format!("no token for the service account {namespace}/{name}"))?;
        let token = answer.status.context("the API server gave no token")?.token;
        let path = self.home.run().join("certificates").join(format!("{namespace}.{name}.kubeconfig"));
        let authority = self.authority.certificate_file();
        kubeconfig::write(&path, &self.addresses.server(), &authority, &Proof::Token(&token))?;
        Ok(path)
    }

    /// Stops everything and removes everything but the logs.
    ///
    /// # Errors
    /// When something could not be removed.
    pub async fn stop(mut self) -> Result<()> {
        tokio::task::spawn_blocking(move || self.end()).await?
    }

    fn end(&mut self) -> Result<()> {
        if self.stopped {
            return Ok(());
        }
        self.stopped = true;
        self.processes.stop();
        leftovers::clear(self.home.directory())
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// Returns the cgroups for a real node, or why there is none.
fn choose(mode: Mode, progress: &Progress) -> Result<(Option<Cgroups>, Option<String>)> {
    if mode == Mode::Simulated {
        return Ok((None, Some("as asked for".to_owned())));
    }
    match machine::prepare(progress) {
        Ok(cgroups) => Ok((Some(cgroups), None)),
        Err(problem) if mode == Mode::Auto => Ok((None, Some(format!("{problem:#}")))),
        Err(problem) => Err(problem),
    }
}
