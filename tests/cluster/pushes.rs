//! Each push gets one deployment and each deployment ends: branches that another tool deploys,
//! many pushes in a row, and repeated deliveries.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::ResourceExt as _;
use playground::stage::github::types::{DeliveryMode, Shuffle, ShuffleOrder};
use playground::stage::{CLASS, NewProject, Project, Stage, condition, conditions};
use serde_json::json;

use crate::harness::tests;
use crate::promotion::{deployed, requests};
use crate::quiescence::{at_rest, calls, versions, writes};
use crate::support::{END, deployments_of, open, settle, states, swept};

tests![
    two_branches_whose_image_is_missing_are_each_deployed_once(node),
    two_branches_that_another_tool_deploys_are_each_deployed_once,
    a_sweep_that_finds_several_branches_deploys_one,
    every_deployment_of_many_pushes_comes_to_an_end,
    a_deployment_that_is_reported_after_a_newer_one_comes_to_an_end,
    a_delivery_that_is_sent_again_writes_nothing,
    a_delivery_that_is_sent_again_after_a_restart_writes_nothing(alone),
];

/// Several intervals of sweeps, each of which could deploy again.
const LONG: Duration = Duration::from_secs(40);

async fn two_branches(stage: &Stage, new: NewProject, deploy: &str) -> Result<Project> {
    let name = new.template_object()?["metadata"]["name"].as_str().context("no name")?.to_owned();
    let yaml = format!(
        "apiVersion: matinee.dev/v1alpha1\nkind: PreviewRepository\nmetadata: {{name: {name}}}\nspec:\n  repository: acme/{name}\n  \
         className: {CLASS}\n  environments:\n  - name: staging\n    trigger: {{push: {{branches: [main, \"release/*\"]}}}}\n{deploy}"
    );
    stage.project(new.repository(&yaml)).await
}

/// Returns the commits of an environment's deployments, oldest first.
async fn commits(stage: &Stage, project: &Project, environment: &str) -> Result<Vec<String>> {
    let all = deployments_of(stage, project, environment).await?;
    Ok(all.into_iter().map(|deployment| deployment.sha).collect())
}

/// Waits until the newest deployment is of a commit.
async fn newest_is(stage: &Stage, project: &Project, sha: &str) -> Result<()> {
    stage
        .wait_for(&format!("{} is the newest deployment", &sha[..7]), END, async || {
            let all = commits(stage, project, "staging").await?;
            ensure!(all.last().is_some_and(|newest| newest == sha), "{all:?}");
            Ok(())
        })
        .await
        .context(stage.explain(&project.namespace).await)
}

async fn once_each(stage: &Stage, project: &Project) -> Result<()> {
    let github = stage.github();
    let first = github.push(&project.repository, "main").await?;
    newest_is(stage, project, &first).await?;
    let second = github.push(&project.repository, "release/1").await?;
    newest_is(stage, project, &second).await?;
    let before = commits(stage, project, "staging").await?;
    tokio::time::sleep(LONG).await;
    swept(stage, project).await?;
    let after = commits(stage, project, "staging").await?;
    ensure!(before == after, "deployed without a push: {before:?}, then {after:?}");
    for sha in [&first, &second] {
        ensure!(after.iter().filter(|deployed| *deployed == sha).count() == 1, "{sha} in {after:?}");
    }
    Ok(())
}

async fn two_branches_whose_image_is_missing_are_each_deployed_once(stage: &Stage) -> Result<()> {
    let deploy = "    deploy: {template: {ref: {name: pushes-image}}}\n";
    let new = NewProject::new("pushes-image").image("localhost/pushes-image:none");
    let project = two_branches(stage, new, deploy).await?;
    once_each(stage, &project).await
}

async fn two_branches_that_another_tool_deploys_are_each_deployed_once(stage: &Stage) -> Result<()> {
    let project = two_branches(stage, NewProject::new("pushes-tool"), "").await?;
    once_each(stage, &project).await
}

async fn a_sweep_that_finds_several_branches_deploys_one(stage: &Stage) -> Result<()> {
    let deploy = "    deploy: {template: {ref: {name: pushes-sweep}}}\n";
    let project = two_branches(stage, NewProject::new("pushes-sweep"), deploy).await?;
    let github = stage.github();
    let hook = project.hook.context("no hook")?;
    github.set_delivery_mode(hook, DeliveryMode { lose_all: true, ..DeliveryMode::default() }).await?;
    // The branch that is last by name is the newest, although it is pushed first. A sweep may come
    // between two pushes, and deploys what it finds.
    let newest = github.push(&project.repository, "release/10").await?;
    for branch in ["release/9", "main"] {
        github.push(&project.repository, branch).await?;
    }
    swept(stage, &project).await?;
    let found = commits(stage, &project, "staging").await?;
    ensure!(found.contains(&newest) && found.len() <= 4, "{found:?}");
    swept(stage, &project).await?;
    swept(stage, &project).await?;
    let later = commits(stage, &project, "staging").await?;
    ensure!(found == later, "deployed without a push: {found:?}, then {later:?}");
    Ok(github.set_delivery_mode(hook, DeliveryMode::default()).await?)
}

