//! Users' mistakes: the object names the reason and the field, and the pull request shows an
//! `error`. A mistake deletes nothing, affects no other object, and is over once the user fixes it.

use anyhow::{Context as _, Result, bail, ensure};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use playground::stage::{CLASS, NewProject, Project, Stage, condition, conditions};
use serde_json::{Value, json};

use crate::harness::tests;
use crate::support::{
    END, Pull, SOON, SYNCED, condition_is, environment, gone, live, name_of, namespace_of, nothing_live,
    open, refused, repository_yaml, shows, swept, url_of,
};

tests![
    a_template_that_does_not_render_is_told_and_mended,
    a_template_broken_later_takes_nothing_away,
    an_object_in_another_namespace_is_refused,
    a_kind_that_belongs_to_the_cluster_is_refused,
    a_kind_the_deployer_has_no_right_to_waits_for_the_right,
    a_kind_that_is_not_served_waits_for_its_definition,
    a_load_balancer_needs_the_class_and_its_quota,
    what_the_api_server_refuses_is_told,
    a_missing_class_is_waited_for,
    a_missing_template_is_waited_for,
    a_class_that_does_not_let_the_repository_in_is_told,
    a_class_that_closes_its_door_later_takes_nothing_away,
    an_environment_without_permission_is_deleted_in_time,
    a_missing_secret_is_told,
    an_environment_whose_entry_went_stays_and_is_told,
];

/// Returns the usual template after `change` has edited it.
fn template(name: &str, change: impl FnOnce(&mut Value)) -> Result<Value> {
    let mut template = NewProject::new(name).template_object()?;
    change(&mut template["spec"]);
    Ok(template)
}

/// Creates a project whose template has one more object.
async fn with_object(stage: &Stage, name: &str, object: Value) -> Result<Project> {
    let template = template(name, |spec| {
        if let Some(resources) = spec["resources"].as_array_mut() {
            resources.push(object);
        }
    })?;
    stage.project(NewProject::new(name).template(&template.to_string())).await
}

/// Checks that a pull request's environment stalls: the condition `kind` has the reason and all the
/// words, GitHub shows an `error` with the first word, and the environment has a warning event.
async fn stalls(
    stage: &Stage,
    project: &Project,
    pull: &Pull,
    (kind, reason): (&str, &str),
    words: &[&str],
) -> Result<()> {
    let environments = stage.environments(&project.namespace);
    let name = name_of(project, pull.number);
    let message = refused(stage, &environments, &name, kind, reason).await?;
    for word in words {
        ensure!(message.contains(word), "no \"{word}\" in \"{message}\"");
    }
    condition_is(stage, &environments, &name, "Stalled", "True").await?;
    let deployment = stage.deployed(project, &pull.sha, "error", SOON).await?;
    let told = deployment.statuses.last().map(|status| status.description.clone()).unwrap_or_default();
    let first = words.first().context("a word to look for")?;
    ensure!(told.contains(first), "no \"{first}\" in what GitHub shows: \"{told}\"");
    warned(stage, &project.namespace, "PreviewEnvironment", &name, reason).await
}

/// Waits until an object has a warning event with a reason.
async fn warned(stage: &Stage, namespace: &str, kind: &str, name: &str, reason: &str) -> Result<()> {
    let events = stage.objects("events.k8s.io/v1", "Event", Some(namespace));
    stage
        .wait_for(&format!("an event of {kind} {name} says {reason}"), SOON, async || {
            let all = events.list(&ListParams::default()).await?.items;
            let about = |event: &&DynamicObject| {
                event.data["regarding"]["kind"] == kind && event.data["regarding"]["name"] == name
            };
            let found: Vec<_> = all
                .iter()
                .filter(about)
                .map(|event| format!("{} {}", event.data["type"], event.data["reason"]))
                .collect();
            ensure!(found.contains(&format!("\"Warning\" \"{reason}\"")), "its events are {found:?}");
            Ok(())
        })
        .await
}

/// Checks that a pull request's environment is ready and that GitHub shows its URL.
async fn lives(stage: &Stage, project: &Project, pull: &Pull) -> Result<()> {
    let deployment = stage.deployed(project, &pull.sha, "success", END).await?;
    shows(stage, url_of(&deployment)?, &pull.sha[..7]).await
}

