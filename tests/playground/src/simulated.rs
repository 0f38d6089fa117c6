//! A simulated node on which pods only seem to run, for machines that can't have a real one.

use std::process::Command;

use anyhow::Result;
use serde_json::json;

use crate::control_plane::ControlPlane;
use crate::node::NAME;
use crate::processes::Processes;

/// Addresses of simulated pods, from a documentation range (RFC 5737), so that they exist nowhere.
const POD_NETWORK: &str = "198.51.100.0/24";

/// Starts kwok, which simulates all nodes; the API server must be ready.
pub(crate) fn start(of: &ControlPlane<'_>, processes: &mut Processes) -> Result<()> {
    let kubeconfig = of.kubeconfig("kwok", "kwok", Some("system:masters"))?;
    let mut kwok = Command::new(of.programs.path("kwok")?);
    kwok.arg(format!("--kubeconfig={}", kubeconfig.display()))
        .arg("--manage-all-nodes=true")
        .arg(format!("--cidr={POD_NETWORK}"))
        .arg("--node-ip=198.51.100.1")
        .arg("--server-address=127.0.0.1:0")
        .arg("--node-lease-duration-seconds=40")
        // Otherwise kwok looks for a configuration in the home directory.
        .env("KWOK_WORKDIR", of.home.make("kwok")?);
    for stage in of.programs.stages()? {
        kwok.arg("--config").arg(stage);
    }
    processes.start("kwok", kwok)
}

/// Returns the simulated node, as an object to apply.
pub(crate) fn node() -> serde_json::Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": NAME,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {"kubernetes.io/hostname": NAME, "kubernetes.io/os": "linux", "type": "kwok"},
        },
        "status": {
            "allocatable": {"cpu": "32", "memory": "256Gi", "pods": "2000"},
            "capacity": {"cpu": "32", "memory": "256Gi", "pods": "2000"},
        },
    })
}
