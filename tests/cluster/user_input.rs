//! User input is either understood as meant or rejected by name: filter patterns, payloads,
//! commits, checks with equal names, templates without endpoints, and approvals that come too late.

use anyhow::{Context as _, Result, bail, ensure};
use playground::stage::github::types::{Deployment, NewCheckRun};
use playground::stage::{NewProject, Project, Stage, condition, conditions};
use serde_json::{Value, json};

use crate::commands::answered;
use crate::harness::tests;
use crate::promotion::{deployed, project, waits};
use crate::support::{
    SOON, condition_is, deployments_of, environment, github_environment, name_of, open, refused, settle,
    swept, url_of,
};

tests![
    excluded_paths_and_branches_are_not_deployed,
    a_filter_pattern_that_can_not_be_read_is_named,
    a_payload_that_is_no_object_is_an_error_and_one_encoded_twice_is_read,
    a_trial_merge_is_an_error_that_says_what_to_deploy,
    a_commit_of_another_branch_is_an_error,
    a_template_without_endpoints_has_no_url,
    a_failed_job_of_another_workflow_is_not_hidden,
    an_approval_after_the_deadline_says_so,
];

const STAGING: &str = "  - name: staging\n    deploy: {template: {ref: {name: NAME}}}\n";
/// An environment for each pull request, whose deployments a CI workflow creates.
const BY_CI: &str = "  - name: preview\n    githubEnvironment: \"preview/pr-{number}\"\n    deploy: {template: {ref: {name: NAME}}}\n";

/// Creates a deployment with GitHub's API, as a workflow does.
async fn create(
    stage: &Stage,
    project: &Project,
    environment: &str,
    of: &str,
    payload: &Value,
) -> Result<String> {
    let path = format!("repos/{}/deployments", project.repository);
    let body = json!({"ref": of, "environment": environment, "auto_merge": false, "required_contexts": [], "payload": payload});
    let (status, made) = stage.gh_api("POST", &path, Some(&body)).await?;
    ensure!(status == 201, "GitHub answered {status}: {made}");
    made["sha"].as_str().map(str::to_owned).context("a deployment without a commit")
}

fn last_words(deployment: &Deployment) -> &str {
    deployment.statuses.last().map(|status| status.description.as_str()).unwrap_or_default()
}

async fn excluded_paths_and_branches_are_not_deployed(stage: &Stage) -> Result<()> {
    let environments = "  - name: preview\n    trigger: {pullRequest: {paths: [\"**\", \"!docs/**\", \"!**/*.md\"]}}\n    deploy: {template: {ref: {name: NAME}}}\n  \
        - name: staging\n    trigger: {push: {branches: [\"release-[0-9]+\", \"!release-13\"]}}\n";
    let project = project(stage, "input-patterns", environments, true).await?;
    let github = stage.github();
    let sha =
        github.push_files(&project.repository, "docs", &[("docs/a.md", "x"), ("web/b.md", "x")]).await?;
    github.open_pull_request(&project.repository, "docs").await?;
    let why = waits(stage, &project, "preview", &sha, ("Allowed", "False", "PathsNotChanged")).await?;
    ensure!(why.contains("!docs/**"), "{why}");
    let sha = github.push_files(&project.repository, "docs", &[("web/src/index.html", "x")]).await?;
    stage.deployed(&project, &sha, "success", SOON).await?;

    let unlucky = github.push(&project.repository, "release-13").await?;
    let wanted = github.push(&project.repository, "release-12").await?;
    waits(stage, &project, "staging", &wanted, ("Created", "True", "Created")).await?;
    settle(stage, &project).await?;
    swept(stage, &project).await?;
    let all = deployments_of(stage, &project, "staging").await?;
    ensure!(all.iter().all(|deployment| deployment.sha != unlucky), "{all:#?}");
    Ok(())
}

async fn a_filter_pattern_that_can_not_be_read_is_named(stage: &Stage) -> Result<()> {
    // The API server rejects what its rules cover; the operator reports the rest.
    let environments = "  - name: staging\n    trigger: {push: {branches: [\"release-[9-0]\", refs/heads/main]}}\n    deploy: {template: {ref: {name: NAME}}}\n";
    let name = "input-pattern";
    let project = project(stage, name, environments, true).await?;
    let repositories = stage.repositories(&project.namespace);
    let why = refused(stage, &repositories, name, "Ready", "PatternInvalid").await?;
    for words in [
        "spec.environments[staging].trigger.push.branches[0] \"release-[9-0]\"",
        "spec.environments[staging].trigger.push.branches[1] \"refs/heads/main\"",
    ] {
        ensure!(why.contains(words), "no {words} in {why}");
    }
    let mended = environments.replace("[9-0]", "[0-9]").replace("refs/heads/main", "main");
    let mended = mended.replace("NAME", name);
    let spec = format!("environments:\n{mended}");
    let spec: Value = serde_saphyr::from_str(&spec)?;
    let object = json!({"apiVersion": "matinee.dev/v1alpha1", "kind": "PreviewRepository", "metadata": {"name": name},
        "spec": {"repository": project.repository, "className": playground::stage::CLASS, "environments": spec["environments"]}});
    stage.apply_object_within(&project.namespace, object).await?;
    condition_is(stage, &repositories, name, "Ready", "True").await?;
    let sha = stage.github().push(&project.repository, "main").await?;
    deployed(stage, &project, "staging", &sha, "success").await.map(|_| ())
}

