//! Helpers of many tests: opening a pull request, finding its preview, and checking that all of it
//! has been deleted.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use kube::ResourceExt as _;
use kube::api::{DynamicObject, ListParams};
use playground::stage::github::types::Deployment;
use playground::stage::{Condition, Project, Stage, condition, conditions};

/// Longest time for anything that takes a moment on an idle machine.
pub const SOON: Duration = Duration::from_mins(1);
/// Longest time for the teardown of an environment. Deleting a namespace takes about ten seconds.
pub const END: Duration = Duration::from_secs(90);
/// Longer than the interval of sweeps, for facts that GitHub can't be asked about. Otherwise use
/// [`swept`], which waits for the end of a sweep.
pub const SYNCED: Duration = Duration::from_secs(7);
/// Label on everything that belongs to an environment.
pub const OWNER_LABEL: &str = "matinee.dev/environment-uid";

/// An open pull request.
#[derive(Clone, Debug)]
pub struct Pull {
    pub number: u64,
    /// The head commit at the time of opening.
    pub sha: String,
}

/// Pushes a commit to a new branch and opens a pull request for it.
pub async fn open(stage: &Stage, project: &Project, branch: &str) -> Result<Pull> {
    let sha = stage.github().push(&project.repository, branch).await?;
    let pull = stage.github().open_pull_request(&project.repository, branch).await?;
    Ok(Pull { number: pull.number, sha })
}

/// Opens a pull request and waits for its preview. Returns the deployment too.
pub async fn live(stage: &Stage, project: &Project, branch: &str) -> Result<(Pull, Deployment)> {
    let pull = open(stage, project, branch).await?;
    let deployment = stage.deployed(project, &pull.sha, "success", SOON).await?;
    Ok((pull, deployment))
}

/// Returns the name of a pull request's `PreviewEnvironment`, for the entry `preview`.
pub fn name_of(project: &Project, number: u64) -> String {
    format!("{}-preview-pr-{number}", project.name)
}

/// Returns the namespace of a pull request's preview, for the entry `preview`.
pub fn namespace_of(project: &Project, number: u64) -> String {
    format!("preview-{}-pr-{number}", project.name)
}

/// Returns the name of a pull request's environment on GitHub, for the entry `preview`.
pub fn github_environment(number: u64) -> String {
    format!("preview/pr-{number}")
}

/// Returns a pull request's `PreviewEnvironment`.
pub async fn environment(stage: &Stage, project: &Project, number: u64) -> Result<DynamicObject> {
    Ok(stage.environments(&project.namespace).get(&name_of(project, number)).await?)
}

/// Returns the states of a deployment's statuses, oldest first.
pub fn states(deployment: &Deployment) -> Vec<&str> {
    deployment.statuses.iter().map(|status| status.state.as_str()).collect()
}

/// Fails when a state was reported while GitHub already showed it.
pub fn once(told: &[&str]) -> Result<()> {
    ensure!(told.windows(2).all(|pair| pair[0] != pair[1]), "a state was reported twice: {told:?}");
    Ok(())
}

/// Returns the deployments of an environment on GitHub, oldest first.
pub async fn deployments_of(stage: &Stage, project: &Project, environment: &str) -> Result<Vec<Deployment>> {
    let mut all = stage.github().deployments(&project.repository).await?;
    all.retain(|deployment| deployment.environment.eq_ignore_ascii_case(environment));
    Ok(all)
}

/// Returns the URL in a deployment's newest status.
pub fn url_of(deployment: &Deployment) -> Result<&str> {
    let url = deployment.statuses.last().map(|status| status.environment_url.as_str());
    url.filter(|url| !url.is_empty()).with_context(|| format!("no environment_url: {deployment:#?}"))
}

/// Waits until a URL shows a text, where containers run. The gateway follows the cluster after a
/// moment.
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

/// Waits until an object's condition has a status. Returns the condition.
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

/// Waits until an object's condition is `False` for a reason. Returns its message.
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

/// Waits until nothing of a pull request's environment is left: namespace, objects, active
/// deployments.
pub async fn gone(stage: &Stage, project: &Project, number: u64) -> Result<()> {
    let result = stage
        .wait_for(
            &format!("everything of pull request {number} of {} is deleted", project.repository),
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

/// Waits until the operator has answered all due webhooks of a project. It answers only after their
/// effect.
pub async fn settle(stage: &Stage, project: &Project) -> Result<()> {
    if let Some(hook) = project.hook {
        stage.github().settle_hook(hook, SOON).await?;
    }
    Ok(())
}

/// Waits until a project has been swept completely and the findings have had time to take effect,
/// until the next sweep.
pub async fn swept(stage: &Stage, project: &Project) -> Result<()> {
    let log = async || anyhow::Ok(stage.github().requests().await?);
    let since = log().await?.last().map_or(0, |request| request.sequence);
    // Every sweep begins with this request, and nothing else sends it.
    let listing = format!("/repos/{}/pulls?", project.repository);
    stage
        .wait_for(&format!("{} is swept", project.repository), END, async || {
            // The log is long, so it isn't read more often.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let all = log().await?;
            let begun =
                all.iter().filter(|one| one.sequence > since && one.path.starts_with(&listing)).count();
            ensure!(begun >= 2, "{begun} sweeps have begun");
            Ok(())
        })
        .await
}

/// Waits until all due webhooks have been answered. Fails when the pull request then has a request,
/// an environment, a namespace or a deployment.
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

/// Returns the YAML of a PreviewRepository with one `PullRequest` environment, named like its
/// project, with further lines below the trigger.
pub fn repository_yaml(name: &str, class: &str, trigger: &str, more: &str) -> String {
    format!(
        "apiVersion: matinee.dev/v1alpha1\nkind: PreviewRepository\nmetadata: {{name: {name}}}\nspec:\n  repository: acme/{name}\n  \
         className: {class}\n  environments:\n  - name: preview\n    trigger: {{pullRequest: {trigger}}}\n    \
         deploy: {{template: {{ref: {{name: {name}}}}}}}\n{more}"
    )
}