async fn a_template_that_does_not_render_is_told_and_mended(stage: &Stage) -> Result<()> {
    // The first image is wrong for every deployment, the second only for a deployment whose payload
    // has no image.
    for (name, image, words) in [
        ("mistake-name", "{{ nothing.like.it }}", ["resources[0]", "nothing"]),
        ("mistake-hole", "{{ payload.image }}", ["resources[0]", "image"]),
    ] {
        let project = stage.project(NewProject::new(name).image(image)).await?;
        let pull = open(stage, &project, "feature").await?;
        stalls(stage, &project, &pull, ("Validated", "TemplateInvalid"), &words).await?;
        if name == "mistake-name" {
            let templates = stage.templates(&project.namespace);
            let why = refused(stage, &templates, name, "Ready", "TemplateInvalid").await?;
            ensure!(why.contains("spec.template.spec.containers[0].image"), "the field isn't named: {why}");
            warned(stage, &project.namespace, "PreviewTemplate", name, "TemplateInvalid").await?;
        }
        let found =
            stage.objects("v1", "Namespace", None).get_opt(&namespace_of(&project, pull.number)).await?;
        ensure!(found.is_none(), "something was made of a template that doesn't render");
        stage.apply_object_within(&project.namespace, NewProject::new(name).template_object()?).await?;
        lives(stage, &project, &pull).await?;
    }
    Ok(())
}

async fn a_template_broken_later_takes_nothing_away(stage: &Stage) -> Result<()> {
    let name = "mistake-later";
    let project = stage.project(NewProject::new(name)).await?;
    let (pull, deployment) = live(stage, &project, "feature").await?;
    let (other, _) = live(stage, &project, "other").await?;
    let before = environment(stage, &project, pull.number).await?;
    let broken =
        template(name, |spec| spec["resources"][0]["spec"]["replicas"] = "{{ parameters.many }}".into())?;
    stage.apply_object_within(&project.namespace, broken).await?;
    stalls(stage, &project, &pull, ("Validated", "TemplateInvalid"), &["replicas", "many"]).await?;
    let after = environment(stage, &project, pull.number).await?;
    ensure!(after.uid() == before.uid(), "the environment was recreated");
    let inventory = |of: &DynamicObject| of.data["status"]["inventory"].clone();
    ensure!(inventory(&after) == inventory(&before), "{}", inventory(&after));
    shows(stage, url_of(&deployment)?, &pull.sha[..7]).await?;
    stage.apply_object_within(&project.namespace, NewProject::new(name).template_object()?).await?;
    for pull in [&pull, &other] {
        lives(stage, &project, pull).await?;
    }
    Ok(())
}

async fn an_object_in_another_namespace_is_refused(stage: &Stage) -> Result<()> {
    let name = "mistake-elsewhere";
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {}});
    let project = with_object(stage, name, map).await?;
    let pull = open(stage, &project, "feature").await?;
    let words = ["resources[2]", "metadata.namespace", "default"];
    stalls(stage, &project, &pull, ("Validated", "NamespaceForbidden"), &words).await?;
    let maps = stage.objects("v1", "ConfigMap", Some("default"));
    ensure!(maps.get_opt(name).await?.is_none(), "it is there");
    stage.github().close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await
}

async fn a_kind_that_belongs_to_the_cluster_is_refused(stage: &Stage) -> Result<()> {
    let name = "mistake-cluster";
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": []});
    let project = with_object(stage, name, role).await?;
    let pull = open(stage, &project, "feature").await?;
    let words = ["resources[2]", "ClusterRole"];
    stalls(stage, &project, &pull, ("Validated", "KindForbidden"), &words).await?;
    let roles = stage.objects("rbac.authorization.k8s.io/v1", "ClusterRole", None);
    ensure!(roles.get_opt(name).await?.is_none(), "it is there");
    Ok(())
}

