//! Workloads that fail in different ways: GitHub shows within seconds which container fails and
//! why.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use playground::stage::github::types::Deployment;
use playground::stage::{NewProject, Project, Stage};
use serde_json::{Value, json};

use crate::harness::tests;
use crate::support::{
    Pull, SOON, condition_is, environment, gone, name_of, namespace_of, open, refused, shows, states, url_of,
};

tests![
    an_image_that_is_not_there_fails_and_a_push_mends_it(node),
    a_container_that_ends_at_once_is_a_crash_loop(node),
    a_container_that_never_becomes_ready_fails_at_its_deadline(node),
    a_missing_key_is_named(node),
    a_pod_that_fits_nowhere_is_unschedulable(node),
    a_pod_that_is_not_secure_is_refused(node),
    a_pod_over_the_quota_is_refused(node),
    a_container_that_takes_too_much_memory_is_told_so(node),
    a_slow_start_succeeds_in_the_end(node),
    a_url_that_answers_with_an_error_is_no_success(node),
];

/// Longest time from a pod's start on its node to the failure on GitHub. It includes the ten
/// seconds that the operator waits in case a container is only late.
const AT_ONCE: Duration = Duration::from_secs(30);

/// Opens a pull request and waits for a failure whose description contains all the words.
async fn fails(
    stage: &Stage,
    project: &Project,
    bound: Duration,
    reason: &str,
    words: &[&str],
) -> Result<(Pull, Deployment)> {
    let began = Instant::now();
    let pull = open(stage, project, "feature").await?;
    let deployment = stage.deployed(project, &pull.sha, "failure", bound).await?;
    eprintln!("{}: GitHub shows {reason} after {:.1} s", project.name, began.elapsed().as_secs_f64());
    let told = deployment.statuses.last().map(|status| status.description.clone()).unwrap_or_default();
    for word in words {
        ensure!(told.contains(word), "the failure does not say \"{word}\": \"{told}\"");
    }
    let environments = stage.environments(&project.namespace);
    let name = name_of(project, pull.number);
    let message = refused(stage, &environments, &name, "Healthy", reason).await?;
    for word in words.iter().filter(|word| **word != reason) {
        ensure!(message.contains(word), "the condition does not say \"{word}\": \"{message}\"");
    }
    condition_is(stage, &environments, &name, "Stalled", "True").await?;
    Ok((pull, deployment))
}

/// Fails when GitHub showed a failure too late. The time counts from the pod's start, because the
/// operator has no influence on what the cluster does before.
async fn at_once(stage: &Stage, project: &Project, number: u64, failed: &Deployment) -> Result<()> {
    let pods = stage.objects("v1", "Pod", Some(&namespace_of(project, number)));
    let pods = pods.list(&ListParams::default()).await?.items;
    let started = pods.first().and_then(|pod| pod.data["status"]["startTime"].as_str());
    let started: Timestamp = started.context("no pod was started")?.parse()?;
    let path = format!("repos/{}/deployments/{}/statuses", project.repository, failed.id);
    let (_, told) = stage.gh_api("GET", &path, None).await?;
    let told = told.as_array().into_iter().flatten().find(|status| status["state"] == "failure");
    let told: Timestamp = told.and_then(|told| told["created_at"].as_str()).context("no failure")?.parse()?;
    let took = told.duration_since(started);
    ensure!(took <= AT_ONCE.try_into()?, "the failure was shown {took:#} after the pod's start");
    Ok(())
}

/// Returns the usual template after `change` has edited its container, pod and Deployment.
pub fn template(new: &NewProject, change: impl FnOnce(&mut Value)) -> Result<String> {
    let mut template = new.template_object()?;
    change(&mut template["spec"]["resources"][0]["spec"]);
    Ok(template.to_string())
}

pub fn container(deployment: &mut Value) -> &mut Value {
    &mut deployment["template"]["spec"]["containers"][0]
}

