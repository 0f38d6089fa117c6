//! A node that only says it runs pods, for machines where a real one can't be.

use std::process::Command;

use anyhow::Result;
use serde_json::json;

use crate::control_plane::ControlPlane;
use crate::node::NAME;
use crate::processes::Processes;

/// Addresses for pods that don't exist: from a range set aside for documentation (RFC 5737), so nobody has them.
const POD_NETWORK: &str = "198.51.100.0/24";

/// Starts kwok, which plays every node there is; the API server must be ready.
pub(crate) fn start(of: &ControlPlane<'_>, processes: &mut Processes) -> Result<()> {
    let kubeconfig = of.kubeconfig("kwok", "kwok", Some("system:masters"))?;
    let mut kwok = Command::new(of.programs.path("kwok")?);
    kwok.arg(format!("--kubeconfig={}", kubeconfig.display()))
        .arg("--manage-all-nodes=true")
        .arg(format!("--cidr={POD_NETWORK}"))
        .arg("--node-ip=198.51.100.1")
        .arg("--server-address=127.0.0.1:0")
        .arg("--node-lease-duration-seconds=40")
        // It looks for a configuration in the home directory otherwise.
        .env("KWOK_WORKDIR", of.home.make("kwok")?);
    for stage in of.programs.stages()? {
        kwok.arg("--config").arg(stage);
    }
    processes.start("kwok", kwok)
}

/// The node it plays, as an object to apply.
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
