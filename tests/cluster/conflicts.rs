//! Two objects that want the same thing: the older one has it, the younger one's status names the
//! holder, and neither touches the other's objects.

use anyhow::{Context as _, Result, ensure};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, DynamicObject, ListParams};
use playground::stage::{CLASS, NewProject, Project, Stage, conditions};
use serde_json::json;

use crate::harness::tests;
use crate::support::{
    OWNER_LABEL, Pull, SOON, condition_is, deployments_of, environment, github_environment, gone, live,
    name_of, namespace_of, open, refused, repository_yaml, shows, states, swept, url_of,
};

tests![
    of_two_repositories_that_claim_an_environment_the_older_has_it,
    of_two_that_would_have_one_namespace_the_older_has_it,
    of_two_that_would_have_one_host_the_older_has_it,
    somebody_elses_namespace_is_never_touched,
    a_namespace_made_anew_by_somebody_else_is_not_taken_for_ones_own,
];

/// Creates the second team's PreviewRepository and template in a namespace of their own, and waits
/// until the operator has reconciled the PreviewRepository.
async fn second(stage: &Stage, project: &Project, namespace: &str, yaml: &str) -> Result<Project> {
    stage.namespace(namespace).await?;
    let template = NewProject::new(&project.name).template_object()?;
    stage.apply_object_within(namespace, template).await?;
    let repository = serde_saphyr::from_str(yaml).context("the PreviewRepository is no YAML")?;
    let name = stage.apply_object_within(namespace, repository).await?;
    stage.seen(namespace, &name).await?;
    Ok(Project { namespace: namespace.to_owned(), ..project.clone() })
}

async fn of_two_repositories_that_claim_an_environment_the_older_has_it(stage: &Stage) -> Result<()> {
    let name = "holder-claim";
    let first = stage.project(NewProject::new(name)).await?;
    let (pull, deployment) = live(stage, &first, "feature").await?;
    // Creation times are whole seconds, and they decide which object is older.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let yaml = repository_yaml(name, CLASS, "{}", "").replace("acme/", "Acme/");
    let other = second(stage, &first, "team-holder-claim-2", &yaml).await?;
    let repositories = stage.repositories(&other.namespace);
    let why = refused(stage, &repositories, name, "Accepted", "EnvironmentClaimed").await?;
    ensure!(
        why.contains(&format!("PreviewRepository {}/{name}", first.namespace)),
        "the holder isn't named: {why}"
    );
    ensure!(why.contains("githubEnvironment"), "no remedy: {why}");
    condition_is(stage, &stage.repositories(&first.namespace), name, "Accepted", "True").await?;

    let sha = stage.github().push(&first.repository, "feature").await?;
    let newer = stage.deployed(&first, &sha, "success", SOON).await?;
    ensure!(url_of(&newer)? == url_of(&deployment)?, "{newer:#?}");
    // The younger PreviewRepository spells the owner in another case, and its sweeps use that
    // spelling.
    swept(stage, &Project { repository: first.repository.replace("acme/", "Acme/"), ..other.clone() })
        .await?;
    for objects in [stage.requests(&other.namespace), stage.environments(&other.namespace)] {
        let found = objects.list(&ListParams::default()).await?.items;
        ensure!(found.is_empty(), "the younger one has {}", found.iter().map(conditions).collect::<String>());
    }
    // Once the older PreviewRepository is deleted, the younger one has the environment.
    let older = stage.repositories(&first.namespace);
    older.delete(name, &DeleteParams::default()).await?;
    condition_is(stage, &repositories, name, "Accepted", "True").await?;
    stage
        .wait_for("the younger one's environment is ready", crate::support::END, async || {
            let found = environment(stage, &other, pull.number).await?;
            let ready = playground::stage::condition(&found, "Ready").context("no condition")?;
            ensure!(ready.status == "True", "{}", conditions(&found));
            Ok(())
        })
        .await
}

