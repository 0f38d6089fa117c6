//! `matinee github connect`: the App that it creates is all that the operator needs to create a
//! preview.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use github_stand_in::browser::Browser;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::DeleteParams;
use playground::stage::github::types::AccountKind;
use playground::stage::{NewProject, SYSTEM, Stage};
use serde_json::json;

use crate::harness::tests;
use crate::run::Run;
use crate::support::{SOON, deployments_of, github_environment, gone, live};

tests![
    an_app_is_made_stored_and_carries_out_a_preview,
    a_secret_that_is_there_is_replaced_only_when_asked,
    who_may_not_store_secrets_has_no_app_made,
];

/// An organization of its own, in which the App's name is free, and a class of its own.
const OWNER: &str = "connected";

fn start(stage: &Stage, kubeconfig: &Path, arguments: &[&str]) -> Result<Run> {
    let usual = ["--github-url", stage.github_pages()];
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    Run::start(folder, Some(kubeconfig), &[&usual, arguments].concat())
}

/// Returns the URL of the operator's webhooks with a host name, because GitHub rejects a URL whose
/// host is a loopback address.
fn webhook_url(stage: &Stage) -> String {
    stage.operator().webhook_url().replace("127.0.0.1", "matinee.test")
}

fn secrets(stage: &Stage) -> Api<Secret> {
    Api::namespaced(stage.client().clone(), SYSTEM)
}

