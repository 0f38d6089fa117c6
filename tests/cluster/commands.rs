//! Commands in comments of a pull request: who may give them, what they do, and that each gets
//! exactly one answer.

use anyhow::{Context as _, Result, bail, ensure};
use kube::api::{DynamicObject, ListParams};
use playground::stage::github::types::{AccountKind, Comment, FaultEffect, NewFault};
use playground::stage::{Project, Stage, condition, conditions};

use crate::harness::tests;
use crate::promotion::{deployed, project, requests, waits};
use crate::support::{Pull, SOON, deployments_of, open, settle, shows, swept, url_of};

tests![
    a_command_deploys_and_is_answered_once,
    who_may_not_is_told_and_nothing_comes_of_it,
    what_is_not_understood_is_told_how_it_is_written,
    nobody_is_listened_to_who_does_not_speak,
    a_lock_by_command_holds_until_it_is_unlocked,
    where_tells_what_is_where,
    a_promotion_takes_what_is_live,
    what_was_asked_for_stays_until_the_next_push,
    commands_need_no_webhook,
    a_lost_answer_makes_no_second_one,
    what_could_not_be_answered_is_not_carried_out_again(alone),
];

const ENVIRONMENTS: &str = "  - name: preview\n    trigger: {pullRequest: {labels: [preview]}}\n    deploy: {template: {ref: {name: NAME}}}\n  \
    - name: staging\n    deploy: {template: {ref: {name: NAME}}}\n  - name: production\n    gates: {after: [staging]}\n    commands: {role: Maintain}\n";

/// Returns Matinee's comments on a pull request.
async fn answers(stage: &Stage, project: &Project, number: u64) -> Result<Vec<Comment>> {
    let mut all = stage.github().comments(&project.repository, number).await?;
    all.retain(|comment| comment.body.contains("<!-- matinee:command:"));
    Ok(all)
}

/// Waits until Matinee's newest comment on a pull request contains a text.
pub async fn answered(stage: &Stage, project: &Project, number: u64, text: &str) -> Result<Comment> {
    let found = stage
        .wait_for(&format!("an answer has \"{text}\""), SOON, async || {
            let all = answers(stage, project, number).await?;
            let newest = all.last().context("there is no answer")?;
            ensure!(newest.body.to_lowercase().contains(&text.to_lowercase()), "it is {}", newest.body);
            Ok(newest.clone())
        })
        .await;
    match found {
        Ok(found) => Ok(found),
        Err(problem) => {
            let commands =
                stage.objects("matinee.dev/v1alpha1", "DeploymentCommand", Some(&project.namespace));
            let commands = commands.list(&ListParams::default()).await?.items;
            let told: String = commands.iter().map(|command| conditions(command) + "\n").collect();
            Err(problem).context(told).context(stage.explain(&project.namespace).await)
        }
    }
}

/// Returns the reactions to a comment, by GitHub's names.
async fn reactions(stage: &Stage, project: &Project, comment: u64) -> Result<Vec<String>> {
    let path = format!("repos/{}/issues/comments/{comment}/reactions", project.repository);
    let (status, all) = stage.gh_api("GET", &path, None).await?;
    ensure!(status == 200, "{status}: {all}");
    let all = all.as_array().cloned().unwrap_or_default();
    Ok(all.iter().filter_map(|reaction| reaction["content"].as_str().map(str::to_owned)).collect())
}

async fn reacted(stage: &Stage, project: &Project, comment: u64, wanted: &[&str]) -> Result<()> {
    stage
        .wait_for(&format!("the reactions are {wanted:?}"), SOON, async || {
            let all = reactions(stage, project, comment).await?;
            ensure!(all == wanted, "they are {all:?}");
            Ok(())
        })
        .await
}

async fn commanded(stage: &Stage, name: &str) -> Result<(Project, Pull)> {
    let project = project(stage, name, ENVIRONMENTS, true).await?;
    let pull = open(stage, &project, "feature").await?;
    Ok((project, pull))
}

