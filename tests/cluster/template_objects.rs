//! Objects of a template: their types, Jobs, replicas, objects that others change, and attempts
//! that fail half-way.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use playground::stage::{NewProject, Project, Stage, condition, conditions};
use serde_json::{Value, json};

use crate::harness::tests;
use crate::support::{
    END, Pull, SOON, condition_is, environment, live, name_of, namespace_of, open, refused, states,
};

tests![
    numbers_and_booleans_without_quotes_are_applied,
    every_rejected_object_is_named_at_once,
    a_job_is_replaced_by_the_next_revisions(node),
    a_job_that_its_ttl_removed_runs_once_for_each_revision(node),
    an_autoscaler_has_the_replicas,
    what_is_scaled_stays_so_until_the_next_revision,
    an_immutable_selector_is_told_with_its_remedy,
    an_object_that_is_changed_over_and_over_is_left,
    what_a_failed_attempt_applied_is_removed_later,
    a_kind_that_only_the_deployer_may_touch_stays_ready_after_a_restart(alone),
];

/// Returns the usual template with more objects.
fn template_with(name: &str, objects: &[Value]) -> Result<Value> {
    let mut template = NewProject::new(name).template_object()?;
    let resources = template["spec"]["resources"].as_array_mut().context("no resources")?;
    resources.extend(objects.iter().cloned());
    Ok(template)
}

async fn project_with(stage: &Stage, name: &str, objects: &[Value]) -> Result<Project> {
    stage.project(NewProject::new(name).template(&template_with(name, objects)?.to_string())).await
}

fn config_map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

/// Returns a Job that runs the sample, exits with 0, and has the commit in its environment.
fn job(name: &str, spec: &Value) -> Result<Value> {
    let usual = NewProject::new(name).template_object()?;
    let mut pod = usual["spec"]["resources"][0]["spec"]["template"]["spec"].clone();
    pod["restartPolicy"] = "Never".into();
    let container = &mut pod["containers"][0];
    container["name"] = "job".into();
    if let Some(container) = container.as_object_mut() {
        container.remove("readinessProbe");
        container.remove("ports");
    }
    let variables = container["env"].as_array_mut().context("no variables")?;
    variables.push(json!({"name": "COMPLETE_AFTER", "value": 1}));
    let mut job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec});
    job["spec"]["template"] = json!({"spec": pod});
    Ok(job)
}

/// Waits until an object of a preview satisfies `check`.
async fn becomes(
    stage: &Stage,
    (api_version, kind, name): (&str, &str, &str),
    namespace: &str,
    what: &str,
    check: impl Fn(&DynamicObject) -> bool,
) -> Result<DynamicObject> {
    let objects = stage.objects(api_version, kind, Some(namespace));
    stage
        .wait_for(&format!("{kind} {name} {what}"), SOON, async || {
            let found = objects.get(name).await?;
            ensure!(check(&found), "{:#}", found.data);
            Ok(found)
        })
        .await
}

async fn pushed(stage: &Stage, project: &Project) -> Result<String> {
    let sha = stage.github().push(&project.repository, "feature").await?;
    stage.deployed(project, &sha, "success", END).await?;
    Ok(sha)
}

async fn numbers_and_booleans_without_quotes_are_applied(stage: &Stage) -> Result<()> {
    let name = "objects-types";
    let mut template = template_with(
        name,
        &[
            config_map("app", &json!({"PORT": 8080, "DEBUG": true})),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "app"}, "stringData": {"PIN": 13_579_246}}),
        ],
    )?;
    let deployment = &mut template["spec"]["resources"][0]["spec"];
    deployment["replicas"] = "1".into();
    deployment["template"]["metadata"]["labels"]["version"] = 1.into();
    deployment["template"]["spec"]["containers"][0]["env"]
        .as_array_mut()
        .context("no variables")?
        .push(json!({"name": "NUMBER", "value": 8080}));
    template["spec"]["resources"][1]["spec"]["ports"][0]["port"] = "80".into();
    let project = stage.project(NewProject::new(name).template(&template.to_string())).await?;
    let (pull, _) = live(stage, &project, "feature").await?;
    let namespace = namespace_of(&project, pull.number);
    let map = stage.objects("v1", "ConfigMap", Some(&namespace)).get("app").await?;
    ensure!(map.data["data"] == json!({"PORT": "8080", "DEBUG": "true"}), "{}", map.data);
    Ok(())
}

