//! Webhooks that are lost, repeated, delayed and reordered.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use playground::stage::github::types::{DeliveryMode, Shuffle, ShuffleOrder};
use playground::stage::{NewProject, Project, Stage};

use crate::harness::tests;
use crate::support::{
    END, Pull, SOON, deployments_of, environment, github_environment, gone, live, nothing_left, open,
    repository_yaml, shows, states, swept, url_of,
};

tests![
    everything_works_without_a_webhook,
    lost_webhooks_delay_only,
    doubled_webhooks_change_nothing,
    late_and_shuffled_webhooks_end_where_github_is,
    an_opening_that_comes_after_the_close_revives_nothing,
];

async fn everything_works_without_a_webhook(stage: &Stage) -> Result<()> {
    let name = "sweep-only";
    let yaml = repository_yaml(name, "standard", "{labels: [preview]}", "");
    let project = stage.project(NewProject::new(name).repository(&yaml).without_webhook()).await?;
    let github = stage.github();
    let pull = open(stage, &project, "feature").await?;
    github.label(&project.repository, pull.number, "preview").await?;
    let first = stage.deployed(&project, &pull.sha, "success", SOON).await?;
    shows(stage, url_of(&first)?, &pull.sha[..7]).await?;

    let sha = github.push(&project.repository, "feature").await?;
    let second = stage.deployed(&project, &sha, "success", SOON).await?;
    shows(stage, url_of(&second)?, &sha[..7]).await?;
    stage.deployed(&project, &pull.sha, "inactive", SOON).await?;

    github.close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await?;
    github.reopen(&project.repository, pull.number).await?;
    stage.deployed(&project, &sha, "success", END).await?;
    github.unlabel(&project.repository, pull.number, "preview").await?;
    gone(stage, &project, pull.number).await
}

async fn lost_webhooks_delay_only(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("sweep-lost")).await?;
    let hook = project.hook.context("no hook")?;
    stage
        .github()
        .set_delivery_mode(hook, DeliveryMode { lose_all: true, ..DeliveryMode::default() })
        .await?;
    let (pull, _) = live(stage, &project, "feature").await?;
    let sha = stage.github().push(&project.repository, "feature").await?;
    stage.deployed(&project, &sha, "success", SOON).await?;
    stage.github().close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await
}

async fn doubled_webhooks_change_nothing(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("sweep-double")).await?;
    let hook = project.hook.context("no hook")?;
    stage.github().set_delivery_mode(hook, DeliveryMode { double: true, ..DeliveryMode::default() }).await?;
    let (pull, _) = live(stage, &project, "feature").await?;
    let sha = stage.github().push(&project.repository, "feature").await?;
    stage.deployed(&project, &sha, "success", SOON).await?;
    stage.deployed(&project, &pull.sha, "inactive", SOON).await?;
    crate::support::settle(stage, &project).await?;
    one_deployment_per_commit(stage, &project, &pull, 2).await?;
    stage.github().close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await?;
    one_deployment_per_commit(stage, &project, &pull, 2).await
}

/// Checks that each commit has one deployment, and that no deployment has the same state twice in a
/// row.
async fn one_deployment_per_commit(
    stage: &Stage,
    project: &Project,
    pull: &Pull,
    commits: usize,
) -> Result<()> {
    let all = deployments_of(stage, project, &github_environment(pull.number)).await?;
    ensure!(all.len() == commits, "{commits} commits have {} deployments: {all:#?}", all.len());
    for deployment in &all {
        let mut told = states(deployment);
        told.sort_unstable();
        told.dedup();
        ensure!(told.len() == deployment.statuses.len(), "a state is there twice: {:?}", states(deployment));
    }
    Ok(())
}

