//! Chains of environments: a push or another environment's success triggers a deployment, and
//! Matinee creates it only when its gates pass. Entries without `deploy` are deployed by another
//! tool, which the tests play with GitHub's API alone.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use playground::stage::github::types::{DeliveryMode, Deployment, NewCheckRun, Role};
use playground::stage::registry::types::NewImage;
use playground::stage::{CLASS, NewProject, Project, Stage, condition, conditions};
use serde_json::json;

use crate::harness::tests;
use crate::support::{END, SOON, condition_is, deployments_of, open, settle, shows, states, swept, url_of};

tests![
    a_push_is_deployed_and_the_next_one_takes_its_place,
    a_chain_runs_by_itself_and_another_tool_deploys_the_last_link,
    a_chain_needs_no_webhook,
    checks_are_waited_for_and_a_failed_one_can_be_mended,
    an_image_is_waited_for,
    a_lock_holds_deployments_back,
    approval_is_waited_for,
    order_is_kept_and_force_passes_it,
    outside_of_its_hours_nothing_is_deployed,
    a_request_by_hand_works_like_any_other,
    a_loop_is_told_and_deploys_nothing,
    paths_select_pull_requests,
    events_in_any_order_end_where_github_is,
];

/// Creates a project with these environments, given as YAML items of `spec.environments` in which
/// NAME is the project's name.
pub async fn project(stage: &Stage, name: &str, environments: &str, webhook: bool) -> Result<Project> {
    let yaml = format!(
        "apiVersion: matinee.dev/v1alpha1\nkind: PreviewRepository\nmetadata: {{name: {name}}}\nspec:\n  repository: acme/{name}\n  \
         className: {CLASS}\n  environments:\n{}",
        environments.replace("NAME", name)
    );
    let new = NewProject::new(name).repository(&yaml);
    let project = stage.project(if webhook { new } else { new.without_webhook() }).await?;
    for (login, role) in [("ada", Role::Write), ("grace", Role::Maintain), ("eve", Role::Read)] {
        stage.github().set_role(&project.repository, login, role).await?;
    }
    Ok(project)
}

const STAGING: &str = "  - name: staging\n    trigger: {push: {branches: [main]}}\n    deploy: {template: {ref: {name: NAME}}}\n";

/// Waits until the newest deployment of a commit in an environment has the given state.
pub async fn deployed(
    stage: &Stage,
    project: &Project,
    environment: &str,
    sha: &str,
    wanted: &str,
) -> Result<Deployment> {
    let result = stage
        .wait_for(&format!("{} in {environment} is {wanted}", &sha[..7]), END, async || {
            let all = deployments_of(stage, project, environment).await?;
            match all.iter().rfind(|deployment| deployment.sha == sha) {
                Some(found) if found.state.as_deref() == Some(wanted) => Ok(found.clone()),
                Some(found) => bail!("it has {:?}", states(found)),
                None => bail!("there is no deployment of it among {}", all.len()),
            }
        })
        .await;
    match result {
        Ok(found) => Ok(found),
        Err(problem) => Err(problem).context(stage.explain(&project.namespace).await),
    }
}

/// Waits until GitHub has a deployment of a commit for the other tool to deploy.
async fn asked_for(stage: &Stage, project: &Project, environment: &str, sha: &str) -> Result<Deployment> {
    let result = stage
        .wait_for(&format!("{} is asked for in {environment}", &sha[..7]), END, async || {
            let all = deployments_of(stage, project, environment).await?;
            all.into_iter().rfind(|deployment| deployment.sha == sha).context("there is no deployment of it")
        })
        .await;
    match result {
        Ok(found) => Ok(found),
        Err(problem) => Err(problem).context(stage.explain(&project.namespace).await),
    }
}

/// Reports a state of a deployment as the other deployer.
async fn tell(stage: &Stage, project: &Project, deployment: &Deployment, told: &str) -> Result<()> {
    let path = format!("repos/{}/deployments/{}/statuses", project.repository, deployment.id);
    let body = json!({"state": told, "environment_url": "https://shop.example", "auto_inactive": false});
    let (status, answer) = stage.gh_api("POST", &path, Some(&body)).await?;
    ensure!(status == 201, "GitHub answered {status}: {answer}");
    Ok(())
}

