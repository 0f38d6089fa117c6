//! DNS for services: CoreDNS as a program in the node's network, behind the service `kube-dns` that
//! pods query.

use std::fs;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::control_plane::ControlPlane;
use crate::network;
use crate::processes::Processes;

/// The service, its one endpoint, and CoreDNS's rights.
pub(crate) const MANIFEST: &str = include_str!("../manifests/dns.yaml");

const READY_PORT: u16 = 8181;

/// Starts CoreDNS; the API server must be ready. CoreDNS knows only the cluster's names and
/// forwards no query.
pub(crate) fn start(of: &ControlPlane<'_>, processes: &mut Processes) -> Result<()> {
    let kubeconfig = of.kubeconfig("coredns", "playground:dns", None)?;
    let corefile = of.home.make("coredns")?.join("Corefile");
    let address = network::NODE_ADDRESS;
    fs::write(
        &corefile,
        format!(
            ". {{\n  bind {address}\n  errors\n  ready {address}:{READY_PORT}\n  \
             kubernetes cluster.local in-addr.arpa ip6.arpa {{\n    kubeconfig {} playground\n    \
             pods insecure\n    ttl 5\n  }}\n}}\n",
            kubeconfig.display()
        ),
    )?;
    let mut coredns = network::inside(of.programs.path("coredns")?);
    coredns.arg("-conf").arg(&corefile);
    processes.start("coredns", coredns)
}

/// Waits until CoreDNS has read the cluster's services.
pub(crate) async fn wait(processes: &mut Processes) -> Result<()> {
    processes
        .wait("CoreDNS is ready", Duration::from_secs(30), async || {
            let mut connection = TcpStream::connect((network::NODE_ADDRESS, READY_PORT)).await?;
            connection.write_all(b"GET /ready HTTP/1.0\r\n\r\n").await?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await?;
            if answer.starts_with("HTTP/1.0 200") { Ok(()) } else { bail!("{answer}") }
        })
        .await
}
