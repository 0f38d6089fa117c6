//! Authors of pull requests: forks, drafts and bots have no previews unless the PreviewRepository
//! and its class allow them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use kube::ResourceExt as _;
use kube::api::ListParams;
use playground::stage::github::types::{AccountKind, FaultEffect, NewFault, NewPullRequest, PullRequest};
use playground::stage::{CLASS, NewProject, Project, Stage, condition, conditions};
use serde_json::{Value, json};

use crate::harness::tests;
use crate::support::{
    SOON, deployments_of, environment, github_environment, gone, name_of, namespace_of, nothing_live,
    refused, repository_yaml, shows, swept, url_of,
};

tests![
    a_forks_pull_request_has_nothing,
    a_fork_is_told_by_id_whoever_asks_for_it,
    a_head_whose_repository_is_gone_is_a_forks,
    a_bots_pull_request_has_nothing,
    forks_drafts_and_bots_have_previews_where_both_say_so,
];

/// A class of its own that allows everybody.
const OPEN_CLASS: &str = "people-open";

async fn pull_of_fork(stage: &Stage, project: &Project, owner: &str) -> Result<PullRequest> {
    let github = stage.github();
    let fork = github.fork(&project.repository, owner).await?;
    github.push(&fork.full_name, "feature").await?;
    let new = NewPullRequest { head: format!("{owner}:feature"), ..NewPullRequest::default() };
    Ok(github.open(&project.repository, new).await?)
}

/// Checks that the request says why it isn't deployed, and that nothing is deployed, also after a
/// sweep.
async fn has_nothing(
    stage: &Stage,
    project: &Project,
    number: u64,
    reason: &str,
    why: &[&str],
) -> Result<()> {
    let label = format!("matinee.dev/pull-request={number}");
    let requests = stage.requests(&project.namespace);
    stage
        .wait_for(&format!("a request says {reason}"), SOON, async || {
            let found = requests.list(&ListParams::default().labels(&label)).await?.items;
            let request = found.first().context("there is no request")?;
            for kind in ["Allowed", "Ready"] {
                match condition(request, kind) {
                    Some(told) if told.status == "False" && told.reason == reason => {
                        for word in why {
                            ensure!(told.message.contains(word), "no \"{word}\" in \"{}\"", told.message);
                        }
                    }
                    _ => bail!("{}", conditions(request)),
                }
            }
            Ok(())
        })
        .await?;
    swept(stage, project).await?;
    nothing_live(stage, project, number).await
}

async fn a_forks_pull_request_has_nothing(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("people-fork")).await?;
    let pull = pull_of_fork(stage, &project, "stranger").await?;
    let why = ["fork", "forks is Ignore", "PreviewClass standard denies spec.pullRequests.forks"];
    has_nothing(stage, &project, pull.number, "ForkNotAllowed", &why).await?;

    // Another pull request's preview is not affected.
    let own = crate::support::open(stage, &project, "own").await?;
    stage.deployed(&project, &own.sha, "success", SOON).await?;
    // Neither the class nor the PreviewRepository alone is enough.
    let name = "people-fork-class";
    stage.class_like("people-forks", |class| class["pullRequests"] = json!({"forks": "Allow"})).await?;
    let project = stage.project(NewProject::new(name).class("people-forks")).await?;
    let pull = pull_of_fork(stage, &project, "stranger2").await?;
    has_nothing(stage, &project, pull.number, "ForkNotAllowed", &["trigger.pullRequest.forks is Ignore"])
        .await?;
    let name = "people-fork-repo";
    let yaml = repository_yaml(name, CLASS, "{forks: Deploy}", "");
    let project = stage.project(NewProject::new(name).repository(&yaml)).await?;
    let pull = pull_of_fork(stage, &project, "stranger3").await?;
    has_nothing(stage, &project, pull.number, "ForkNotAllowed", &["denies spec.pullRequests.forks"]).await
}

async fn a_fork_is_told_by_id_whoever_asks_for_it(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("people-deployed")).await?;
    let github = stage.github();
    let pull = pull_of_fork(stage, &project, "intruder").await?;
    // The GitHub repository itself has a branch of the same name, so the name doesn't tell them
    // apart.
    github.push(&project.repository, "feature").await?;
    let body = json!({
        "ref": pull.head_sha,
        "environment": github_environment(pull.number),
        "auto_merge": false,
        "required_contexts": [],
        "transient_environment": true,
    });
    let path = format!("repos/{}/deployments", project.repository);
    let (status, answer) = stage.gh_api("POST", &path, Some(&body)).await?;
    ensure!(status == 201, "the deployment by hand is answered {status}: {answer}");
    let deployment = stage.deployed(&project, &pull.head_sha, "error", SOON).await?;
    let told = deployment.statuses.last().map(|status| status.description.clone()).unwrap_or_default();
    ensure!(told.contains("fork"), "the error does not say why: \"{told}\"");
    let environments = stage.environments(&project.namespace);
    let name = name_of(&project, pull.number);
    refused(stage, &environments, &name, "Validated", "ForkNotAllowed").await?;
    swept(stage, &project).await?;
    let namespace = namespace_of(&project, pull.number);
    let found = stage.objects("v1", "Namespace", None).get_opt(&namespace).await?;
    ensure!(found.is_none(), "there is a namespace {namespace}");

    github.close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await
}

