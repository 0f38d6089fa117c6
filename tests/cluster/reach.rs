//! Connections that pods can open. The sample application tries them on request.

use anyhow::{Context as _, Result, bail, ensure};
use kube::api::{DynamicObject, ListParams};
use playground::stage::Stage;
use serde_json::json;

use crate::support::SOON;

/// Starts a pod of the sample application in a namespace without any NetworkPolicy. It is the
/// control of a test: it shows that an address that a preview doesn't reach can be reached. Returns
/// the pod's URL.
pub async fn unconfined_pod(stage: &Stage, namespace: &str, variables: &[(&str, &str)]) -> Result<String> {
    stage.namespace(namespace).await?;
    // The API server rejects all pods until the namespace's default account exists, which takes a
    // moment.
    let accounts = stage.objects("v1", "ServiceAccount", Some(namespace));
    stage
        .wait_for("the namespace has its account", SOON, async || Ok(accounts.get("default").await?))
        .await?;
    let variables: Vec<_> =
        variables.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "unconfined"},
        "spec": {"containers": [{
            "name": "web",
            "image": playground::SAMPLE_IMAGE,
            "env": variables,
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
        }]},
    });
    stage.apply_object_within(namespace, pod).await?;
    Ok(format!("http://{}", pod_address(stage, namespace).await?))
}

/// Waits until a namespace's only pod is ready. Returns the address of the sample application in
/// it.
pub async fn pod_address(stage: &Stage, namespace: &str) -> Result<String> {
    let pods = stage.objects("v1", "Pod", Some(namespace));
    stage
        .wait_for(&format!("the pod of {namespace} is ready"), SOON, async || {
            let found = pods.list(&ListParams::default()).await?.items;
            let [pod] = found.as_slice() else { bail!("{} pods", found.len()) };
            ensure!(is_ready(pod), "{}", pod.data["status"]);
            let address = pod.data["status"]["podIP"].as_str().context("the pod has no address")?;
            Ok(format!("{address}:8080"))
        })
        .await
}

fn is_ready(pod: &DynamicObject) -> bool {
    let conditions = pod.data["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|found| found["type"] == "Ready" && found["status"] == "True")
}

/// Waits until the sample application at the URL `from` can connect to `to` (`host:port`). A new
/// pod may have to wait a moment for its network.
pub async fn reaches(stage: &Stage, from: &str, to: &str) -> Result<()> {
    stage
        .wait_for(&format!("{from} reaches {to}"), SOON, async || {
            let answer = stage.fetch(&format!("{from}/connect?to={to}")).await?;
            ensure!(answer.status == 200 && answer.body.starts_with("connected to "), "{answer:?}");
            Ok(())
        })
        .await
}

/// Waits until the sample application at the URL `from` can't connect to `to` (`host:port`), and
/// fails when anything but the network prevents it, such as a name that doesn't resolve. A network
/// plugin may apply the policies of a new namespace a moment after its pods are ready.
pub async fn does_not_reach(stage: &Stage, from: &str, to: &str) -> Result<()> {
    stage
        .wait_for(&format!("{from} doesn't reach {to}"), SOON, async || {
            let answer = stage.fetch(&format!("{from}/connect?to={to}")).await?;
            let body = answer.body.to_ascii_lowercase();
            let prevented = body.contains("connection refused") || body.contains("timed out");
            ensure!(answer.status == 502 && prevented, "{answer:?}");
            Ok(())
        })
        .await
}