async fn a_payload_that_is_no_object_is_an_error_and_one_encoded_twice_is_read(stage: &Stage) -> Result<()> {
    let name = "input-payload";
    let mut template = NewProject::new(name).template_object()?;
    let image = &mut template["spec"]["resources"][0]["spec"]["template"]["spec"]["containers"][0]["image"];
    *image = "{{ payload.image | default('registry.invalid/never:there') }}".into();
    let usual = Value::from("localhost/matinee/sample:1");
    let project = project(stage, name, STAGING, true).await?;
    stage.apply_object_within(&project.namespace, template).await?;
    let sha = stage.github().head(&project.repository, "main").await?;
    create(stage, &project, "staging", &sha, &json!("nightly")).await?;
    let found = deployed(stage, &project, "staging", &sha, "error").await?;
    let told = last_words(&found);
    ensure!(told.contains("payload is a text") && told.contains("payload.image"), "{told}");
    ensure!(!told.contains("nightly"), "{told}");
    let environments = stage.environments(&project.namespace);
    let why =
        refused(stage, &environments, &format!("{name}-staging"), "Validated", "PayloadInvalid").await?;
    ensure!(why.contains("containers[0].image"), "{why}");

    let encoded = Value::String(json!({"image": usual}).to_string()).to_string();
    create(stage, &project, "staging", &sha, &Value::String(encoded)).await?;
    deployed(stage, &project, "staging", &sha, "success").await?;
    let namespace = format!("preview-{name}-staging");
    let web = stage.objects("apps/v1", "Deployment", Some(&namespace)).get("web").await?;
    let shown = &web.data["spec"]["template"]["spec"]["containers"][0]["image"];
    ensure!(*shown == usual, "{shown} is deployed");
    Ok(())
}

/// Deploys a commit that never was the head, which fails, and then the head, which succeeds.
async fn is_not_the_head(stage: &Stage, project: &Project, number: u64, of: &str, words: &str) -> Result<()> {
    let place = github_environment(number);
    let sha = create(stage, project, &place, of, &json!({})).await?;
    let found = deployed(stage, project, &place, &sha, "error").await?;
    let told = last_words(&found);
    let remedy = "github.event.pull_request.head.sha";
    ensure!(told.contains(words) && told.contains(&sha[..7]) && told.contains(remedy), "{told}");
    let environments = stage.environments(&project.namespace);
    let name = name_of(project, number);
    refused(stage, &environments, &name, "Ready", "NotTheHead").await?;
    condition_is(stage, &environments, &name, "Stalled", "True").await?;
    let head = create(stage, project, &place, &format!("refs/pull/{number}/head"), &json!({})).await?;
    deployed(stage, project, &place, &head, "success").await.map(|_| ())
}

async fn a_trial_merge_is_an_error_that_says_what_to_deploy(stage: &Stage) -> Result<()> {
    let project = project(stage, "input-merge", BY_CI, true).await?;
    let pull = open(stage, &project, "feature").await?;
    // GitHub creates the merge commit when somebody reads the pull request.
    let path = format!("repos/{}/pulls/{}", project.repository, pull.number);
    stage.gh_api("GET", &path, None).await?;
    let merge = format!("refs/pull/{}/merge", pull.number);
    is_not_the_head(stage, &project, pull.number, &merge, "GitHub's trial merge").await?;

    // An earlier head that a push has replaced is reported as superseded.
    let place = github_environment(pull.number);
    let old = stage.github().push(&project.repository, "feature").await?;
    let head = stage.github().push(&project.repository, "feature").await?;
    create(stage, &project, &place, &old, &json!({})).await?;
    let found = deployed(stage, &project, &place, &old, "inactive").await?;
    ensure!(last_words(&found).contains(&format!("superseded by {}", &head[..7])), "{found:#?}");
    Ok(())
}

async fn a_commit_of_another_branch_is_an_error(stage: &Stage) -> Result<()> {
    let project = project(stage, "input-stranger", BY_CI, true).await?;
    let pull = open(stage, &project, "feature").await?;
    stage.github().push(&project.repository, "other").await?;
    is_not_the_head(stage, &project, pull.number, "other", "isn't a commit of pull request").await
}

