//! Names of the greatest length: names derived from them don't fit into a label, and previews are
//! as fast as with short names.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kube::api::ListParams;
use playground::stage::{CLASS, NewProject, Stage};

use crate::harness::tests;
use crate::support::{END, SOON, open, repository_yaml, shows, url_of};

tests![an_environment_with_a_long_name_is_ready_and_deleted_within_seconds];

/// The longest names of a PreviewRepository and of its entry.
const REPOSITORY: &str = "customer-onboarding-portal-frontend-apps";
const ENTRY: &str = "end-to-end-previews1";

async fn an_environment_with_a_long_name_is_ready_and_deleted_within_seconds(stage: &Stage) -> Result<()> {
    let repository = REPOSITORY;
    ensure!(repository.len() == 40 && ENTRY.len() == 20, "longer names are not taken");
    let yaml =
        repository_yaml(repository, CLASS, "{}", "").replace("- name: preview", &format!("- name: {ENTRY}"));
    // The container becomes ready some time after everything was applied, so only a watch can
    // report it.
    let new = NewProject::new(repository).repository(&yaml).variable("START_DELAY", "3");
    let project = stage.project(new).await?;
    let began = Instant::now();
    let pull = open(stage, &project, "feature").await?;
    let deployment = stage.deployed(&project, &pull.sha, "success", SOON).await?;
    eprintln!("{repository}: success after {:.1} s", began.elapsed().as_secs_f64());
    shows(stage, url_of(&deployment)?, &pull.sha[..7]).await?;
    let name = format!("{repository}-{ENTRY}-pr-{}", pull.number);
    ensure!(name.len() > 63, "{name} fits into a label");
    let environments = stage.environments(&project.namespace);
    environments.get(&name).await?;

    let began = Instant::now();
    stage.github().close(&project.repository, pull.number).await?;
    stage.deployed(&project, &pull.sha, "inactive", END).await?;
    stage
        .wait_for(&format!("{name} and its namespace are deleted"), END, async || {
            let found = environments.get_opt(&name).await?;
            ensure!(found.is_none(), "the environment is there");
            let label = format!("matinee.dev/repository={repository}");
            let namespaces = stage.objects("v1", "Namespace", None);
            let left = namespaces.list(&ListParams::default().labels(&label)).await?.items;
            ensure!(left.is_empty(), "{} namespaces", left.len());
            Ok(())
        })
        .await?;
    // Deleting a namespace takes about ten seconds.
    let took = began.elapsed();
    ensure!(took < Duration::from_secs(45), "deleted after {took:?}");
    Ok(())
}