async fn an_image_that_is_not_there_fails_and_a_push_mends_it(stage: &Stage) -> Result<()> {
    let github = stage.github();
    let new = NewProject::new("health-image").image("localhost/health-image:{{ shortSha }}");
    let project = stage.project(new).await?;
    let words = ["web: image", "localhost/health-image:"];
    let (pull, broken) = fails(stage, &project, SOON, "ImagePullBackOff", &words).await?;
    at_once(stage, &project, pull.number, &broken).await?;
    ensure!(
        states(&broken).iter().filter(|state| **state == "failure").count() == 1,
        "{:?}",
        states(&broken)
    );
    ensure!(broken.statuses.iter().all(|status| status.environment_url.is_empty()), "{broken:#?}");

    // The next commit is pushed elsewhere first, so that its image is built before the branch has
    // it.
    let sha = github.push(&project.repository, "elsewhere").await?;
    stage.publish(&format!("localhost/health-image:{}", &sha[..7])).await?;
    github.set_ref(&project.repository, "refs/heads/feature", &sha).await?;
    let mended = stage.deployed(&project, &sha, "success", SOON).await?;
    ensure!(
        !states(&mended).contains(&"failure"),
        "the new commit shows the old failure: {:?}",
        states(&mended)
    );
    shows(stage, url_of(&mended)?, &sha[..7]).await?;
    let old = stage.deployed(&project, &pull.sha, "inactive", SOON).await?;
    ensure!(old.id == broken.id, "{old:#?}");

    // After another broken commit the last good revision keeps serving, and GitHub says both.
    let bad = github.push(&project.repository, "feature").await?;
    stage.deployed(&project, &bad, "failure", SOON).await?;
    shows(stage, url_of(&mended)?, &sha[..7]).await?;
    stage.deployed(&project, &sha, "success", SOON).await?;
    github.close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await
}

async fn a_container_that_ends_at_once_is_a_crash_loop(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("health-crash").variable("CRASH_AFTER", "0")).await?;
    let words = ["web: crashed", "code 1"];
    fails(stage, &project, SOON, "CrashLoopBackOff", &words).await.map(|_| ())
}

async fn a_container_that_never_becomes_ready_fails_at_its_deadline(stage: &Stage) -> Result<()> {
    let new = NewProject::new("health-unready").variable("NEVER_READY", "true");
    let yaml = template(&new, |deployment| deployment["progressDeadlineSeconds"] = 5.into())?;
    let project = stage.project(new.template(&yaml)).await?;
    let began = Instant::now();
    let words = ["web", "probe"];
    fails(stage, &project, SOON, "ProgressDeadlineExceeded", &words).await?;
    ensure!(began.elapsed() > Duration::from_secs(5), "it failed before its deadline");
    Ok(())
}

async fn a_missing_key_is_named(stage: &Stage) -> Result<()> {
    let new = NewProject::new("health-key");
    let yaml = template(&new, |deployment| {
        let from = json!({"name": "GREETING", "valueFrom": {"configMapKeyRef": {"name": "texts", "key": "greeting"}}});
        if let Some(variables) = container(deployment)["env"].as_array_mut() {
            variables.push(from);
        }
    })?;
    let mut yaml: Value = serde_json::from_str(&yaml)?;
    let texts = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "texts"}, "data": {"other": "x"}});
    yaml["spec"]["resources"].as_array_mut().context("no resources")?.push(texts);
    let project = stage.project(new.template(&yaml.to_string())).await?;
    let words = ["web: key not found in ConfigMap", "greeting"];
    let (pull, broken) = fails(stage, &project, SOON, "CreateContainerConfigError", &words).await?;
    at_once(stage, &project, pull.number, &broken).await?;
    // The condition has the rest of the text that doesn't fit into GitHub's description.
    let found = environment(stage, &project, pull.number).await?;
    let healthy = playground::stage::condition(&found, "Healthy").context("no condition")?;
    ensure!(healthy.message.contains("texts"), "the ConfigMap isn't named: {healthy:?}");

    // The team adds the key: the failed workload recovers by itself, and GitHub shows the success.
    let texts = json!({"greeting": "hello"});
    let resources = yaml["spec"]["resources"].as_array_mut().context("no resources")?;
    resources.last_mut().context("no ConfigMap")?["data"] = texts;
    stage.apply_object_within(&project.namespace, yaml).await?;
    stage.deployed(&project, &pull.sha, "success", SOON).await.map(|_| ())
}

/// Creates a class with high limits that waits only briefly for a node.
async fn roomy(stage: &Stage, name: &str) -> Result<()> {
    stage
        .class_like(name, |class| {
            class["isolation"]["quota"] = json!({
                "requests.cpu": "5000", "requests.memory": "9000Gi", "limits.cpu": "5000", "limits.memory": "9000Gi",
            });
            class["health"] = json!({"schedulingGrace": "15s"});
        })
        .await
}