async fn a_command_deploys_and_is_answered_once(stage: &Stage) -> Result<()> {
    let (project, pull) = commanded(stage, "command-deploy").await?;
    let github = stage.github();
    let body = "This looks good.\n\n/deploy staging message=hello\n";
    let comment = github.comment(&project.repository, pull.number, "ada", body).await?;
    let deployment = deployed(stage, &project, "staging", &pull.sha, "success").await?;
    shows(stage, url_of(&deployment)?, "hello").await?;
    let answer = answered(stage, &project, pull.number, url_of(&deployment)?).await?;
    ensure!(answer.body.contains("staging") && answer.body.contains(&pull.sha[..7]), "{}", answer.body);
    reacted(stage, &project, comment, &["eyes", "+1"]).await?;
    let asked = requests(stage, &project, "staging").await?;
    let by = &asked[0].data["spec"]["requestedBy"];
    ensure!(asked.len() == 1 && by["origin"] == "Comment" && by["login"] == "ada", "{by}");

    // The command creates the preview although the pull request lacks the label.
    github.comment(&project.repository, pull.number, "ada", "/preview").await?;
    let environment = crate::support::github_environment(pull.number);
    let deployment = deployed(stage, &project, &environment, &pull.sha, "success").await?;
    shows(stage, url_of(&deployment)?, &pull.sha[..7]).await?;
    answered(stage, &project, pull.number, url_of(&deployment)?).await?;
    swept(stage, &project).await?;
    ensure!(answers(stage, &project, pull.number).await?.len() == 2, "one answer for each command");
    Ok(())
}

async fn who_may_not_is_told_and_nothing_comes_of_it(stage: &Stage) -> Result<()> {
    let (project, pull) = commanded(stage, "command-refused").await?;
    let github = stage.github();
    let comment = github.comment(&project.repository, pull.number, "eve", "/deploy staging").await?;
    let answer = answered(stage, &project, pull.number, "write").await?;
    ensure!(!answer.body.contains("@eve"), "it mentions: {}", answer.body);
    reacted(stage, &project, comment, &["eyes", "-1"]).await?;
    // The PreviewRepository requires more than write access.
    github.comment(&project.repository, pull.number, "ada", "/deploy production").await?;
    answered(stage, &project, pull.number, "maintain").await?;
    for environment in ["staging", "production"] {
        ensure!(requests(stage, &project, environment).await?.is_empty(), "a request for {environment}");
        ensure!(
            deployments_of(stage, &project, environment).await?.is_empty(),
            "a deployment in {environment}"
        );
    }
    github.comment(&project.repository, pull.number, "grace", "/deploy production").await?;
    // A command doesn't bypass the gate, and the answer says which gate the deployment waits for.
    answered(stage, &project, pull.number, "staging").await?;
    waits(stage, &project, "production", &pull.sha, ("PriorEnvironmentSucceeded", "Unknown", "NotInOrder"))
        .await
        .map(|_| ())
}

async fn what_is_not_understood_is_told_how_it_is_written(stage: &Stage) -> Result<()> {
    let (project, pull) = commanded(stage, "command-wrong").await?;
    let github = stage.github();
    let comment = github.comment(&project.repository, pull.number, "ada", "/deploy stagign").await?;
    let answer = answered(stage, &project, pull.number, "stagign").await?;
    ensure!(answer.body.contains("preview, staging, production"), "{}", answer.body);
    reacted(stage, &project, comment, &["confused"]).await?;
    github.comment(&project.repository, pull.number, "ada", "/lock staging").await?;
    answered(stage, &project, pull.number, "/lock").await?;
    Ok(())
}

async fn nobody_is_listened_to_who_does_not_speak(stage: &Stage) -> Result<()> {
    let (project, pull) = commanded(stage, "command-silent").await?;
    let github = stage.github();
    github.create_account("robot[bot]", AccountKind::Bot).await?;
    for (author, body) in [
        ("ada", "> /deploy staging\n\nI would not."),
        ("ada", "```\n/deploy staging\n```"),
        ("ada", "Please /deploy staging"),
        ("ada", "<!--\n/deploy staging\n-->"),
        ("robot[bot]", "/deploy staging"),
    ] {
        github.comment(&project.repository, pull.number, author, body).await?;
    }
    // An edited comment is not a new command.
    let comment = github.comment(&project.repository, pull.number, "ada", "I think").await?;
    // GitHub's times are whole seconds: a comment that is edited within the second of its creation
    // doesn't look edited.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let path = format!("repos/{}/issues/comments/{comment}", project.repository);
    let (status, said) =
        stage.gh_api("PATCH", &path, Some(&serde_json::json!({"body": "/deploy staging"}))).await?;
    ensure!(status == 200, "{status}: {said}");
    settle(stage, &project).await?;
    swept(stage, &project).await?;
    let commands = stage.objects("matinee.dev/v1alpha1", "DeploymentCommand", Some(&project.namespace));
    let commands = commands.list(&ListParams::default()).await?.items;
    ensure!(commands.is_empty(), "{}", commands.iter().map(conditions).collect::<String>());
    ensure!(answers(stage, &project, pull.number).await?.is_empty(), "it was answered");
    Ok(())
}

