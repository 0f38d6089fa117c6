//! The operator is killed at the worst moments. Each request still leads to exactly one deployment,
//! and the cluster ends in the state that GitHub reports.

use std::time::Duration;

use anyhow::{Result, ensure};
use kube::api::ListParams;
use playground::stage::github::types::{FaultEffect, NewFault};
use playground::stage::{NewProject, Project, Stage};

use crate::harness::tests;
use crate::support::{
    END, SOON, deployments_of, environment, github_environment, gone, live, name_of, namespace_of, once,
    open, settle, shows, states, url_of,
};

tests![
    a_lost_answer_makes_no_second_deployment(alone),
    killed_before_the_id_is_recorded_it_finds_the_deployment(alone),
    killed_before_a_status_is_recorded_it_tells_it_no_second_time(alone),
    killed_while_deploying_it_goes_on(alone),
    killed_while_tearing_down_it_goes_on(alone),
    what_happened_while_it_was_down_is_learned(alone),
];

async fn one_deployment(stage: &Stage, project: &Project, number: u64) -> Result<()> {
    let all = deployments_of(stage, project, &github_environment(number)).await?;
    ensure!(all.len() == 1, "one request, {} deployments: {all:#?}", all.len());
    let requests = stage.requests(&project.namespace).list(&ListParams::default()).await?.items;
    ensure!(requests.len() == 1, "{} requests", requests.len());
    ensure!(
        requests[0].data["status"]["deploymentId"] == all[0].id,
        "the request knows {}, GitHub {}",
        requests[0].data["status"]["deploymentId"],
        all[0].id
    );
    once(&states(&all[0]))
}

fn creations(project: &Project, effect: FaultEffect) -> NewFault {
    let path = format!("/repos/{}/deployments", project.repository);
    NewFault { method: Some("POST".into()), path, times: Some(1), effect }
}

/// Returns how many requests to create a deployment GitHub received.
async fn tries(stage: &Stage, project: &Project) -> Result<usize> {
    let path = format!("/repos/{}/deployments", project.repository);
    let all = stage.github().requests().await?;
    Ok(all.iter().filter(|request| request.method == "POST" && request.path == path).count())
}

async fn a_lost_answer_makes_no_second_deployment(stage: &Stage) -> Result<()> {
    let github = stage.github();
    for (name, effect, least) in [
        ("crash-answer", FaultEffect::CloseAfter, 1),
        ("crash-request", FaultEffect::CloseBefore, 2),
        ("crash-gateway", FaultEffect::Answer { status: 502, headers: [].into(), body: None }, 2),
    ] {
        // There is no webhook that could report the deployment whose creation lost its answer.
        let project = stage.project(NewProject::new(name).without_webhook()).await?;
        github.add_fault(creations(&project, effect)).await?;
        let (pull, deployment) = live(stage, &project, "feature").await?;
        one_deployment(stage, &project, pull.number).await?;
        let tried = tries(stage, &project).await?;
        ensure!(tried == least, "{name}: a deployment was asked for {tried} times, not {least}");
        shows(stage, url_of(&deployment)?, &pull.sha[..7]).await?;
    }
    Ok(())
}

async fn killed_before_the_id_is_recorded_it_finds_the_deployment(stage: &Stage) -> Result<()> {
    let github = stage.github();
    let project = stage.project(NewProject::new("crash-intent").without_webhook()).await?;
    // GitHub has created the deployment, and the operator dies before the answer arrives.
    github.add_fault(creations(&project, FaultEffect::AnswerAfterMs(15_000))).await?;
    let pull = open(stage, &project, "feature").await?;
    stage
        .wait_for("GitHub has the deployment", SOON, async || {
            ensure!(!github.deployments(&project.repository).await?.is_empty(), "not yet");
            Ok(())
        })
        .await?;
    stage.operator().kill()?;
    let requests = stage.requests(&project.namespace).list(&ListParams::default()).await?.items;
    let status = &requests[0].data["status"];
    ensure!(!status["intent"].is_null(), "a deployment was created without its intent: {status}");
    ensure!(status["deploymentId"].is_null(), "the operator was killed too late: {status}");
    stage.operator().restart().await?;
    stage.deployed(&project, &pull.sha, "success", SOON).await?;
    one_deployment(stage, &project, pull.number).await
}

