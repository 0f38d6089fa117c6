//! The object and the pull request show within seconds what the API server or GitHub answers,
//! whatever it is, and never a value of a Secret or variable.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use playground::stage::github::types::{FaultEffect, NewFault};
use playground::stage::{Condition, NewProject, Project, Stage, condition, conditions};
use serde_json::{Value, json};

use crate::harness::tests;
use crate::support::{END, SOON, environment, gone, live, name_of, namespace_of, open, shows, url_of};

tests![
    what_the_api_server_cannot_type_is_told_by_field,
    a_rejected_secret_is_told_without_its_value,
    a_webhook_that_cannot_be_reached_is_named,
    a_class_whose_limits_cannot_be_is_not_ready,
    a_class_that_the_api_server_rejects_is_not_ready,
    an_outage_of_github_is_seen_on_the_request,
    what_holds_a_namespace_is_said_until_it_is_deleted,
    an_environment_made_with_its_finalizer_is_deleted,
];

/// Longest time until a status is shown.
const SECONDS: Duration = Duration::from_secs(20);

/// The usual template with one more object.
fn with_object(name: &str, object: &Value) -> Result<Value> {
    let mut template = NewProject::new(name).template_object()?;
    template["spec"]["resources"].as_array_mut().context("no resources")?.push(object.clone());
    Ok(template)
}

/// Waits until an object's condition has the given status and reason and a message with all the
/// words.
async fn says(
    stage: &Stage,
    objects: &Api<DynamicObject>,
    name: &str,
    (kind, status, reason): (&str, &str, &str),
    words: &[&str],
) -> Result<Condition> {
    stage
        .wait_for(
            &format!("{name} has {kind}={status} because of {reason}: {words:?}"),
            SECONDS,
            async || {
                let object = objects.get(name).await?;
                match condition(&object, kind) {
                    Some(found)
                        if found.status == status
                            && found.reason == reason
                            && words.iter().all(|word| found.message.contains(word)) =>
                    {
                        Ok(found)
                    }
                    _ => bail!("{}", conditions(&object)),
                }
            },
        )
        .await
}

/// Waits until GitHub shows the given state for a commit's newest deployment, with all the words in
/// its description.
async fn told(stage: &Stage, project: &Project, sha: &str, wanted: &str, words: &[&str]) -> Result<()> {
    stage
        .wait_for(&format!("GitHub shows {wanted}: {words:?}"), SECONDS, async || {
            let all = stage.github().deployments(&project.repository).await?;
            let newest = all.iter().rfind(|deployment| deployment.sha == sha).context("no deployment")?;
            let status = newest.statuses.last().context("no status")?;
            let found = words.iter().all(|word| status.description.contains(word));
            ensure!(status.state == wanted && found, "{} \"{}\"", status.state, status.description);
            Ok(())
        })
        .await
}

async fn what_the_api_server_cannot_type_is_told_by_field(stage: &Stage) -> Result<()> {
    let name = "answer-types";
    let map = |field: &str, value: Value| {
        let mut map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "wrong"}, "data": {"a": "b"}});
        map[field] = value;
        map
    };
    let container = json!({"name": "x", "image": "localhost/x:1", "resources": {}});
    let job = |change: &dyn Fn(&mut Value)| {
        let spec = json!({"restartPolicy": "Never", "containers": [container.clone()]});
        let mut job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "wrong"}, "spec": {"template": {"spec": spec}}});
        change(&mut job["spec"]["template"]["spec"]);
        job
    };
    let twice = json!([{"name": "A", "value": "first-value"}, {"name": "A", "value": "second-value"}]);
    let cases = [
        (map("date", json!({"a": "b"})), vec!["wrong", ".date", "field not declared in schema"]),
        (
            job(&|spec| spec["containers"][0]["imagePullPolcy"] = "Always".into()),
            vec!["wrong", "imagePullPolcy", "field not declared in schema"],
        ),
        (
            job(&|spec| spec["ttlSecondsAfterFinished"] = 5.into()),
            vec!["wrong", ".spec.template.spec.ttlSecondsAfterFinished", "field not declared in schema"],
        ),
        (
            job(&|spec| spec["containers"][0]["env"] = twice.clone()),
            vec!["wrong", "duplicate entries for key [name=\"A\"]"],
        ),
    ];
    let first = with_object(name, &cases[0].0)?;
    let project = stage.project(NewProject::new(name).template(&first.to_string())).await?;
    let pull = open(stage, &project, "feature").await?;
    let environments = stage.environments(&project.namespace);
    let environment_name = name_of(&project, pull.number);
    for (object, words) in &cases {
        stage.apply_object_within(&project.namespace, with_object(name, object)?).await?;
        let refused = ("Applied", "False", "ApplyRejected");
        let found = says(stage, &environments, &environment_name, refused, words).await?;
        ensure!(
            !found.message.contains("somewhat") && !found.message.contains("-value"),
            "{}",
            found.message
        );
        told(stage, &project, &pull.sha, "error", &words[..1]).await?;
    }
    stage.apply_object_within(&project.namespace, NewProject::new(name).template_object()?).await?;
    stage.deployed(&project, &pull.sha, "success", END).await.map(|_| ())
}

