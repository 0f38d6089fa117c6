//! The operator's replicas: leadership, deletion and restarts.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use kube::api::{DeleteParams, Patch, PatchParams};
use playground::stage::{OperatorPod, RELEASE, SYSTEM, Stage};
use serde_json::Value;

/// Replicas of the release.
pub const REPLICAS: usize = 2;
/// Longest time of a hand-over after any failure of the leader: the Lease's 15 seconds, three polls
/// by the other replica two seconds apart, and a margin for slow machines. The tests in
/// `controllers/leader/tests.rs` check the exact times with a simulated clock.
pub const HAND_OVER: Duration = Duration::from_secs(15 + 3 * 2 + 15);
/// Longest time for pods to be replaced.
pub const ROLLED: Duration = Duration::from_mins(2);

/// Returns the holder of the Lease.
pub async fn leader(stage: &Stage) -> Result<Option<String>> {
    let lease = stage.objects("coordination.k8s.io/v1", "Lease", Some(SYSTEM)).get(RELEASE).await?;
    Ok(lease.data["spec"]["holderIdentity"].as_str().map(str::to_owned))
}

/// Waits until all replicas are ready, none is terminating, and one of them leads. Returns the
/// leader and the others.
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

/// Deletes a pod, with its grace period or without.
pub async fn delete(stage: &Stage, pod: &OperatorPod, gracefully: bool) -> Result<()> {
    let parameters =
        if gracefully { DeleteParams::default() } else { DeleteParams::default().grace_period(0) };
    stage.objects("v1", "Pod", Some(SYSTEM)).delete(&pod.name, &parameters).await?;
    Ok(())
}

/// Waits until another replica leads. Returns how long that took.
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

/// Changes a setting in the ConfigMap that the running operator reads.
pub async fn set(stage: &Stage, key: &str, value: Value) -> Result<()> {
    let patch = Patch::Merge(serde_json::json!({"data": {key: value}}));
    let settings = stage.objects("v1", "ConfigMap", Some(SYSTEM));
    settings.patch(&format!("{RELEASE}-settings"), &PatchParams::default(), &patch).await?;
    Ok(())
}
