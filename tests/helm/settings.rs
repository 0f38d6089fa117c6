//! Settings that the running operator reads.

use anyhow::{Context as _, Result, bail, ensure};
use playground::stage::{NewProject, OperatorPod, Stage};
use serde_json::{Value, json};

use crate::harness::tests;
use crate::pods::{replicas, set};
use crate::support::{SOON, SYNCED, nothing_live, open};

tests![the_log_level_changes_without_a_restart(node), what_drains_makes_nothing_new(node)];

async fn the_log_level_changes_without_a_restart(stage: &Stage) -> Result<()> {
    let (leader, others) = replicas(stage).await?;
    let says = async |pod: &OperatorPod, level: &str, what: &str| {
        stage
            .wait_for(&format!("{} says \"{what}\"", pod.name), SOON, async || {
                for line in pod.log()?.lines() {
                    let line: Value =
                        serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
                    ensure!(line["timestamp"].is_string() && line["message"].is_string(), "{line}");
                    if line["level"] == level && line.to_string().contains(what) {
                        return Ok(());
                    }
                }
                bail!("not yet")
            })
            .await
    };
    ensure!(!leader.log()?.contains("\"DEBUG\""), "it is talkative from the beginning");
    set(stage, "logOverride", json!("info,matinee=debug")).await?;
    for pod in others.iter().chain([&leader]) {
        says(pod, "INFO", "info,matinee=debug").await?;
    }
    says(&leader, "DEBUG", "GET /repos/").await?;
    // An invalid filter changes nothing, and the operator reports it.
    set(stage, "logOverride", json!("no=such=thing")).await?;
    says(&leader, "WARN", "no=such=thing").await?;
    // Without the override the chart's own value holds again.
    set(stage, "logOverride", Value::Null).await?;
    says(&others[0], "INFO", "\"filter\":\"info\"").await?;
    let (now, _) = replicas(stage).await?;
    ensure!(now.name == leader.name && now.restarts == leader.restarts, "it was restarted");
    Ok(())
}

async fn what_drains_makes_nothing_new(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("helm-drain")).await?;
    set(stage, "drain", json!("true")).await?;
    let metric = async |wanted: &str| {
        let (leader, others) = replicas(stage).await?;
        for pod in others.iter().chain([&leader]) {
            stage
                .wait_for(&format!("every replica has {wanted}"), SOON, async || {
                    let metrics = stage.fetch(&format!("{}/metrics", pod.admin_url())).await?.body;
                    ensure!(metrics.lines().any(|line| line == wanted), "{} hasn't", pod.name);
                    Ok(())
                })
                .await?;
        }
        anyhow::Ok(())
    };
    metric("matinee_draining 1").await?;
    let pull = open(stage, &project, "feature").await?;
    tokio::time::sleep(SYNCED).await;
    nothing_live(stage, &project, pull.number).await?;
    let hook = project.hook.context("the project has a webhook")?;
    let refused = stage.github().deliveries(hook).await?;
    ensure!(refused.iter().any(|delivery| delivery.status_code == 503), "{refused:#?}");
    set(stage, "drain", Value::Null).await?;
    metric("matinee_draining 0").await?;
    stage.deployed(&project, &pull.sha, "success", SOON).await?;
    Ok(())
}