async fn a_lock_by_command_holds_until_it_is_unlocked(stage: &Stage) -> Result<()> {
    let (project, pull) = commanded(stage, "command-lock").await?;
    let github = stage.github();
    github.comment(&project.repository, pull.number, "ada", "/lock staging we are moving house").await?;
    answered(stage, &project, pull.number, "we are moving house").await?;
    let repository = stage.repositories(&project.namespace).get(&project.name).await?;
    let locks = &repository.data["spec"]["locks"];
    ensure!(locks[0]["environment"] == "staging" && locks[0]["by"] == "ada", "{locks}");
    github.comment(&project.repository, pull.number, "grace", "/deploy staging").await?;
    answered(stage, &project, pull.number, "ada").await?;
    waits(stage, &project, "staging", &pull.sha, ("Unlocked", "Unknown", "Locked")).await?;
    // The lock of a command and the lock that the team sets in its object don't overwrite each
    // other.
    github.comment(&project.repository, pull.number, "grace", "/lock production frozen").await?;
    answered(stage, &project, pull.number, "frozen").await?;
    github.comment(&project.repository, pull.number, "grace", "/unlock staging").await?;
    deployed(stage, &project, "staging", &pull.sha, "success").await?;
    let repository = stage.repositories(&project.namespace).get(&project.name).await?;
    let locks = repository.data["spec"]["locks"].as_array().cloned().unwrap_or_default();
    ensure!(locks.len() == 1 && locks[0]["environment"] == "production", "{locks:?}");
    Ok(())
}

async fn where_tells_what_is_where(stage: &Stage) -> Result<()> {
    let (project, pull) = commanded(stage, "command-where").await?;
    let github = stage.github();
    github.comment(&project.repository, pull.number, "ada", "/deploy staging").await?;
    let deployment = deployed(stage, &project, "staging", &pull.sha, "success").await?;
    answered(stage, &project, pull.number, url_of(&deployment)?).await?;
    github.comment(&project.repository, pull.number, "grace", "/lock production the queue is full").await?;
    answered(stage, &project, pull.number, "the queue is full").await?;
    github.comment(&project.repository, pull.number, "eve", "/where").await?;
    let answer = answered(stage, &project, pull.number, &pull.sha[..7]).await?;
    for word in ["staging", "live", "production", "the queue is full", "grace"] {
        ensure!(answer.body.contains(word), "no \"{word}\" in {}", answer.body);
    }
    Ok(())
}

async fn a_promotion_takes_what_is_live(stage: &Stage) -> Result<()> {
    let (project, pull) = commanded(stage, "command-promote").await?;
    let github = stage.github();
    github.comment(&project.repository, pull.number, "grace", "/promote production").await?;
    answered(stage, &project, pull.number, "nothing is live in staging").await?;
    github.comment(&project.repository, pull.number, "ada", "/deploy staging").await?;
    deployed(stage, &project, "staging", &pull.sha, "success").await?;
    // The command deploys the live commit, not the newest one.
    github.push(&project.repository, "feature").await?;
    github.comment(&project.repository, pull.number, "grace", "/promote production").await?;
    stage
        .wait_for("what is live in staging is asked for in production", SOON, async || {
            let all = deployments_of(stage, &project, "production").await?;
            match all.first() {
                Some(found) if found.sha == pull.sha => Ok(()),
                other => bail!("{other:?}"),
            }
        })
        .await
}