async fn a_kind_the_deployer_has_no_right_to_waits_for_the_right(stage: &Stage) -> Result<()> {
    let name = "mistake-right";
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "leader"}, "spec": {}});
    let project = with_object(stage, name, lease).await?;
    let pull = open(stage, &project, "feature").await?;
    let words = ["Lease leader", "matinee-deployer"];
    stalls(stage, &project, &pull, ("Applied", "ApplyForbidden"), &words).await?;
    // The failed attempt deleted nothing: the previous Deployment still exists.
    let web = stage.objects("apps/v1", "Deployment", Some(&namespace_of(&project, pull.number)));
    ensure!(web.get_opt("web").await?.is_some(), "what came before it was not applied, or was removed");

    // The platform team grants the right as the chart's values describe it. No object of Matinee
    // changes, so no watch reports it.
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "mistake-leases", "labels": {"matinee.dev/aggregate-to-deployer": "true"}},
        "rules": [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "list", "create", "patch", "delete"]}],
    });
    stage.apply(&role.to_string()).await?;
    // The operator retries after a minute.
    lives(stage, &project, &pull).await?;
    let roles = stage.objects("rbac.authorization.k8s.io/v1", "ClusterRole", None);
    roles.delete("mistake-leases", &DeleteParams::default()).await?;
    Ok(())
}

async fn a_kind_that_is_not_served_waits_for_its_definition(stage: &Stage) -> Result<()> {
    let name = "mistake-kind";
    let widget = json!({"apiVersion": "mistakes.example.org/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {}});
    let project = with_object(stage, name, widget).await?;
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "mistake-widgets", "labels": {"matinee.dev/aggregate-to-deployer": "true"}},
        "rules": [{"apiGroups": ["mistakes.example.org"], "resources": ["widgets"], "verbs": ["get", "list", "create", "patch", "delete"]}],
    });
    stage.apply(&role.to_string()).await?;
    let pull = open(stage, &project, "feature").await?;
    let words = ["Widget one", "CustomResourceDefinition"];
    stalls(stage, &project, &pull, ("Applied", "KindMissing"), &words).await?;
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.mistakes.example.org"},
        "spec": {
            "group": "mistakes.example.org",
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    });
    stage.apply(&definition.to_string()).await?;
    lives(stage, &project, &pull).await?;
    stage.github().close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await?;
    let definitions = stage.objects("apiextensions.k8s.io/v1", "CustomResourceDefinition", None);
    definitions.delete("widgets.mistakes.example.org", &DeleteParams::default()).await?;
    let roles = stage.objects("rbac.authorization.k8s.io/v1", "ClusterRole", None);
    roles.delete("mistake-widgets", &DeleteParams::default()).await?;
    Ok(())
}

/// First the class allows no load balancer, then it allows the type, but its quota is 0.
async fn a_load_balancer_needs_the_class_and_its_quota(stage: &Stage) -> Result<()> {
    let name = "mistake-quota";
    stage.class_like(name, |_| ()).await?;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "public"},
        "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}});
    let template = template(name, |spec| {
        if let Some(resources) = spec["resources"].as_array_mut() {
            resources.push(service);
        }
    })?;
    let project = stage.project(NewProject::new(name).class(name).template(&template.to_string())).await?;
    let pull = open(stage, &project, "feature").await?;
    let words = ["spec.type: a Service of a preview can't be of type LoadBalancer", "allowedServices"];
    stalls(stage, &project, &pull, ("Validated", "KindForbidden"), &words).await?;
    let allowed = json!({"spec": {"isolation": {"allowedServices": ["LoadBalancer"]}}});
    stage.classes().patch(name, &PatchParams::default(), &Patch::Merge(&allowed)).await?;
    let words = ["Service public", "exceeded quota", "services.loadbalancers"];
    stalls(stage, &project, &pull, ("Applied", "ApplyForbidden"), &words).await
}

async fn what_the_api_server_refuses_is_told(stage: &Stage) -> Result<()> {
    let name = "mistake-invalid";
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "wrong"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 0}]}});
    let project = with_object(stage, name, service).await?;
    let pull = open(stage, &project, "feature").await?;
    let words = ["Service wrong", "spec.ports[0].port"];
    stalls(stage, &project, &pull, ("Applied", "ApplyRejected"), &words).await?;
    stage.apply_object_within(&project.namespace, NewProject::new(name).template_object()?).await?;
    lives(stage, &project, &pull).await
}