/// Creates another GitHub repository with a PreviewRepository of the first one's name in another
/// namespace.
async fn namesake(stage: &Stage, name: &str, class: &str) -> Result<(Project, Project)> {
    let first = stage.project(NewProject::new(name)).await?;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let namespace = format!("team-{name}-2");
    let new = NewProject::new(name).owner("globex").namespace(&namespace).class(class);
    let other = stage
        .project(new.repository(&repository_yaml(name, class, "{}", "").replace("acme/", "globex/")))
        .await?;
    Ok((first, other))
}

/// Waits until the younger one's environment is rejected with a message that names the older one's,
/// and until GitHub shows it.
async fn told(
    stage: &Stage,
    other: &Project,
    pull: &Pull,
    kind: &str,
    reason: &str,
    first: &Project,
) -> Result<()> {
    let environments = stage.environments(&other.namespace);
    let why = refused(stage, &environments, &name_of(other, pull.number), kind, reason).await?;
    let holder = format!("PreviewEnvironment {}/{}", first.namespace, name_of(first, pull.number));
    ensure!(why.contains(&holder), "the holder {holder} isn't named: {why}");
    let deployment = stage.deployed(other, &pull.sha, "error", SOON).await?;
    let told = deployment.statuses.last().map(|status| status.description.clone()).unwrap_or_default();
    ensure!(told.contains("belongs to"), "the error does not say why: \"{told}\"");
    Ok(())
}

async fn unchanged(stage: &Stage, before: &DynamicObject, project: &Project, number: u64) -> Result<()> {
    let after = environment(stage, project, number).await?;
    ensure!(before.metadata.uid == after.metadata.uid, "the environment was recreated");
    ensure!(before.metadata.generation == after.metadata.generation, "the environment was changed");
    let namespace = stage.objects("v1", "Namespace", None).get(&namespace_of(project, number)).await?;
    ensure!(namespace.labels().get(OWNER_LABEL) == before.metadata.uid.as_ref(), "{:?}", namespace.labels());
    ensure!(namespace.metadata.deletion_timestamp.is_none(), "its namespace is being deleted");
    Ok(())
}

async fn of_two_that_would_have_one_namespace_the_older_has_it(stage: &Stage) -> Result<()> {
    // The domain differs, so that only the namespace is in conflict.
    stage.class_like("holders-domain", |class| class["routing"]["domain"] = json!("other.localhost")).await?;
    let (first, other) = namesake(stage, "holder-space", "holders-domain").await?;
    let (pull, deployment) = live(stage, &first, "feature").await?;
    let before = environment(stage, &first, pull.number).await?;

    let late = open(stage, &other, "feature").await?;
    ensure!(late.number == pull.number, "the numbers have to be the same");
    told(stage, &other, &late, "Applied", "NamespaceTaken", &first).await?;
    unchanged(stage, &before, &first, pull.number).await?;
    shows(stage, url_of(&deployment)?, &pull.sha[..7]).await?;

    // The teardown of the younger environment leaves the older one's namespace alone.
    stage.github().close(&other.repository, late.number).await?;
    stage
        .wait_for("the younger one is deleted", SOON, async || {
            let found = stage.environments(&other.namespace).list(&ListParams::default()).await?.items;
            ensure!(found.is_empty(), "{}", found.iter().map(conditions).collect::<String>());
            Ok(())
        })
        .await?;
    let left = deployments_of(stage, &other, &github_environment(late.number)).await?;
    ensure!(left.iter().all(|deployment| deployment.state.as_deref() == Some("inactive")), "{left:#?}");
    unchanged(stage, &before, &first, pull.number).await?;
    shows(stage, url_of(&deployment)?, &pull.sha[..7]).await?;

    // Once the older one is deleted, the younger one can be deployed.
    stage.github().reopen(&other.repository, late.number).await?;
    stage.deployed(&other, &late.sha, "error", SOON).await?;
    stage.github().close(&first.repository, pull.number).await?;
    stage.deployed(&other, &late.sha, "success", crate::support::END).await?;
    Ok(())
}