async fn a_head_whose_repository_is_gone_is_a_forks(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("people-gone")).await?;
    let github = stage.github();
    github.push(&project.repository, "feature").await?;
    let new = NewPullRequest { head: "feature".into(), draft: true, ..NewPullRequest::default() };
    let pull = github.open(&project.repository, new).await?;
    has_nothing(stage, &project, pull.number, "DraftNotAllowed", &[]).await?;

    // GitHub has open pull requests without a head repository. The simulated GitHub closes them, so
    // the answer is made up.
    let path = format!("repos/{}/pulls/{}", project.repository, pull.number);
    let (_, mut answer) = stage.gh_api("GET", &path, None).await?;
    answer["draft"] = false.into();
    answer["head"]["repo"] = Value::Null;
    let body = Some(answer.to_string());
    let effect = FaultEffect::Answer { status: 200, headers: BTreeMap::new(), body };
    let path = format!("/{path}");
    let fault = NewFault { method: Some("GET".into()), path, times: Some(1_000), effect };
    github.add_fault(fault).await?;
    github.mark_ready(&project.repository, pull.number).await?;
    has_nothing(stage, &project, pull.number, "ForkNotAllowed", &["fork"]).await
}

async fn a_bots_pull_request_has_nothing(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("people-bot")).await?;
    let pull = pull_of_bot(stage, &project, "renovate[bot]").await?;
    has_nothing(stage, &project, pull.number, "BotNotAllowed", &["a bot opened it", "bots"]).await
}

async fn pull_of_bot(stage: &Stage, project: &Project, bot: &str) -> Result<PullRequest> {
    let github = stage.github();
    github.create_account(bot, AccountKind::Bot).await?;
    github.push(&project.repository, "update").await?;
    let new =
        NewPullRequest { head: "update".into(), author: Some(bot.to_owned()), ..NewPullRequest::default() };
    Ok(github.open(&project.repository, new).await?)
}

async fn forks_drafts_and_bots_have_previews_where_both_say_so(stage: &Stage) -> Result<()> {
    let everybody = json!({"forks": "Allow", "drafts": "Allow", "bots": "Allow"});
    stage.class_like(OPEN_CLASS, |class| class["pullRequests"] = everybody).await?;
    let name = "people-open";
    let yaml = repository_yaml(name, OPEN_CLASS, "{forks: Deploy, drafts: Deploy, bots: Deploy}", "");
    let project = stage.project(NewProject::new(name).repository(&yaml)).await?;
    let github = stage.github();
    let of_fork = pull_of_fork(stage, &project, "friend").await?;
    let of_bot = pull_of_bot(stage, &project, "dependabot[bot]").await?;
    github.push(&project.repository, "draft").await?;
    let new = NewPullRequest { head: "draft".into(), draft: true, ..NewPullRequest::default() };
    let draft = github.open(&project.repository, new).await?;
    for pull in [&of_fork, &of_bot, &draft] {
        let deployment = stage.deployed(&project, &pull.head_sha, "success", SOON).await?;
        shows(stage, url_of(&deployment)?, &pull.head_sha[..7]).await?;
        let found = environment(stage, &project, pull.number).await?;
        let source = &found.data["status"]["verified"]["pullRequest"];
        let kind = [("fork", of_fork.number), ("bot", of_bot.number), ("draft", draft.number)];
        for (field, number) in kind {
            ensure!(source[field] == (number == pull.number), "{}: {source}", found.name_any());
        }
    }
    // Deleting a fork closes its pull request; the last webhook has no head repository.
    github.delete_repository("friend/people-open").await?;
    for pull in [&of_bot, &draft] {
        github.close(&project.repository, pull.number).await?;
    }
    for pull in [&of_fork, &of_bot, &draft] {
        gone(stage, &project, pull.number).await?;
        let left = deployments_of(stage, &project, &github_environment(pull.number)).await?;
        ensure!(left.len() == 1, "{left:#?}");
    }
    Ok(())
}
