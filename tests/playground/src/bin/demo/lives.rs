//! Complete lives of previews for the figures: opened, live, closed, deleted.

use std::time::Instant;

use anyhow::Result;
use playground::stage::github::types::NewPullRequest;
use playground::stage::{Project, Stage};

use crate::figures::Figures;
use crate::play::{BOUND, gone, image_of};

/// Number of lives in the figures.
pub(crate) const COUNT: usize = 5;

/// Plays one life.
pub(crate) async fn life(stage: &Stage, project: &Project, figures: &mut Figures) -> Result<()> {
    let github = stage.github();
    let repository = &project.repository;
    let branch = format!("life-{}", figures.all("life").count() + 1);
    let sha = github.push(repository, &branch).await?;
    stage.publish(&image_of(&sha)).await?;

    let whole = figures.begin(stage).await?;
    let measure = figures.begin(stage).await?;
    let began = Instant::now();
    let pull =
        NewPullRequest { head: branch, labels: vec!["preview".to_owned()], ..NewPullRequest::default() };
    let pull = github.open(repository, pull).await?.number;
    let deployment = stage.deployed(project, &sha, "success", BOUND).await?;
    let live = began.elapsed();
    let name = format!("{}-preview-pr-{pull}", project.name);
    let environment = stage.environments(&project.namespace).get(&name).await?;
    let namespace = environment.data["status"]["namespace"]["name"].as_str().unwrap_or_default().to_owned();
    figures.end("create", measure, stage, live).await?;

    let measure = figures.begin(stage).await?;
    let closed = Instant::now();
    github.close(repository, pull).await?;
    gone(stage, project, &name, &namespace).await?;
    let after = closed.elapsed();
    stage
        .wait_for("the closed pull request's deployment is inactive", BOUND, async || {
            let all = github.deployments(repository).await?;
            let now = all.iter().find(|one| one.id == deployment.id).and_then(|one| one.state.clone());
            anyhow::ensure!(now.as_deref() == Some("inactive"), "it is {now:?}");
            Ok(())
        })
        .await?;
    figures.end("delete", measure, stage, after).await?;
    figures.end("life", whole, stage, began.elapsed()).await
}
