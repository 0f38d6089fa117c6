//! The life of an environment, from the opening of a pull request to the deletion of everything.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use kube::ResourceExt as _;
use kube::api::ListParams;
use playground::stage::github::types::Deployment;
use playground::stage::{NewProject, Project, Stage, conditions};
use serde_json::json;

use crate::harness::tests;
use crate::support::{
    END, OWNER_LABEL, SOON, condition_is, deployments_of, environment, github_environment, gone, live,
    name_of, namespace_of, nothing_begun, nothing_left, open, repository_yaml, settle, shows, states, swept,
    url_of,
};

tests![
    a_label_opens_a_preview_and_closing_ends_it,
    a_push_moves_the_url_to_the_new_revision,
    reopening_brings_it_back_and_merging_ends_it,
    closed_again_within_the_same_second_it_is_gone,
    an_object_taken_out_of_the_template_is_removed,
    a_url_leads_to_each_endpoint,
];

async fn a_label_opens_a_preview_and_closing_ends_it(stage: &Stage) -> Result<()> {
    let name = "life-label";
    let yaml = repository_yaml(name, "standard", "{labels: [preview]}", "");
    let project = stage.project(NewProject::new(name).repository(&yaml)).await?;
    let github = stage.github();
    let pull = open(stage, &project, "feature").await?;
    // The base is ahead and a check has failed. By default GitHub would merge the base, and reject the
    // deployment; Matinee's request turns both off.
    github.push(&project.repository, "main").await?;
    let base = github.head(&project.repository, "main").await?;
    github.set_commit_status(&project.repository, &pull.sha, "ci", "failure").await?;
    nothing_begun(stage, &project, pull.number).await.context("without its label")?;

    github.label(&project.repository, pull.number, "preview").await?;
    let deployment = stage.deployed(&project, &pull.sha, "success", SOON).await?;
    ensure!(github.head(&project.repository, "main").await? == base, "the base branch was changed");
    ensure!(
        github.head(&project.repository, "feature").await? == pull.sha,
        "the base branch was merged into the head: auto_merge is on"
    );
    the_deployment_is_marked(stage, &project, pull.number, &deployment).await?;
    the_statuses_tell_the_way(stage, &deployment).await?;
    the_environment_says_it_all(stage, &project, pull.number, &deployment).await?;
    the_namespace_is_guarded(stage, &project, pull.number).await?;
    shows(stage, url_of(&deployment)?, &pull.sha[..7]).await?;

    github.close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await?;
    it_stays_gone(stage, &project, pull.number).await
}

