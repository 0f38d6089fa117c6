//! The gateway through which previews are reached: Traefik as a program of this machine, listening
//! on loopback.
//!
//! Browsers and curl resolve names that end in `.localhost` to loopback (RFC 6761), so the URL of a
//! preview, `http://<anything>.preview.localhost:<port>`, works as it is.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use kube::Client;
use tokio::net::TcpStream;

use crate::control_plane::ControlPlane;
use crate::objects::{Kind, apply, has_condition};
use crate::processes::Processes;

const MANIFEST: &str = include_str!("../manifests/gateway.yaml");
/// The namespace of the shared Gateway.
const NAMESPACE: &str = "gateway-system";
/// The name of the shared Gateway.
const NAME: &str = "previews";
/// The preferred port, so that URLs stay the same from run to run.
const USUAL_PORT: u16 = 8088;

/// Returns a free port: the wanted one, else the usual one, else any.
///
/// # Errors
/// When the wanted port is in use.
pub(crate) fn free_port(wanted: Option<u16>) -> Result<u16> {
    let listen = |port| TcpListener::bind(("127.0.0.1", port)).and_then(|listener| listener.local_addr());
    let address = match wanted {
        Some(port) => listen(port).with_context(|| format!("port {port} for the gateway"))?,
        None => listen(USUAL_PORT).or_else(|_| listen(0)).context("no free port for the gateway")?,
    };
    Ok(address.port())
}

/// Installs the Gateway API's definitions, starts Traefik and creates the shared Gateway; the API
/// server must be ready.
pub(crate) async fn start(
    of: &ControlPlane<'_>,
    client: &Client,
    port: u16,
    processes: &mut Processes,
) -> Result<()> {
    let mut definitions: Vec<_> = fs::read_dir(of.programs.gateway_api())?.collect::<Result<_, _>>()?;
    definitions.sort_by_key(fs::DirEntry::file_name);
    for definition in definitions {
        let text = fs::read_to_string(definition.path())?;
        apply(client, &text).await.with_context(|| format!("{}", definition.path().display()))?;
    }
    processes
        .wait("the Gateway API is served", Duration::from_secs(20), async || {
            let kind = Kind {
                version: "apiextensions.k8s.io/v1",
                name: "CustomResourceDefinition",
                namespace: None,
            };
            for plural in ["gatewayclasses", "gateways", "httproutes", "grpcroutes", "referencegrants"] {
                has_condition(client, &kind, &format!("{plural}.gateway.networking.k8s.io"), "Established")
                    .await?;
            }
            Ok(())
        })
        .await?;
    // Traefik reads objects at its start and then only on changes, so its rights and its Gateway
    // are created first.
    let manifest = MANIFEST.replace("GATEWAY_PORT", &port.to_string());
    processes
        .wait("the Gateway is accepted", Duration::from_secs(20), async || apply(client, &manifest).await)
        .await?;
    start_traefik(of, port, processes)
}

fn start_traefik(of: &ControlPlane<'_>, port: u16, processes: &mut Processes) -> Result<()> {
    let kubeconfig = of.kubeconfig("traefik", "playground:gateway", None)?;
    let mut traefik = Command::new(of.programs.path("traefik")?);
    traefik
        .env("KUBECONFIG", kubeconfig)
        // Traefik must not contact the network; the first of these flags stops its search for new
        // versions.
        .args(["--global.checknewversion=false", "--global.sendanonymoususage=false"])
        .arg(format!("--entrypoints.web.address=127.0.0.1:{port}"))
        .arg("--providers.kubernetesgateway=true")
        .arg("--providers.kubernetesgateway.statusaddress.ip=127.0.0.1")
        // Traefik also serves Ingresses of the IngressClass `traefik`, for classes that route with
        // them.
        .arg("--providers.kubernetesingress=true")
        .arg("--providers.kubernetesingress.ingressendpoint.ip=127.0.0.1")
        // Traefik applies a changed route within a tenth of a second instead of two seconds.
        .arg("--providers.providersthrottleduration=100ms")
        .arg("--log.level=INFO");
    if of.addresses.inside {
        traefik.env_remove("HTTP_PROXY").env_remove("http_proxy");
    } else {
        // Simulated pods have addresses that don't exist: a proxy that refuses connections keeps
        // requests to them on this machine.
        traefik.env("HTTP_PROXY", "http://127.0.0.1:1").env_remove("NO_PROXY").env_remove("no_proxy");
    }
    processes.start("traefik", traefik)
}

/// Waits until the Gateway is served.
pub(crate) async fn wait(client: &Client, port: u16, processes: &mut Processes) -> Result<()> {
    processes
        .wait("the gateway is ready", Duration::from_secs(30), async || {
            let kind =
                Kind { version: "gateway.networking.k8s.io/v1", name: "Gateway", namespace: Some(NAMESPACE) };
            has_condition(client, &kind, NAME, "Programmed").await?;
            if TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                bail!("nobody listens on port {port}");
            }
            Ok(())
        })
        .await
}
