//! The operator writes nothing when nothing is to be done, and reverts what others change.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use playground::stage::github::types::NewRepository;
use playground::stage::{CLASS, NewProject, Stage};
use serde_json::{Value, json};

use crate::harness::tests;
use crate::quiescence::{KINDS, at_rest, calls, versions, writes};
use crate::support::{
    END, SOON, deployments_of, github_environment, name_of, namespace_of, shows, states, swept,
};

tests![
    a_live_environment_costs_no_write_and_no_call,
    what_somebody_changes_is_put_back,
    what_somebody_deletes_comes_back,
    a_hundred_repositories_are_swept_for_nothing,
    a_restart_writes_nothing(alone),
];

async fn a_live_environment_costs_no_write_and_no_call(stage: &Stage) -> Result<()> {
    let (project, number, _) = at_rest(stage, "still-live").await?;
    let before = versions(stage, &project, number).await?;
    let mark = stage.mark();
    let already = calls(stage, &project, 0).await?.len();
    // Reconciles everything again by a change without effect.
    let note = json!({"metadata": {"annotations": {"example.org/note": "seen"}}});
    let visited = [
        (stage.repositories(&project.namespace), project.name.clone()),
        (stage.templates(&project.namespace), project.name.clone()),
        (stage.environments(&project.namespace), name_of(&project, number)),
    ];
    let mut noted = BTreeMap::new();
    for (objects, name) in visited {
        let found = objects.patch(&name, &PatchParams::default(), &Patch::Merge(&note)).await?;
        let kind = found.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default();
        noted.insert(format!("{kind} {name}"), found.resource_version().unwrap_or_default());
    }
    for _ in 0..2 {
        swept(stage, &project).await?;
    }
    let mut after = versions(stage, &project, number).await?;
    for (object, version) in noted {
        ensure!(after.get(&object) == Some(&version), "{object} was written after its visit");
        after.insert(object.clone(), before[&object].clone());
    }
    ensure!(after == before, "objects changed:\nbefore {before:#?}\nafter {after:#?}");
    let written = writes(stage, &project, number, mark)?;
    ensure!(written.is_empty(), "the operator wrote: {written:#?}");
    let asked = calls(stage, &project, already).await?;
    let news: Vec<_> = asked.iter().filter(|call| !call.ends_with(" 304")).collect();
    ensure!(news.is_empty(), "the operator asked GitHub more than whether anything changed: {news:#?}");
    Ok(())
}