async fn a_rejected_secret_is_told_without_its_value(stage: &Stage) -> Result<()> {
    // No other object of the stage has this number.
    let (name, value) = ("answer-secret", "13579246");
    let secret = |field: &str, content: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, field: content});
    let first = secret("stringDate", json!({"PIN": value}));
    let new = NewProject::new(name).template(&with_object(name, &first)?.to_string());
    let project = stage.project(new).await?;
    let pull = open(stage, &project, "feature").await?;
    let environments = stage.environments(&project.namespace);
    let environment_name = name_of(&project, pull.number);
    for (object, words) in [
        (first, ["db", ".stringDate", "field not declared in schema"]),
        (secret("data", json!({"PIN": format!("{value}!")})), ["db", "illegal base64", "Secret"]),
    ] {
        stage.apply_object_within(&project.namespace, with_object(name, &object)?).await?;
        says(stage, &environments, &environment_name, ("Applied", "False", "ApplyRejected"), &words).await?;
        told(stage, &project, &pull.sha, "error", &words[..1]).await?;
    }
    let found = environment(stage, &project, pull.number).await?;
    ensure!(!found.data["status"].to_string().contains(value), "{}", found.data["status"]);
    let all = stage.github().deployments(&project.repository).await?;
    ensure!(!format!("{all:?}").contains(value), "{all:#?}");
    let events = stage.objects("events.k8s.io/v1", "Event", Some(&project.namespace));
    for event in events.list(&ListParams::default()).await? {
        ensure!(!event.data.to_string().contains(value), "{}", event.data);
    }
    let log = stage.operator().log();
    if log.is_file() {
        let log = std::fs::read_to_string(log)?;
        let line = log.lines().find(|line| line.contains(value));
        ensure!(line.is_none(), "the log has the value: {line:?}");
    }
    stage.apply_object_within(&project.namespace, NewProject::new(name).template_object()?).await?;
    stage.deployed(&project, &pull.sha, "success", END).await.map(|_| ())
}

async fn a_webhook_that_cannot_be_reached_is_named(stage: &Stage) -> Result<()> {
    let name = "answer-webhook";
    let map =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "judged"}, "data": {"a": "b"}});
    let project =
        stage.project(NewProject::new(name).template(&with_object(name, &map)?.to_string())).await?;
    // The webhook judges only the namespaces of this project's previews.
    let names: Vec<_> = (1..=3).map(|number| namespace_of(&project, number)).collect();
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "answer-webhook"},
        "webhooks": [{
            "name": "policy.answers.example.com",
            "clientConfig": {"service": {"name": "nobody", "namespace": "default", "path": "/judge"}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}],
            "namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": names}]},
            "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 2,
        }],
    });
    stage.apply(&configuration.to_string()).await?;
    // The API server takes up a new webhook configuration after a moment.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let pull = open(stage, &project, "feature").await?;
    let environments = stage.environments(&project.namespace);
    let environment_name = name_of(&project, pull.number);
    let unreachable = |kind| (kind, "Unknown", "AdmissionWebhookUnavailable");
    let words = ["policy.answers.example.com", "service \"nobody\" not found"];
    says(stage, &environments, &environment_name, unreachable("Applied"), &words).await?;
    says(stage, &environments, &environment_name, unreachable("Ready"), &words).await?;
    told(stage, &project, &pull.sha, "in_progress", &words[..1]).await?;
    let all = stage.objects("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", None);
    all.delete("answer-webhook", &DeleteParams::default()).await?;
    let deployment = stage.deployed(&project, &pull.sha, "success", END).await?;
    shows(stage, url_of(&deployment)?, &pull.sha[..7]).await
}