/// Returns a project's DeploymentRequests for an environment, oldest first.
pub async fn requests(stage: &Stage, project: &Project, environment: &str) -> Result<Vec<DynamicObject>> {
    let mut all = stage.requests(&project.namespace).list(&ListParams::default()).await?.items;
    all.retain(|request| request.data["spec"]["environment"] == environment);
    all.sort_by_key(|request| request.metadata.creation_timestamp.as_ref().map(|time| time.0));
    Ok(all)
}

/// Waits until the DeploymentRequest of a commit has a condition with a status and reason. Returns
/// its message.
pub async fn waits(
    stage: &Stage,
    project: &Project,
    environment: &str,
    sha: &str,
    (kind, status, reason): (&str, &str, &str),
) -> Result<String> {
    stage
        .wait_for(&format!("the request for {environment} has {kind}={status} {reason}"), SOON, async || {
            let all = requests(stage, project, environment).await?;
            let request = all
                .iter()
                .rfind(|request| request.data["spec"]["sha"] == sha)
                .context("there is no request")?;
            match condition(request, kind) {
                Some(found) if found.status == status && found.reason == reason => Ok(found.message),
                _ => bail!("{}", conditions(request)),
            }
        })
        .await
}

/// Waits until a commit status shows the given state and words to a reviewer.
async fn reviewer_sees(
    stage: &Stage,
    project: &Project,
    sha: &str,
    environment: &str,
    (wanted, word): (&str, &str),
) -> Result<()> {
    let path = format!("repos/{}/commits/{sha}/statuses", project.repository);
    stage
        .wait_for(
            &format!("the commit status of {environment} is {wanted} with \"{word}\""),
            SOON,
            async || {
                let (_, all) = stage.gh_api("GET", &path, None).await?;
                let context = format!("matinee/{environment}");
                let newest =
                    all.as_array().into_iter().flatten().find(|status| status["context"] == context.as_str());
                let newest = newest.with_context(|| format!("no status of that context: {all}"))?;
                let told = newest["description"].as_str().unwrap_or_default();
                ensure!(
                    newest["state"] == wanted && told.contains(word),
                    "it is {} \"{told}\"",
                    newest["state"]
                );
                Ok(())
            },
        )
        .await
}

/// Fails when an environment has a DeploymentRequest of the commit. (The commit that a branch is at
/// when its PreviewRepository is created does get one.)
async fn none_asked(stage: &Stage, project: &Project, environment: &str, sha: &str) -> Result<()> {
    let all = deployments_of(stage, project, environment).await?;
    ensure!(all.iter().all(|deployment| deployment.sha != sha), "deployments in {environment}: {all:#?}");
    Ok(())
}

async fn a_push_is_deployed_and_the_next_one_takes_its_place(stage: &Stage) -> Result<()> {
    let project = project(stage, "chain-push", STAGING, true).await?;
    let github = stage.github();
    let first = github.push(&project.repository, "main").await?;
    let deployment = deployed(stage, &project, "staging", &first, "success").await?;
    ensure!(!deployment.transient, "a lasting environment's deployment is transient: {deployment:#?}");
    shows(stage, url_of(&deployment)?, &first[..7]).await?;
    waits(stage, &project, "staging", &first, ("Succeeded", "True", "Succeeded")).await?;

    let second = github.push(&project.repository, "main").await?;
    let newer = deployed(stage, &project, "staging", &second, "success").await?;
    ensure!(url_of(&newer)? == url_of(&deployment)?, "{newer:#?}");
    shows(stage, url_of(&newer)?, &second[..7]).await?;
    deployed(stage, &project, "staging", &first, "inactive").await?;
    // Another branch and a tag trigger nothing.
    github.push(&project.repository, "feature").await?;
    github.set_ref(&project.repository, "refs/tags/v1", &second).await?;
    // A push back to the previous commit is a push like any other.
    github.set_ref(&project.repository, "refs/heads/main", &first).await?;
    stage
        .wait_for("the commit before is deployed again", END, async || {
            let all = deployments_of(stage, &project, "staging").await?;
            let newest = all.last().context("none")?;
            ensure!(newest.sha == first && newest.state.as_deref() == Some("success"), "{newest:#?}");
            let twice = all.iter().filter(|deployment| deployment.sha == first).count();
            ensure!(twice == 2, "{twice} deployments of it");
            Ok(())
        })
        .await
}

