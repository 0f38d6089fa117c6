//! The state of the cluster after the chart's installation.

use anyhow::{Context as _, Result, ensure};
use kube::api::PostParams;
use playground::stage::{NewProject, RELEASE, SYSTEM, Stage};
use serde_json::json;

use crate::harness::tests;
use crate::pods::replicas;
use crate::support::{SOON, gone, live, shows, url_of};

tests![helm_test_says_that_all_is_well(node), a_preview_comes_and_goes(node), the_pods_pass_restricted(node),];

async fn helm_test_says_that_all_is_well(stage: &Stage) -> Result<()> {
    let mut command = stage.playground().helm_command().await?;
    let output = command.args(["test", RELEASE, "--namespace", SYSTEM, "--timeout", "2m"]).output().await?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).context("Helm prints no UTF-8")?;
    ensure!(output.status.success() && said.contains("Succeeded"), "{said}");
    // The doctor confirms it.
    ensure!(said.contains("Rights of the operator") && !said.contains('✗'), "{said}");
    Ok(())
}

async fn a_preview_comes_and_goes(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("helm-life")).await?;
    let (pull, deployment) = live(stage, &project, "feature").await?;
    shows(stage, url_of(&deployment)?, &pull.sha[..7]).await?;
    // The chart's HTTPRoute serves the page to which a status links.
    let log = deployment.statuses.last().map(|status| status.log_url.clone()).context("no status")?;
    let page = stage.fetch(&log).await?;
    ensure!(page.status == 200 && page.body.contains("preview/pr-1"), "{log}: {page:?}");
    stage.github().close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await
}

/// Creates the pods in a namespace in which the API server enforces the standard.
async fn the_pods_pass_restricted(stage: &Stage) -> Result<()> {
    let (leader, _) = replicas(stage).await?;
    let pod = stage.objects("v1", "Pod", Some(SYSTEM)).get(&leader.name).await?;
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "helm-restricted", "labels": labels}});
    stage.apply(&namespace.to_string()).await?;
    // The API server rejects all pods until the namespace's default account exists, which takes a
    // moment.
    let accounts = stage.objects("v1", "ServiceAccount", Some("helm-restricted"));
    stage
        .wait_for("the namespace has its account", SOON, async || Ok(accounts.get("default").await?))
        .await?;
    let mut spec = pod.data["spec"].clone();
    for field in ["nodeName", "serviceAccount", "serviceAccountName"] {
        spec.as_object_mut().context("a pod has a spec")?.remove(field);
    }
    let there = stage.objects("v1", "Pod", Some("helm-restricted"));
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let tried = |spec: &serde_json::Value| {
        serde_json::from_value(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried"}, "spec": spec}),
        )
    };
    there.create(&dry, &tried(&spec)?).await.context("the operator's pod is refused")?;
    spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = true.into();
    let refused = there.create(&dry, &tried(&spec)?).await;
    ensure!(
        refused.is_err_and(|error| error.to_string().contains("violates PodSecurity")),
        "nothing is enforced here"
    );
    Ok(())
}
