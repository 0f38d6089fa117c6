//! Commands in Slack: signed by Slack, given by a person whose GitHub account is known, answered at
//! once and again when they are done.

use anyhow::{Context as _, Result, bail, ensure};
use kube::api::ListParams;
use playground::stage::slack::types::{Forgery, Invocation, Sees, Typed};
use playground::stage::{Project, SLACK_CHANNEL, Stage};

use crate::harness::tests;
use crate::promotion::{deployed, project, requests, waits};
use crate::support::{SOON, deployments_of, shows, swept, url_of};

tests![
    a_command_from_slack_deploys_and_is_told_when_it_is_done,
    who_is_not_known_on_github_deploys_nothing,
    what_slack_did_not_sign_does_nothing,
    slack_locks_and_unlocks_and_tells_where,
];

const ENVIRONMENTS: &str = "  - name: staging\n    deploy: {template: {ref: {name: NAME}}}\n    gates: {checks: [test]}\n  - name: production\n";

/// Types a command, and repeats it when the operator was too busy to answer within Slack's three
/// seconds.
async fn typed(stage: &Stage, user: &str, text: &str) -> Result<Invocation> {
    let what = format!("the operator answers \"/deploy {text}\"");
    stage
        .wait_for(&what, SOON, async || {
            let typed = Typed::new(user, SLACK_CHANNEL, &format!("/deploy {text}"));
            let command = stage.slack().type_command(typed).await?;
            let late = Sees::Error("operation_timeout".to_owned());
            ensure!(command.answer.status != 503 && command.answer.sees != late, "{:?}", command.answer);
            Ok(command)
        })
        .await
}

fn said(invocation: &Invocation) -> String {
    invocation.answer.body.clone()
}

/// Waits until an answer with a text arrives at a command's response URL.
async fn responded(stage: &Stage, invocation: &Invocation, text: &str) -> Result<()> {
    stage
        .wait_for(&format!("Slack gets \"{text}\""), SOON, async || {
            let all = stage.slack().responses().await?;
            let ours: Vec<_> = all
                .iter()
                .filter(|response| response.invocation == invocation.id)
                .map(|response| response.text.clone())
                .collect();
            ensure!(ours.iter().any(|response| response.contains(text)), "it got {ours:?}");
            ensure!(ours.len() <= 5, "{} answers", ours.len());
            Ok(())
        })
        .await
}

async fn a_command_from_slack_deploys_and_is_told_when_it_is_done(stage: &Stage) -> Result<()> {
    let project = project(stage, "slack-deploy", ENVIRONMENTS, true).await?;
    stage.slack_user("ada-in-slack", "ada").await?;
    let sha = stage.github().push(&project.repository, "feature").await?;
    let command = typed(stage, "ada-in-slack", "acme/slack-deploy@feature to staging message=hello").await?;
    ensure!(command.answer.status == 200, "{:?}", command.answer);
    waits(stage, &project, "staging", &sha, ("ChecksPassed", "Unknown", "ChecksPending")).await?;
    responded(stage, &command, "test").await?;
    stage.github().conclude_check(&project.repository, &sha, "test", "success").await?;
    let deployment = deployed(stage, &project, "staging", &sha, "success").await?;
    shows(stage, url_of(&deployment)?, "hello").await?;
    responded(stage, &command, url_of(&deployment)?).await?;
    let asked = requests(stage, &project, "staging").await?;
    let by = &asked[0].data["spec"]["requestedBy"];
    ensure!(by["origin"] == "Slack" && by["login"] == "ada", "{by}");
    // The channel has one message, which Matinee updates.
    stage
        .wait_for("the channel has the message", SOON, async || {
            let all = stage.slack().messages().await?;
            let ours: Vec<_> = all
                .iter()
                .map(|message| format!("{message:?}"))
                .filter(|text| text.contains(&sha[..7]))
                .collect();
            ensure!(ours.len() == 1 && ours[0].contains(url_of(&deployment)?), "{ours:?}");
            Ok(())
        })
        .await
}

