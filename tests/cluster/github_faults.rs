//! Faults of GitHub: tokens that expire, rate limits, errors, missing permissions. They delay
//! deployments, and none is lost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{DeleteParams, ListParams};
use playground::stage::github::types::{FaultEffect, NewFault, Request};
use playground::stage::{APP_CLASS, NewProject, Project, SYSTEM, Stage, condition, conditions};
use serde_json::json;

use crate::harness::tests;
use crate::support::{
    END, SOON, SYNCED, condition_is, deployments_of, environment, github_environment, gone, live, name_of,
    namespace_of, once, open, refused, shows, states, url_of,
};

tests![
    an_app_works_and_outlives_its_tokens,
    a_secondary_limit_delays_and_nothing_is_lost,
    a_primary_limit_is_waited_for,
    a_status_that_fails_is_told_again,
    a_missing_permission_is_seen_on_the_environment,
    refused_creation_is_seen_on_the_request,
    bad_credentials_are_seen_and_mended,
    an_installation_that_answers_no_write_delays_no_other,
    credentials_missing_at_the_end_are_waited_for,
];

fn fault(method: &str, path: String, times: u32, effect: FaultEffect) -> NewFault {
    NewFault { method: Some(method.to_owned()), path, times: Some(times), effect }
}

fn answer(status: u16, headers: &[(&str, String)], message: &str) -> FaultEffect {
    let headers: BTreeMap<_, _> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let body = json!({"message": message, "documentation_url": "https://docs.github.com/rest"}).to_string();
    FaultEffect::Answer { status, headers, body: Some(body) }
}

fn statuses(project: &Project) -> String {
    format!("/repos/{}/deployments/*/statuses", project.repository)
}

/// Returns the requests that GitHub received about a project's repository, oldest first.
async fn requests(stage: &Stage, project: &Project) -> Result<Vec<Request>> {
    let prefix = format!("/repos/{}/", project.repository);
    let mut all = stage.github().requests().await?;
    all.retain(|request| request.path.starts_with(&prefix));
    Ok(all)
}

fn time(request: &Request) -> Result<Timestamp> {
    request.at.parse().with_context(|| format!("no time: {request:?}"))
}

async fn an_app_works_and_outlives_its_tokens(stage: &Stage) -> Result<()> {
    let github = stage.github();
    let project = stage.project(NewProject::new("github-app").class(APP_CLASS)).await?;
    let (pull, first) = live(stage, &project, "feature").await?;
    shows(stage, url_of(&first)?, &pull.sha[..7]).await?;
    for _ in 0..2 {
        github.expire_installation_tokens().await?;
        let sha = github.push(&project.repository, "feature").await?;
        let deployment = stage.deployed(&project, &sha, "success", SOON).await?;
        shows(stage, url_of(&deployment)?, &sha[..7]).await?;
    }
    let all = deployments_of(stage, &project, &github_environment(pull.number)).await?;
    ensure!(all.len() == 3, "three commits: {all:#?}");
    ensure!(all[0].creator == "matinee[bot]", "created by {}", all[0].creator);
    github.expire_installation_tokens().await?;
    github.close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await
}

async fn a_secondary_limit_delays_and_nothing_is_lost(stage: &Stage) -> Result<()> {
    let github = stage.github();
    // The project has credentials of its own, so that the limit delays no other test.
    let project = own_credentials(stage, "github-secondary").await?;
    let limit = answer(403, &[("retry-after", "3".into())], "You have exceeded a secondary rate limit.");
    github.add_fault(fault("POST", statuses(&project), 1, limit)).await?;
    let (pull, deployment) = live(stage, &project, "feature").await?;
    let all = requests(stage, &project).await?;
    let hit = all.iter().position(|request| request.status == 403).context("the limit was not met")?;
    if let Some(next) = all.iter().skip(hit + 1).find(|request| request.method == "POST") {
        let waited = time(next)?.duration_since(time(&all[hit])?);
        ensure!(waited.as_secs_f64() > 2.9, "written {waited:?} after an answer that asked for 3 s");
    }
    let mut told = states(&deployment);
    ensure!(told.last() == Some(&"success"), "{told:?}");
    told.dedup();
    ensure!(told.len() == deployment.statuses.len(), "a state was reported twice: {told:?}");
    github.close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await
}

