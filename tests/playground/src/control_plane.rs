//! etcd, the API server, the controllers and the scheduler.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::audit;
use crate::certificates::Authority;
use crate::home::Home;
use crate::kubeconfig;
use crate::network;
use crate::processes::Processes;
use crate::programs::Programs;

/// Addresses of the control plane.
pub(crate) struct Addresses {
    /// Whether it runs in the node's network namespace; else on this machine's loopback.
    pub(crate) inside: bool,
    api: u16,
    etcd: u16,
    etcd_peer: u16,
}

impl Addresses {
    /// Returns fixed ports in the node's network namespace, in which nothing else listens.
    pub(crate) fn inside() -> Self {
        Self { inside: true, api: 6443, etcd: 2379, etcd_peer: 2380 }
    }

    /// Returns free ports on loopback.
    pub(crate) fn loopback() -> Result<Self> {
        // All are held at once, so that they differ.
        let ports = [listen_anywhere()?, listen_anywhere()?, listen_anywhere()?];
        let port = |index: usize| ports[index].local_addr().map(|address| address.port());
        Ok(Self { inside: false, api: port(0)?, etcd: port(1)?, etcd_peer: port(2)? })
    }

    /// Returns the API server's address.
    fn host(&self) -> &'static str {
        if self.inside { network::NODE_ADDRESS } else { "127.0.0.1" }
    }

    /// Returns the API server's URL.
    pub(crate) fn server(&self) -> String {
        format!("https://{}:{}", self.host(), self.api)
    }

    /// Returns a command that runs a program in the control plane's network.
    pub(crate) fn command(&self, program: &std::path::Path) -> Command {
        if self.inside { network::inside(program) } else { Command::new(program) }
    }
}

fn listen_anywhere() -> Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")
}

/// Inputs of the control plane's start.
pub(crate) struct ControlPlane<'a> {
    pub(crate) home: &'a Home,
    pub(crate) programs: &'a Programs,
    pub(crate) authority: &'a Authority,
    pub(crate) addresses: &'a Addresses,
}

