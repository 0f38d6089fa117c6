//! The real node: containerd, the pods' network, kubelet and kube-proxy.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use crate::cgroups;
use crate::control_plane::ControlPlane;
use crate::machine::on_path;
use crate::network;
use crate::processes::Processes;
use crate::sample;

/// The node's name.
pub(crate) const NAME: &str = "playground";
/// Address of the DNS service; by convention the same in every cluster.
pub(crate) const DNS_SERVICE: &str = "10.96.0.10";

/// Returns the snapshotter for containerd's image layers: overlayfs, or copies if the folder itself
/// is on an overlay (in a container), on which the kernel allows no other overlay.
pub(crate) fn snapshotter(folder: &Path) -> Result<&'static str> {
    /// The kernel's `OVERLAYFS_SUPER_MAGIC`, statfs(2).
    const OVERLAY: u64 = 0x794c_7630;
    let found = rustix::fs::statfs(folder).with_context(|| format!("cannot inspect {}", folder.display()))?;
    Ok(if u64::try_from(found.f_type) == Ok(OVERLAY) { "native" } else { "overlayfs" })
}

/// Parameters of a node's start.
pub(crate) struct Node<'a> {
    /// The node's control plane.
    pub(crate) of: &'a ControlPlane<'a>,
}

impl Node<'_> {
    fn containerd(&self) -> PathBuf {
        self.of.home.run().join("containerd")
    }

    /// Returns containerd's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.containerd().join("containerd.sock")
    }

    /// Starts containerd and waits until it answers; it doesn't need the control plane.
    pub(crate) async fn start_containerd(&self, processes: &mut Processes) -> Result<()> {
        let programs = self.of.programs;
        let folder = self.of.home.make("containerd")?;
        self.write_pod_network()?;
        let config = folder.join("config.toml");
        fs::write(&config, self.containerd_config()?)?;
        let mut command = network::inside(programs.path("containerd")?);
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .arg("--config")
            .arg(&config)
            // containerd looks for the shim on PATH; an ordinary user's PATH may lack the folder of
            // iptables and nft.
            .env(
                "PATH",
                format!("{}:{path}:/usr/sbin:/sbin", programs.folder("containerd-shim-runc-v2")?.display()),
            );
        processes.start("containerd", command)?;
        let socket = self.socket();
        let ctr = programs.path("ctr")?;
        processes
            .wait("containerd is ready", Duration::from_secs(20), async || {
                let answer = tokio::process::Command::new(ctr)
                    .arg("--address")
                    .arg(&socket)
                    .arg("version")
                    .output()
                    .await?;
                if answer.status.success() {
                    Ok(())
                } else {
                    bail!("{}", String::from_utf8_lossy(&answer.stderr))
                }
            })
            .await
    }

    fn containerd_config(&self) -> Result<String> {
        let folder = self.containerd();
        let runc = on_path("runc").context("runc is not installed")?;
        Ok(format!(
            r#"version = 3
root = "{folder}/root"
state = "{folder}/state"

[grpc]
address = "{socket}"

[plugins."io.containerd.nri.v1.nri"]
disable = true

[plugins."io.containerd.internal.v1.opt"]
path = "{folder}/opt"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "{snapshotter}"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{pause}"

[plugins."io.containerd.cri.v1.runtime"]
# Not every machine's root may lower a process's score.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{cni}"]
conf_dir = "{folder}/cni"

[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "{runc}"
Root = "{folder}/runc"
SystemdCgroup = false
"#,
            folder = folder.display(),
            socket = self.socket().display(),
            snapshotter = snapshotter(&folder)?,
            pause = sample::PAUSE_IMAGE,
            cni = self.of.programs.folder("ptp")?.display(),
            runc = runc.display(),
        ))
    }

    /// Configures a pair of interfaces for each pod, with one range of addresses and without
    /// translation, so that pods are reached by their own addresses. No bridge connects the pods:
    /// every packet between two of them is routed, and passes the filter that enforces
    /// network policies.
    fn write_pod_network(&self) -> Result<()> {
        let folder = self.of.home.make("containerd/cni")?;
        let network = json!({
            "cniVersion": "1.0.0",
            "name": network::NAME,
            "plugins": [
                {
                    "type": "ptp",
                    "ipMasq": false,
                    "ipam": {
                        "type": "host-local",
                        "dataDir": self.of.home.run().join("addresses"),
                        "ranges": [[{"subnet": network::POD_NETWORK}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                },
                {"type": "portmap", "backend": "nftables", "capabilities": {"portMappings": true}},
            ],
        });
        fs::write(folder.join("10-playground.conflist"), network.to_string())?;
        Ok(())
    }

    /// Starts kubelet and kube-proxy; the API server must be ready.
    pub(crate) fn start_kubelet(&self, processes: &mut Processes) -> Result<()> {
        let of = self.of;
        let root = of.home.make("kubelet")?;
        let serving = of.authority.server("kubelet-serving", &[network::NODE_ADDRESS, NAME])?;
        let user = format!("system:node:{NAME}");
        let kubeconfig = of.kubeconfig("kubelet", &user, Some("system:nodes"))?;
        let config = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": network::NODE_ADDRESS,
            "authentication": {
                "anonymous": {"enabled": false},
                "x509": {"clientCAFile": of.authority.certificate_file()},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": serving.certificate,
            "tlsPrivateKeyFile": serving.key,
            "containerRuntimeEndpoint": format!("unix://{}", self.socket().display()),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": format!("/{}", cgroups::ROOT),
            "failCgroupV1": false,
            "failSwapOn": false,
            "clusterDNS": [DNS_SERVICE],
            "clusterDomain": "cluster.local",
            // Pods don't use the machine's own resolver, which they couldn't reach.
            "resolvConf": "",
            "podLogsDir": of.home.logs().join("pods"),
            "volumePluginDir": root.join("volume-plugins"),
            "maxPods": 200,
            "serializeImagePulls": false,
            // With a full disk kubelet must neither delete images, which can't be pulled again, nor
            // evict pods under test.
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {
                "imagefs.available": "0%", "imagefs.inodesFree": "0%", "nodefs.available": "0%",
                "nodefs.inodesFree": "0%", "memory.available": "0%", "pid.available": "0%",
            },
        });
        let file = root.join("config.json");
        fs::write(&file, config.to_string())?;
        let mut kubelet = network::inside(of.programs.path("kubelet")?);
        kubelet
            .arg(format!("--config={}", file.display()))
            .arg(format!("--kubeconfig={}", kubeconfig.display()))
            .arg(format!("--root-dir={}", root.display()))
            .arg(format!("--hostname-override={NAME}"))
            .arg(format!("--node-ip={}", network::NODE_ADDRESS));
        processes.start("kubelet", kubelet)?;
        self.start_proxy(processes)
    }

    fn start_proxy(&self, processes: &mut Processes) -> Result<()> {
        let of = self.of;
        let kubeconfig = of.kubeconfig("kube-proxy", "system:kube-proxy", None)?;
        let config = json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": kubeconfig, "qps": 100.0, "burst": 200},
            "hostnameOverride": NAME,
            "bindAddress": network::NODE_ADDRESS,
            "mode": "nftables",
            "clusterCIDR": network::CLUSTER_NETWORK,
            "nftables": {"minSyncPeriod": "100ms"},
            // kube-proxy must not change the machine's own limits.
            "conntrack": {"maxPerCore": 0, "min": 0},
        });
        let file = of.home.make("kube-proxy")?.join("config.json");
        fs::write(&file, config.to_string())?;
        let mut proxy = network::inside(of.programs.path("kube-proxy")?);
        let path = std::env::var("PATH").unwrap_or_default();
        proxy.arg(format!("--config={}", file.display())).env("PATH", format!("{path}:/usr/sbin:/sbin"));
        processes.start("kube-proxy", proxy)
    }
}