async fn a_primary_limit_is_waited_for(stage: &Stage) -> Result<()> {
    let github = stage.github();
    let project = own_credentials(stage, "github-primary").await?;
    let reset = Timestamp::from_second(Timestamp::now().as_second() + 10)?;
    let headers =
        [("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", reset.as_second().to_string())];
    let limit = answer(403, &headers, "API rate limit exceeded for user ID 1.");
    let path = format!("/repos/{}/pulls/*", project.repository);
    github.add_fault(fault("GET", path, 1, limit)).await?;
    let pull = open(stage, &project, "feature").await?;
    stage.deployed(&project, &pull.sha, "success", SOON).await?;
    let all = requests(stage, &project).await?;
    let hit = all.iter().position(|request| request.status == 403).context("the limit was not met")?;
    // Requests that were under way when the limit was reached still arrive.
    let known = time(&all[hit])?.checked_add(SignedDuration::from_secs(1))?;
    for request in &all[hit + 1..] {
        let came = time(request)?;
        ensure!(
            came < known || came >= reset,
            "{} {} came at {came}, before {reset}",
            request.method,
            request.path
        );
    }
    ensure!(all.len() > hit + 1, "nothing after it");
    Ok(())
}

async fn a_status_that_fails_is_told_again(stage: &Stage) -> Result<()> {
    let github = stage.github();
    for (name, effect) in [
        ("github-502", FaultEffect::Answer { status: 502, headers: BTreeMap::new(), body: None }),
        ("github-closed", FaultEffect::CloseBefore),
        // GitHub creates the status, and its answer is lost.
        ("github-lost", FaultEffect::CloseAfter),
    ] {
        let project = stage.project(NewProject::new(name)).await?;
        github.add_fault(fault("POST", statuses(&project), 2, effect)).await?;
        let (pull, deployment) = live(stage, &project, "feature").await?;
        let told = states(&deployment);
        once(&told)?;
        let environments = stage.environments(&project.namespace);
        condition_is(stage, &environments, &name_of(&project, pull.number), "Reported", "True").await?;
        let sha = github.push(&project.repository, "feature").await?;
        stage.deployed(&project, &sha, "success", SOON).await?;
        stage.deployed(&project, &pull.sha, "inactive", SOON).await?;
    }
    Ok(())
}

async fn a_missing_permission_is_seen_on_the_environment(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("github-403")).await?;
    let refusal = answer(403, &[], "Resource not accessible by personal access token");
    stage.github().add_fault(fault("POST", statuses(&project), 4, refusal)).await?;
    let pull = open(stage, &project, "feature").await?;
    let environments = stage.environments(&project.namespace);
    let name = name_of(&project, pull.number);
    let why = refused(stage, &environments, &name, "Reported", "NotAcknowledged").await?;
    ensure!(why.contains("Resource not accessible"), "GitHub's words are missing: {why}");
    // The environment itself is healthy.
    condition_is(stage, &environments, &name, "Ready", "True").await?;
    let deployment = stage.deployed(&project, &pull.sha, "success", SOON).await?;
    shows(stage, url_of(&deployment)?, &pull.sha[..7]).await?;
    condition_is(stage, &environments, &name, "Reported", "True").await.map(|_| ())
}

async fn refused_creation_is_seen_on_the_request(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("github-refused")).await?;
    let refusal = answer(403, &[], "Resource not accessible by personal access token");
    let path = format!("/repos/{}/deployments", project.repository);
    stage.github().add_fault(fault("POST", path, 1, refusal)).await?;
    let pull = open(stage, &project, "feature").await?;
    let requests = stage.requests(&project.namespace);
    let name = format!("{}-{}", name_of(&project, pull.number), &pull.sha[..12]);
    let why = refused(stage, &requests, &name, "Created", "Refused").await?;
    ensure!(why.contains("Resource not accessible"), "GitHub's words are missing: {why}");
    // The next commit has another DeploymentRequest.
    let sha = stage.github().push(&project.repository, "feature").await?;
    stage.deployed(&project, &sha, "success", SOON).await?;
    Ok(())
}

async fn bad_credentials_are_seen_and_mended(stage: &Stage) -> Result<()> {
    let name = "github-401";
    secret(stage, name, "not-a-token").await?;
    stage.class_like(name, |class| class["forge"]["github"]["secretName"] = name.into()).await?;
    let project = stage.project(NewProject::new(name).class(name)).await?;
    let repositories = stage.repositories(&project.namespace);
    let why = refused(stage, &repositories, name, "Synced", "NotReadable").await?;
    ensure!(why.contains("credentials") && !why.contains("not-a-token"), "{why}");
    let pull = open(stage, &project, "feature").await?;
    secret(stage, name, stage.token()).await?;
    stage.deployed(&project, &pull.sha, "success", SOON).await?;
    stage
        .wait_for("the PreviewRepository is well", SOON, async || {
            let found = repositories.get(name).await?;
            let ready = condition(&found, "Ready").map(|ready| ready.status);
            if ready.as_deref() != Some("True") {
                bail!("{}", conditions(&found));
            }
            Ok(())
        })
        .await
}