/// Counts what an hour of sweeps reads of PreviewRepositories that follow pull requests, a branch
/// and a chain, with entries in each listing.
async fn a_hundred_repositories_are_swept_for_nothing(stage: &Stage) -> Result<()> {
    const COUNT: usize = 100;
    const SWEEPS: usize = 6;

    let github = stage.github();
    let first = stage.project(NewProject::new("hundred")).await?;
    let prefix = "/repos/acme/hundred-";
    for index in 0..COUNT {
        let name = format!("hundred-{index}");
        let full_name = format!("acme/{name}");
        github.create_repository(NewRepository { full_name, ..NewRepository::default() }).await?;
        let repository = json!({
            "apiVersion": "matinee.dev/v1alpha1", "kind": "PreviewRepository", "metadata": {"name": name},
            "spec": {"repository": format!("acme/{name}"), "className": CLASS, "environments": [
                {"name": "preview", "trigger": {"pullRequest": {"labels": ["never"]}}},
                // The branch doesn't exist: the operator reads it and deploys nothing.
                {"name": "staging", "trigger": {"push": {"branches": ["release/*"]}}},
                {"name": "production", "trigger": {"deploymentStatus": {"environment": "staging"}}},
            ]},
        });
        stage.apply_object_within(&first.namespace, repository).await?;
    }
    let all_swept = async |already: usize, times: usize| {
        stage
            .wait_for(&format!("every repository is swept {times} times"), END * 2, async || {
                // The log is long, so it isn't read more often.
                tokio::time::sleep(Duration::from_secs(1)).await;
                let all = github.requests().await?;
                let mut times_swept: HashMap<String, usize> = HashMap::new();
                for request in all.iter().skip(already).filter(|request| request.path.contains("/pulls?")) {
                    *times_swept.entry(request.path.clone()).or_default() += 1;
                }
                let done = times_swept
                    .iter()
                    .filter(|(path, swept)| path.starts_with(prefix) && **swept >= times)
                    .count();
                ensure!(done == COUNT, "{done} of {COUNT}");
                Ok(())
            })
            .await
    };
    all_swept(0, 4).await?;
    let before = github.requests().await?.len();
    all_swept(before, SWEEPS).await?;
    let asked = github.requests().await?;
    let asked: Vec<_> =
        asked.iter().skip(before).filter(|request| request.path.starts_with(prefix)).collect();
    let counted: Vec<_> = asked.iter().filter(|request| request.counted).collect();
    eprintln!(
        "{COUNT} repositories, {SWEEPS} sweeps: {} requests, {} of them counted against the rate limit",
        asked.len(),
        counted.len()
    );
    // An hour has 60 sweeps by default.
    ensure!(counted.len() * 60 / SWEEPS < 100, "counted: {counted:#?}");
    // Without this, the operator would sweep them during all following tests.
    let repositories = stage.repositories(&first.namespace);
    for index in 0..COUNT {
        repositories.delete(&format!("hundred-{index}"), &DeleteParams::default()).await?;
    }
    stage
        .wait_for("the hundred PreviewRepositories are deleted", END, async || {
            let left = repositories.list(&ListParams::default()).await?.items.len();
            // The project's own PreviewRepository stays.
            ensure!(left == 1, "{left} are left");
            Ok(())
        })
        .await
}

async fn a_restart_writes_nothing(stage: &Stage) -> Result<()> {
    let (project, number, url) = at_rest(stage, "still-restart").await?;
    let before = versions(stage, &project, number).await?;
    let mark = stage.mark();
    let already = calls(stage, &project, 0).await?.len();
    stage.operator().restart().await?;
    stage
        .wait_for("the operator has swept", SOON, async || {
            let asked = calls(stage, &project, already).await?;
            ensure!(asked.iter().any(|call| call.ends_with(" 304")), "not twice: {asked:?}");
            Ok(())
        })
        .await?;
    swept(stage, &project).await?;
    let after = versions(stage, &project, number).await?;
    ensure!(after == before, "objects changed:\nbefore {before:#?}\nafter {after:#?}");
    let written = writes(stage, &project, number, mark)?;
    ensure!(written.is_empty(), "the operator wrote: {written:#?}");
    let asked = calls(stage, &project, already).await?;
    ensure!(asked.iter().all(|call| call.starts_with("GET ")), "it wrote to GitHub again: {asked:#?}");
    let read: Vec<_> = asked.iter().filter(|call| !call.ends_with(" 304")).collect();
    // Pull requests, deployments, comments.
    ensure!(read.len() <= 3, "three listings are all a restart has to read, it was {read:#?}");
    // The operator still works: it reverts a change.
    let web = stage.objects("apps/v1", "Deployment", Some(&namespace_of(&project, number)));
    let old = web.get("web").await?.uid();
    web.delete("web", &DeleteParams::default()).await?;
    stage
        .wait_for("the Deployment is recreated", SOON, async || {
            ensure!(web.get("web").await?.uid() != old, "it is the old one still");
            Ok(())
        })
        .await?;
    shows(stage, &url, "revision").await
}

/// Changes an object as somebody else, and waits until the operator has reverted the change.
async fn put_back(
    stage: &Stage,
    namespace: Option<&str>,
    (version, kind, name): (&str, &str, &str),
    change: Value,
    field: &str,
) -> Result<()> {
    let objects = stage.objects(version, kind, namespace);
    let whole = |object: &DynamicObject| serde_json::to_value(object).unwrap_or_default();
    let before = whole(&objects.get(name).await?).pointer(field).cloned();
    objects
        .patch(name, &PatchParams::default(), &Patch::Merge(&change))
        .await
        .with_context(|| format!("{kind} {name}"))?;
    stage
        .wait_for(&format!("{field} of {kind} {name} is put back"), SOON, async || {
            let now = whole(&objects.get(name).await?).pointer(field).cloned();
            ensure!(now == before, "{field} is {now:?}, it was {before:?}");
            Ok(())
        })
        .await
}

