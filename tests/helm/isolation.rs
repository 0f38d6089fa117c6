//! The network between previews and the operator.

use anyhow::Result;
use playground::stage::{NewProject, Stage};

use crate::harness::tests;
use crate::pods::replicas;
use crate::reach::{does_not_reach, reaches, unconfined_pod};
use crate::support::{live, shows, url_of};

tests![a_preview_does_not_reach_the_operator(node)];

async fn a_preview_does_not_reach_the_operator(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("helm-isolation")).await?;
    let (pull, deployment) = live(stage, &project, "feature").await?;
    let preview = url_of(&deployment)?.trim_end_matches('/');
    shows(stage, preview, &pull.sha[..7]).await?;
    let control = unconfined_pod(stage, "helm-isolation-control", &[]).await?;
    let (leader, _) = replicas(stage).await?;
    let address = &leader.address;
    for to in [
        format!("{address}:8080"),
        format!("{address}:8081"),
        "matinee.matinee-system.svc.cluster.local:80".to_owned(),
    ] {
        reaches(stage, &control, &to).await?;
        does_not_reach(stage, preview, &to).await?;
    }
    Ok(())
}