async fn store(stage: &Stage, name: &str, key: &str, value: &str) -> Result<()> {
    let metadata = format!("{{name: {name}, namespace: {SYSTEM}, labels: {{mine: \"yes\"}}}}");
    stage
        .apply(&format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {metadata}\nstringData: {{{key}: \"{value}\"}}\n"
        ))
        .await
}

/// Returns the keys of a Secret and the value of one of them.
async fn stored(stage: &Stage, name: &str, key: &str) -> Result<(Vec<String>, String)> {
    let secret = secrets(stage).get(name).await?;
    ensure!(secret.metadata.managed_fields.is_some(), "nobody manages {name}");
    let mut data = secret.data.unwrap_or_default();
    let keys = data.keys().cloned().collect();
    Ok((keys, String::from_utf8(data.remove(key).context("no such key")?.0)?))
}

async fn an_app_is_made_stored_and_carries_out_a_preview(stage: &Stage) -> Result<()> {
    let github = stage.github();
    github.create_account(OWNER, AccountKind::Organization).await?;
    // The chart creates the webhook's Secret before `connect` runs, and GitHub gets its value.
    store(stage, "connected-webhook", "secret", stage.webhook_secret()).await?;
    let url = webhook_url(stage);
    let names = ["--secret", "connected", "--webhook-secret", "connected-webhook"];
    let arguments = [&names[..], &["--organization", OWNER, "--webhook-url", &url]].concat();
    let browser = Browser::new()?;
    let mut connect = start(stage, stage.playground().kubeconfig(), &arguments)?;
    let naming = browser.submit(&connect.page(&browser).await?, &[]).await?;
    let installing = browser.submit(&naming, &[]).await?;
    connect.line("Saved its credentials in Secret matinee-system/connected.").await?;
    connect
        .line("It signs webhooks with the existing secret in Secret matinee-system/connected-webhook.")
        .await?;
    browser.submit(&installing, &[("account", OWNER), ("selection", "all")]).await?;
    connect.line("Installed on connected").await?;
    let (code, said, errors) = connect.end().await?;
    ensure!(code == Some(0) && errors.is_empty(), "{code:?}: {said}{errors}");
    let (keys, key) = stored(stage, "connected", "privateKey").await?;
    ensure!(keys == ["appId", "privateKey"], "{keys:?}");
    ensure!(!said.contains(&key) && !said.contains(stage.webhook_secret()), "the output contains secrets");
    let (keys, secret) = stored(stage, "connected-webhook", "secret").await?;
    ensure!(keys == ["secret"] && secret == stage.webhook_secret(), "{keys:?}");

    stage
        .class_like(OWNER, |spec| {
            spec["grants"][0]["repositories"] = json!(["connected/*"]);
            spec["forge"]["github"]["secretName"] = json!("connected");
        })
        .await?;
    // Only the App has a webhook.
    let project = NewProject::new("connect").owner(OWNER).class(OWNER).without_webhook();
    let project = stage.project(project).await?;
    let (pull, _) = live(stage, &project, "feature").await?;
    let deployments = deployments_of(stage, &project, &github_environment(pull.number)).await?;
    ensure!(deployments.len() == 1, "{deployments:#?}");
    ensure!(deployments[0].creator == "matinee-connected[bot]", "created by {}", deployments[0].creator);
    let hook = github.app_hook("matinee-connected").await?;
    github.settle_hook(hook, SOON).await?;
    let deliveries = github.deliveries(hook).await?;
    let opened = deliveries.iter().find(|delivery| delivery.event == "pull_request");
    ensure!(opened.is_some_and(|delivery| delivery.status_code == 202), "{deliveries:#?}");
    github.close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await
}

async fn a_secret_that_is_there_is_replaced_only_when_asked(stage: &Stage) -> Result<()> {
    stage.github().create_account("replacing", AccountKind::Organization).await?;
    store(stage, "replaced", "token", "old").await?;
    store(stage, "replaced-webhook", "secret", "too short").await?;
    let names = ["--secret", "replaced", "--webhook-secret", "replaced-webhook"];
    let arguments =
        [&names[..], &["--organization=replacing", "--webhook-url", "http://matinee.test:9"]].concat();
    let administrator = stage.playground().kubeconfig();
    for (name, flag) in [("replaced", "--secret"), ("replaced-webhook", "--webhook-secret")] {
        let (code, said, errors) = start(stage, administrator, &arguments)?.end().await?;
        ensure!(code == Some(1) && said.is_empty(), "{code:?}: {said}");
        let told = errors.contains(&format!("Secret matinee-system/{name} exists already"));
        ensure!(told && errors.contains("--replace") && errors.contains(flag), "{errors}");
        if name == "replaced" {
            secrets(stage).delete(name, &DeleteParams::default()).await?;
        }
    }
    store(stage, "replaced", "token", "old").await?;
    let browser = Browser::new()?;
    let mut connect = start(stage, administrator, &[&arguments[..], &["--replace"]].concat())?;
    let naming = browser.submit(&connect.page(&browser).await?, &[]).await?;
    browser.submit(&naming, &[]).await?;
    connect.line("Saved its credentials in Secret matinee-system/replaced-webhook.").await?;
    connect.line("Waiting").await?;
    connect.interrupt()?;
    let (code, said, errors) = connect.end().await?;
    ensure!(code == Some(0), "{said}{errors}");
    // A Secret that has both an App's keys and a token is invalid.
    let (keys, _) = stored(stage, "replaced", "appId").await?;
    ensure!(keys == ["appId", "privateKey"], "{keys:?}");
    let (keys, secret) = stored(stage, "replaced-webhook", "secret").await?;
    ensure!(keys == ["secret"] && secret.len() == 40, "{keys:?}");
    let labels = secrets(stage).get("replaced").await?.metadata.labels.unwrap_or_default();
    ensure!(labels.contains_key("mine"), "the labels were removed: {labels:?}");
    Ok(())
}

async fn who_may_not_store_secrets_has_no_app_made(stage: &Stage) -> Result<()> {
    // The operator's account reads Secrets and writes none.
    let arguments = ["--without-webhook", "--secret", "unwritable"];
    let (code, said, errors) = start(stage, stage.operator().kubeconfig(), &arguments)?.end().await?;
    ensure!(code == Some(1) && said.is_empty(), "{code:?}: {said}");
    for part in
        ["Secret matinee-system/unwritable can't be written", "cannot patch", "get, create, patch and update"]
    {
        ensure!(errors.contains(part), "{part}: {errors}");
    }
    let nowhere = [&arguments[..], &["--namespace", "nowhere"]].concat();
    let (code, _, errors) = start(stage, stage.playground().kubeconfig(), &nowhere)?.end().await?;
    ensure!(code == Some(1) && errors.contains("kubectl create namespace nowhere"), "{code:?}: {errors}");
    Ok(())
}
