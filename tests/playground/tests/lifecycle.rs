//! A cluster from start to end, and a start after a killed run.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

use std::future::Future;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{DeleteParams, ListParams, LogParams};
use kube::{Api, Client};
use playground::{Mode, Playground, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// Lock that each test holds from its start to its end. The playground's own lock isn't enough: it
/// is free between the death of a killed run and the next start, and a search for traces of another
/// run would find those of the killed one in that time.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Polls until `check` succeeds. Panics with its last error after a timeout.
async fn eventually<F, T>(what: &str, seconds: u64, mut check: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        match check().await {
            Ok(found) => return found,
            Err(reason) => assert!(Instant::now() < deadline, "{what}: not in {seconds} s: {reason}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Requests a URL from the gateway as curl would, with its host name on loopback.
async fn get(port: u16, host: &str, path: &str) -> Result<String, String> {
    let exchange = async {
        let mut connection = TcpStream::connect(("127.0.0.1", port)).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(10), exchange).await.map_err(|_| "no answer")?;
    let answer = answer.map_err(|e| e.to_string())?;
    if answer.starts_with("HTTP/1.1 200") { Ok(answer) } else { Err(answer) }
}

async fn available(client: &Client, name: &str) {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "lifecycle");
    eventually(&format!("{name} is available"), 60, async || {
        let status = deployments.get(name).await.map_err(|e| e.to_string())?.status.unwrap_or_default();
        if status.available_replicas == Some(1) { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
}

/// Deletes the namespace and waits until it no longer exists, for which the controllers have to
/// work.
async fn delete_namespace(client: &Client) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.delete("lifecycle", &DeleteParams::default()).await.unwrap();
    eventually("the namespace is deleted", 90, async || match namespaces.get_opt("lifecycle").await {
        Ok(None) => Ok(()),
        other => Err(format!("{:?}", other.map(|namespace| namespace.and_then(|n| n.status)))),
    })
    .await;
}

/// Returns the traces of a playground on this machine, found without its help. Another playground
/// may start as soon as the test's own has stopped, so the search holds the lock while none runs.
fn traces() -> Vec<String> {
    let claim = std::fs::File::open("/var/lib/matinee-playground/lock");
    if let Ok(claim) = &claim {
        claim.lock().unwrap();
    }
    let mut found = Vec::new();
    let mut look = |what: &str, text: &str| {
        found.extend(
            text.lines()
                .filter(|line| line.contains("matinee-playground") || line.contains("matinee-host"))
                .map(|line| format!("{what}: {line}")),
        );
    };
    look("mount", &std::fs::read_to_string("/proc/self/mountinfo").unwrap());
    for (program, arguments) in [
        ("ip", vec!["netns"]),
        ("ip", vec!["-o", "link"]),
        ("ip", vec!["route"]),
        ("find", vec!["/sys/fs/cgroup", "/var/lib/matinee-playground/run", "-maxdepth", "2"]),
        ("find", vec!["/var/log/containers", "/var/lib/cni", "-ls"]),
        ("ps", vec!["-eww", "-o", "args"]),
    ] {
        // Some machines lack one of these programs; then there can't be traces of its kind.
        if let Ok(output) = Command::new(program).args(&arguments).output() {
            look(program, &String::from_utf8_lossy(&output.stdout));
        }
    }
    // The search for traces names some of them itself.
    found.retain(|line| !line.starts_with("ps: find ") && !line.starts_with("ps: ps "));
    found
}

/// Starts a playground in another process, runs pods in it, and kills that process without warning.
async fn start_and_kill() {
    let mut starter = Command::new(env!("CARGO_BIN_EXE_playground")).stdout(Stdio::piped()).spawn().unwrap();
    let mut kubeconfig = None;
    for line in BufReader::new(starter.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        eprintln!("(to be killed) {line}");
        if let Some(path) = line.strip_prefix("export KUBECONFIG=") {
            kubeconfig = Some(path.to_owned());
        }
        if line.starts_with("logs are in ") {
            break;
        }
    }
    let client = playground::client(Path::new(&kubeconfig.expect("it ended early"))).await.unwrap();
    playground::apply(&client, include_str!("preview.yaml")).await.unwrap();
    available(&client, "front").await;
    starter.kill().unwrap();
    starter.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_lives_in_a_playground_that_follows_a_killed_one_and_leaves_nothing() {
    let _alone = ALONE.lock().await;
    start_and_kill().await;
    let playground = Playground::start(Settings::default(), |line| eprintln!("{line}")).await.unwrap();
    let client = playground.client().await.unwrap();
    playground.sample_image().await.unwrap();
    playground::apply(&client, include_str!("preview.yaml")).await.unwrap();
    available(&client, "front").await;
    available(&client, "back").await;

    let nobody = playground.service_account_kubeconfig("lifecycle", "nobody").await.unwrap();
    let pods: Api<Pod> = Api::namespaced(playground::client(&nobody).await.unwrap(), "lifecycle");
    let refusal = pods.list(&ListParams::default()).await.unwrap_err().to_string();
    assert!(refusal.contains("system:serviceaccount:lifecycle:nobody"), "{refusal}");

    if playground.mode() == Mode::Node {
        let port = playground.gateway_port();
        let answer =
            eventually("the URL answers", 60, async || get(port, "x.preview.localhost", "/").await).await;
        assert!(answer.ends_with("revision: first\n"), "{answer}");
        // The first component finds the second by its name, through a service, from a pod on the same node.
        let answer =
            eventually("names resolve", 60, async || get(port, "x.preview.localhost", "/upstream").await)
                .await;
        assert!(answer.ends_with("revision: behind\n"), "{answer}");
        let other = get(port, "y.preview.localhost", "/").await.unwrap_err();
        assert!(other.starts_with("HTTP/1.1 404"), "{other}");
        logs_can_be_read(&client).await;
        an_image_that_is_not_there_is_told_of(&client).await;
    } else {
        eprintln!("no real node here ({:?}): no URL was asked for", playground.simulated_reason());
    }
    delete_namespace(&client).await;
    for (part, duration) in playground.timings() {
        eprintln!("{:>8.2} s  {part}", duration.as_secs_f64());
    }
    let logs = playground.directory();
    let began = Instant::now();
    playground.stop().await.unwrap();
    eprintln!("{:>8.2} s  stop", began.elapsed().as_secs_f64());
    assert_eq!(traces(), Vec::<String>::new());
    assert!(logs.join("kube-apiserver.log").is_file(), "the logs stay");
}

/// Checks that the API server gets a container's output from kubelet.
async fn logs_can_be_read(client: &Client) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), "lifecycle");
    let front = pods.list(&ListParams::default().labels("app=front")).await.unwrap().items.remove(0);
    let log = pods.logs(&front.metadata.name.unwrap(), &LogParams::default()).await.unwrap();
    assert_eq!(log, "sample: revision first listens on port 8080\n");
}

async fn an_image_that_is_not_there_is_told_of(client: &Client) {
    playground::apply(client, include_str!("missing.yaml")).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(client.clone(), "lifecycle");
    eventually("a missing image is reported", 60, async || {
        let pod = pods.get("missing").await.map_err(|e| e.to_string())?;
        let status = pod.status.unwrap_or_default();
        let containers = status.container_statuses.unwrap_or_default();
        let waiting = containers.first().and_then(|container| container.state.as_ref()?.waiting.clone());
        match waiting.as_ref().and_then(|waiting| waiting.reason.as_deref()) {
            Some("ErrImagePull" | "ImagePullBackOff") => Ok(()),
            _ => Err(format!("{waiting:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulated_node_needs_nothing_of_the_machine() {
    let _alone = ALONE.lock().await;
    let settings = Settings { mode: Mode::Simulated, ..Settings::default() };
    let playground = Playground::start(settings, |line| eprintln!("{line}")).await.unwrap();
    assert_eq!(playground.mode(), Mode::Simulated);
    assert_eq!(playground.simulated_reason(), Some("as asked for"));
    assert!(!Path::new("/var/run/netns/matinee-playground").exists());
    let client = playground.client().await.unwrap();
    playground.sample_image().await.unwrap();
    playground::apply(&client, include_str!("preview.yaml")).await.unwrap();
    available(&client, "front").await;
    // The gateway knows the route and its pod, and fails at once instead of sending the request
    // elsewhere.
    eventually("the gateway refuses", 60, async || {
        match get(playground.gateway_port(), "x.preview.localhost", "/").await {
            Err(answer) if answer.starts_with("HTTP/1.1 502") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    delete_namespace(&client).await;
    for (part, duration) in playground.timings() {
        eprintln!("{:>8.2} s  {part}", duration.as_secs_f64());
    }
    playground.stop().await.unwrap();
    assert_eq!(traces(), Vec::<String>::new());
}