async fn every_rejected_object_is_named_at_once(stage: &Stage) -> Result<()> {
    let name = "objects-mistakes";
    let service = |name: &str| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 0}]}})
    };
    let mut template = template_with(name, &[service("first"), service("second")])?;
    // The usual Service is applied before the wrong objects, the Deployment after them.
    template["spec"]["resources"][0]["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] =
        0.into();
    let project = stage.project(NewProject::new(name).template(&template.to_string())).await?;
    let pull = open(stage, &project, "feature").await?;
    let environments = stage.environments(&project.namespace);
    let message =
        refused(stage, &environments, &name_of(&project, pull.number), "Applied", "ApplyRejected").await?;
    for word in ["Service first", "Service second", "Deployment web", "(and 2 more)"] {
        ensure!(message.contains(word), "no \"{word}\" in \"{message}\"");
    }
    let deployment = stage.deployed(&project, &pull.sha, "error", SOON).await?;
    let shown = deployment.statuses.last().map(|status| status.description.clone()).unwrap_or_default();
    ensure!(shown.starts_with("Service first: ") && shown.contains("(and 2 more)"), "{shown}");
    // A dry run left nothing behind.
    let namespace = namespace_of(&project, pull.number);
    let web = stage.objects("apps/v1", "Deployment", Some(&namespace)).get_opt("web").await?;
    ensure!(web.is_none(), "the Deployment was applied");
    stage.apply_object_within(&project.namespace, NewProject::new(name).template_object()?).await?;
    stage.deployed(&project, &pull.sha, "success", END).await.map(drop)
}

/// Returns the UID of the Job and the value of its variable `REVISION`.
fn ran(job: &DynamicObject) -> (Option<String>, Value) {
    let variables = &job.data["spec"]["template"]["spec"]["containers"][0]["env"];
    (job.uid(), variables[0]["value"].clone())
}

async fn a_job_is_replaced_by_the_next_revisions(stage: &Stage) -> Result<()> {
    let name = "objects-job";
    let project = project_with(stage, name, &[job("migrate", &json!({"backoffLimit": 0}))?]).await?;
    let (pull, _) = live(stage, &project, "feature").await?;
    let jobs = stage.objects("batch/v1", "Job", Some(&namespace_of(&project, pull.number)));
    let first = ran(&jobs.get("migrate").await?);
    ensure!(first.1 == pull.sha[..7], "{first:?}");
    let sha = pushed(stage, &project).await?;
    let second = ran(&jobs.get("migrate").await?);
    ensure!(second.0 != first.0 && second.1 == sha[..7], "{first:?} {second:?}");
    Ok(())
}

async fn a_job_that_its_ttl_removed_runs_once_for_each_revision(stage: &Stage) -> Result<()> {
    let name = "objects-ttl";
    let seed = job("seed", &json!({"ttlSecondsAfterFinished": 2}))?;
    let project = project_with(stage, name, &[seed]).await?;
    let (pull, _) = live(stage, &project, "feature").await?;
    let jobs = stage.objects("batch/v1", "Job", Some(&namespace_of(&project, pull.number)));
    let is_gone = async || {
        stage
            .wait_for("the Job's TTL removes it", SOON, async || {
                ensure!(jobs.get_opt("seed").await?.is_none(), "it is there");
                Ok(())
            })
            .await
    };
    is_gone().await?;
    // Only waiting shows that the object isn't recreated.
    tokio::time::sleep(Duration::from_secs(5)).await;
    ensure!(jobs.get_opt("seed").await?.is_none(), "it was created again");
    let environments = stage.environments(&project.namespace);
    condition_is(stage, &environments, &name_of(&project, pull.number), "Ready", "True").await?;
    let found = environment(stage, &project, pull.number).await?;
    let inventory = found.data["status"]["inventory"].as_array().context("no inventory")?;
    let entry = inventory.iter().find(|entry| entry["name"] == "seed").context("no entry")?;
    ensure!(entry["finished"]["sha"] == pull.sha.as_str(), "{entry}");
    // The next commit runs the Job again.
    let sha = pushed(stage, &project).await?;
    is_gone().await?;
    let deployment = stage.deployed(&project, &sha, "success", SOON).await?;
    ensure!(!states(&deployment).contains(&"failure"), "{:?}", states(&deployment));
    let found = environment(stage, &project, pull.number).await?;
    let inventory = found.data["status"]["inventory"].to_string();
    ensure!(inventory.contains(&sha), "it didn't run for the next commit: {inventory}");
    Ok(())
}

