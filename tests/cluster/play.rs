//! What many tests do and ask: opening a pull request, where its preview is, and whether all of it is gone.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use kube::ResourceExt as _;
use kube::api::{DynamicObject, ListParams};
use playground::stage::github::types::Deployment;
use playground::stage::{Condition, Project, Stage, condition, conditions};

/// How long anything may take that takes a moment on a machine with nothing else to do.
pub const SOON: Duration = Duration::from_mins(1);
/// How long the end of an environment may take: a namespace goes in about ten seconds.
pub const END: Duration = Duration::from_secs(90);
/// Longer than the time between two sweeps, for what GitHub isn't asked about. Else [`swept`] says when one is over.
pub const SYNCED: Duration = Duration::from_secs(7);
/// Label on everything that belongs to an environment.
pub const OWNER_LABEL: &str = "matinee.dev/environment-uid";

/// An open pull request.
#[derive(Clone, Debug)]
pub struct Pull {
    pub number: u64,
    /// The head's commit when it was opened.
    pub sha: String,
}

/// Pushes a commit to a new branch and opens a pull request of it.
pub async fn open(stage: &Stage, project: &Project, branch: &str) -> Result<Pull> {
    let sha = stage.github().push(&project.repository, branch).await?;
    let pull = stage.github().open_pull_request(&project.repository, branch).await?;
    Ok(Pull { number: pull.number, sha })
}

/// Opens a pull request and waits for its preview; the deployment comes too.
pub async fn live(stage: &Stage, project: &Project, branch: &str) -> Result<(Pull, Deployment)> {
    let pull = open(stage, project, branch).await?;
    let deployment = stage.deployed(project, &pull.sha, "success", SOON).await?;
    Ok((pull, deployment))
}

/// Name of a pull request's `PreviewEnvironment`, of the entry `preview`.
pub fn name_of(project: &Project, number: u64) -> String {
    format!("{}-preview-pr-{number}", project.name)
}

/// The namespace of a pull request's preview, of the entry `preview`.
pub fn namespace_of(project: &Project, number: u64) -> String {
    format!("preview-{}-pr-{number}", project.name)
}

/// Name of a pull request's environment on GitHub, of the entry `preview`.
pub fn github_environment(number: u64) -> String {
    format!("preview/pr-{number}")
}

/// A pull request's `PreviewEnvironment`.
pub async fn environment(stage: &Stage, project: &Project, number: u64) -> Result<DynamicObject> {
    Ok(stage.environments(&project.namespace).get(&name_of(project, number)).await?)
}

/// The states of a deployment's statuses, oldest first.
pub fn states(deployment: &Deployment) -> Vec<&str> {
    deployment.statuses.iter().map(|status| status.state.as_str()).collect()
}

/// Fails when a state was told though GitHub showed it already.
pub fn once(told: &[&str]) -> Result<()> {
    ensure!(told.windows(2).all(|pair| pair[0] != pair[1]), "a state was told twice: {told:?}");
    Ok(())
}

/// The deployments of an environment on GitHub, oldest first.
pub async fn deployments_of(stage: &Stage, project: &Project, environment: &str) -> Result<Vec<Deployment>> {
    let mut all = stage.github().deployments(&project.repository).await?;
    all.retain(|deployment| deployment.environment.eq_ignore_ascii_case(environment));
    Ok(all)
}

/// The URL that a deployment's newest status tells.
pub fn url_of(deployment: &Deployment) -> Result<&str> {
    let url = deployment.statuses.last().map(|status| status.environment_url.as_str());
    url.filter(|url| !url.is_empty()).with_context(|| format!("no environment_url: {deployment:#?}"))
}

/// Where containers run: waits until a URL shows a text. The gateway follows the cluster by a moment.
pub async fn shows(stage: &Stage, url: &str, text: &str) -> Result<()> {
    if !stage.serves() {
        return Ok(());
    }
    stage
        .wait_for(&format!("{url} shows \"{text}\""), SOON, async || {
            let answer = stage.fetch(url).await?;
            ensure!(answer.status == 200 && answer.body.contains(text), "{answer:?}");
            Ok(())
        })
        .await
}

/// Waits until an object's condition has a status, and answers the condition.
pub async fn condition_is(
    stage: &Stage,
    objects: &kube::Api<DynamicObject>,
    name: &str,
    kind: &str,
    status: &str,
) -> Result<Condition> {
    stage
        .wait_for(&format!("{name} has {kind}={status}"), SOON, async || {
            let object = objects.get(name).await?;
            match condition(&object, kind) {
                Some(found) if found.status == status => Ok(found),
                _ => bail!("{}", conditions(&object)),
            }
        })
        .await
}