async fn an_installation_that_answers_no_write_delays_no_other(stage: &Stage) -> Result<()> {
    // More than the operator reconciles at the same time.
    const STUCK: usize = 24;
    let github = stage.github();
    let stuck = own_credentials(stage, "github-stuck").await?;
    let other = stage.project(NewProject::new("github-beside").class(APP_CLASS)).await?;
    condition_is(stage, &stage.repositories(&other.namespace), &other.name, "Synced", "True").await?;
    let path = format!("/repos/{}/deployments", stuck.repository);
    github.add_fault(fault("POST", path, 1_000, FaultEffect::DelayMs(60_000))).await?;
    for number in 0..STUCK {
        open(stage, &stuck, &format!("feature-{number}")).await?;
    }
    let requests = stage.requests(&stuck.namespace);
    stage
        .wait_for("all wait for GitHub", SOON, async || {
            let all = requests.list(&ListParams::default()).await?.items;
            let waiting = all
                .iter()
                .filter_map(|request| condition(request, "Ready"))
                .filter(|ready| ready.reason == "Creating" && !ready.message.is_empty());
            let waiting = waiting.count();
            ensure!(waiting == STUCK, "{waiting} of {}", all.len());
            Ok(())
        })
        .await?;
    let began = Instant::now();
    let (pull, deployment) = live(stage, &other, "feature").await?;
    let took = began.elapsed();
    ensure!(took < Duration::from_secs(30), "the other installation's pull request waited {took:?}");
    shows(stage, url_of(&deployment)?, &pull.sha[..7]).await
}

async fn credentials_missing_at_the_end_are_waited_for(stage: &Stage) -> Result<()> {
    let name = "github-end";
    let token = stage.github().create_classic_token("matinee-bot").await?;
    secret(stage, name, &token).await?;
    stage.class_like(name, |class| class["forge"]["github"]["secretName"] = name.into()).await?;
    let project = stage.project(NewProject::new(name).class(name)).await?;
    let (pull, _) = live(stage, &project, "feature").await?;
    stage.objects("v1", "Secret", Some(SYSTEM)).delete(name, &DeleteParams::default()).await?;
    // The operator keeps credentials for a while before it reads them again.
    tokio::time::sleep(Duration::from_secs(35)).await;
    let environments = stage.environments(&project.namespace);
    environments.delete(&name_of(&project, pull.number), &DeleteParams::default()).await?;
    let namespace = namespace_of(&project, pull.number);
    stage
        .wait_for("the namespace is deleted", END, async || {
            let found = stage.objects("v1", "Namespace", None).get_opt(&namespace).await?;
            ensure!(found.is_none(), "it is there");
            Ok(())
        })
        .await?;
    tokio::time::sleep(SYNCED).await;
    // The environment stays, since it records the deployments that GitHub still shows as active.
    environment(stage, &project, pull.number).await?;
    secret(stage, name, &token).await?;
    stage.deployed(&project, &pull.sha, "inactive", END).await?;
    stage
        .wait_for("the environment is deleted", END, async || {
            let found = environments.get_opt(&name_of(&project, pull.number)).await?;
            ensure!(found.is_none(), "it is there");
            Ok(())
        })
        .await
}

async fn secret(stage: &Stage, name: &str, token: &str) -> Result<()> {
    let metadata = json!({"name": name});
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": token}});
    stage.apply_object_within(SYSTEM, secret).await.map(|_| ())
}

/// Creates a project with a class and a token of its own.
async fn own_credentials(stage: &Stage, name: &str) -> Result<Project> {
    let token = stage.github().create_classic_token("matinee-bot").await?;
    secret(stage, name, &token).await?;
    stage.class_like(name, |class| class["forge"]["github"]["secretName"] = name.into()).await?;
    let project = stage.project(NewProject::new(name).class(name)).await?;
    // The project's first sweep has ended.
    condition_is(stage, &stage.repositories(&project.namespace), name, "Synced", "True").await?;
    Ok(project)
}