async fn an_autoscaler_has_the_replicas(stage: &Stage) -> Result<()> {
    let name = "objects-hpa";
    let hpa = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}, "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 2, "maxReplicas": 3,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}],
    }});
    let project = project_with(stage, name, &[hpa]).await?;
    let (pull, _) = live(stage, &project, "feature").await?;
    let namespace = namespace_of(&project, pull.number);
    let web = ("apps/v1", "Deployment", "web");
    let two = |found: &DynamicObject| found.data["spec"]["replicas"] == 2;
    let scaled = becomes(stage, web, &namespace, "is scaled to 2", two).await?;
    // Longer than the autoscaler's interval.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let objects = stage.objects("apps/v1", "Deployment", Some(&namespace));
    let later = objects.get("web").await?;
    ensure!(two(&later), "{}", later.data["spec"]["replicas"]);
    ensure!(later.metadata.generation == scaled.metadata.generation, "it was changed and changed back");
    pushed(stage, &project).await?;
    let later = objects.get("web").await?;
    ensure!(two(&later), "the next revision reset it: {}", later.data["spec"]["replicas"]);
    Ok(())
}

async fn what_is_scaled_stays_so_until_the_next_revision(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("objects-scale")).await?;
    let (pull, _) = live(stage, &project, "feature").await?;
    let namespace = namespace_of(&project, pull.number);
    let objects = stage.objects("apps/v1", "Deployment", Some(&namespace));
    let environments = stage.environments(&project.namespace);
    let kubectl = PatchParams { field_manager: Some("kubectl".to_owned()), ..PatchParams::default() };
    // The API server records a field manager for the scaling to 2, and none for the scaling to 0.
    for scaled in [2, 0] {
        let scale = json!({"spec": {"replicas": scaled}});
        objects.patch_scale("web", &kubectl, &Patch::Merge(&scale)).await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let replicas = objects.get("web").await?.data["spec"]["replicas"].clone();
        ensure!(replicas == scaled, "scaled to {scaled}, it has {replicas}");
        condition_is(stage, &environments, &name_of(&project, pull.number), "Ready", "True").await?;
    }
    // The operator reverts an edit of any other field and keeps the number of replicas.
    let edit = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "localhost/other:1"}]}}}});
    objects.patch("web", &kubectl, &Patch::Strategic(&edit)).await?;
    stage
        .wait_for("the image is put back", SOON, async || {
            let found = objects.get("web").await?;
            let image = &found.data["spec"]["template"]["spec"]["containers"][0]["image"];
            ensure!(image != "localhost/other:1", "{image}");
            let replicas = &found.data["spec"]["replicas"];
            ensure!(replicas == 0, "it has {replicas}");
            Ok(())
        })
        .await?;
    pushed(stage, &project).await?;
    let replicas = objects.get("web").await?.data["spec"]["replicas"].clone();
    ensure!(replicas == 1, "the next revision has {replicas}");
    Ok(())
}

async fn an_immutable_selector_is_told_with_its_remedy(stage: &Stage) -> Result<()> {
    let name = "objects-selector";
    let mut template = NewProject::new(name).template_object()?;
    let deployment = &mut template["spec"]["resources"][0]["spec"];
    deployment["selector"]["matchLabels"]["version"] = "{{ shortSha }}".into();
    deployment["template"]["metadata"]["labels"]["version"] = "{{ shortSha }}".into();
    let project = stage.project(NewProject::new(name).template(&template.to_string())).await?;
    live(stage, &project, "feature").await?;
    let sha = stage.github().push(&project.repository, "feature").await?;
    let deployment = stage.deployed(&project, &sha, "error", SOON).await?;
    let shown = deployment.statuses.last().map(|status| status.description.clone()).unwrap_or_default();
    ensure!(shown.starts_with("Deployment web: spec.selector is immutable: "), "{shown}");
    Ok(())
}