const CHAIN: &str = "  - name: staging\n    trigger: {push: {branches: [main]}}\n    deploy: {template: {ref: {name: NAME}}}\n  \
    - name: production\n    trigger: {deploymentStatus: {environment: staging, soak: 3s}}\n    gates: {checks: [smoke]}\n";

/// Returns when a deployment's newest status was created.
async fn told_at(stage: &Stage, project: &Project, deployment: &Deployment) -> Result<Timestamp> {
    let path = format!("repos/{}/deployments/{}/statuses", project.repository, deployment.id);
    let (_, all) = stage.gh_api("GET", &path, None).await?;
    let newest = all[0]["created_at"].as_str().with_context(|| format!("no status: {all}"))?;
    newest.parse().with_context(|| format!("no time: {newest}"))
}

async fn runs_through(stage: &Stage, project: &Project) -> Result<()> {
    let github = stage.github();
    let sha = github.push(&project.repository, "main").await?;
    let staged = deployed(stage, project, "staging", &sha, "success").await?;
    waits(stage, project, "production", &sha, ("ChecksPassed", "Unknown", "ChecksPending")).await?;
    let soaked = Timestamp::now().duration_since(told_at(stage, project, &staged).await?);
    ensure!(soaked.as_secs_f64() >= 2.9, "due {soaked:#} after staging's success");
    reviewer_sees(stage, project, &sha, "production", ("pending", "smoke")).await?;
    none_asked(stage, project, "production", &sha).await?;
    github.conclude_check(&project.repository, &sha, "smoke", "success").await?;
    let asked = asked_for(stage, project, "production", &sha).await?;
    ensure!(asked.production && !asked.transient, "{asked:#?}");
    ensure!(asked.id > staged.id, "asked for before staging: {asked:#?}");
    // The other deployer has reported nothing yet.
    waits(stage, project, "production", &sha, ("Succeeded", "Unknown", "Deploying")).await?;
    tell(stage, project, &asked, "in_progress").await?;
    tell(stage, project, &asked, "success").await?;
    let url = waits(stage, project, "production", &sha, ("Succeeded", "True", "Succeeded")).await?;
    ensure!(url == "https://shop.example", "{url}");
    reviewer_sees(stage, project, &sha, "production", ("success", "deployed to production")).await?;
    // Matinee created no environment for what another tool deploys.
    let environments = stage.environments(&project.namespace).list(&ListParams::default()).await?.items;
    ensure!(environments.len() == 1, "{}", environments.iter().map(conditions).collect::<String>());
    let all = deployments_of(stage, project, "production").await?;
    ensure!(all.len() == 1, "{all:#?}");
    Ok(())
}

async fn a_chain_runs_by_itself_and_another_tool_deploys_the_last_link(stage: &Stage) -> Result<()> {
    let project = project(stage, "chain-through", CHAIN, true).await?;
    runs_through(stage, &project).await
}

async fn a_chain_needs_no_webhook(stage: &Stage) -> Result<()> {
    let project = project(stage, "chain-sweep", CHAIN, false).await?;
    runs_through(stage, &project).await
}

async fn checks_are_waited_for_and_a_failed_one_can_be_mended(stage: &Stage) -> Result<()> {
    let gates = format!("{STAGING}    gates: {{checks: [test, ci/build], timeout: 10m}}\n");
    let project = project(stage, "chain-checks", &gates, true).await?;
    let github = stage.github();
    let sha = github.push(&project.repository, "main").await?;
    let why = waits(stage, &project, "staging", &sha, ("ChecksPassed", "Unknown", "ChecksPending")).await?;
    ensure!(why.contains("test") && why.contains("ci/build"), "{why}");
    reviewer_sees(stage, &project, &sha, "staging", ("pending", "test")).await?;
    github.set_commit_status(&project.repository, &sha, "ci/build", "success").await?;
    github.conclude_check(&project.repository, &sha, "test", "failure").await?;
    let why = waits(stage, &project, "staging", &sha, ("ChecksPassed", "False", "ChecksFailed")).await?;
    ensure!(why.contains("test") && !why.contains("ci/build"), "{why}");
    reviewer_sees(stage, &project, &sha, "staging", ("failure", "test")).await?;
    none_asked(stage, &project, "staging", &sha).await?;
    // The check is run again and succeeds.
    let again = NewCheckRun {
        r#ref: sha.clone(),
        name: "test".into(),
        status: Some("in_progress".into()),
        ..NewCheckRun::default()
    };
    github.set_check(&project.repository, again).await?;
    waits(stage, &project, "staging", &sha, ("ChecksPassed", "Unknown", "ChecksPending")).await?;
    none_asked(stage, &project, "staging", &sha).await?;
    github.conclude_check(&project.repository, &sha, "test", "success").await?;
    deployed(stage, &project, "staging", &sha, "success").await?;
    reviewer_sees(stage, &project, &sha, "staging", ("success", "deployed to staging")).await
}