async fn a_class_whose_limits_cannot_be_is_not_ready(stage: &Stage) -> Result<()> {
    for (name, isolation, words) in [
        (
            "answer-memory",
            json!({"defaultRequests": {"memory": "1Gi"}, "defaultLimits": {"memory": "512Mi"}}),
            ["defaultRequests[memory]", "512Mi"],
        ),
        (
            "answer-quota",
            json!({"quota": {"pods": 20, "bogus": 1}}),
            ["quota[bogus]", "PreviewClass answer-quota"],
        ),
        (
            "answer-cpu",
            json!({"defaultRequests": {"cpu": "2"}, "defaultLimits": {"cpu": "1"}}),
            ["defaultRequests[cpu]", "defaultLimits[cpu]"],
        ),
    ] {
        rejected_class(stage, name, &isolation, "Validated", &words).await?;
    }
    Ok(())
}

async fn a_class_that_the_api_server_rejects_is_not_ready(stage: &Stage) -> Result<()> {
    // The name is a valid extended resource, but a container must not request a resource whose name
    // begins with `requests.`, as a quota's do.
    let isolation =
        json!({"defaultLimits": {"cpu": "1", "memory": "512Mi", "requests.example.com/gpu": "1"}});
    let words = [
        "PreviewClass answer-rail",
        "spec.isolation.defaultRequests and defaultLimits",
        "requests.example.com/gpu",
    ];
    rejected_class(stage, "answer-rail", &isolation, "Applied", &words).await
}

/// Creates a class whose limits the API server rejects for a namespace. Checks that the class isn't
/// ready and that its previews and GitHub say why, and that they recover once the class is fixed.
async fn rejected_class(
    stage: &Stage,
    name: &str,
    isolation: &Value,
    step: &str,
    words: &[&str],
) -> Result<()> {
    let right = stage.classes().get("standard").await?.data["spec"]["isolation"].clone();
    stage
        .class_like(name, |class| {
            for (field, value) in isolation.as_object().into_iter().flatten() {
                class["isolation"][field] = value.clone();
            }
        })
        .await?;
    let project = stage.project(NewProject::new(name).class(name)).await?;
    let pull = open(stage, &project, "feature").await?;
    let environments = stage.environments(&project.namespace);
    let refused = |kind| (kind, "False", "ClassInvalid");
    says(stage, &environments, &name_of(&project, pull.number), refused(step), words).await?;
    told(stage, &project, &pull.sha, "error", &[&format!("PreviewClass {name}")]).await?;
    says(stage, &stage.classes(), name, refused("Ready"), words).await?;
    stage.class_like(name, |class| class["isolation"] = right).await?;
    stage.deployed(&project, &pull.sha, "success", END).await?;
    says(stage, &stage.classes(), name, ("Ready", "True", "Ready"), &[]).await.map(|_| ())
}

async fn an_outage_of_github_is_seen_on_the_request(stage: &Stage) -> Result<()> {
    let name = "answer-outage";
    let project = stage.project(NewProject::new(name)).await?;
    let answer = FaultEffect::Answer { status: 502, headers: std::collections::BTreeMap::new(), body: None };
    let path = format!("/repos/{}/pulls/*", project.repository);
    let fault = NewFault { method: Some("GET".to_owned()), path, times: Some(5), effect: answer };
    stage.github().add_fault(fault).await?;
    let pull = open(stage, &project, "feature").await?;
    let request = format!("{}-{}", name_of(&project, pull.number), &pull.sha[..12]);
    let requests = stage.requests(&project.namespace);
    let outage = |kind| (kind, "Unknown", "GitHubUnavailable");
    says(stage, &requests, &request, outage("Allowed"), &["GitHub did not answer"]).await?;
    says(stage, &requests, &request, outage("Ready"), &["GitHub did not answer"]).await?;
    stage.deployed(&project, &pull.sha, "success", END).await.map(|_| ())
}

