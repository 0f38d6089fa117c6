//! Settings that count while the operator runs.

use anyhow::{Context as _, Result, ensure};
use playground::stage::{NewProject, Stage};
use serde_json::{Value, json};

use crate::harness::tests;
use crate::play::{SOON, SWEPT, nothing_live, open};
use crate::pods::{replicas, set};

tests![the_log_level_changes_without_a_restart(node), what_drains_makes_nothing_new(node)];

async fn the_log_level_changes_without_a_restart(stage: &Stage) -> Result<()> {
    let (leader, others) = replicas(stage).await?;
    let debugs = |pod: &playground::stage::OperatorPod| -> Result<usize> {
        let mut count = 0;
        for line in pod.log()?.lines() {
            let line: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
            ensure!(line["timestamp"].is_string() && line["message"].is_string(), "{line}");
            count += usize::from(line["level"] == "DEBUG");
        }
        Ok(count)
    };
    ensure!(debugs(&leader)? == 0, "it is talkative from the beginning");
    set(stage, "log", json!("info,matinee=debug")).await?;
    for pod in others.iter().chain([&leader]) {
        stage
            .wait_for("every replica becomes talkative", SOON, async || {
                ensure!(debugs(pod)? > 0, "{} isn't", pod.name);
                Ok(())
            })
            .await?;
    }
    // What is no filter changes nothing, and is told.
    set(stage, "log", json!("no=such=thing")).await?;
    stage
        .wait_for("the mistake is told", SOON, async || {
            ensure!(leader.log()?.contains("no=such=thing"), "not yet");
            Ok(())
        })
        .await?;
    set(stage, "log", json!("info")).await?;
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
    tokio::time::sleep(SWEPT).await;
    nothing_live(stage, &project, pull.number).await?;
    let hook = project.hook.context("the project has a webhook")?;
    let refused = stage.github().deliveries(hook).await?;
    ensure!(refused.iter().any(|delivery| delivery.status_code == 503), "{refused:#?}");
    set(stage, "drain", Value::Null).await?;
    metric("matinee_draining 0").await?;
    stage.deployed(&project, &pull.sha, "success", SOON).await?;
    Ok(())
}