impl ControlPlane<'_> {
    /// Starts etcd and the API server, which waits for etcd. Without `fsync` a crash of the machine
    /// loses data, and writes are several times faster. Writes of the users `recorded` are
    /// recorded.
    pub(crate) fn start_api(
        &self,
        processes: &mut Processes,
        fsync: bool,
        recorded: &[String],
    ) -> Result<()> {
        let authority = self.authority.certificate_file();
        let authority = authority.display();
        let addresses = self.addresses;
        let server = self.authority.server("etcd", &["127.0.0.1", "localhost"])?;
        let (client, peer) = (addresses.etcd, addresses.etcd_peer);
        let mut etcd = addresses.command(self.programs.path("etcd")?);
        etcd.arg(format!("--data-dir={}", self.home.make("etcd")?.display()))
            .arg("--name=playground")
            .arg(format!("--listen-client-urls=https://127.0.0.1:{client}"))
            .arg(format!("--advertise-client-urls=https://127.0.0.1:{client}"))
            .arg(format!("--listen-peer-urls=http://127.0.0.1:{peer}"))
            .arg(format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"))
            .arg(format!("--initial-cluster=playground=http://127.0.0.1:{peer}"))
            .arg(format!("--cert-file={}", server.certificate.display()))
            .arg(format!("--key-file={}", server.key.display()))
            .arg("--client-cert-auth")
            .arg(format!("--trusted-ca-file={authority}"))
            .arg("--log-level=warn");
        if !fsync {
            etcd.arg("--unsafe-no-fsync");
        }
        processes.start("etcd", etcd)?;

        let serving = self.authority.server(
            "apiserver",
            &[
                addresses.host(),
                "127.0.0.1",
                "localhost",
                // The first address of the service network is the API server's own service.
                "10.96.0.1",
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
            ],
        )?;
        let to_etcd = self.authority.client("apiserver-etcd", "kube-apiserver", None)?;
        // Members of this group have all rights on a kubelet; the name is the usual one.
        let to_kubelet = self.authority.client(
            "apiserver-kubelet",
            "kube-apiserver-kubelet-client",
            Some("system:masters"),
        )?;
        let (signing, checking) = self.authority.service_account_keys()?;
        let mut api = addresses.command(self.programs.path("kube-apiserver")?);
        api.arg(format!("--advertise-address={}", addresses.host()))
            .arg(format!("--bind-address={}", addresses.host()))
            .arg(format!("--secure-port={}", addresses.api))
            .arg(format!("--tls-cert-file={}", serving.certificate.display()))
            .arg(format!("--tls-private-key-file={}", serving.key.display()))
            .arg(format!("--client-ca-file={authority}"))
            .arg(format!("--etcd-servers=https://127.0.0.1:{client}"))
            .arg(format!("--etcd-cafile={authority}"))
            .arg(format!("--etcd-certfile={}", to_etcd.certificate.display()))
            .arg(format!("--etcd-keyfile={}", to_etcd.key.display()))
            .arg("--authorization-mode=Node,RBAC")
            .arg("--enable-admission-plugins=NodeRestriction")
            .arg(format!("--service-cluster-ip-range={}", network::SERVICE_NETWORK))
            .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
            .arg(format!("--service-account-signing-key-file={}", signing.display()))
            .arg(format!("--service-account-key-file={}", checking.display()))
            .arg("--allow-privileged=true")
            .arg("--kubelet-preferred-address-types=InternalIP")
            .arg(format!("--kubelet-certificate-authority={authority}"))
            .arg(format!("--kubelet-client-certificate={}", to_kubelet.certificate.display()))
            .arg(format!("--kubelet-client-key={}", to_kubelet.key.display()))
            .arg("--profiling=false");
        if !addresses.inside {
            // The API server rejects endpoints on loopback, and nothing would use the service
            // because no pod runs.
            api.arg("--endpoint-reconciler-type=none");
        }
        if !recorded.is_empty() {
            api.args(audit::arguments(self.home, recorded)?);
        }
        processes.start("kube-apiserver", api)
    }

    /// Starts the controllers and the scheduler; the API server must be ready.
    pub(crate) fn start_controllers(&self, processes: &mut Processes) -> Result<()> {
        let signing = self.authority.certificate_file().with_file_name("service-account.key");
        let mut manager = self.client("kube-controller-manager", "system:kube-controller-manager")?;
        manager
            .arg(format!("--flex-volume-plugin-dir={}", self.home.make("volume-plugins")?.display()))
            .arg("--use-service-account-credentials")
            .arg(format!("--root-ca-file={}", self.authority.certificate_file().display()))
            .arg(format!("--service-account-private-key-file={}", signing.display()))
            .arg("--allocate-node-cidrs")
            .arg(format!("--cluster-cidr={}", network::CLUSTER_NETWORK))
            .arg(format!("--service-cluster-ip-range={}", network::SERVICE_NETWORK));
        processes.start("kube-controller-manager", manager)?;
        let scheduler = self.client("kube-scheduler", "system:kube-scheduler")?;
        processes.start("kube-scheduler", scheduler)
    }

    /// Returns a command for a client of the API server. It runs without leader election and
    /// without a rate limit: the default limit of 20 requests a second would dominate every
    /// measurement.
    fn client(&self, program: &str, user: &str) -> Result<Command> {
        let mut command = self.addresses.command(self.programs.path(program)?);
        command.arg(format!("--kubeconfig={}", self.kubeconfig(program, user, None)?.display())).args([
            "--leader-elect=false",
            "--kube-api-qps=1000",
            "--kube-api-burst=2000",
            "--secure-port=0",
        ]);
        Ok(command)
    }

    /// Writes a kubeconfig with a certificate for a user.
    pub(crate) fn kubeconfig(&self, name: &str, user: &str, group: Option<&str>) -> Result<PathBuf> {
        kubeconfig::for_user(self.authority, &self.addresses.server(), name, user, group)
    }
}