/// Waits until every deployment and every DeploymentRequest of an environment has ended.
async fn all_end(stage: &Stage, project: &Project, environment: &str, entry: &str, live: &str) -> Result<()> {
    const ENDS: [&str; 3] = ["Succeeded", "Superseded", "Inactive"];
    stage
        .wait_for("every deployment and request has come to an end", END, async || {
            let all = deployments_of(stage, project, environment).await?;
            for deployment in &all {
                let wanted = if deployment.sha == live { "success" } else { "inactive" };
                ensure!(
                    deployment.state.as_deref() == Some(wanted),
                    "deployment {} of {} has {:?}",
                    deployment.id,
                    &deployment.sha[..7],
                    states(deployment)
                );
            }
            for request in requests(stage, project, entry).await? {
                let ready = condition(&request, "Ready").with_context(|| conditions(&request))?;
                ensure!(
                    ENDS.contains(&ready.reason.as_str()),
                    "{}: {}",
                    request.name_any(),
                    conditions(&request)
                );
            }
            Ok(())
        })
        .await
        .context(stage.explain(&project.namespace).await)
}

async fn every_deployment_of_many_pushes_comes_to_an_end(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("pushes-many")).await?;
    let github = stage.github();
    let pull = open(stage, &project, "feature").await?;
    let mut last = pull.sha.clone();
    for push in 0..12_u64 {
        last = github.push(&project.repository, "feature").await?;
        tokio::time::sleep(Duration::from_millis(50 + push * 60)).await;
    }
    stage.deployed(&project, &last, "success", END).await?;
    let environment = crate::support::github_environment(pull.number);
    all_end(stage, &project, &environment, "preview", &last).await
}

async fn a_deployment_that_is_reported_after_a_newer_one_comes_to_an_end(stage: &Stage) -> Result<()> {
    let environments = "  - name: staging\n    deploy: {template: {ref: {name: NAME}}}\n";
    let project = crate::promotion::project(stage, "pushes-order", environments, true).await?;
    let github = stage.github();
    let hook = project.hook.context("no hook")?;
    let (one, two) =
        (github.push(&project.repository, "main").await?, github.push(&project.repository, "main").await?);
    let held = Shuffle { hold: 1_000, order: ShuffleOrder::Reversed, seed: 0 };
    github.set_delivery_mode(hook, DeliveryMode { shuffle: Some(held), ..DeliveryMode::default() }).await?;
    // Matinee didn't create these deployments, so no DeploymentRequest knows the one that is
    // skipped.
    for sha in [&one, &two] {
        let body =
            json!({"ref": sha, "environment": "staging", "auto_merge": false, "required_contexts": []});
        let path = format!("repos/{}/deployments", project.repository);
        let (status, answer) = stage.gh_api("POST", &path, Some(&body)).await?;
        ensure!(status == 201, "GitHub answered {status}: {answer}");
    }
    github.flush_deliveries(hook).await?;
    github.set_delivery_mode(hook, DeliveryMode::default()).await?;
    deployed(stage, &project, "staging", &two, "success").await?;
    all_end(stage, &project, "staging", "staging", &two).await
}

/// Redelivers every webhook of a project, and fails when the operator writes anything.
async fn sent_again(stage: &Stage, project: &Project, number: u64) -> Result<()> {
    let github = stage.github();
    let hook = project.hook.context("no hook")?;
    let before = versions(stage, project, number).await?;
    let mark = stage.mark();
    let already = calls(stage, project, 0).await?.len();
    for delivery in github.deliveries(hook).await?.iter().filter(|delivery| !delivery.redelivery) {
        github.redeliver(hook, delivery.id).await?;
    }
    settle(stage, project).await?;
    swept(stage, project).await?;
    let written = writes(stage, project, number, mark)?;
    ensure!(written.is_empty(), "the operator wrote: {written:#?}");
    let after = versions(stage, project, number).await?;
    ensure!(after == before, "objects changed:\nbefore {before:#?}\nafter {after:#?}");
    let asked = calls(stage, project, already).await?;
    ensure!(asked.iter().all(|call| call.starts_with("GET ")), "the operator wrote to GitHub: {asked:#?}");
    Ok(())
}

async fn a_delivery_that_is_sent_again_writes_nothing(stage: &Stage) -> Result<()> {
    let (project, number, _) = at_rest(stage, "pushes-again").await?;
    sent_again(stage, &project, number).await?;
    sent_again(stage, &project, number).await.context("once more")
}

async fn a_delivery_that_is_sent_again_after_a_restart_writes_nothing(stage: &Stage) -> Result<()> {
    let (project, number, _) = at_rest(stage, "pushes-restart").await?;
    stage.operator().restart().await?;
    swept(stage, &project).await?;
    sent_again(stage, &project, number).await
}
