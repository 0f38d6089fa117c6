//! Two replicas: both receive events, one acts on them, and when it ends the other continues.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::api::{Patch, PatchParams};
use playground::stage::github::types::NewHook;
use playground::stage::slack::types::Typed;
use playground::stage::{NewProject, OperatorPod, Project, RELEASE, SLACK_CHANNEL, SYSTEM, Stage};
use serde_json::json;

use crate::harness::tests;
use crate::pods::{HAND_OVER, delete, handed_over, leader, replicas};
use crate::support::{
    END, Pull, SOON, deployments_of, github_environment, gone, once, open, shows, states, url_of,
};

tests![
    every_replica_takes_webhooks(node),
    a_close_that_another_replica_heard_of_counts_at_once(node),
    slack_is_answered_by_the_replica_that_was_asked(node),
    a_leader_that_is_gone_is_followed_and_nothing_is_done_twice(node),
    a_leader_that_ends_hands_over_and_nothing_is_done_twice(node),
    a_leader_that_loses_the_lease_ends(node),
];

/// Returns the URL of a replica's webhooks, which bypasses the Service that would choose a replica.
fn webhooks(pod: &OperatorPod) -> String {
    format!("http://{}:8080/webhooks/github", pod.address)
}

async fn hook(stage: &Stage, project: &Project, pod: &OperatorPod) -> Result<u64> {
    let hook = NewHook {
        url: webhooks(pod),
        secret: Some(stage.webhook_secret().to_owned()),
        events: vec!["*".to_owned()],
        content_type: None,
    };
    Ok(stage.github().create_hook(&project.repository, hook).await?)
}

async fn every_replica_takes_webhooks(stage: &Stage) -> Result<()> {
    let (leader, others) = replicas(stage).await?;
    for (index, pod) in others.iter().chain([&leader]).enumerate() {
        let project = stage.project(NewProject::new(&format!("helm-hook-{index}")).without_webhook()).await?;
        let hook = hook(stage, &project, pod).await?;
        let pull = open(stage, &project, "feature").await?;
        stage.deployed(&project, &pull.sha, "success", SOON).await?;
        stage.github().settle_hook(hook, SOON).await?;
        let deliveries = stage.github().deliveries(hook).await?;
        let opened = deliveries.iter().find(|delivery| delivery.event == "pull_request").context("none")?;
        ensure!(opened.status_code == 202, "{}: {opened:#?}", pod.name);
        ensure!(pod.log()?.contains(&format!("helm-hook-{index}")), "{} says nothing of it", pod.name);
    }
    Ok(())
}

/// The leader has read the pull request a moment ago, when it was open. An event at the other
/// replica must invalidate that reading.
async fn a_close_that_another_replica_heard_of_counts_at_once(stage: &Stage) -> Result<()> {
    let (_, others) = replicas(stage).await?;
    let project = stage.project(NewProject::new("helm-close").without_webhook()).await?;
    hook(stage, &project, &others[0]).await?;
    let pull = open(stage, &project, "feature").await?;
    stage.deployed(&project, &pull.sha, "success", SOON).await?;
    // GitHub's times are whole seconds: a change within the same second can't be told from no
    // change.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    stage.github().close(&project.repository, pull.number).await?;
    let closed = std::time::Instant::now();
    let name = crate::support::name_of(&project, pull.number);
    stage
        .wait_for("the environment ends", SOON, async || {
            let found = stage.environments(&project.namespace).get_opt(&name).await?;
            ensure!(found.is_none_or(|found| found.metadata.deletion_timestamp.is_some()), "it lives");
            Ok(())
        })
        .await?;
    eprintln!("closed through the other replica: ending after {} ms", closed.elapsed().as_millis());
    gone(stage, &project, pull.number).await
}

async fn slack_is_answered_by_the_replica_that_was_asked(stage: &Stage) -> Result<()> {
    let (_, others) = replicas(stage).await?;
    let yaml = "apiVersion: matinee.dev/v1alpha1\nkind: PreviewRepository\nmetadata: {name: helm-slack}\nspec:\n  repository: acme/helm-slack\n  \
                className: standard\n  environments:\n  - name: staging\n    deploy: {template: {ref: {name: helm-slack}}}\n";
    let project = stage.project(NewProject::new("helm-slack").repository(yaml)).await?;
    stage
        .github()
        .set_role(&project.repository, "ada", playground::stage::github::types::Role::Write)
        .await?;
    let sha = stage.github().push(&project.repository, "feature").await?;
    stage.slack_user("ada-helm", "ada").await?;
    let through = format!("http://{}:8080/slack/commands", others[0].address);
    stage.slack().set_command("/deploy", &through).await?;
    let text = "/deploy acme/helm-slack@feature to staging";
    let command = stage.slack().type_command(Typed::new("ada-helm", SLACK_CHANNEL, text)).await?;
    stage.slack().set_command("/deploy", &stage.operator().slack_url()).await?;
    ensure!(command.answer.status == 200, "{:?}", command.answer);
    let deployment = stage.deployed(&project, &sha, "success", SOON).await?;
    let url = url_of(&deployment)?;
    stage
        .wait_for("the answer comes to the command", SOON, async || {
            let all = stage.slack().responses().await?;
            let ours: Vec<_> =
                all.iter().filter(|one| one.invocation == command.id).map(|one| &one.text).collect();
            ensure!(ours.iter().any(|text| text.contains(url)), "it got {ours:?}");
            Ok(())
        })
        .await
}