async fn a_pod_that_fits_nowhere_is_unschedulable(stage: &Stage) -> Result<()> {
    roomy(stage, "health-roomy").await?;
    let new = NewProject::new("health-large").class("health-roomy");
    let yaml = template(&new, |deployment| {
        container(deployment)["resources"] = json!({"requests": {"cpu": "1000", "memory": "16Mi"}, "limits": {"cpu": "1000", "memory": "32Mi"}});
    })?;
    let project = stage.project(new.template(&yaml)).await?;
    let words = ["no node fits the pod", "Insufficient cpu"];
    fails(stage, &project, SOON, "Unschedulable", &words).await.map(|_| ())
}

async fn a_pod_that_is_not_secure_is_refused(stage: &Stage) -> Result<()> {
    let new = NewProject::new("health-root");
    let yaml = template(&new, |deployment| {
        deployment["template"]["spec"]["securityContext"]["runAsNonRoot"] = false.into();
    })?;
    let project = stage.project(new.template(&yaml)).await?;
    let words = ["web", "violates PodSecurity"];
    fails(stage, &project, SOON, "FailedCreate", &words).await.map(|_| ())
}

async fn a_pod_over_the_quota_is_refused(stage: &Stage) -> Result<()> {
    let new = NewProject::new("health-quota");
    let yaml = template(&new, |deployment| {
        container(deployment)["resources"] =
            json!({"requests": {"cpu": "3", "memory": "16Mi"}, "limits": {"cpu": "3", "memory": "32Mi"}});
    })?;
    let project = stage.project(new.template(&yaml)).await?;
    let words = ["web", "exceeded quota"];
    fails(stage, &project, SOON, "FailedCreate", &words).await.map(|_| ())
}

async fn a_container_that_takes_too_much_memory_is_told_so(stage: &Stage) -> Result<()> {
    // The container's limit is 32 MiB.
    let project = stage.project(NewProject::new("health-memory").variable("MEMORY", "200")).await?;
    fails(stage, &project, SOON, "OOMKilled", &["web: OOMKilled", "memory"]).await.map(|_| ())
}

async fn a_slow_start_succeeds_in_the_end(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("health-slow").variable("START_DELAY", "12")).await?;
    let began = Instant::now();
    let pull = open(stage, &project, "feature").await?;
    let deployment = stage.deployed(&project, &pull.sha, "success", SOON).await?;
    ensure!(began.elapsed() > Duration::from_secs(12), "success was reported too early");
    let told = states(&deployment);
    ensure!(!told.contains(&"failure") && !told.contains(&"error"), "slow is not broken: {told:?}");
    shows(stage, url_of(&deployment)?, &pull.sha[..7]).await
}

async fn a_url_that_answers_with_an_error_is_no_success(stage: &Stage) -> Result<()> {
    // Nothing listens on that port, so the sample answers 502.
    let new = NewProject::new("health-502").variable("UPSTREAM", "127.0.0.1:9");
    let usual = new.template_object()?;
    let mut broken = usual.clone();
    broken["spec"]["endpoints"][0]["path"] = "/upstream".into();
    let project = stage.project(new.template(&broken.to_string())).await?;
    let pull = open(stage, &project, "feature").await?;
    let name = name_of(&project, pull.number);
    stage
        .wait_for("the environment waits for its URL", SOON, async || {
            let found = environment(stage, &project, pull.number).await?;
            let answering = playground::stage::condition(&found, "Reachable").context("no condition")?;
            let healthy = playground::stage::condition(&found, "Healthy").context("no condition")?;
            ensure!(
                healthy.status == "True" && answering.message.contains("answered 502"),
                "{}",
                playground::stage::conditions(&found)
            );
            Ok(())
        })
        .await?;
    let deployment = stage.deployed(&project, &pull.sha, "in_progress", SOON).await?;
    ensure!(!states(&deployment).contains(&"success"), "{:?}", states(&deployment));
    stage.apply_object_within(&project.namespace, usual).await?;
    let deployment = stage.deployed(&project, &pull.sha, "success", SOON).await?;
    condition_is(stage, &stage.environments(&project.namespace), &name, "Ready", "True").await?;
    shows(stage, url_of(&deployment)?, &pull.sha[..7]).await
}