async fn what_was_asked_for_stays_until_the_next_push(stage: &Stage) -> Result<()> {
    let environments = "  - name: staging\n    trigger: {push: {branches: [main]}}\n    deploy: {template: {ref: {name: NAME}}}\n";
    let project = project(stage, "command-stays", environments, true).await?;
    let github = stage.github();
    let first = github.push(&project.repository, "main").await?;
    deployed(stage, &project, "staging", &first, "success").await?;
    let pull = open(stage, &project, "feature").await?;
    github.comment(&project.repository, pull.number, "ada", "/deploy staging").await?;
    deployed(stage, &project, "staging", &pull.sha, "success").await?;
    // The branch's head is unchanged, so the sweep sees no push.
    swept(stage, &project).await?;
    let all = deployments_of(stage, &project, "staging").await?;
    ensure!(all.last().is_some_and(|newest| newest.sha == pull.sha), "it was undone: {all:#?}");
    let next = github.push(&project.repository, "main").await?;
    deployed(stage, &project, "staging", &next, "success").await.map(|_| ())
}

async fn commands_need_no_webhook(stage: &Stage) -> Result<()> {
    let project = project(stage, "command-sweep", ENVIRONMENTS, false).await?;
    let pull = open(stage, &project, "feature").await?;
    let comment = stage.github().comment(&project.repository, pull.number, "ada", "/deploy staging").await?;
    let deployment = deployed(stage, &project, "staging", &pull.sha, "success").await?;
    answered(stage, &project, pull.number, url_of(&deployment)?).await?;
    reacted(stage, &project, comment, &["eyes", "+1"]).await?;
    swept(stage, &project).await?;
    ensure!(requests(stage, &project, "staging").await?.len() == 1, "it was carried out twice");
    Ok(())
}

async fn a_lost_answer_makes_no_second_one(stage: &Stage) -> Result<()> {
    let (project, pull) = commanded(stage, "command-lost").await?;
    let github = stage.github();
    let path = format!("/repos/{}/issues/{}/comments", project.repository, pull.number);
    github.break_next("POST", &path, FaultEffect::CloseAfter).await?;
    github.comment(&project.repository, pull.number, "ada", "/where").await?;
    answered(stage, &project, pull.number, "staging").await?;
    swept(stage, &project).await?;
    let all = answers(stage, &project, pull.number).await?;
    ensure!(all.len() == 1, "{all:#?}");
    Ok(())
}

/// A command whose answer fails is executed once: neither a further try to answer nor a restarted
/// operator repeats it.
async fn what_could_not_be_answered_is_not_carried_out_again(stage: &Stage) -> Result<()> {
    let (project, pull) = commanded(stage, "command-again").await?;
    let github = stage.github();
    let fault = NewFault {
        method: Some("POST".into()),
        path: format!("/repos/{}/issues/{}/comments", project.repository, pull.number),
        times: Some(1_000),
        effect: FaultEffect::Answer { status: 502, headers: [].into(), body: None },
    };
    github.add_fault(fault).await?;
    let commands = stage.objects("matinee.dev/v1alpha1", "DeploymentCommand", Some(&project.namespace));
    let carried_out = async |count: usize| {
        stage
            .wait_for(&format!("{count} commands are executed and not answered"), SOON, async || {
                let all = commands.list(&ListParams::default()).await?.items;
                let is = |command: &DynamicObject, kind: &str, wanted: &str| {
                    condition(command, kind).is_some_and(|found| found.status == wanted)
                };
                let done = all
                    .iter()
                    .filter(|command| is(command, "CarriedOut", "True") && is(command, "Answered", "False"));
                ensure!(done.count() == count, "{:?}", all.iter().map(conditions).collect::<Vec<_>>());
                Ok(())
            })
            .await
    };
    github.comment(&project.repository, pull.number, "ada", "/lock staging mine").await?;
    carried_out(1).await?;
    github.comment(&project.repository, pull.number, "grace", "/unlock staging").await?;
    carried_out(2).await?;
    stage.operator().restart().await?;
    github.clear_faults().await?;
    stage
        .wait_for("both are answered", SOON, async || {
            let all = answers(stage, &project, pull.number).await?;
            ensure!(all.len() == 2, "{all:#?}");
            Ok(())
        })
        .await?;
    let repository = stage.repositories(&project.namespace).get(&project.name).await?;
    let locks = &repository.data["spec"]["locks"];
    ensure!(locks.as_array().is_none_or(Vec::is_empty), "the lock came back: {locks}");
    Ok(())
}