async fn a_template_without_endpoints_has_no_url(stage: &Stage) -> Result<()> {
    let name = "input-worker";
    let project = stage.project(NewProject::new(name)).await?;
    let pull = open(stage, &project, "feature").await?;
    let deployment = stage.deployed(&project, &pull.sha, "success", SOON).await?;
    let url = url_of(&deployment)?.to_owned();
    // The live environment loses its endpoints and its link.
    let mut template = NewProject::new(name).template_object()?;
    template["spec"]["endpoints"] = json!([]);
    stage.apply_object_within(&project.namespace, template).await?;
    stage
        .wait_for("the environment has no URL", SOON, async || {
            let found = environment(stage, &project, pull.number).await?;
            let status = &found.data["status"];
            ensure!(status["url"].is_null() && status["host"].is_null(), "{}", status["url"]);
            ensure!(
                condition(&found, "Ready").is_some_and(|ready| ready.status == "True"),
                "{}",
                conditions(&found)
            );
            let all = deployments_of(stage, &project, &github_environment(pull.number)).await?;
            let newest = all.last().and_then(|deployment| deployment.statuses.last()).context("no status")?;
            ensure!(newest.state == "success" && newest.environment_url.is_empty(), "{newest:?}");
            Ok(())
        })
        .await
        .context(url)?;
    let routes = stage.objects(
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        Some(&crate::support::namespace_of(&project, pull.number)),
    );
    ensure!(routes.list(&kube::api::ListParams::default()).await?.items.is_empty(), "there is a route");
    // The next commit has no URL either, and its request succeeds without a message about it.
    let sha = stage.github().push(&project.repository, "feature").await?;
    let deployment = stage.deployed(&project, &sha, "success", SOON).await?;
    if let Some(shown) =
        deployment.statuses.iter().map(|status| &status.environment_url).find(|url| !url.is_empty())
    {
        bail!("{shown} is shown");
    }
    let message = waits(stage, &project, "preview", &sha, ("Succeeded", "True", "Succeeded")).await?;
    ensure!(message.is_empty(), "{message}");
    Ok(())
}

async fn a_failed_job_of_another_workflow_is_not_hidden(stage: &Stage) -> Result<()> {
    let environments = "  - name: staging\n    trigger: {push: {branches: [main]}}\n    gates: {checks: [test]}\n    deploy: {template: {ref: {name: NAME}}}\n";
    let project = project(stage, "input-checks", environments, true).await?;
    let github = stage.github();
    let sha = github.push(&project.repository, "main").await?;
    let job = |workflow: &str, conclusion: &str| NewCheckRun {
        r#ref: sha.clone(),
        name: "test".to_owned(),
        conclusion: Some(conclusion.to_owned()),
        workflow: Some(workflow.to_owned()),
        ..NewCheckRun::default()
    };
    github.set_check(&project.repository, job("unit", "failure")).await?;
    github.set_check(&project.repository, job("end-to-end", "success")).await?;
    let why = waits(stage, &project, "staging", &sha, ("ChecksPassed", "False", "ChecksFailed")).await?;
    ensure!(why.contains("test (failure"), "{why}");
    settle(stage, &project).await?;
    swept(stage, &project).await?;
    let all = deployments_of(stage, &project, "staging").await?;
    ensure!(all.iter().all(|deployment| deployment.sha != sha), "{all:#?}");
    github.set_check(&project.repository, job("unit", "success")).await?;
    deployed(stage, &project, "staging", &sha, "success").await.map(|_| ())
}

async fn an_approval_after_the_deadline_says_so(stage: &Stage) -> Result<()> {
    let environments = "  - name: staging\n    gates: {checks: [test], approvals: 1, timeout: 3s}\n    deploy: {template: {ref: {name: NAME}}}\n";
    let project = project(stage, "input-approval", environments, true).await?;
    let github = stage.github();
    let pull = open(stage, &project, "feature").await?;
    github.comment(&project.repository, pull.number, "ada", "/deploy staging").await?;
    waits(stage, &project, "staging", &pull.sha, ("ChecksPassed", "False", "ChecksTimedOut")).await?;
    answered(stage, &project, pull.number, "checks timed out: check").await?;
    github.comment(&project.repository, pull.number, "grace", "/approve staging").await?;
    let answer = answered(stage, &project, pull.number, "its request timed out").await?;
    ensure!(answer.body.contains("was not approved") && !answer.body.contains('\\'), "{}", answer.body);
    let requests = crate::promotion::requests(stage, &project, "staging").await?;
    ensure!(
        requests.iter().all(|request| request.data["status"]["approvals"].is_null()),
        "an approval was recorded for nothing"
    );
    Ok(())
}
