//! Waiting is no failure: for a node, for a Secret, for a gateway without a controller. The
//! environment recovers as soon as the missing object exists.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::ResourceExt as _;
use kube::api::{ListParams, Patch, PatchParams};
use playground::stage::{NewProject, Project, Stage, condition, conditions};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::harness::tests;
use crate::health::{container, template};
use crate::support::{
    Pull, SOON, condition_is, environment, gone, name_of, namespace_of, open, refused, shows, states, url_of,
};

tests![
    a_pod_that_waits_for_a_node_is_no_failure(node),
    a_secret_that_comes_later_is_no_failure(node),
    a_fix_of_a_stateful_set_is_rolled_out(node),
    a_gateway_that_says_nothing_leaves_it_to_the_url,
    a_gateway_that_never_writes_the_generation_leaves_it_to_the_url,
    a_certificate_that_nobody_trusts_is_an_answer(node),
];

/// Waits until an environment's condition contains these words and is neither `True` nor a failure.
async fn waits_for(
    stage: &Stage,
    project: &Project,
    pull: &Pull,
    kind: &str,
    reason: &str,
    words: &[&str],
) -> Result<()> {
    stage
        .wait_for(&format!("{kind} is Unknown because of {reason}"), SOON, async || {
            let found = environment(stage, project, pull.number).await?;
            let waiting = condition(&found, kind).context("no condition")?;
            let told = words.iter().all(|word| waiting.message.contains(word));
            let all = waiting.status == "Unknown" && waiting.reason == reason && told;
            ensure!(all, "{}", conditions(&found));
            Ok(())
        })
        .await
}

/// Waits until GitHub shows a deployment in progress with these words.
async fn reported(stage: &Stage, project: &Project, pull: &Pull, words: &[&str]) -> Result<()> {
    stage
        .wait_for(&format!("GitHub shows {words:?} while it is in progress"), SOON, async || {
            let deployment = stage.deployed(project, &pull.sha, "in_progress", SOON).await?;
            let told =
                deployment.statuses.last().map(|status| status.description.clone()).unwrap_or_default();
            ensure!(words.iter().all(|word| told.contains(word)), "it shows \"{told}\"");
            Ok(())
        })
        .await
}

/// Waits for the success, and checks that GitHub received no failure before it.
async fn succeeds(stage: &Stage, project: &Project, pull: &Pull) -> Result<String> {
    let deployment = stage.deployed(project, &pull.sha, "success", SOON).await?;
    let told = states(&deployment);
    ensure!(!told.contains(&"failure") && !told.contains(&"error"), "waiting is no failure: {told:?}");
    Ok(url_of(&deployment)?.to_owned())
}

async fn a_pod_that_waits_for_a_node_is_no_failure(stage: &Stage) -> Result<()> {
    let new = NewProject::new("waits-node");
    let yaml = template(&new, |deployment| {
        deployment["template"]["spec"]["nodeSelector"] = json!({"matinee-test/pool": "late"});
    })?;
    let project = stage.project(new.template(&yaml)).await?;
    let pull = open(stage, &project, "feature").await?;
    waits_for(stage, &project, &pull, "Healthy", "Unschedulable", &["node"]).await?;
    reported(stage, &project, &pull, &["no node fits the pod"]).await?;
    // The test adds a node, as an autoscaler would.
    let nodes = stage.objects("v1", "Node", None);
    let node = nodes.list(&ListParams::default()).await?.items.first().context("no node")?.name_any();
    let label = |value: Value| json!({"metadata": {"labels": {"matinee-test/pool": value}}});
    nodes.patch(&node, &PatchParams::default(), &Patch::Merge(&label("late".into()))).await?;
    let url = succeeds(stage, &project, &pull).await?;
    shows(stage, &url, &pull.sha[..7]).await?;
    nodes.patch(&node, &PatchParams::default(), &Patch::Merge(&label(Value::Null))).await?;
    Ok(())
}

async fn a_secret_that_comes_later_is_no_failure(stage: &Stage) -> Result<()> {
    let new = NewProject::new("waits-secret");
    let yaml = template(&new, |deployment| {
        container(deployment)["envFrom"] = json!([{"secretRef": {"name": "db"}}]);
    })?;
    let project = stage.project(new.template(&yaml)).await?;
    let pull = open(stage, &project, "feature").await?;
    waits_for(stage, &project, &pull, "Healthy", "CreateContainerConfigError", &["waiting for Secret/db"])
        .await?;
    // GitHub shows it for as long as it lasts, longer than a Secret may just be late.
    reported(stage, &project, &pull, &["Secret not found (db)"]).await?;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"DB": "x"}});
    stage.apply_object_within(&namespace_of(&project, pull.number), secret).await?;
    let url = succeeds(stage, &project, &pull).await?;
    shows(stage, &url, &pull.sha[..7]).await
}