async fn an_image_is_waited_for(stage: &Stage) -> Result<()> {
    let host = stage.registry_host();
    let gates = format!("{STAGING}    gates: {{image: \"{host}/chain/image:{{{{ sha }}}}\"}}\n");
    let project = project(stage, "chain-image", &gates, true).await?;
    // A registry answers for a missing repository as for a private one, so this test creates the
    // repository with another tag.
    stage.registry().put_image(NewImage::new("chain/image", "latest")).await?;
    let sha = stage.github().push(&project.repository, "main").await?;
    let why = waits(stage, &project, "staging", &sha, ("ImageFound", "Unknown", "ImageMissing")).await?;
    ensure!(why.contains(&format!("{host}/chain/image:{sha}")), "{why}");
    none_asked(stage, &project, "staging", &sha).await?;
    stage.registry().put_image(NewImage::new("chain/image", &sha)).await?;
    deployed(stage, &project, "staging", &sha, "success").await?;

    // Matinee sends no request to a registry that the class doesn't list.
    let gates = format!("{STAGING}    gates: {{image: \"127.0.0.1:1/chain/image:{{{{ sha }}}}\"}}\n");
    let other = self::project(stage, "chain-image-not", &gates, true).await?;
    let sha = stage.github().push(&other.repository, "main").await?;
    let why = waits(stage, &other, "staging", &sha, ("ImageFound", "False", "RegistryNotAllowed")).await?;
    ensure!(why.contains("spec.registries") && why.contains("127.0.0.1:1"), "{why}");
    none_asked(stage, &other, "staging", &sha).await
}

async fn a_lock_holds_deployments_back(stage: &Stage) -> Result<()> {
    let project = project(stage, "chain-lock", STAGING, true).await?;
    let repositories = stage.repositories(&project.namespace);
    let lock =
        json!({"spec": {"locks": [{"environment": "staging", "by": "ops", "reason": "the database moves"}]}});
    repositories.patch(&project.name, &PatchParams::default(), &Patch::Merge(&lock)).await?;
    stage.seen(&project.namespace, &project.name).await?;
    let sha = stage.github().push(&project.repository, "main").await?;
    let why = waits(stage, &project, "staging", &sha, ("Unlocked", "Unknown", "Locked")).await?;
    ensure!(why.contains("ops") && why.contains("the database moves"), "{why}");
    reviewer_sees(stage, &project, &sha, "staging", ("pending", "ops")).await?;
    none_asked(stage, &project, "staging", &sha).await?;
    let none = json!({"spec": {"locks": null}});
    repositories.patch(&project.name, &PatchParams::default(), &Patch::Merge(&none)).await?;
    deployed(stage, &project, "staging", &sha, "success").await.map(|_| ())
}