/// Checks the deployment's payload, which names the DeploymentRequest and the cluster, and the
/// properties that GitHub needs to show it on the pull request.
async fn the_deployment_is_marked(
    stage: &Stage,
    project: &Project,
    number: u64,
    deployment: &Deployment,
) -> Result<()> {
    let requests = stage.requests(&project.namespace).list(&ListParams::default()).await?.items;
    ensure!(requests.len() == 1, "one request is enough, there are {}", requests.len());
    let request = &requests[0];
    let told = conditions(request);
    ensure!(request.data["spec"]["sha"] == deployment.sha.as_str(), "{told}\n{}", request.data["spec"]);
    ensure!(request.data["spec"]["requestedBy"]["origin"] == "PullRequest", "{}", request.data["spec"]);
    ensure!(request.data["status"]["deploymentId"] == deployment.id, "{}", request.data["status"]);
    ensure!(!request.data["status"]["intent"]["time"].is_null(), "no intent: {}", request.data["status"]);
    for (kind, status) in [("Ready", "True"), ("Allowed", "True"), ("Created", "True"), ("Stalled", "False")]
    {
        condition_is(stage, &stage.requests(&project.namespace), &request.name_any(), kind, status).await?;
    }
    let system = stage.objects("v1", "Namespace", None).get("kube-system").await?;
    let mark = &deployment.payload["matinee"];
    ensure!(mark["request"] == request.uid().unwrap_or_default(), "not marked by the request: {mark}");
    ensure!(mark["cluster"] == system.uid().unwrap_or_default(), "not marked by the cluster: {mark}");
    ensure!(mark["pullRequest"] == number && !mark["version"].is_null(), "{mark}");
    ensure!(deployment.transient && !deployment.production, "{deployment:#?}");
    ensure!(deployment.r#ref == deployment.sha, "deployed is {}, not the head's SHA", deployment.r#ref);
    ensure!(deployment.environment == github_environment(number), "{deployment:#?}");
    let there = deployments_of(stage, project, &deployment.environment).await?;
    ensure!(there.len() == 1, "one deployment is enough: {there:#?}");
    Ok(())
}

async fn the_statuses_tell_the_way(stage: &Stage, deployment: &Deployment) -> Result<()> {
    let told = states(deployment);
    let ways: [&[&str]; 3] =
        [&["in_progress", "success"], &["queued", "in_progress", "success"], &["queued", "success"]];
    ensure!(
        ways.contains(&told.as_slice()) || told == ["success"],
        "states are reported once and in order: {told:?}"
    );
    for status in &deployment.statuses {
        ensure!(status.description.chars().count() <= 140, "{status:?}");
        let page = stage.fetch(&status.log_url).await.with_context(|| format!("log_url of {status:?}"))?;
        ensure!(page.status == 200, "log_url {} answers {page:?}", status.log_url);
    }
    url_of(deployment).map(|_| ())
}

async fn the_environment_says_it_all(
    stage: &Stage,
    project: &Project,
    number: u64,
    deployment: &Deployment,
) -> Result<()> {
    let environments = stage.environments(&project.namespace);
    let name = name_of(project, number);
    for kind in ["Ready", "Validated", "Applied", "Healthy", "Reachable", "Reported"] {
        condition_is(stage, &environments, &name, kind, "True").await?;
    }
    for kind in ["Reconciling", "Stalled"] {
        condition_is(stage, &environments, &name, kind, "False").await?;
    }
    let found = environments.get(&name).await?;
    let status = &found.data["status"];
    ensure!(status["observedGeneration"].as_i64() == found.metadata.generation, "{status:#}");
    ensure!(status["url"] == url_of(deployment)?, "{status:#}");
    ensure!(status["shortSha"] == deployment.sha[..7], "{status:#}");
    ensure!(status["expirationTime"].as_str().is_some_and(|expires| expires.starts_with("20")), "{status:#}");
    ensure!(found.data["spec"]["revision"]["deploymentId"] == deployment.id, "{}", found.data["spec"]);
    let history = status["history"].as_array().cloned().unwrap_or_default();
    ensure!(history.len() == 1 && history[0]["outcome"] == "Succeeded", "{history:#?}");
    let inventory = status["inventory"].as_array().cloned().unwrap_or_default();
    let kinds: Vec<_> = inventory.iter().filter_map(|entry| entry["kind"].as_str()).collect();
    for kind in ["Deployment", "Service", "HTTPRoute"] {
        ensure!(kinds.contains(&kind), "no {kind} in the inventory {kinds:?}");
    }
    Ok(())
}

async fn the_namespace_is_guarded(stage: &Stage, project: &Project, number: u64) -> Result<()> {
    let uid = environment(stage, project, number).await?.uid().unwrap_or_default();
    let name = namespace_of(project, number);
    let namespace = stage.objects("v1", "Namespace", None).get(&name).await?;
    let labels = namespace.labels();
    ensure!(labels.get(OWNER_LABEL) == Some(&uid), "{labels:?}");
    ensure!(
        labels.get("pod-security.kubernetes.io/enforce").is_some_and(|level| level == "restricted"),
        "{labels:?}"
    );
    for (version, kind) in [
        ("v1", "ResourceQuota"),
        ("v1", "LimitRange"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding"),
        ("apps/v1", "Deployment"),
        ("v1", "Service"),
        ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ] {
        let owned = ListParams::default().labels(&format!("{OWNER_LABEL}={uid}"));
        let found = stage.objects(version, kind, Some(&name)).list(&owned).await?.items;
        ensure!(!found.is_empty(), "no {kind} with the owner's UID in {name}");
        if kind == "RoleBinding" {
            let role = &found[0].data["roleRef"];
            ensure!(role["kind"] == "ClusterRole" && role["name"] == "matinee-deployer", "{role}");
            let subjects = found[0].data["subjects"].as_array().cloned().unwrap_or_default();
            ensure!(
                subjects.len() == 1
                    && subjects[0]["name"] == "matinee-deployer"
                    && subjects[0]["namespace"] == name.as_str(),
                "{subjects:?}"
            );
        }
    }
    Ok(())
}

/// Checks that neither a sweep nor a webhook recreates the environment, and that GitHub receives no
/// further status.
async fn it_stays_gone(stage: &Stage, project: &Project, number: u64) -> Result<()> {
    let before = deployments_of(stage, project, &github_environment(number)).await?;
    for deployment in &before {
        let inactive = states(deployment).iter().filter(|state| **state == "inactive").count();
        ensure!(inactive == 1, "deployment {} has the statuses {:?}", deployment.id, states(deployment));
    }
    swept(stage, project).await?;
    settle(stage, project).await?;
    nothing_left(stage, project, number).await.context("it came back")?;
    let after = deployments_of(stage, project, &github_environment(number)).await?;
    let count = |deployments: &[Deployment]| -> usize {
        deployments.iter().map(|deployment| deployment.statuses.len() + 1).sum()
    };
    ensure!(count(&before) == count(&after), "a status was reported after the end: {after:#?}");
    Ok(())
}

async fn a_push_moves_the_url_to_the_new_revision(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("life-push")).await?;
    let (pull, first) = live(stage, &project, "feature").await?;
    let url = url_of(&first)?;
    shows(stage, url, &pull.sha[..7]).await?;
    let namespace = stage.objects("v1", "Namespace", None).get(&namespace_of(&project, pull.number)).await?;

    let mut sha = pull.sha;
    for _ in 0..2 {
        let before = sha;
        sha = stage.github().push(&project.repository, "feature").await?;
        let deployment = stage.deployed(&project, &sha, "success", SOON).await?;
        ensure!(url_of(&deployment)? == url, "the URL changed from {url}: {deployment:#?}");
        shows(stage, url, &sha[..7]).await?;
        let old = stage.deployed(&project, &before, "inactive", SOON).await?;
        let told = states(&old);
        ensure!(told.iter().filter(|state| **state == "inactive").count() == 1, "{told:?}");
        ensure!(
            old.statuses.iter().all(|status| !status.automatic),
            "GitHub itself makes no transient deployment inactive: {old:#?}"
        );
    }
    let same = stage.objects("v1", "Namespace", None).get(&namespace_of(&project, pull.number)).await?;
    ensure!(same.uid() == namespace.uid(), "the namespace was recreated");
    let found = environment(stage, &project, pull.number).await?;
    let history = found.data["status"]["history"].as_array().cloned().unwrap_or_default();
    ensure!(history.len() == 3 && history[0]["sha"] == sha.as_str(), "{history:#?}");

    stage.github().close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await?;
    it_stays_gone(stage, &project, pull.number).await
}

async fn reopening_brings_it_back_and_merging_ends_it(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("life-reopen")).await?;
    let github = stage.github();
    let (pull, first) = live(stage, &project, "feature").await?;
    github.close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await?;

    github.reopen(&project.repository, pull.number).await?;
    let second = stage.deployed(&project, &pull.sha, "success", SOON).await?;
    ensure!(second.id != first.id, "a deployment that was over lives again: {second:#?}");
    ensure!(url_of(&second)? == url_of(&first)?, "{second:#?}");
    shows(stage, url_of(&second)?, &pull.sha[..7]).await?;

    github.merge(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await?;

    // The pull request is reopened at once, while the old namespace is still terminating.
    let (pull, _) = live(stage, &project, "quick").await?;
    github.close(&project.repository, pull.number).await?;
    github.reopen(&project.repository, pull.number).await?;
    let again = stage
        .wait_for("the preview lives after being closed and reopened at once", END, async || {
            let all = deployments_of(stage, &project, &github_environment(pull.number)).await?;
            let live: Vec<_> =
                all.iter().filter(|deployment| deployment.state.as_deref() == Some("success")).collect();
            ensure!(live.len() == 1, "{all:#?}");
            let found = environment(stage, &project, pull.number).await?;
            ensure!(found.metadata.deletion_timestamp.is_none(), "{} is being deleted", found.name_any());
            ensure!(
                found.data["spec"]["revision"]["deploymentId"] == live[0].id,
                "{} deploys {}, {} is live",
                found.name_any(),
                found.data["spec"]["revision"]["deploymentId"],
                live[0].id
            );
            Ok(live[0].clone())
        })
        .await?;
    shows(stage, url_of(&again)?, &pull.sha[..7]).await?;
    github.close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await
}

/// GitHub's times are whole seconds, so the second close can bear the same time as the first.
async fn closed_again_within_the_same_second_it_is_gone(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("life-flip")).await?;
    let github = stage.github();
    let (pull, _) = live(stage, &project, "feature").await?;
    // On a slow machine both closes don't always fall within one second.
    for _ in 0..5 {
        let same = closed_twice(stage, &project, pull.number).await?;
        gone(stage, &project, pull.number).await?;
        if same {
            return it_stays_gone(stage, &project, pull.number).await;
        }
        github.reopen(&project.repository, pull.number).await?;
        stage.deployed(&project, &pull.sha, "success", END).await?;
    }
    bail!("the pull request was never closed twice within the same second")
}