async fn what_somebody_changes_is_put_back(stage: &Stage) -> Result<()> {
    let (project, number, url) = at_rest(stage, "still-change").await?;
    let namespace = namespace_of(&project, number);
    let told = deployments_of(stage, &project, &github_environment(number)).await?;
    let within = Some(namespace.as_str());
    let replicas = json!({"spec": {"replicas": 3}});
    put_back(stage, within, ("apps/v1", "Deployment", "web"), replicas, "/spec/replicas").await?;
    let image = json!({"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "web", "image": "localhost/intruder:1"}]}}}});
    put_back(
        stage,
        within,
        ("apps/v1", "Deployment", "web"),
        image,
        "/spec/template/spec/containers/0/image",
    )
    .await?;
    let ports = json!({"spec": {"ports": [{"name": "http", "port": 80, "targetPort": 81}]}});
    put_back(stage, within, ("v1", "Service", "web"), ports, "/spec/ports/0/targetPort").await?;
    let enforce = "pod-security.kubernetes.io/enforce";
    let labels = json!({"metadata": {"labels": {enforce: "privileged"}}});
    let field = "/metadata/labels/pod-security.kubernetes.io~1enforce";
    put_back(stage, None, ("v1", "Namespace", &namespace), labels, field).await?;
    for (version, kind, change, field) in [
        ("v1", "ResourceQuota", json!({"spec": {"hard": {"pods": "1000"}}}), "/spec/hard/pods"),
        (
            "networking.k8s.io/v1",
            "NetworkPolicy",
            json!({"spec": {"policyTypes": ["Ingress"]}}),
            "/spec/policyTypes",
        ),
        (
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            json!({"subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}]}),
            "/subjects",
        ),
    ] {
        let found = stage.objects(version, kind, within).list(&ListParams::default()).await?;
        let ours = found.iter().find(|object| object.labels().contains_key(crate::support::OWNER_LABEL));
        let name = ours.with_context(|| format!("no {kind}"))?.name_any();
        put_back(stage, within, (version, kind, &name), change, field).await?;
    }
    shows(stage, &url, "revision").await?;
    // Reverting is not a deployment: GitHub receives no status but, at most, a failure and the
    // success after it.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let now = deployments_of(stage, &project, &github_environment(number)).await?;
    ensure!(now.len() == told.len(), "another deployment was made: {now:#?}");
    ensure!(now[0].state.as_deref() == Some("success"), "{:?}", states(&now[0]));
    Ok(())
}

async fn what_somebody_deletes_comes_back(stage: &Stage) -> Result<()> {
    let (project, number, url) = at_rest(stage, "still-delete").await?;
    let namespace = namespace_of(&project, number);
    for (version, kind) in KINDS {
        let objects = stage.objects(version, kind, Some(&namespace));
        let found = objects.list(&ListParams::default()).await?;
        let ours = found.iter().find(|object| object.labels().contains_key(crate::support::OWNER_LABEL));
        let ours = ours.with_context(|| format!("no {kind} in {namespace}"))?;
        objects.delete(&ours.name_any(), &DeleteParams::default()).await?;
        stage
            .wait_for(&format!("{kind} {} is recreated", ours.name_any()), SOON, async || {
                let again = objects.get(&ours.name_any()).await?;
                ensure!(again.uid() != ours.uid(), "it is the old one still");
                ensure!(again.labels().contains_key(crate::support::OWNER_LABEL), "{:?}", again.labels());
                Ok(())
            })
            .await?;
    }
    shows(stage, &url, "revision").await?;
    let now = deployments_of(stage, &project, &github_environment(number)).await?;
    ensure!(now.len() == 1, "another deployment was made: {now:#?}");
    Ok(())
}