async fn a_missing_class_is_waited_for(stage: &Stage) -> Result<()> {
    let name = "mistake-class";
    let project = stage.project(NewProject::new(name).class("mistake-class-late")).await?;
    let repositories = stage.repositories(&project.namespace);
    let why = refused(stage, &repositories, name, "Ready", "ClassMissing").await?;
    ensure!(why.contains("spec.className") && why.contains("mistake-class-late"), "{why}");
    warned(stage, &project.namespace, "PreviewRepository", name, "ClassMissing").await?;
    let pull = open(stage, &project, "feature").await?;
    // Without a class there are no credentials for GitHub, so the DeploymentRequest is where the
    // team finds the reason.
    let requests = stage.requests(&project.namespace);
    let request = format!("{}-{}", name_of(&project, pull.number), &pull.sha[..12]);
    let why = refused(stage, &requests, &request, "Allowed", "ClassMissing").await?;
    ensure!(why.contains("mistake-class-late"), "{why}");
    warned(stage, &project.namespace, "DeploymentRequest", &request, "ClassMissing").await?;
    nothing_live(stage, &project, pull.number).await?;
    stage.class_like("mistake-class-late", |_| ()).await?;
    lives(stage, &project, &pull).await?;
    condition_is(stage, &repositories, name, "Ready", "True").await.map(|_| ())
}

async fn a_missing_template_is_waited_for(stage: &Stage) -> Result<()> {
    let name = "mistake-template";
    let yaml = repository_yaml(name, CLASS, "{}", "").replace(
        &format!("template: {{ref: {{name: {name}}}}}"),
        "template: {ref: {name: mistake-template-late}}",
    );
    let project = stage.project(NewProject::new(name).repository(&yaml)).await?;
    let repositories = stage.repositories(&project.namespace);
    let why = refused(stage, &repositories, name, "Ready", "TemplateMissing").await?;
    ensure!(why.contains("spec.environments[preview].deploy.template.ref.name"), "{why}");
    warned(stage, &project.namespace, "PreviewRepository", name, "TemplateMissing").await?;
    let pull = open(stage, &project, "feature").await?;
    let words = ["mistake-template", "deploy.template.ref.name", "mistake-template-late"];
    stalls(stage, &project, &pull, ("Validated", "TemplateMissing"), &words).await?;
    let mut late = NewProject::new(name).template_object()?;
    late["metadata"]["name"] = "mistake-template-late".into();
    stage.apply_object_within(&project.namespace, late).await?;
    lives(stage, &project, &pull).await?;
    condition_is(stage, &repositories, name, "Ready", "True").await.map(|_| ())
}

async fn a_class_that_does_not_let_the_repository_in_is_told(stage: &Stage) -> Result<()> {
    for (name, field, closed, open_door, reason) in [
        ("mistake-door", "repositories", "globex/*", "*/*", "RepositoryNotAllowed"),
        ("mistake-house", "namespaces", "elsewhere-*", "*", "NamespaceNotAllowed"),
    ] {
        stage.class_like(name, |class| class["grants"][0][field] = json!([closed])).await?;
        let project = stage.project(NewProject::new(name).class(name)).await?;
        let repositories = stage.repositories(&project.namespace);
        let why = refused(stage, &repositories, name, "Ready", reason).await?;
        ensure!(why.contains(&format!("spec.grants of PreviewClass {name}")), "{why}");
        let pull = open(stage, &project, "feature").await?;
        let request = format!("{}-{}", name_of(&project, pull.number), &pull.sha[..12]);
        refused(stage, &stage.requests(&project.namespace), &request, "Allowed", reason).await?;
        // The class's credentials must not be used for this repository: the operator sends GitHub
        // no request.
        tokio::time::sleep(SYNCED).await;
        nothing_live(stage, &project, pull.number).await?;
        let prefix = format!("/repos/{}/", project.repository);
        let asked = stage.github().requests().await?;
        let asked: Vec<_> = asked.iter().filter(|request| request.path.starts_with(&prefix)).collect();
        ensure!(asked.is_empty(), "GitHub was asked: {asked:#?}");
        let mut grant = json!({"repositories": ["*/*"], "namespaces": ["*"]});
        grant[field] = json!([open_door]);
        let open_door = json!({"spec": {"grants": [grant]}});
        stage.classes().patch(name, &PatchParams::default(), &Patch::Merge(&open_door)).await?;
        lives(stage, &project, &pull).await?;
    }
    Ok(())
}

