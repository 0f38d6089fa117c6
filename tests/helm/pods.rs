//! The operator's replicas: which leads, and how they come and go.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use kube::api::{DeleteParams, Patch, PatchParams};
use playground::stage::{OperatorPod, RELEASE, SYSTEM, Stage};
use serde_json::Value;

/// Replicas of the release.
pub const REPLICAS: usize = 2;
/// What a hand-over may take at most, whatever befalls the leader: the Lease's 15 seconds, three looks of the other replica two seconds apart, and
/// what a slow machine adds. How long it takes exactly is tested where time is simulated, in `controllers/leader/tests.rs`.
pub const HAND_OVER: Duration = Duration::from_secs(15 + 3 * 2 + 15);
/// How long pods may take to come and go.
pub const ROLLED: Duration = Duration::from_mins(2);

/// Who holds the Lease.
pub async fn leader(stage: &Stage) -> Result<Option<String>> {
    let lease = stage.objects("coordination.k8s.io/v1", "Lease", Some(SYSTEM)).get(RELEASE).await?;
    Ok(lease.data["spec"]["holderIdentity"].as_str().map(str::to_owned))
}

/// The replica that leads, and the others. Waits until all are ready, none is ending, and one of them leads.
pub async fn replicas(stage: &Stage) -> Result<(OperatorPod, Vec<OperatorPod>)> {
    let deadline = Instant::now() + ROLLED;
    loop {
        match at_rest(stage).await {
            Ok(found) => return Ok(found),
            Err(problem) if Instant::now() > deadline => {
                return Err(problem).context(stage.operator().last_words());
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn at_rest(stage: &Stage) -> Result<(OperatorPod, Vec<OperatorPod>)> {
    let pods = stage.operator().pods().await?;
    ensure!(pods.len() == REPLICAS && pods.iter().all(|pod| pod.ready && !pod.ending), "{pods:#?}");
    let holder = leader(stage).await?.context("nobody leads")?;
    let (mut leading, others): (Vec<_>, Vec<_>) = pods.into_iter().partition(|pod| pod.name == holder);
    match leading.pop() {
        Some(leader) => Ok((leader, others)),
        None => bail!("{holder} leads, which is none of {others:#?}"),
    }
}

/// Deletes a pod: with its grace period, or without a word.
pub async fn delete(stage: &Stage, pod: &OperatorPod, gracefully: bool) -> Result<()> {
    let parameters =
        if gracefully { DeleteParams::default() } else { DeleteParams::default().grace_period(0) };
    stage.objects("v1", "Pod", Some(SYSTEM)).delete(&pod.name, &parameters).await?;
    Ok(())
}

/// Waits until another one leads; how long that took.
pub async fn handed_over(stage: &Stage, from: &OperatorPod) -> Result<Duration> {
    let began = Instant::now();
    loop {
        let holder = leader(stage).await?;
        if holder.is_some_and(|holder| holder != from.name) {
            return Ok(began.elapsed());
        }
        ensure!(
            began.elapsed() < HAND_OVER,
            "nobody follows {} within {HAND_OVER:?}; last words:\n{}",
            from.name,
            stage.operator().last_words()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Changes the ConfigMap with settings that count while the operator runs.
pub async fn set(stage: &Stage, key: &str, value: Value) -> Result<()> {
    let patch = Patch::Merge(serde_json::json!({"data": {key: value}}));
    let settings = stage.objects("v1", "ConfigMap", Some(SYSTEM));
    settings.patch(&format!("{RELEASE}-settings"), &PatchParams::default(), &patch).await?;
    Ok(())
}