async fn approval_is_waited_for(stage: &Stage) -> Result<()> {
    let gates = "  - name: preview\n    trigger: {pullRequest: {}}\n    gates: {approvals: 1}\n    deploy: {template: {ref: {name: NAME}}}\n";
    let project = project(stage, "chain-approval", gates, true).await?;
    let github = stage.github();
    let pull = open(stage, &project, "feature").await?;
    waits(stage, &project, "preview", &pull.sha, ("Approved", "Unknown", "ApprovalsMissing")).await?;
    // A person without the right to push must not approve.
    github.comment(&project.repository, pull.number, "eve", "/approve preview").await?;
    crate::commands::answered(stage, &project, pull.number, "write").await?;
    waits(stage, &project, "preview", &pull.sha, ("Approved", "Unknown", "ApprovalsMissing")).await?;
    github.comment(&project.repository, pull.number, "ada", "/approve preview").await?;
    let environment = crate::support::github_environment(pull.number);
    deployed(stage, &project, &environment, &pull.sha, "success").await?;
    // The approval holds for one commit only.
    let sha = github.push(&project.repository, "feature").await?;
    waits(stage, &project, "preview", &sha, ("Approved", "Unknown", "ApprovalsMissing")).await?;
    let all = deployments_of(stage, &project, &environment).await?;
    ensure!(all.len() == 1, "deployed without approval: {all:#?}");
    Ok(())
}

async fn order_is_kept_and_force_passes_it(stage: &Stage) -> Result<()> {
    let environments = "  - name: staging\n  - name: production\n    trigger: {push: {branches: [main]}}\n    gates: {after: [staging]}\n";
    let project = project(stage, "chain-order", environments, true).await?;
    let github = stage.github();
    let sha = github.push(&project.repository, "main").await?;
    let why =
        waits(stage, &project, "production", &sha, ("PriorEnvironmentSucceeded", "Unknown", "NotInOrder"))
            .await?;
    ensure!(why.contains("staging"), "{why}");
    none_asked(stage, &project, "production", &sha).await?;
    // A person creates a deployment to staging by hand.
    let path = format!("repos/{}/deployments", project.repository);
    let body = json!({"ref": sha, "environment": "staging", "auto_merge": false, "required_contexts": []});
    let (_, made) = stage.gh_api("POST", &path, Some(&body)).await?;
    let made = Deployment {
        id: made["id"].as_u64().unwrap_or_default(),
        ..asked_for(stage, &project, "staging", &sha).await?
    };
    tell(stage, &project, &made, "failure").await?;
    swept(stage, &project).await?;
    none_asked(stage, &project, "production", &sha).await?;
    tell(stage, &project, &made, "success").await?;
    asked_for(stage, &project, "production", &sha).await?;

    let next = github.push(&project.repository, "main").await?;
    waits(stage, &project, "production", &next, ("PriorEnvironmentSucceeded", "Unknown", "NotInOrder"))
        .await?;
    let forced = json!({
        "apiVersion": "matinee.dev/v1alpha1", "kind": "DeploymentRequest", "metadata": {"name": "now"},
        "spec": {"repositoryRef": {"name": project.name}, "environment": "production", "sha": next, "force": true},
    });
    stage.apply_object_within(&project.namespace, forced).await?;
    asked_for(stage, &project, "production", &next).await?;
    // It supersedes the request that was waiting.
    waits_any(stage, &project, "production", "Superseded").await
}

/// Waits until any DeploymentRequest of an environment has ended for a reason.
async fn waits_any(stage: &Stage, project: &Project, environment: &str, reason: &str) -> Result<()> {
    stage
        .wait_for(&format!("a request for {environment} is {reason}"), SOON, async || {
            let all = requests(stage, project, environment).await?;
            let found = all
                .iter()
                .any(|request| condition(request, "Ready").is_some_and(|ready| ready.reason == reason));
            ensure!(found, "{}", all.iter().map(conditions).collect::<Vec<_>>().join("\n"));
            Ok(())
        })
        .await
}

async fn outside_of_its_hours_nothing_is_deployed(stage: &Stage) -> Result<()> {
    // The hours are open for one hour a year, in a month other than this one.
    let now = k8s_openapi::jiff::Zoned::now();
    let month = if now.month() > 6 { 2 } else { 9 };
    let closed = format!(
        "{STAGING}    gates: {{hours: [{{start: \"0 9 1 {month} *\", duration: 1h, timeZone: Europe/Berlin}}]}}\n"
    );
    let project = project(stage, "chain-hours", &closed, true).await?;
    let sha = stage.github().push(&project.repository, "main").await?;
    waits(stage, &project, "staging", &sha, ("WithinHours", "Unknown", "OutsideHours")).await?;
    none_asked(stage, &project, "staging", &sha).await?;
    let open = json!({"spec": {"environments": [{
        "name": "staging", "trigger": {"push": {"branches": ["main"]}}, "deploy": {"template": {"ref": {"name": project.name}}},
        "gates": {"hours": [{"start": "* * * * *", "duration": "2m"}]},
    }]}});
    let repositories = stage.repositories(&project.namespace);
    repositories.patch(&project.name, &PatchParams::default(), &Patch::Merge(&open)).await?;
    deployed(stage, &project, "staging", &sha, "success").await.map(|_| ())
}