async fn what_holds_a_namespace_is_said_until_it_is_deleted(stage: &Stage) -> Result<()> {
    let name = "answer-held";
    let project = stage.project(NewProject::new(name)).await?;
    let (pull, deployment) = live(stage, &project, "feature").await?;
    let maps = stage.objects("v1", "ConfigMap", Some(&namespace_of(&project, pull.number)));
    let held = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["example.com/hold"]}});
    maps.create(&PostParams::default(), &serde_json::from_value(held)?).await?;
    stage.github().close(&project.repository, pull.number).await?;

    let environments = stage.environments(&project.namespace);
    let environment_name = name_of(&project, pull.number);
    let ready = |reason| ("Ready", "Unknown", reason);
    says(stage, &environments, &environment_name, ready("Deleting"), &["namespace"]).await?;
    let words = ["configmaps", "example.com/hold"];
    // Matinee names what holds up a namespace only when its deletion takes longer than usual.
    tokio::time::sleep(Duration::from_secs(10)).await;
    says(stage, &environments, &environment_name, ready("NamespaceTerminating"), &words).await?;
    let reported = ("Reported", "True", "Acknowledged");
    says(stage, &environments, &environment_name, reported, &["inactive"]).await?;
    let shown = stage.github().deployments(&project.repository).await?;
    let shown = shown.iter().find(|shown| shown.id == deployment.id).context("no deployment")?;
    ensure!(shown.state.as_deref() == Some("inactive"), "{shown:#?}");

    // The reopened pull request waits for the namespace, and its environment says so.
    stage.github().reopen(&project.repository, pull.number).await?;
    stage
        .wait_for("the request says what it waits for", SOON, async || {
            let all = stage.requests(&project.namespace).list(&ListParams::default()).await?;
            let found = all.iter().filter_map(|request| condition(request, "Ready")).find(|ready| {
                ready.status == "Unknown" && words.iter().all(|word| ready.message.contains(word))
            });
            ensure!(found.is_some(), "{}", all.iter().map(conditions).collect::<String>());
            Ok(())
        })
        .await?;
    let free = json!({"metadata": {"finalizers": null}});
    maps.patch("held", &PatchParams::default(), &Patch::Merge(&free)).await?;
    stage
        .wait_for("the reopened pull request is live", END, async || {
            let all = stage.github().deployments(&project.repository).await?;
            let newest = all.last().context("no deployment")?;
            ensure!(
                newest.id != deployment.id && newest.state.as_deref() == Some("success"),
                "{:?} of {}",
                newest.state,
                newest.id
            );
            Ok(())
        })
        .await?;
    stage.github().close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await
}

async fn an_environment_made_with_its_finalizer_is_deleted(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("answer-finalizer")).await?;
    // The object as it is when it is exported and created in another cluster: the objects that it
    // refers to don't exist, and Matinee didn't set its finalizer.
    let environment = json!({
        "apiVersion": "matinee.dev/v1alpha1", "kind": "PreviewEnvironment",
        "metadata": {"name": "copied", "finalizers": ["matinee.dev/teardown"]},
        "spec": {"repositoryRef": {"name": "nothing-like-it"}, "environment": "preview", "githubEnvironment": "preview/pr-1",
            "pullRequest": {"number": 1}, "revision": {"sha": "0123456789abcdef0123456789abcdef01234567"}},
    });
    let environments = stage.environments(&project.namespace);
    environments.create(&PostParams::default(), &serde_json::from_value(environment)?).await?;
    let began = Timestamp::now();
    environments.delete("copied", &DeleteParams::default()).await?;
    stage
        .wait_for("the environment is deleted", SOON, async || match environments.get_opt("copied").await? {
            None => Ok(()),
            Some(found) => bail!("{} since {began}", conditions(&found)),
        })
        .await
}