async fn a_class_that_closes_its_door_later_takes_nothing_away(stage: &Stage) -> Result<()> {
    let name = "mistake-closed";
    stage.class_like(name, |_| ()).await?;
    let project = stage.project(NewProject::new(name).class(name)).await?;
    let (pull, deployment) = live(stage, &project, "feature").await?;
    let close = json!({"spec": {"grants": [{"repositories": ["globex/*"], "namespaces": ["*"]}]}});
    stage.classes().patch(name, &PatchParams::default(), &Patch::Merge(&close)).await?;
    let environments = stage.environments(&project.namespace);
    let environment_name = name_of(&project, pull.number);
    let why = refused(stage, &environments, &environment_name, "Validated", "RepositoryNotAllowed").await?;
    ensure!(why.contains("Matinee deletes the environment at "), "{why}");
    shows(stage, url_of(&deployment)?, &pull.sha[..7]).await?;
    // With the grant restored, the environment recovers.
    let open_door = json!({"spec": {"grants": [{"repositories": ["*/*"], "namespaces": ["*"]}]}});
    stage.classes().patch(name, &PatchParams::default(), &Patch::Merge(&open_door)).await?;
    condition_is(stage, &environments, &environment_name, "Ready", "True").await?;
    stage.github().close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await
}

async fn an_environment_without_permission_is_deleted_in_time(stage: &Stage) -> Result<()> {
    let name = "mistake-revoked";
    stage.class_like(name, |class| class["onRevoked"] = json!({"deleteAfter": "3s"})).await?;
    let project = stage.project(NewProject::new(name).class(name)).await?;
    let (pull, _) = live(stage, &project, "feature").await?;
    let close = json!({"spec": {"grants": [{"repositories": ["globex/*"], "namespaces": ["*"]}]}});
    stage.classes().patch(name, &PatchParams::default(), &Patch::Merge(&close)).await?;
    gone(stage, &project, pull.number).await
}

async fn a_missing_secret_is_told(stage: &Stage) -> Result<()> {
    let name = "mistake-secret";
    stage
        .class_like(name, |class| class["forge"]["github"]["secretName"] = "mistake-secret-late".into())
        .await?;
    let why = refused(stage, &stage.classes(), name, "Ready", "SecretMissing").await?;
    ensure!(
        why.contains("spec.forge.github.secretName") && why.contains("matinee-system/mistake-secret-late"),
        "{why}"
    );
    warned(stage, "default", "PreviewClass", name, "SecretMissing").await?;
    let project = stage.project(NewProject::new(name).class(name)).await?;
    let why = refused(stage, &stage.repositories(&project.namespace), name, "Synced", "NotReadable").await?;
    ensure!(why.contains("mistake-secret-late"), "{why}");
    Ok(())
}

async fn an_environment_whose_entry_went_stays_and_is_told(stage: &Stage) -> Result<()> {
    let name = "mistake-entry";
    let project = stage.project(NewProject::new(name)).await?;
    let (pull, deployment) = live(stage, &project, "feature").await?;
    let renamed =
        repository_yaml(name, CLASS, "{labels: [never]}", "").replace("- name: preview", "- name: other");
    let renamed: Value = serde_saphyr::from_str(&renamed)?;
    stage.apply_object_within(&project.namespace, renamed).await?;
    stage.seen(&project.namespace, name).await?;
    let environments = stage.environments(&project.namespace);
    let environment_name = name_of(&project, pull.number);
    let why = refused(stage, &environments, &environment_name, "Validated", "EnvironmentUnknown").await?;
    ensure!(why.contains("spec.environments") && why.contains("preview"), "{why}");
    swept(stage, &project).await?;
    shows(stage, url_of(&deployment)?, &pull.sha[..7]).await?;
    // With the entry restored, the environment recovers, and the closed pull request still deletes
    // it.
    stage.apply_object_within(&project.namespace, NewProject::new(name).repository_object()?).await?;
    stage
        .wait_for("the environment is well", SOON, async || {
            let found = environments.get(&environment_name).await?;
            match condition(&found, "Ready") {
                Some(ready) if ready.status == "True" => Ok(()),
                _ => bail!("{}", conditions(&found)),
            }
        })
        .await?;
    stage.github().close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await
}