async fn nothing_came(stage: &Stage, project: &Project) -> Result<()> {
    swept(stage, project).await?;
    let commands = stage.objects("matinee.dev/v1alpha1", "DeploymentCommand", Some(&project.namespace));
    let commands = commands.list(&ListParams::default()).await?.items;
    ensure!(commands.is_empty(), "a command was written: {commands:#?}");
    ensure!(deployments_of(stage, project, "staging").await?.is_empty(), "it was deployed");
    Ok(())
}

async fn who_is_not_known_on_github_deploys_nothing(stage: &Stage) -> Result<()> {
    let project = project(stage, "slack-stranger", ENVIRONMENTS, true).await?;
    let command = typed(stage, "stranger", "acme/slack-stranger to staging").await?;
    ensure!(said(&command).contains("has no GitHub login"), "{}", said(&command));
    let command = typed(stage, "stranger", "acme/nowhere to staging").await?;
    ensure!(said(&command).contains("acme/nowhere"), "{}", said(&command));
    let command = typed(stage, "stranger", "help").await?;
    ensure!(said(&command).contains("owner/repo"), "{}", said(&command));
    nothing_came(stage, &project).await?;
    // The person's GitHub account is known but has no role.
    stage.slack_user("eve-in-slack", "eve").await?;
    let command = typed(stage, "eve-in-slack", "acme/slack-stranger to staging").await?;
    responded(stage, &command, "write").await?;
    ensure!(deployments_of(stage, &project, "staging").await?.is_empty(), "it was deployed");
    Ok(())
}

async fn what_slack_did_not_sign_does_nothing(stage: &Stage) -> Result<()> {
    let project = project(stage, "slack-forged", ENVIRONMENTS, true).await?;
    stage.slack_user("ada-forged", "ada").await?;
    for (forgery, status) in [
        (Forgery::WrongSecret, 403),
        (Forgery::Timestamp { seconds: 1_600_000_000 }, 401),
        (Forgery::TamperedBody, 403),
        (Forgery::Unsigned, 401),
    ] {
        let typed = Typed::new("ada-forged", SLACK_CHANNEL, "/deploy acme/slack-forged to staging");
        let command = stage.slack().type_command(typed.forged(forgery)).await?;
        ensure!(command.answer.status == status, "{:?}", command.answer);
    }
    nothing_came(stage, &project).await
}

async fn slack_locks_and_unlocks_and_tells_where(stage: &Stage) -> Result<()> {
    let project = project(stage, "slack-lock", ENVIRONMENTS, true).await?;
    stage.slack_user("grace-in-slack", "grace").await?;
    let command =
        typed(stage, "grace-in-slack", "lock acme/slack-lock production until <!channel> monday").await?;
    responded(stage, &command, "monday").await?;
    let repository = stage.repositories(&project.namespace).get(&project.name).await?;
    let locks = &repository.data["spec"]["locks"];
    ensure!(locks[0]["by"] == "grace" && locks[0]["environment"] == "production", "{locks}");
    let told = stage.slack().responses().await?;
    ensure!(!told.iter().any(|told| told.text.contains("<!channel>")), "everybody was called");
    let command = typed(stage, "grace-in-slack", "where acme/slack-lock").await?;
    responded(stage, &command, "grace").await?;
    let command = typed(stage, "grace-in-slack", "unlock acme/slack-lock production").await?;
    responded(stage, &command, "production").await?;
    stage
        .wait_for("the lock is removed", SOON, async || {
            let repository = stage.repositories(&project.namespace).get(&project.name).await?;
            match repository.data["spec"]["locks"].as_array() {
                Some(locks) if !locks.is_empty() => bail!("{locks:?}"),
                _ => Ok(()),
            }
        })
        .await
        .context("unlock")
}