/// Waits until an object's condition is `False` for a reason, and answers its message.
pub async fn refused(
    stage: &Stage,
    objects: &kube::Api<DynamicObject>,
    name: &str,
    kind: &str,
    reason: &str,
) -> Result<String> {
    stage
        .wait_for(&format!("{name} has {kind}=False because of {reason}"), SOON, async || {
            let object = objects.get(name).await?;
            match condition(&object, kind) {
                Some(found) if found.status == "False" && found.reason == reason => Ok(found.message),
                _ => bail!("{}", conditions(&object)),
            }
        })
        .await
}

/// Waits until nothing of a pull request's environment is left: its namespace, its objects, its active deployments.
pub async fn gone(stage: &Stage, project: &Project, number: u64) -> Result<()> {
    let result = stage
        .wait_for(
            &format!("everything of pull request {number} of {} is gone", project.repository),
            END,
            async || nothing_left(stage, project, number).await,
        )
        .await;
    match result {
        Ok(()) => Ok(()),
        Err(problem) => Err(problem).context(stage.explain(&project.namespace).await),
    }
}

/// Fails when anything of a pull request's environment is left.
pub async fn nothing_left(stage: &Stage, project: &Project, number: u64) -> Result<()> {
    let namespace = namespace_of(project, number);
    if let Some(found) = stage.objects("v1", "Namespace", None).get_opt(&namespace).await? {
        bail!("namespace {namespace} is there, {}", found.data["status"]["phase"]);
    }
    let name = name_of(project, number);
    if let Some(found) = stage.environments(&project.namespace).get_opt(&name).await? {
        bail!("{}", conditions(&found));
    }
    let label = format!("matinee.dev/pull-request={number}");
    let requests = stage.requests(&project.namespace).list(&ListParams::default().labels(&label)).await?;
    if let Some(found) = requests.items.first() {
        bail!("{}", conditions(found));
    }
    let deployments = deployments_of(stage, project, &github_environment(number)).await?;
    if let Some(active) =
        deployments.iter().find(|deployment| deployment.state.as_deref() != Some("inactive"))
    {
        bail!("deployment {} has the statuses {:?}", active.id, states(active));
    }
    Ok(())
}

/// Waits until all webhooks of a project that were due have been answered, which the operator does only after their effect.
pub async fn settle(stage: &Stage, project: &Project) -> Result<()> {
    if let Some(hook) = project.hook {
        stage.github().settle_hook(hook, SOON).await?;
    }
    Ok(())
}

/// Waits until a project has been swept from beginning to end, and what the sweep found has had the time until the next one to come to
/// something.
pub async fn swept(stage: &Stage, project: &Project) -> Result<()> {
    let log = async || anyhow::Ok(stage.github().requests().await?);
    let since = log().await?.last().map_or(0, |request| request.sequence);
    // What every sweep begins with, and nothing else asks for.
    let listing = format!("/repos/{}/pulls?", project.repository);
    stage
        .wait_for(&format!("{} is swept", project.repository), END, async || {
            // The log is long.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let all = log().await?;
            let begun =
                all.iter().filter(|one| one.sequence > since && one.path.starts_with(&listing)).count();
            ensure!(begun >= 2, "{begun} sweeps have begun");
            Ok(())
        })
        .await
}

/// Fails when a pull request has a request, an environment, a namespace or a deployment. All webhooks that were due have been answered by
/// then.
pub async fn nothing_begun(stage: &Stage, project: &Project, number: u64) -> Result<()> {
    settle(stage, project).await?;
    let requests = stage.requests(&project.namespace).list(&ListParams::default()).await?;
    let label = number.to_string();
    if let Some(found) =
        requests.iter().find(|request| request.labels().get("matinee.dev/pull-request") == Some(&label))
    {
        bail!("there is a request: {}", conditions(found));
    }
    nothing_live(stage, project, number).await
}

/// Fails when a pull request has an environment, a namespace or a deployment.
pub async fn nothing_live(stage: &Stage, project: &Project, number: u64) -> Result<()> {
    let name = name_of(project, number);
    if let Some(found) = stage.environments(&project.namespace).get_opt(&name).await? {
        bail!("there is an environment: {}", conditions(&found));
    }
    let namespace = namespace_of(project, number);
    let found = stage.objects("v1", "Namespace", None).get_opt(&namespace).await?;
    ensure!(found.is_none(), "there is a namespace {namespace}");
    let deployments = deployments_of(stage, project, &github_environment(number)).await?;
    ensure!(deployments.is_empty(), "there are deployments: {deployments:#?}");
    Ok(())
}

/// A `PullRequest` environment in a PreviewRepository named like its project, with further lines below the trigger.
pub fn repository_yaml(name: &str, class: &str, trigger: &str, more: &str) -> String {
    format!(
        "apiVersion: matinee.dev/v1alpha1\nkind: PreviewRepository\nmetadata: {{name: {name}}}\nspec:\n  repository: acme/{name}\n  \
         className: {class}\n  environments:\n  - name: preview\n    trigger: {{pullRequest: {trigger}}}\n    \
         deploy: {{template: {{ref: {{name: {name}}}}}}}\n{more}"
    )
}