async fn of_two_that_would_have_one_host_the_older_has_it(stage: &Stage) -> Result<()> {
    // PreviewRepositories of different names can't have the same host name, but two namesakes do.
    let (first, other) = namesake(stage, "holder-host", CLASS).await?;
    let (pull, deployment) = live(stage, &first, "feature").await?;
    let before = environment(stage, &first, pull.number).await?;
    let late = open(stage, &other, "feature").await?;
    told(stage, &other, &late, "Validated", "HostTaken", &first).await?;
    unchanged(stage, &before, &first, pull.number).await?;
    shows(stage, url_of(&deployment)?, &pull.sha[..7]).await?;
    stage.github().close(&first.repository, pull.number).await?;
    stage.deployed(&other, &late.sha, "success", crate::support::END).await?;
    Ok(())
}

async fn somebody_elses_namespace_is_never_touched(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("holder-alien")).await?;
    let namespace = namespace_of(&project, 1);
    stage.namespace(&namespace).await?;
    let notes = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notes"}, "data": {"of": "somebody"}});
    stage.apply_object_within(&namespace, notes).await?;
    let namespaces = stage.objects("v1", "Namespace", None);
    let before = namespaces.get(&namespace).await?;

    let pull = open(stage, &project, "feature").await?;
    let environments = stage.environments(&project.namespace);
    let why =
        refused(stage, &environments, &name_of(&project, pull.number), "Applied", "NamespaceTaken").await?;
    ensure!(why.contains(&namespace) && why.contains("something else than Matinee"), "{why}");
    let deployment = stage.deployed(&project, &pull.sha, "error", SOON).await?;
    ensure!(states(&deployment).contains(&"error"), "{deployment:#?}");

    stage.github().close(&project.repository, pull.number).await?;
    stage
        .wait_for("the environment is deleted", SOON, async || {
            let found = environments.get_opt(&name_of(&project, pull.number)).await?;
            ensure!(found.is_none(), "it is there");
            Ok(())
        })
        .await?;
    let after = namespaces.get(&namespace).await?;
    ensure!(after.uid() == before.uid() && after.metadata.deletion_timestamp.is_none(), "it was deleted");
    ensure!(
        after.resource_version() == before.resource_version(),
        "it was changed: {:?}",
        after.metadata.managed_fields
    );
    for (version, kind) in [("v1", "ResourceQuota"), ("v1", "LimitRange"), ("apps/v1", "Deployment")] {
        let found = stage.objects(version, kind, Some(&namespace)).list(&ListParams::default()).await?.items;
        ensure!(found.is_empty(), "a {kind} was made in it");
    }
    stage.objects("v1", "ConfigMap", Some(&namespace)).get("notes").await?;
    namespaces.delete(&namespace, &DeleteParams::default()).await?;
    Ok(())
}

async fn a_namespace_made_anew_by_somebody_else_is_not_taken_for_ones_own(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("holder-anew")).await?;
    let (pull, _) = live(stage, &project, "feature").await?;
    let namespaces = stage.objects("v1", "Namespace", None);
    let name = namespace_of(&project, pull.number);
    let first = namespaces.get(&name).await?;
    // An administrator removes the label: now the namespace belongs to no environment, and in
    // particular not to this one.
    let patch = json!({"metadata": {"labels": {OWNER_LABEL: null}}});
    namespaces.patch(&name, &kube::api::PatchParams::default(), &kube::api::Patch::Merge(patch)).await?;
    let environments = stage.environments(&project.namespace);
    refused(stage, &environments, &name_of(&project, pull.number), "Applied", "NamespaceTaken").await?;
    stage.github().close(&project.repository, pull.number).await?;
    stage
        .wait_for("the environment is deleted", SOON, async || {
            let found = environments.get_opt(&name_of(&project, pull.number)).await?;
            ensure!(found.is_none(), "it is there");
            Ok(())
        })
        .await?;
    let after = namespaces.get(&name).await?;
    ensure!(after.uid() == first.uid() && after.metadata.deletion_timestamp.is_none(), "it was deleted");
    namespaces.delete(&name, &DeleteParams::default()).await?;
    gone(stage, &project, pull.number).await
}
