//! Tests of `matinee github connect` with the stand-in for GitHub, and with a person who reads the
//! terminal and fills in GitHub's pages.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers outside of `#[test]` functions are test code too

mod run;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use github_stand_in::browser::Browser;
use github_stand_in::control::types::{AccountKind, FaultEffect, NewRepository};
use github_stand_in::{Settings, StandIn};
use k8s_openapi::api::core::v1::Secret;
use matinee::adapters::github::webhook::{WebhookSecret, verify};
use matinee::core::signature::Signature;
use serde_json::Value;

use run::Run;

/// Starts GitHub with an organization that has two repositories.
async fn github() -> StandIn {
    let settings = Settings { base_path: "/api/v3".to_owned(), ..Settings::default() };
    let github = StandIn::start(settings).await.unwrap();
    github.control().create_account("acme", AccountKind::Organization).await.unwrap();
    for name in ["acme/shop", "acme/site"] {
        let new = NewRepository { full_name: name.to_owned(), ..NewRepository::default() };
        github.control().create_repository(new).await.unwrap();
    }
    github
}

/// Creates an empty folder for a test.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("connect-{name}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// Runs the command in a folder, without a cluster.
fn run(folder: &Path, github_url: &str, arguments: &[&str]) -> Run {
    let arguments = [&["--github-url", github_url, "--output-dir", "secrets"], arguments].concat();
    Run::start(folder, None, &arguments).unwrap()
}

