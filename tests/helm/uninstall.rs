//! Uninstallation: with previews, without, and with previews that stay. This is the last of all
//! tests; it reinstalls what it uninstalls.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use kube::ResourceExt as _;
use kube::api::ListParams;
use playground::stage::{NewProject, RELEASE, SYSTEM, Stage};

use crate::harness::tests;
use crate::pods::replicas;
use crate::support::{SOON, environment, gone, live, namespace_of, nothing_left, shows, url_of};

tests![uninstalling_takes_every_preview_along_unless_told_otherwise(node)];

/// Kinds of objects that a release may leave behind; cluster-wide ones have no namespace.
const KINDS: [(&str, &str, Option<&str>); 12] = [
    ("apps/v1", "Deployment", Some(SYSTEM)),
    ("batch/v1", "Job", Some(SYSTEM)),
    ("v1", "Pod", Some(SYSTEM)),
    ("v1", "ServiceAccount", Some(SYSTEM)),
    ("v1", "ConfigMap", Some(SYSTEM)),
    ("v1", "Service", Some(SYSTEM)),
    ("coordination.k8s.io/v1", "Lease", Some(SYSTEM)),
    ("rbac.authorization.k8s.io/v1", "Role", Some(SYSTEM)),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", Some(SYSTEM)),
    ("gateway.networking.k8s.io/v1", "HTTPRoute", Some(SYSTEM)),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", None),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", None),
];

async fn install(stage: &Stage, set: &[&str]) -> Result<()> {
    let release = stage.release();
    let chart = release.chart.to_str().context("path")?;
    let mut arguments = vec!["install", RELEASE, chart, "--wait", "--timeout", "2m"];
    let values: Vec<_> = release.values.iter().filter_map(|file| file.to_str()).collect();
    arguments.extend(values.iter().flat_map(|file| ["--values", file]));
    arguments.extend(set.iter().flat_map(|value| ["--set", value]));
    stage.helm(&arguments).await.map(drop)
}

/// Returns what is left of the release, as kind and name. Objects that others created don't count.
async fn left(stage: &Stage) -> Result<Vec<String>> {
    let mut left = Vec::new();
    for (version, kind, namespace) in KINDS {
        for object in stage.objects(version, kind, namespace).list(&ListParams::default()).await? {
            let name = object.name_any();
            let theirs = ["kube-root-ca.crt", "default", "slack-users"].contains(&name.as_str());
            let ours = if namespace.is_some() { !theirs } else { name.starts_with("matinee") };
            if ours {
                left.push(format!("{kind} {name}"));
            }
        }
    }
    Ok(left)
}

/// Checks that nothing is left of the release. Pods have a moment to end.
async fn nothing_left_of_release(stage: &Stage) -> Result<()> {
    stage
        .wait_for("nothing is left of the release", SOON, async || {
            let found = left(stage).await?;
            ensure!(found.is_empty(), "{found:?}");
            Ok(())
        })
        .await
}

async fn uninstalling_takes_every_preview_along_unless_told_otherwise(stage: &Stage) -> Result<()> {
    // A class of the release, which is deleted with it.
    let usual = stage.classes().get(playground::stage::CLASS).await?;
    let values =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("own-class-{}.json", std::process::id()));
    let class = serde_json::json!({"defaultClass": {"create": true, "name": "of-release", "spec": usual.data["spec"]}});
    std::fs::write(&values, class.to_string())?;
    crate::upgrade::upgrade(stage, &stage.release().chart, &[]).await?;
    let chart = stage.release().chart.to_str().context("path")?.to_owned();
    let file = values.to_str().context("path")?;
    stage.helm(&["upgrade", RELEASE, &chart, "--reuse-values", "--values", file, "--wait"]).await?;
    ensure!(stage.classes().get_opt("of-release").await?.is_some(), "the class isn't there");

    let project = stage.project(NewProject::new("helm-end")).await?;
    let (first, _) = live(stage, &project, "one").await?;
    let (second, deployment) = live(stage, &project, "two").await?;
    shows(stage, url_of(&deployment)?, &second.sha[..7]).await?;

    let began = Instant::now();
    stage.helm(&["uninstall", RELEASE, "--wait", "--timeout", "3m"]).await?;
    eprintln!("uninstalled with two previews in {:.1} s", began.elapsed().as_secs_f64());
    // No environment, no namespace and no active deployment is left. The pull requests are still
    // open, so their DeploymentRequests stay.
    for number in [first.number, second.number] {
        let namespace =
            stage.objects("v1", "Namespace", None).get_opt(&namespace_of(&project, number)).await?;
        ensure!(namespace.is_none(), "{namespace:?}");
        for deployment in stage.github().deployments(&project.repository).await? {
            ensure!(deployment.state.as_deref() == Some("inactive"), "{deployment:#?}");
        }
    }
    let environments = stage.environments(&project.namespace).list(&ListParams::default()).await?;
    ensure!(environments.items.is_empty(), "{environments:#?}");
    nothing_left_of_release(stage).await?;
    ensure!(stage.classes().get_opt("of-release").await?.is_none(), "the release's class is left");
    // Objects that people wrote stay.
    ensure!(
        stage.repositories(&project.namespace).get_opt(&project.name).await?.is_some(),
        "the PreviewRepository went"
    );
    ensure!(stage.classes().get_opt(playground::stage::CLASS).await?.is_some(), "the team's class went");

    // Reinstalled, the operator continues: the pull requests are still open.
    install(stage, &[]).await?;
    for pull in [&first, &second] {
        let deployment = stage.deployed(&project, &pull.sha, "success", SOON).await?;
        shows(stage, url_of(&deployment)?, &pull.sha[..7]).await?;
        stage.github().close(&project.repository, pull.number).await?;
        gone(stage, &project, pull.number).await?;
    }

    // Without previews the uninstallation is quick.
    let began = Instant::now();
    stage.helm(&["uninstall", RELEASE, "--wait", "--timeout", "3m"]).await?;
    eprintln!("uninstalled without previews in {:.1} s", began.elapsed().as_secs_f64());
    nothing_left_of_release(stage).await?;

    // With the teardown disabled, the previews stay, and the next installation finds them
    // unchanged.
    install(stage, &["teardown.enabled=false"]).await?;
    let (third, deployment) = live(stage, &project, "three").await?;
    let uid = environment(stage, &project, third.number).await?.uid();
    stage.helm(&["uninstall", RELEASE, "--wait", "--timeout", "3m"]).await?;
    ensure!(environment(stage, &project, third.number).await?.uid() == uid, "the environment went");
    shows(stage, url_of(&deployment)?, &third.sha[..7]).await?;
    install(stage, &[]).await?;
    replicas(stage).await?;
    stage.github().close(&project.repository, third.number).await?;
    gone(stage, &project, third.number).await?;
    nothing_left(stage, &project, third.number).await?;
    std::fs::remove_file(values)?;
    Ok(())
}