async fn an_object_that_is_changed_over_and_over_is_left(stage: &Stage) -> Result<()> {
    let name = "objects-contested";
    let project = project_with(stage, name, &[config_map("app", &json!({"sha": "{{ sha }}"}))]).await?;
    let (pull, _) = live(stage, &project, "feature").await?;
    let namespace = namespace_of(&project, pull.number);
    let maps = stage.objects("v1", "ConfigMap", Some(&namespace));
    let other = PatchParams { field_manager: Some("insister".to_owned()), ..PatchParams::default() };
    let map = ("v1", "ConfigMap", "app");
    let changed = json!({"data": {"sha": "mine"}});
    for _ in 0..10 {
        maps.patch("app", &other, &Patch::Merge(&changed)).await?;
        let back = |found: &DynamicObject| found.data["data"]["sha"] == pull.sha.as_str();
        becomes(stage, map, &namespace, "is put back", back).await?;
    }
    maps.patch("app", &other, &Patch::Merge(&changed)).await?;
    let environments = stage.environments(&project.namespace);
    let environment_name = name_of(&project, pull.number);
    stage
        .wait_for("the condition Applied reports it", SOON, async || {
            let found = environments.get(&environment_name).await?;
            match condition(&found, "Applied") {
                Some(applied) if applied.status == "True" && applied.reason == "FieldsContested" => {
                    let words = "insister keeps changing ConfigMap app";
                    ensure!(applied.message.starts_with(words), "{}", applied.message);
                    Ok(())
                }
                _ => bail!("{}", conditions(&found)),
            }
        })
        .await?;
    condition_is(stage, &environments, &environment_name, "Ready", "True").await?;
    let left = maps.get("app").await?;
    ensure!(left.data["data"]["sha"] == "mine", "{}", left.data);
    let sha = pushed(stage, &project).await?;
    let next = maps.get("app").await?;
    ensure!(next.data["data"]["sha"] == sha.as_str(), "new content wasn't written: {}", next.data);
    Ok(())
}

/// Applying the ConfigMap fails because its admission webhook can't be reached; the Secret has been
/// applied before.
async fn what_a_failed_attempt_applied_is_removed_later(stage: &Stage) -> Result<()> {
    let name = "objects-half";
    let webhook = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [{
            "name": "policy.example.com",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "timeoutSeconds": 1,
            "clientConfig": {"url": "https://127.0.0.1:9/"},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": format!("preview-{name}-pr-1")}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE", "UPDATE"]}],
        }],
    });
    stage.apply(&webhook.to_string()).await?;
    let alpha = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "alpha"}, "stringData": {"a": "b"}});
    let project = project_with(stage, name, &[alpha, config_map("zeta", &json!({"a": "b"}))]).await?;
    let pull = open(stage, &project, "feature").await?;
    let secrets = stage.objects("v1", "Secret", Some(&namespace_of(&project, pull.number)));
    stage
        .wait_for("the inventory has the Secret", SOON, async || {
            let found = environment(stage, &project, pull.number).await?;
            let inventory = found.data["status"]["inventory"].to_string();
            ensure!(inventory.contains("alpha"), "{inventory} {}", conditions(&found));
            Ok(())
        })
        .await?;
    ensure!(secrets.get_opt("alpha").await?.is_some(), "the Secret isn't there");
    stage.apply_object_within(&project.namespace, NewProject::new(name).template_object()?).await?;
    let webhooks = stage.objects("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", None);
    webhooks.delete(name, &DeleteParams::default()).await?;
    stage.deployed(&project, &pull.sha, "success", END).await?;
    ensure!(secrets.get_opt("alpha").await?.is_none(), "the Secret is still there");
    Ok(())
}

async fn a_kind_that_only_the_deployer_may_touch_stays_ready_after_a_restart(stage: &Stage) -> Result<()> {
    let name = "objects-unwatched";
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": {"matinee.dev/aggregate-to-deployer": "true"}},
        "rules": [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "list", "create", "patch", "delete"]}],
    });
    stage.apply(&role.to_string()).await?;
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "leader"}, "spec": {}});
    let project = project_with(stage, name, &[lease]).await?;
    let (pull, _) = live(stage, &project, "feature").await?;
    stage.operator().restart().await?;
    let environments = stage.environments(&project.namespace);
    let environment_name = name_of(&project, pull.number);
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let found = environments.get(&environment_name).await?;
        let ready = condition(&found, "Ready").context("no condition")?;
        ensure!(ready.status == "True", "{}", conditions(&found));
    }
    let roles = stage.objects("rbac.authorization.k8s.io/v1", "ClusterRole", None);
    roles.delete(name, &DeleteParams::default()).await?;
    let Pull { number, .. } = pull;
    stage.github().close(&project.repository, number).await?;
    crate::support::gone(stage, &project, number).await
}