async fn a_request_by_hand_works_like_any_other(stage: &Stage) -> Result<()> {
    let environments =
        "  - name: staging\n    deploy: {template: {ref: {name: NAME}}}\n    gates: {checks: [test]}\n";
    let project = project(stage, "chain-hand", environments, true).await?;
    let sha = stage.github().push(&project.repository, "anything").await?;
    let by_hand = json!({
        "apiVersion": "matinee.dev/v1alpha1", "kind": "DeploymentRequest", "metadata": {"name": "by-hand"},
        "spec": {"repositoryRef": {"name": project.name}, "environment": "staging", "sha": sha,
            "parameters": [{"name": "message", "value": "by hand"}]},
    });
    stage.apply_object_within(&project.namespace, by_hand).await?;
    waits(stage, &project, "staging", &sha, ("ChecksPassed", "Unknown", "ChecksPending")).await?;
    stage.github().conclude_check(&project.repository, &sha, "test", "success").await?;
    let deployment = deployed(stage, &project, "staging", &sha, "success").await?;
    shows(stage, url_of(&deployment)?, "by hand").await?;
    condition_is(stage, &stage.requests(&project.namespace), "by-hand", "Succeeded", "True").await?;
    // A request for a pull request's environment has to name the pull request.
    let environments = "  - name: preview\n    trigger: {pullRequest: {labels: [never]}}\n    deploy: {template: {ref: {name: NAME}}}\n";
    let other = self::project(stage, "chain-hand-2", environments, true).await?;
    let sha = stage.github().push(&other.repository, "feature").await?;
    let nowhere = json!({
        "apiVersion": "matinee.dev/v1alpha1", "kind": "DeploymentRequest", "metadata": {"name": "nowhere"},
        "spec": {"repositoryRef": {"name": other.name}, "environment": "preview", "sha": sha},
    });
    stage.apply_object_within(&other.namespace, nowhere).await?;
    let requests = stage.requests(&other.namespace);
    let why = crate::support::refused(stage, &requests, "nowhere", "Allowed", "WrongPlace").await?;
    ensure!(why.contains("spec.pullRequest"), "{why}");
    Ok(())
}

async fn a_loop_is_told_and_deploys_nothing(stage: &Stage) -> Result<()> {
    let environments = "  - name: one\n    trigger: {deploymentStatus: {environment: two}}\n  - name: two\n    trigger: {deploymentStatus: {environment: one}}\n";
    let project = project(stage, "chain-loop", environments, true).await?;
    let repositories = stage.repositories(&project.namespace);
    let why =
        crate::support::refused(stage, &repositories, &project.name, "PromotionValid", "ChainLoop").await?;
    ensure!(why.contains("one -> two -> one"), "{why}");
    let sha = stage.github().push(&project.repository, "main").await?;
    let path = format!("repos/{}/deployments", project.repository);
    let body = json!({"ref": sha, "environment": "one", "auto_merge": false, "required_contexts": []});
    stage.gh_api("POST", &path, Some(&body)).await?;
    let made = asked_for(stage, &project, "one", &sha).await?;
    tell(stage, &project, &made, "success").await?;
    settle(stage, &project).await?;
    swept(stage, &project).await?;
    none_asked(stage, &project, "two", &sha).await
}

async fn paths_select_pull_requests(stage: &Stage) -> Result<()> {
    let environments = "  - name: preview\n    trigger: {pullRequest: {paths: [\"web/**\"]}}\n    deploy: {template: {ref: {name: NAME}}}\n";
    let project = project(stage, "chain-paths", environments, true).await?;
    let github = stage.github();
    let sha = github.push_files(&project.repository, "docs", &[("docs/readme.md", "x")]).await?;
    github.open_pull_request(&project.repository, "docs").await?;
    let why = waits(stage, &project, "preview", &sha, ("Allowed", "False", "PathsNotChanged")).await?;
    ensure!(why.contains("web/**"), "{why}");
    let sha = github.push_files(&project.repository, "docs", &[("web/src/index.html", "x")]).await?;
    stage.deployed(&project, &sha, "success", SOON).await?;
    Ok(())
}

