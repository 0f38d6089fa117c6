//! Sweeps without webhooks, and an event that comes after a later one. The simulation shows lost, repeated,
//! delayed and reordered webhooks.

use anyhow::{Context as _, Result, ensure};
use playground::stage::github::types::{DeliveryMode, Shuffle, ShuffleOrder};
use playground::stage::{NewProject, Stage};

use crate::harness::tests;
use crate::support::{
    END, SOON, deployments_of, github_environment, gone, nothing_left, open, repository_yaml, shows, swept,
    url_of,
};

tests![everything_works_without_a_webhook, an_opening_that_comes_after_the_close_revives_nothing,];

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