fn secret(folder: &Path, name: &str) -> Secret {
    let path = folder.join("secrets").join(format!("{name}.yaml"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn value(secret: &Secret, key: &str) -> String {
    String::from_utf8(secret.data.as_ref().unwrap()[key].0.clone()).unwrap()
}

/// Fails when the output contains a secret.
fn nothing_secret(said: &str, secrets: &[&Secret]) {
    for secret in secrets {
        for (key, value) in secret.data.as_ref().unwrap().iter().filter(|(key, _)| *key != "appId") {
            let value = String::from_utf8(value.0.clone()).unwrap();
            let first = value.lines().find(|line| !line.starts_with('-')).unwrap();
            assert!(!said.contains(first), "{key} was said: {said}");
        }
    }
}

/// Requests that a receiver got.
type Arrived = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

async fn receiver() -> (u16, Arrived) {
    async fn take(State(arrived): State<Arrived>, headers: HeaderMap, body: Bytes) {
        arrived.lock().unwrap().push((headers, body));
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, arrived) = (listener.local_addr().unwrap().port(), Arrived::default());
    let app = Router::new().fallback(take).with_state(Arc::clone(&arrived));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (port, arrived)
}

#[tokio::test]
async fn from_nothing_to_an_installed_app_and_its_secrets() {
    let (github, folder, browser) = (github().await, folder("all"), Browser::new().unwrap());
    let (port, arrived) = receiver().await;
    let hook = format!("http://matinee.test:{port}");
    let arguments = ["--organization=acme", "--webhook-url", &hook, "--webhook-key=current"];
    let mut connect = run(&folder, github.html_url(), &arguments);

    let offer = connect.page(&browser).await.unwrap();
    assert!(offer.text.contains("for <b>acme</b>"), "{}", offer.text);
    let naming = browser.submit(&offer, &[]).await.unwrap();
    assert!(naming.text.contains("Create GitHub App for acme"), "{}", naming.text);
    assert!(naming.text.contains("value=\"Matinee acme\""), "{}", naming.text);
    // GitHub redirects back, and the program redirects to the page on which the App is installed.
    let installing = browser.submit(&naming, &[("name", "Acme previews")]).await.unwrap();
    assert!(installing.url.ends_with("/apps/acme-previews/installations/new"), "{}", installing.url);
    connect.line("Waiting until it is installed").await.unwrap();
    let chosen = [("account", "acme"), ("selection", "selected"), ("repository", "acme/shop")];
    browser.submit(&installing, &chosen).await.unwrap();
    connect.line("Installed on acme: on 1 repository.").await.unwrap();
    let (code, said, errors) = connect.end().await.unwrap();
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{said}");

    let (app, webhook) = (secret(&folder, "github"), secret(&folder, "matinee-webhook"));
    nothing_secret(&said, &[&app, &webhook]);
    assert_eq!(app.metadata.namespace.as_deref(), Some("matinee-system"));
    assert!(value(&app, "privateKey").starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    assert!(said.contains(&format!("with the id {}", value(&app, "appId"))), "{said}");
    // The output ends with a class that can be applied unchanged.
    let class: Value = serde_saphyr::from_str(&said[said.find("apiVersion:").unwrap()..]).unwrap();
    assert_eq!(class["spec"]["forge"]["github"]["secretName"], "github");
    assert_eq!(class["spec"]["forge"]["github"]["url"], github.api_url());
    assert_eq!(class["spec"]["grants"][0]["repositories"], serde_json::json!(["acme/*"]));
    assert_eq!(class["spec"]["grants"][0]["namespaces"], serde_json::json!(["team-shop"]));

    // GitHub signs with the Secret's content, and sends events to the operator's URL.
    github.control().settle(Duration::from_secs(10)).await.unwrap();
    let secret = WebhookSecret::new(value(&webhook, "current").as_bytes()).unwrap();
    let arrived = arrived.lock().unwrap().clone();
    let events: Vec<_> =
        arrived.iter().map(|(headers, _)| headers["x-github-event"].to_str().unwrap()).collect();
    assert_eq!(events, ["ping", "installation"]);
    for (headers, body) in &arrived {
        let signature = Signature::from_header(Some(headers["x-hub-signature-256"].as_bytes())).unwrap();
        verify(std::slice::from_ref(&secret), &signature, body).unwrap();
    }
}

#[tokio::test]
async fn a_persons_app_without_webhook_and_parts_needs_less() {
    let (github, folder, browser) = (github().await, folder("less"), Browser::new().unwrap());
    github.control().create_account("mona", AccountKind::User).await.unwrap();
    let arguments = ["--without-webhook", "--without=commands,gates", "--secret=app", "--no-browser"];
    let mut connect = run(&folder, github.html_url(), &arguments);
    let offer = connect.page(&browser).await.unwrap();
    let naming = browser.submit(&offer, &[]).await.unwrap();
    assert!(naming.text.contains("<li>read contents</li>"), "{}", naming.text);
    assert!(!naming.text.contains("issues") && !naming.text.contains("checks"), "{}", naming.text);
    browser.submit(&naming, &[("account", "mona")]).await.unwrap();
    connect.line("Waiting until it is installed").await.unwrap();
    connect.interrupt().unwrap();
    let (code, said, errors) = connect.end().await.unwrap();
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{said}");
    assert!(said.contains("is not installed yet") && said.contains("secretName: app"), "{said}");
    let files = std::fs::read_dir(folder.join("secrets")).unwrap().count();
    assert_eq!(files, 1);
    nothing_secret(&said, &[&secret(&folder, "app")]);
}

#[tokio::test]
async fn existing_files_and_secrets_are_reported_and_kept() {
    let (github, folder, browser) = (github().await, folder("there"), Browser::new().unwrap());
    std::fs::create_dir(folder.join("secrets")).unwrap();
    let file = folder.join("secrets/github.yaml");
    std::fs::write(&file, "mine").unwrap();
    let arguments = ["--organization=acme", "--without-webhook"];
    let (code, said, errors) = run(&folder, github.html_url(), &arguments).end().await.unwrap();
    assert_eq!((code, said.as_str()), (Some(1), ""), "{errors}");
    assert!(errors.contains("github.yaml exists already") && errors.contains("--replace"), "{errors}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");

    let mut connect = run(&folder, github.html_url(), &[&arguments[..], &["--replace"]].concat());
    let offer = connect.page(&browser).await.unwrap();
    let naming = browser.submit(&offer, &[]).await.unwrap();
    browser.submit(&naming, &[]).await.unwrap();
    connect.line("Waiting").await.unwrap();
    connect.interrupt().unwrap();
    assert_eq!(connect.end().await.unwrap().0, Some(0));
    secret(&folder, "github");
}

#[tokio::test]
async fn a_key_that_can_not_be_stored_is_saved() {
    let (github, folder, browser) = (github().await, folder("saved"), Browser::new().unwrap());
    let arguments = ["--organization=acme", "--webhook-url=https://matinee.example.com"];
    let mut connect = run(&folder, github.html_url(), &arguments);
    let offer = connect.page(&browser).await.unwrap();
    let naming = browser.submit(&offer, &[]).await.unwrap();
    // Somebody else creates the file in the meantime.
    std::fs::write(folder.join("secrets/matinee-webhook.yaml"), "theirs").unwrap();
    let back = browser.submit(&naming, &[]).await.unwrap();
    assert!(back.status == 500 && back.text.contains("terminal"), "{}", back.text);
    let (code, said, errors) = connect.end().await.unwrap();
    assert_eq!(code, Some(1), "{said}");
    let path = errors.split_whitespace().find(|word| word.contains("matinee-app-matinee-acme")).unwrap();
    let path = path.trim_end_matches(',');
    assert!(
        errors.contains("kubectl apply --server-side -f") && errors.contains("matinee-webhook.yaml"),
        "{errors}"
    );
    assert_eq!(Path::new(path).parent().unwrap(), folder.canonicalize().unwrap());
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(path).unwrap();
    let all: BTreeMap<String, Secret> = text
        .split("---\n")
        .map(|document| serde_saphyr::from_str::<Secret>(document).unwrap())
        .map(|secret| (secret.metadata.name.clone().unwrap(), secret))
        .collect();
    assert_eq!(all.keys().collect::<Vec<_>>(), ["github", "matinee-webhook"]);
    assert!(value(&all["github"], "privateKey").contains("PRIVATE KEY"));
    nothing_secret(&format!("{said}{errors}"), &all.values().collect::<Vec<_>>());
}

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_again_and_a_refused_code_told() {
    let (github, folder, browser) = (github().await, folder("lost"), Browser::new().unwrap());
    github.control().break_next("POST", "/app-manifests/*", FaultEffect::CloseBefore).await.unwrap();
    let arguments = ["--organization=acme", "--without-webhook"];
    let mut connect = run(&folder, github.html_url(), &arguments);
    let naming = browser.submit(&connect.page(&browser).await.unwrap(), &[]).await.unwrap();
    browser.submit(&naming, &[]).await.unwrap();
    connect.line("Unexpected response from GitHub").await.unwrap();
    connect.line("Waiting").await.unwrap();
    connect.interrupt().unwrap();
    let (code, said, _) = connect.end().await.unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("POST /app-manifests/…/conversions"), "the remedy lacks the code: {said}");

    // The exchange succeeds, but its answer is lost: the code is used up, and the person has to
    // delete the App.
    github.control().break_next("POST", "/app-manifests/*", FaultEffect::CloseAfter).await.unwrap();
    let again = ["--organization=acme", "--without-webhook", "--replace"];
    let mut connect = run(&folder, github.html_url(), &again);
    let naming = browser.submit(&connect.page(&browser).await.unwrap(), &[]).await.unwrap();
    browser.submit(&naming, &[("name", "Another")]).await.unwrap();
    let (code, _, errors) = connect.end().await.unwrap();
    assert_eq!(code, Some(1));
    let apps = format!("delete it at {}/organizations/acme/settings/apps", github.html_url());
    assert!(errors.contains(&apps) && errors.contains("404"), "{errors}");
}

#[tokio::test]
async fn who_did_not_begin_here_is_not_taken_in() {
    let (github, folder, browser) = (github().await, folder("stranger"), Browser::new().unwrap());
    let arguments = ["--organization=acme", "--without-webhook"];
    let mut connect = run(&folder, github.html_url(), &arguments);
    let url = connect.line("http://127.0.0.1:").await.unwrap();
    let (root, _) = url.rsplit_once('/').unwrap();
    assert_eq!(browser.get(root).await.unwrap().status, 404);
    let forged = browser.get(&format!("{root}/callback?code=abc&state=abc")).await.unwrap();
    assert_eq!(forged.status, 403);
    connect.interrupt().unwrap();
    let (code, _, errors) = connect.end().await.unwrap();
    assert_eq!((code, errors.as_str()), (Some(1), "matinee: interrupted: no App was created\n"));
    assert_eq!(std::fs::read_dir(folder.join("secrets")).unwrap().count(), 0);
}

#[tokio::test]
async fn who_does_not_come_back_in_time_is_waited_for_no_longer() {
    let (github, folder) = (github().await, folder("late"));
    let arguments = ["--organization=acme", "--without-webhook", "--timeout=1s"];
    let (code, said, errors) = run(&folder, github.html_url(), &arguments).end().await.unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(errors.contains("timed out (--timeout)"), "{errors}");
    assert_eq!(std::fs::read_dir(folder.join("secrets")).unwrap().count(), 0);
}

#[tokio::test]
async fn interruption_before_app_creation_is_reported() {
    let (github, folder) = (github().await, folder("interrupted"));
    let mut connect = run(&folder, github.html_url(), &["--without-webhook"]);
    connect.line("http://127.0.0.1:").await.unwrap();
    connect.interrupt().unwrap();
    let (code, _, errors) = connect.end().await.unwrap();
    assert_eq!((code, errors.as_str()), (Some(1), "matinee: interrupted: no App was created\n"));
}

#[tokio::test]
async fn an_enterprise_server_may_be_below_a_path() {
    let settings =
        Settings { base_path: "/api/v3".to_owned(), path: "/github".to_owned(), ..Settings::default() };
    let github = StandIn::start(settings).await.unwrap();
    github.control().create_account("acme", AccountKind::Organization).await.unwrap();
    let url = github.html_url().to_owned();
    assert!(url.ends_with("/github"), "{url}");
    let (folder, browser) = (folder("path"), Browser::new().unwrap());
    let mut connect = run(&folder, &url, &["--organization=acme", "--without-webhook"]);
    let naming = browser.submit(&connect.page(&browser).await.unwrap(), &[]).await.unwrap();
    let installing = browser.submit(&naming, &[]).await.unwrap();
    assert_eq!(installing.url, format!("{url}/apps/matinee-acme/installations/new"));
    connect.line("Waiting").await.unwrap();
    browser.submit(&installing, &[("account", "acme"), ("selection", "all")]).await.unwrap();
    connect.line("Installed on acme: on 0 repositories, and on all new ones.").await.unwrap();
    let (code, said, _) = connect.end().await.unwrap();
    assert_eq!(code, Some(0));
    assert!(said.contains(&format!("url: {url}/api/v3")), "{said}");
}

fn matinee(arguments: &[&str]) -> Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_matinee")).args(arguments).env_clear().output().unwrap()
}

#[test]
fn the_manifest_can_be_seen_before() {
    let output = matinee(&["github", "connect", "--webhook-url=https://matinee.example.com", "--dry-run"]);
    assert_eq!(output.status.code(), Some(0));
    let manifest: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(manifest["hook_attributes"]["url"], "https://matinee.example.com/webhooks/github");
    assert_eq!(manifest["default_permissions"]["deployments"], "write");
    assert!(manifest["name"].as_str().unwrap().starts_with("Matinee "));
}

#[test]
fn bad_settings_are_told_all_at_once() {
    let output = matinee(&["github", "connect", "--github-url=ghe", "--listen=0.0.0.0:80"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    for flag in ["--github-url:", "--webhook-url:", "--listen:"] {
        assert!(said.contains(flag), "{said}");
    }
    // Without a cluster the Secrets can't be stored.
    let output = matinee(&["github", "connect", "--without-webhook"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("KUBECONFIG") && said.contains("--output-dir"), "{said}");
}