async fn late_and_shuffled_webhooks_end_where_github_is(stage: &Stage) -> Result<()> {
    let name = "sweep-shuffle";
    let yaml = repository_yaml(name, "standard", "{labels: [preview]}", "");
    let project = stage.project(NewProject::new(name).repository(&yaml)).await?;
    let github = stage.github();
    let hook = project.hook.context("no hook")?;
    let mode = |seed| DeliveryMode {
        double: true,
        delay_ms: 150,
        shuffle: Some(Shuffle { hold: 7, order: ShuffleOrder::Random, seed }),
        ..DeliveryMode::default()
    };
    github.set_delivery_mode(hook, mode(1)).await?;

    // Three pull requests, each pushed to, closed, reopened, labelled and unlabelled, and each in
    // another state at the end.
    let mut pulls = Vec::new();
    for branch in ["open", "closed", "unlabelled"] {
        let pull = open(stage, &project, branch).await?;
        github.label(&project.repository, pull.number, "preview").await?;
        pulls.push(pull);
    }
    let mut heads = Vec::new();
    for (seed, branch) in [(2, "open"), (3, "closed"), (4, "unlabelled")] {
        github.set_delivery_mode(hook, mode(seed)).await?;
        heads.push(github.push(&project.repository, branch).await?);
    }
    for pull in &pulls {
        github.close(&project.repository, pull.number).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        github.reopen(&project.repository, pull.number).await?;
        github.unlabel(&project.repository, pull.number, "preview").await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        github.label(&project.repository, pull.number, "preview").await?;
    }
    github.close(&project.repository, pulls[1].number).await?;
    github.unlabel(&project.repository, pulls[2].number, "preview").await?;
    github.flush_deliveries(hook).await?;

    // The first is live; nothing is left of the others.
    let number = pulls[0].number;
    let settled = async || {
        let all = deployments_of(stage, &project, &github_environment(number)).await?;
        let live: Vec<_> =
            all.iter().filter(|deployment| deployment.state.as_deref() != Some("inactive")).collect();
        ensure!(
            live.len() == 1 && live[0].state.as_deref() == Some("success") && live[0].sha == heads[0],
            "the open one's deployments: {all:#?}"
        );
        let found = environment(stage, &project, number).await?;
        ensure!(found.data["spec"]["revision"]["sha"] == heads[0].as_str(), "{}", found.data["spec"]);
        nothing_left(stage, &project, pulls[1].number).await.context("closed")?;
        nothing_left(stage, &project, pulls[2].number).await.context("unlabelled")?;
        Ok(())
    };
    let settle = async |what: &str| {
        github.flush_deliveries(hook).await?;
        stage.wait_for(what, END, settled).await.context(stage.explain(&project.namespace).await)
    };
    settle("the cluster is where GitHub is").await?;
    // Redelivering every old webhook changes nothing.
    github.set_delivery_mode(hook, mode(5)).await?;
    for delivery in github.deliveries(hook).await? {
        if !delivery.redelivery {
            github.redeliver(hook, delivery.id).await?;
        }
    }
    github.flush_deliveries(hook).await?;
    crate::support::settle(stage, &project).await?;
    swept(stage, &project).await?;
    settle("the cluster is where GitHub is after every delivery came again").await?;
    github.set_delivery_mode(hook, DeliveryMode::default()).await?;
    github.close(&project.repository, number).await?;
    gone(stage, &project, number).await
}

async fn an_opening_that_comes_after_the_close_revives_nothing(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("sweep-late")).await?;
    let github = stage.github();
    let hook = project.hook.context("no hook")?;
    let held = Shuffle { hold: 1_000, order: ShuffleOrder::Reversed, seed: 0 };
    github.set_delivery_mode(hook, DeliveryMode { shuffle: Some(held), ..DeliveryMode::default() }).await?;
    let pull = open(stage, &project, "feature").await?;
    github.close(&project.repository, pull.number).await?;
    github.flush_deliveries(hook).await?;
    crate::support::settle(stage, &project).await?;
    gone(stage, &project, pull.number).await?;
    let all = deployments_of(stage, &project, &github_environment(pull.number)).await?;
    swept(stage, &project).await?;
    nothing_left(stage, &project, pull.number).await?;
    let later = deployments_of(stage, &project, &github_environment(pull.number)).await?;
    ensure!(all.len() == later.len(), "it was revived: {later:#?}");
    Ok(())
}