/// Closes, reopens and closes a pull request. Returns whether both closes bear the same time.
async fn closed_twice(stage: &Stage, project: &Project, number: u64) -> Result<bool> {
    let github = stage.github();
    let since_second = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos();
    tokio::time::sleep(Duration::from_nanos(1_000_000_000 - u64::from(since_second))).await;
    github.close(&project.repository, number).await?;
    github.reopen(&project.repository, number).await?;
    // The operator has received the first close and found that it no longer holds.
    settle(stage, project).await?;
    github.close(&project.repository, number).await?;
    settle(stage, project).await?;
    let deliveries = github.deliveries(project.hook.context("no hook")?).await?;
    let closes = deliveries.iter().filter(|delivery| delivery.action.as_deref() == Some("closed"));
    let times: Vec<_> = closes.map(|close| &close.payload["pull_request"]["updated_at"]).collect();
    let [.., first, second] = times[..] else { bail!("{} closes were reported", times.len()) };
    ensure!(first.is_string(), "no time of a close: {first}");
    Ok(first == second)
}

async fn an_object_taken_out_of_the_template_is_removed(stage: &Stage) -> Result<()> {
    let new = NewProject::new("life-prune");
    let usual = new.template_object()?;
    let mut with_more = usual.clone();
    let resources = with_more["spec"]["resources"].as_array_mut().context("no resources")?;
    resources.push(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notes"}, "data": {"sha": "{{ sha }}"}}));
    resources.push(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"sha": "{{ sha }}"}}));
    let project = stage.project(new.template(&with_more.to_string())).await?;
    let (pull, first) = live(stage, &project, "feature").await?;
    let namespace = namespace_of(&project, pull.number);
    let notes = stage.objects("v1", "ConfigMap", Some(&namespace));
    let keys = stage.objects("v1", "Secret", Some(&namespace));
    ensure!(notes.get("notes").await?.data["data"]["sha"] == pull.sha.as_str(), "the hole is not filled");
    // A person's own object, which was part of no revision.
    let own = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own"}, "data": {}});
    stage.apply_object_within(&namespace, own).await?;

    stage.apply_object_within(&project.namespace, usual).await?;
    stage
        .wait_for("what the template has no longer is removed", SOON, async || {
            ensure!(notes.get_opt("notes").await?.is_none(), "the ConfigMap is there");
            ensure!(keys.get_opt("key").await?.is_none(), "the Secret is there");
            let found = environment(stage, &project, pull.number).await?;
            let inventory = found.data["status"]["inventory"].as_array().cloned().unwrap_or_default();
            ensure!(
                inventory.iter().all(|entry| entry["name"] != "notes" && entry["name"] != "key"),
                "{inventory:?}"
            );
            Ok(())
        })
        .await?;
    ensure!(notes.get_opt("own").await?.is_some(), "what nobody applied was removed");
    stage.objects("apps/v1", "Deployment", Some(&namespace)).get("web").await?;
    condition_is(
        stage,
        &stage.environments(&project.namespace),
        &name_of(&project, pull.number),
        "Ready",
        "True",
    )
    .await?;
    let after = deployments_of(stage, &project, &github_environment(pull.number)).await?;
    ensure!(
        after.len() == 1 && states(&after[0]) == states(&first),
        "no new deployment and no new status: {after:#?}"
    );
    Ok(())
}

async fn a_url_leads_to_each_endpoint(stage: &Stage) -> Result<()> {
    let new = NewProject::new("life-endpoints");
    let mut template = new.template_object()?;
    let endpoints = template["spec"]["endpoints"].as_array_mut().context("no endpoints")?;
    endpoints.push(json!({"name": "docs", "service": "web", "port": 80, "path": "/healthz"}));
    let project = stage.project(new.template(&template.to_string())).await?;
    let (pull, deployment) = live(stage, &project, "feature").await?;
    let url = url_of(&deployment)?;
    shows(stage, url, &pull.sha[..7]).await?;
    let host = format!("docs-pr-{}-{}.preview.localhost", pull.number, project.name);
    let port = stage.playground().gateway_port();
    if stage.serves() {
        let answer = stage.fetch(&format!("http://{host}:{port}/healthz")).await?;
        ensure!(answer.status == 200, "{host} answers {answer:?}");
    }
    Ok(())
}