/// Opens pull requests whose previews are being deployed while the leader ends.
async fn begun(stage: &Stage, name: &str) -> Result<(Project, Vec<Pull>)> {
    let project = stage.project(NewProject::new(name)).await?;
    let mut pulls = Vec::new();
    for index in 0..4 {
        pulls.push(open(stage, &project, &format!("feature-{index}")).await?);
    }
    stage
        .wait_for("the first is under way", SOON, async || {
            let all = deployments_of(stage, &project, &github_environment(pulls[0].number)).await?;
            ensure!(all.iter().any(|deployment| deployment.state.is_some()), "not yet");
            Ok(())
        })
        .await?;
    Ok((project, pulls))
}

/// Checks that all previews were deployed and that no status was reported twice.
async fn all_came_once(stage: &Stage, project: &Project, pulls: &[Pull]) -> Result<()> {
    for pull in pulls {
        let deployment = stage.deployed(project, &pull.sha, "success", END).await?;
        let all = deployments_of(stage, project, &github_environment(pull.number)).await?;
        ensure!(all.len() == 1, "several deployments of one commit: {all:#?}");
        once(&states(&deployment))?;
        shows(stage, url_of(&deployment)?, &pull.sha[..7]).await?;
        stage.github().close(&project.repository, pull.number).await?;
    }
    for pull in pulls {
        gone(stage, project, pull.number).await?;
    }
    Ok(())
}

async fn a_leader_that_is_gone_is_followed_and_nothing_is_done_twice(stage: &Stage) -> Result<()> {
    let (old, _) = replicas(stage).await?;
    let (project, pulls) = begun(stage, "helm-gone").await?;
    delete(stage, &old, false).await?;
    // The process doesn't get the grace period that the kubelet would give it.
    old.kill()?;
    let took = handed_over(stage, &old).await?;
    eprintln!("the leader was gone without a word: another led after {:.1} s", took.as_secs_f64());
    all_came_once(stage, &project, &pulls).await?;
    replicas(stage).await.map(drop)
}

async fn a_leader_that_ends_hands_over_and_nothing_is_done_twice(stage: &Stage) -> Result<()> {
    let (old, _) = replicas(stage).await?;
    let (project, pulls) = begun(stage, "helm-ends").await?;
    delete(stage, &old, true).await?;
    let took = handed_over(stage, &old).await?;
    // The first five seconds pass before the process gets the signal, so that no webhook is sent to
    // it any more.
    eprintln!("the leader was asked to end: another led after {:.1} s", took.as_secs_f64());
    all_came_once(stage, &project, &pulls).await?;
    replicas(stage).await.map(drop)
}

async fn a_leader_that_loses_the_lease_ends(stage: &Stage) -> Result<()> {
    let (old, _) = replicas(stage).await?;
    let taken = json!({"spec": {"holderIdentity": "somebody-else", "leaseDurationSeconds": 15}});
    stage
        .objects("coordination.k8s.io/v1", "Lease", Some(SYSTEM))
        .patch(RELEASE, &PatchParams::default(), &Patch::Merge(taken))
        .await?;
    // The stage's own wait would take the end of a process for a failure.
    let began = std::time::Instant::now();
    loop {
        let pods = stage.operator().pods().await?;
        let now = pods.iter().find(|pod| pod.name == old.name).context("the pod is gone")?;
        if now.restarts > old.restarts {
            let log = now.log()?;
            ensure!(log.contains("this replica leads no more: somebody-else holds the Lease now"), "{log}");
            break;
        }
        ensure!(began.elapsed() < HAND_OVER, "it still runs without the Lease: {now:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A new pod replaces it, so that later tests don't fail because of a pod that ended.
    let replaced = stage.operator().pods().await?;
    let replaced = replaced.iter().find(|pod| pod.name == old.name).context("the pod is gone")?;
    delete(stage, replaced, false).await?;
    while leader(stage).await?.is_none_or(|holder| holder == "somebody-else" || holder == old.name) {
        ensure!(began.elapsed() < 3 * HAND_OVER, "nobody leads after the thief");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    replicas(stage).await.map(drop)
}
