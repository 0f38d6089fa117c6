//! Enforces network policies, with kube-router's policy controller as a program of the node.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use crate::control_plane::ControlPlane;
use crate::machine::on_path;
use crate::network;
use crate::node;
use crate::processes::Processes;

/// kube-router's rights.
pub(crate) const MANIFEST: &str = include_str!("../manifests/policies.yaml");

/// Filter that drops packets from and to pods that kube-router doesn't know yet.
///
/// kube-router learns a pod's address from its status, which kubelet writes some time after the
/// pod's containers started. Until then kube-router lets all its packets pass. It marks each packet
/// that complies with the policies of the pods that it knows, so a packet without the mark belongs
/// to no known pod. Replies have no mark, because kube-router accepts them earlier. The node's own
/// requests, such as the kubelet's probes, are not forwarded and always pass.
///
/// The machine's requests pass, too, until kube-router knows the pod. They come from the gateway,
/// which may use a pod as soon as it is ready, and TCP would repeat a dropped packet only after a
/// second.
const GATE: &str = r#"
table inet playground-policies {
  chain forward {
    type filter hook forward priority filter + 10; policy accept;
    ct state established,related accept
    iifname "veth*" meta mark & 0x20000 == 0 drop
    iifname != "matinee-node" oifname "veth*" meta mark & 0x20000 == 0 drop
  }
  chain input {
    type filter hook input priority filter + 10; policy accept;
    ct state established,related accept
    iifname "veth*" meta mark & 0x20000 == 0 drop
  }
}
"#;

/// Closes the pods' network: nothing passes before kube-router knows the pod.
pub(crate) fn close() -> Result<()> {
    let nft = on_path("nft").context("nft is not installed")?;
    let mut command = network::inside(nft);
    let mut child = command.args(["-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("nft has no input")?.write_all(GATE.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("nft rejects the filter of pods: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Starts kube-router; the API server must be ready.
pub(crate) fn start(of: &ControlPlane<'_>, processes: &mut Processes) -> Result<()> {
    let kubeconfig = of.kubeconfig("kube-router", "playground:policies", None)?;
    let mut router = network::inside(of.programs.path("kube-router")?);
    router
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .arg(format!("--hostname-override={}", node::NAME))
        .arg(format!("--service-cluster-ip-range={}", network::SERVICE_NETWORK))
        .args(["--run-firewall=true", "--run-router=false", "--run-service-proxy=false"])
        .args(["--health-port=0", "--v=1"])
        .env("PATH", system_path());
    processes.start("kube-router", router)
}

/// Returns `PATH` with the folders of iptables and ipset, which an ordinary user's may lack.
fn system_path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}