async fn killed_before_a_status_is_recorded_it_tells_it_no_second_time(stage: &Stage) -> Result<()> {
    let github = stage.github();
    let project = stage.project(NewProject::new("crash-status")).await?;
    let path = format!("/repos/{}/deployments/*/statuses", project.repository);
    let fault = || NewFault {
        method: Some("POST".into()),
        path: path.clone(),
        times: Some(1),
        effect: FaultEffect::AnswerAfterMs(15_000),
    };
    // GitHub has created the status, and the operator dies before the answer arrives.
    github.add_fault(fault()).await?;
    let pull = open(stage, &project, "feature").await?;
    stage.deployed(&project, &pull.sha, "in_progress", SOON).await?;
    stage.operator().kill()?;
    let name = name_of(&project, pull.number);
    let reported =
        stage.environments(&project.namespace).get(&name).await?.data["status"]["reported"].clone();
    ensure!(reported.as_array().is_none_or(Vec::is_empty), "the operator was killed too late: {reported}");
    stage.operator().restart().await?;
    stage.deployed(&project, &pull.sha, "success", SOON).await?;
    one_deployment(stage, &project, pull.number).await?;

    github.add_fault(fault()).await?;
    github.close(&project.repository, pull.number).await?;
    stage.deployed(&project, &pull.sha, "inactive", SOON).await?;
    stage.operator().kill()?;
    stage.operator().restart().await?;
    gone(stage, &project, pull.number).await?;
    let all = deployments_of(stage, &project, &github_environment(pull.number)).await?;
    once(&states(&all[0]))
}

async fn killed_while_deploying_it_goes_on(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("crash-deploy")).await?;
    for (index, wait) in [0_u64, 60, 150, 400].into_iter().enumerate() {
        let branch = format!("feature-{index}");
        let pull = open(stage, &project, &branch).await?;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        stage.operator().kill()?;
        stage.operator().restart().await?;
        let deployment = stage.deployed(&project, &pull.sha, "success", END).await?;
        let all = deployments_of(stage, &project, &github_environment(pull.number)).await?;
        ensure!(all.len() == 1, "killed after {wait} ms: {all:#?}");
        once(&states(&all[0]))?;
        shows(stage, url_of(&deployment)?, &pull.sha[..7]).await?;
    }
    for number in 1..=4 {
        stage.github().close(&project.repository, number).await?;
    }
    for number in 1..=4 {
        gone(stage, &project, number).await?;
    }
    Ok(())
}

async fn killed_while_tearing_down_it_goes_on(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("crash-end")).await?;
    let github = stage.github();
    let (pull, _) = live(stage, &project, "feature").await?;
    let (other, _) = live(stage, &project, "other").await?;
    github.close(&project.repository, pull.number).await?;
    let namespace = namespace_of(&project, pull.number);
    stage
        .wait_for("the namespace is going", SOON, async || {
            let found = stage.objects("v1", "Namespace", None).get(&namespace).await?;
            ensure!(found.metadata.deletion_timestamp.is_some(), "not yet");
            Ok(())
        })
        .await?;
    stage.operator().kill()?;
    // The other pull request is closed while the operator is down, and no webhook arrives.
    github.close(&project.repository, other.number).await?;
    stage.operator().restart().await?;
    gone(stage, &project, pull.number).await?;
    gone(stage, &project, other.number).await
}

async fn what_happened_while_it_was_down_is_learned(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("crash-down")).await?;
    let github = stage.github();
    let (kept, _) = live(stage, &project, "kept").await?;
    let (closed, _) = live(stage, &project, "closed").await?;
    let before = environment(stage, &project, kept.number).await?;
    stage.operator().kill()?;
    let sha = github.push(&project.repository, "kept").await?;
    github.close(&project.repository, closed.number).await?;
    let new = open(stage, &project, "new").await?;
    settle(stage, &project).await?;
    stage.operator().restart().await?;
    let deployment = stage.deployed(&project, &sha, "success", SOON).await?;
    shows(stage, url_of(&deployment)?, &sha[..7]).await?;
    stage.deployed(&project, &kept.sha, "inactive", SOON).await?;
    stage.deployed(&project, &new.sha, "success", SOON).await?;
    gone(stage, &project, closed.number).await?;
    let after = environment(stage, &project, kept.number).await?;
    ensure!(before.metadata.uid == after.metadata.uid, "the environment was recreated");
    Ok(())
}