/// Returns the next number of a pseudorandom sequence.
fn next(random: &mut u64) -> u64 {
    *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *random >> 33
}

async fn events_in_any_order_end_where_github_is(stage: &Stage) -> Result<()> {
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let project = project(
        stage,
        "chain-random",
        "  - name: staging\n    trigger: {push: {branches: [main]}}\n  - name: production\n    trigger: {deploymentStatus: {environment: staging}}\n",
        true,
    )
    .await?;
    interleave(stage, &project, seed).await.with_context(|| format!("seed {seed}"))
}

/// Pushes commits and reports statuses as the other tool, while webhooks are lost, doubled, delayed
/// and shuffled. In the end the newest commit has a deployment in both environments, each commit
/// has at most one, and no older commit follows a newer one.
async fn interleave(stage: &Stage, project: &Project, seed: u64) -> Result<()> {
    use playground::stage::github::types::{Shuffle, ShuffleOrder};

    let github = stage.github();
    let hook = project.hook.context("no hook")?;
    let mut random = seed;
    let mut sha = String::new();
    for step in 0..8 {
        let mode = DeliveryMode {
            double: next(&mut random).is_multiple_of(2),
            lose_all: next(&mut random).is_multiple_of(4),
            delay_ms: next(&mut random) % 400,
            shuffle: (next(&mut random).is_multiple_of(2)).then_some(Shuffle {
                hold: 2 + usize::try_from(next(&mut random) % 5)?,
                order: ShuffleOrder::Random,
                seed: next(&mut random),
            }),
            ..DeliveryMode::default()
        };
        github.set_delivery_mode(hook, mode).await?;
        match next(&mut random) % 3 {
            0 if !sha.is_empty() => {}
            _ => sha = github.push(&project.repository, "main").await?,
        }
        // The other tool reports success or failure of a deployment that waits.
        let all = deployments_of(stage, project, "staging").await?;
        let pending: Vec<_> = all.iter().filter(|deployment| deployment.statuses.is_empty()).collect();
        if let Some(one) = pending.get(usize::try_from(next(&mut random))? % pending.len().max(1)) {
            let told = if next(&mut random).is_multiple_of(4) { "failure" } else { "success" };
            tell(stage, project, one, told).await?;
        }
        tokio::time::sleep(Duration::from_millis(next(&mut random) % 600)).await;
        if step % 3 == 2 {
            github.flush_deliveries(hook).await?;
        }
    }
    github.flush_deliveries(hook).await?;
    github.set_delivery_mode(hook, DeliveryMode::default()).await?;
    let last = asked_for(stage, project, "staging", &sha).await?;
    if last.state.as_deref() != Some("success") {
        tell(stage, project, &last, "success").await?;
    }
    asked_for(stage, project, "production", &sha).await?;
    // Redelivering every old webhook changes nothing.
    for delivery in github.deliveries(hook).await?.iter().filter(|delivery| !delivery.redelivery) {
        github.redeliver(hook, delivery.id).await?;
    }
    settle(stage, project).await?;
    swept(stage, project).await?;
    for environment in ["staging", "production"] {
        let all = deployments_of(stage, project, environment).await?;
        ensure!(all.last().is_some_and(|newest| newest.sha == sha), "{environment} ends with {all:#?}");
        let mut commits: Vec<_> = all.iter().map(|deployment| deployment.sha.as_str()).collect();
        commits.sort_unstable();
        commits.dedup();
        ensure!(commits.len() == all.len(), "a commit was asked for twice in {environment}: {all:#?}");
    }
    let all = requests(stage, project, "production").await?;
    ensure!(all.iter().all(|request| request.metadata.deletion_timestamp.is_none()), "{}", all.len());
    ensure!(
        all.iter().any(|request| request.name_any().contains(&sha[..12])),
        "no request for the newest commit"
    );
    Ok(())
}