async fn a_fix_of_a_stateful_set_is_rolled_out(stage: &Stage) -> Result<()> {
    let name = "waits-set";
    let stateful_set = |new: NewProject| -> Result<Value> {
        let mut template = new.template_object()?;
        let set = &mut template["spec"]["resources"][0];
        set["kind"] = "StatefulSet".into();
        set["spec"]["serviceName"] = "web".into();
        Ok(template)
    };
    let broken = stateful_set(NewProject::new(name).variable("CRASH_AFTER", "0"))?;
    let project = stage.project(NewProject::new(name).template(&broken.to_string())).await?;
    let pull = open(stage, &project, "feature").await?;
    stage.deployed(&project, &pull.sha, "failure", SOON).await?;
    let environments = stage.environments(&project.namespace);
    let environment_name = name_of(&project, pull.number);
    refused(stage, &environments, &environment_name, "Healthy", "CrashLoopBackOff").await?;

    let fixed = stateful_set(NewProject::new(name))?;
    stage.apply_object_within(&project.namespace, fixed).await?;
    let sha = stage.github().push(&project.repository, "feature").await?;
    let deployment = stage.deployed(&project, &sha, "success", SOON).await?;
    shows(stage, url_of(&deployment)?, &sha[..7]).await?;
    condition_is(stage, &environments, &environment_name, "Ready", "True").await?;
    let events = stage.objects("events.k8s.io/v1", "Event", Some(&project.namespace));
    let events = events.list(&ListParams::default()).await?.items;
    let deletions: Vec<_> = events.iter().filter(|event| event.data["reason"] == "PodDeleted").collect();
    let notes: Vec<_> = deletions.iter().map(|event| event.data["note"].to_string()).collect();
    ensure!(notes.len() == 1 && notes[0].contains("Pod/web-0"), "{notes:?}");
    stage.github().close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await
}

/// A server in a gateway's place that answers every request with a status that the test can change.
struct Server {
    port: u16,
    status: Arc<AtomicU16>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(status: u16, tls: Option<Arc<rustls::ServerConfig>>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let status = Arc::new(AtomicU16::new(status));
        let shown = Arc::clone(&status);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let status = shown.load(Ordering::Relaxed);
                let tls = tls.clone().map(tokio_rustls::TlsAcceptor::from);
                tokio::spawn(async move {
                    match tls {
                        None => answer(stream, status).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                answer(stream, status).await;
                            }
                        }
                    }
                });
            }
        });
        Ok(Self { port, status, task })
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, status: u16) {
    let mut head = vec![0; 4096];
    let Ok(_) = stream.read(&mut head).await else { return };
    let answer = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    // The client may have closed the connection.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Creates a class that routes through a Gateway without a controller, and lets the operator find
/// the server behind its URLs.
async fn unserved(stage: &Stage, name: &str, server: &Server) -> Result<()> {
    let gateway = json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": name, "namespace": "gateway-system"},
        "spec": {"gatewayClassName": "served-by-nobody", "listeners": [
            {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}},
        ]},
    });
    stage.apply(&gateway.to_string()).await?;
    stage
        .class_like(name, |class| {
            class["routing"]["gateway"]["name"] = name.into();
            class["routing"]["probeAddress"] = server.address().into();
        })
        .await
}

async fn a_gateway_that_says_nothing_leaves_it_to_the_url(stage: &Stage) -> Result<()> {
    let name = "waits-silent";
    let server = Server::start(404, None).await?;
    unserved(stage, name, &server).await?;
    let project = stage.project(NewProject::new(name).class(name)).await?;
    let pull = open(stage, &project, "feature").await?;
    // A 404 may always be the gateway's own answer, however long it lasts.
    let words = ["answered 404", "Gateway gateway-system/waits-silent reports nothing"];
    waits_for(stage, &project, &pull, "Reachable", "NotAnswering", &words).await?;
    tokio::time::sleep(Duration::from_secs(7)).await;
    waits_for(stage, &project, &pull, "Reachable", "NotAnswering", &words).await?;
    server.status.store(200, Ordering::Relaxed);
    succeeds(stage, &project, &pull).await.map(drop)
}

async fn a_gateway_that_never_writes_the_generation_leaves_it_to_the_url(stage: &Stage) -> Result<()> {
    let name = "waits-generation";
    let server = Server::start(200, None).await?;
    unserved(stage, name, &server).await?;
    let project = stage.project(NewProject::new(name).class(name)).await?;
    let pull = open(stage, &project, "feature").await?;
    let namespace = namespace_of(&project, pull.number);
    let routes = stage.objects("gateway.networking.k8s.io/v1", "HTTPRoute", Some(&namespace));
    let route = stage
        .wait_for("there is a route", SOON, async || {
            let found = routes.list(&ListParams::default()).await?.items;
            found.first().map(kube::ResourceExt::name_any).context("there is none")
        })
        .await?;
    let condition = |kind: &str| {
        json!({"type": kind, "status": "True", "reason": "Fine", "message": "", "observedGeneration": 0,
            "lastTransitionTime": "2026-01-02T03:04:05Z"})
    };
    let parent = json!({
        "controllerName": "example.com/gateway",
        "parentRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name, "namespace": "gateway-system"},
        "conditions": [condition("Accepted"), condition("ResolvedRefs")],
    });
    let status = json!({"status": {"parents": [parent]}});
    routes.patch_status(&route, &PatchParams::default(), &Patch::Merge(&status)).await?;
    succeeds(stage, &project, &pull).await.map(drop)
}

async fn a_certificate_that_nobody_trusts_is_an_answer(stage: &Stage) -> Result<()> {
    let name = "waits-certificate";
    let key = rcgen::KeyPair::generate()?;
    let certificate =
        rcgen::CertificateParams::new(vec!["elsewhere.example".to_owned()])?.self_signed(&key)?;
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    let server = Server::start(200, Some(Arc::new(tls))).await?;
    stage
        .class_like(name, |class| {
            class["routing"]["scheme"] = "Https".into();
            class["routing"]["probeAddress"] = server.address().into();
        })
        .await?;
    let project = stage.project(NewProject::new(name).class(name)).await?;
    let pull = open(stage, &project, "feature").await?;
    let url = succeeds(stage, &project, &pull).await?;
    ensure!(url.starts_with("https://"), "{url}");
    Ok(())
}
