//! Authentication with GitHub, as an App and with a token, and its failures.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use github_stand_in::Settings;
use github_stand_in::control::types::{FaultEffect, Limits, NewFault};
use matinee::adapters::github::{GithubForges, GithubSettings};
use matinee::metrics::Metrics;
use matinee::ports::{ClusterError, Forge, ForgeError, Forges};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::stand_in::{World, permissions};
use crate::support::{Memory, connection, hurried, json_answer, new_deployment, pull_request_json, shop};

const NOW: Duration = Duration::ZERO;

/// Opens a pull request. Returns its number.
async fn pull_request(world: &World) -> i64 {
    world.control.push("acme/shop", "feature").await.unwrap();
    let pull = world.control.open_pull_request("acme/shop", "feature").await.unwrap();
    world.control.reset_requests().await.unwrap();
    pull.number.try_into().unwrap()
}

#[tokio::test]
async fn a_hundred_callers_at_once_find_the_installation_and_a_token_by_one_request_each() {
    let at = Settings { base_path: "/api/v3".into(), ..Settings::default() };
    let world = World::with(at, hurried(), permissions()).await;
    let number = pull_request(&world).await;
    let ask = || async {
        let forge = world.forge().await.unwrap();
        forge.pull_request(&shop(), number, NOW).await.unwrap();
        forge.open_pull_requests(&shop()).await.unwrap().items.len()
    };
    let answers = join_all((0..100).map(|_| ask())).await;
    assert!(answers.iter().all(|pulls| *pulls == 1));
    assert_eq!(world.requests("GET", "/repos/acme/shop/installation").await.len(), 1);
    assert_eq!(world.tokens().await, 1);
    let asked = world.requests("GET", "/repos/acme/shop/pulls*").await;
    assert!(asked.iter().all(|request| request.who == format!("installation {}", world.installation)));
}

#[tokio::test]
async fn a_token_that_ends_early_is_replaced_once_and_nothing_is_done_twice() {
    let world = World::new().await;
    let number = pull_request(&world).await;
    let forge = world.forge().await.unwrap();
    forge.pull_request(&shop(), number, NOW).await.unwrap();
    world.control.expire_installation_tokens().await.unwrap();
    let repository = shop();
    let answers = join_all((0..50).map(|_| forge.pull_request(&repository, number, NOW))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(world.tokens().await, 2);

    world.control.expire_installation_tokens().await.unwrap();
    let wanted = matinee::core::forge::NewDeployment {
        sha: world.control.head("acme/shop", "feature").await.unwrap(),
        ..new_deployment()
    };
    forge.create_deployment(&shop(), &wanted).await.unwrap();
    assert_eq!(world.tokens().await, 3);
    assert_eq!(world.control.deployments("acme/shop").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_is_replaced_before_it_expires() {
    let world = World::new().await;
    let limits = Limits { token_lifetime_seconds: 3, ..Limits::default() };
    world.control.set_limits(limits).await.unwrap();
    let number = pull_request(&world).await;
    let forge = world.forge().await.unwrap();
    for _ in 0..16 {
        forge.pull_request(&shop(), number, NOW).await.unwrap();
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let refused = world.requests("GET", "/repos/acme/shop/pulls*").await;
    assert!(refused.iter().all(|request| request.status != 401), "{refused:?}");
    let tokens = world.tokens().await;
    assert!((2..=5).contains(&tokens), "{tokens}");
}

#[tokio::test]
async fn an_app_that_is_not_installed_is_told_and_found_when_it_is() {
    let settings = GithubSettings { secret_max_age: Duration::from_secs(3), ..hurried() };
    let world = World::with(Settings::default(), settings, permissions()).await;
    let other = "other/site".parse().unwrap();
    let new = github_stand_in::control::types::NewRepository {
        full_name: "other/site".into(),
        ..Default::default()
    };
    world.control.create_repository(new).await.unwrap();
    let connection = connection(world.stand_in.api_url());
    let ask = || world.forges.forge(&connection, &other);
    for _ in 0..5 {
        let error = ask().await.err().unwrap();
        assert!(matches!(error, ForgeError::NotFound(_)), "{error:?}");
        assert!(error.to_string().contains("the App isn't installed on other/site"), "{error}");
    }
    assert_eq!(world.requests("GET", "/repos/other/site/installation").await.len(), 1);
    let new =
        github_stand_in::control::types::NewInstallation { account: "other".into(), repositories: None };
    world.control.install_app(world.app.id, new).await.unwrap();
    let forge = loop {
        match ask().await {
            Ok(forge) => break forge,
            Err(ForgeError::NotFound(_)) => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(error) => panic!("{error:?}"),
        }
    };
    assert_eq!(world.requests("GET", "/repos/other/site/installation").await.len(), 2);
    assert_eq!(forge.open_pull_requests(&other).await.unwrap().items.len(), 0);
    // Each installation has its own limits and queue.
    assert!(!Arc::ptr_eq(&forge, &world.forge().await.unwrap()));
}

#[tokio::test]
async fn suspended_and_lacking_permissions_are_told() {
    let mut few = permissions();
    few.insert("deployments".into(), "read".into());
    let world = World::with(Settings::default(), hurried(), few).await;
    let number = pull_request(&world).await;
    let forge = world.forge().await.unwrap();
    let wanted = matinee::core::forge::NewDeployment {
        sha: world.control.head("acme/shop", "feature").await.unwrap(),
        ..new_deployment()
    };
    let error = forge.create_deployment(&shop(), &wanted).await.unwrap_err();
    assert!(matches!(error, ForgeError::Forbidden(_)), "{error:?}");
    assert!(error.to_string().contains("deployments=write"), "{error}");

    world.control.suspend_installation(world.installation).await.unwrap();
    let error = forge.pull_request(&shop(), number, NOW).await.unwrap_err();
    assert!(error.to_string().contains("end the suspension"), "{error}");
    world.control.resume_installation(world.installation).await.unwrap();
    forge.pull_request(&shop(), number, NOW).await.unwrap();
}

#[tokio::test]
async fn a_wrong_key_is_told_and_the_right_one_used_as_soon_as_it_is_there() {
    let (world, stranger) = (World::new().await, World::new().await);
    let id = world.app.id.to_string();
    world.secrets.set(&[("appId", &id), ("privateKey", &stranger.app.private_key)]);
    let error = world.forge().await.err().unwrap();
    assert!(matches!(error, ForgeError::Credentials(_)), "{error:?}");
    assert!(error.to_string().contains("\"privateKey\" in Secret \"github\""), "{error}");
    // The adapter reads the Secret again at GitHub's 401, not only when it is due.
    world.secrets.set(&[("appId", &id), ("privateKey", &world.app.private_key)]);
    world.forge().await.unwrap();
}

#[tokio::test]
async fn an_installation_id_in_the_secret_needs_no_search_and_a_wrong_one_is_told() {
    let world = World::new().await;
    let (id, installation) = (world.app.id.to_string(), world.installation.to_string());
    let key = &world.app.private_key;
    world.secrets.set(&[("appId", &id), ("privateKey", key), ("installationId", &installation)]);
    world.forge().await.unwrap().open_pull_requests(&shop()).await.unwrap();
    assert_eq!(world.requests("GET", "/repos/acme/shop/installation").await.len(), 0);
    world.secrets.set(&[("appId", &id), ("privateKey", key), ("installationId", "1")]);
    tokio::time::sleep(Duration::from_millis(250)).await;
    let error = world.forge().await.unwrap().open_pull_requests(&shop()).await.unwrap_err();
    assert!(matches!(error, ForgeError::Credentials(_)), "{error:?}");
    assert!(error.to_string().contains("correct \"installationId\""), "{error}");
}

#[tokio::test]
async fn a_token_that_cannot_be_had_is_a_failure_of_one_request_not_of_all() {
    let world = World::new().await;
    let forge = world.forge().await.unwrap();
    let fault = NewFault {
        method: Some("POST".into()),
        path: "/app/installations/*".into(),
        times: Some(1),
        effect: FaultEffect::Answer {
            status: 502,
            headers: std::collections::BTreeMap::default(),
            body: None,
        },
    };
    world.control.add_fault(fault).await.unwrap();
    let error = forge.open_pull_requests(&shop()).await.unwrap_err();
    assert!(matches!(error, ForgeError::Unknown(_)), "{error:?}");
    forge.open_pull_requests(&shop()).await.unwrap();
}

/// Starts a server that accepts one token.
async fn knows(token: &str) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(header("authorization", format!("Bearer {token}")))
        .respond_with(json_answer(200, &pull_request_json(7)))
        .mount(&server)
        .await;
    let refused = ResponseTemplate::new(401).set_body_json(serde_json::json!({"message": "Bad credentials"}));
    Mock::given(method("GET")).respond_with(refused).with_priority(9).mount(&server).await;
    server
}

async fn with_secret(server: &MockServer, secrets: &Arc<Memory>) -> Arc<dyn Forge> {
    let forges = GithubForges::new(Arc::clone(secrets) as _, hurried(), Metrics::default());
    forges.forge(&connection(&server.uri()), &shop()).await.unwrap()
}

#[tokio::test]
async fn a_refused_token_is_told_without_being_repeated() {
    let server = knows("another").await;
    let secrets = Memory::with(&[("token", "s3cret")]);
    let forge = with_secret(&server, &secrets).await;
    let error = forge.pull_request(&shop(), 7, NOW).await.unwrap_err();
    assert!(matches!(error, ForgeError::Credentials(_)), "{error:?}");
    let text = format!("{error} {error:?}");
    assert!(text.contains("Bad credentials") && !text.contains("s3cret"), "{text}");
    assert_eq!(server.received_requests().await.unwrap().len(), 1, "the same token is not tried again");
}

#[tokio::test]
async fn a_new_token_in_the_secret_is_used_by_a_forge_that_is_long_lived() {
    let server = knows("new").await;
    let secrets = Memory::with(&[("token", "old")]);
    // Nothing in this test is old enough to be read again.
    let settings = GithubSettings { secret_max_age: Duration::from_mins(1), ..hurried() };
    let forges = GithubForges::new(Arc::clone(&secrets) as _, settings, Metrics::default());
    let forge = forges.forge(&connection(&server.uri()), &shop()).await.unwrap();
    secrets.set(&[("token", "new")]);
    // The adapter still has the old token: GitHub rejects it, the adapter reads the Secret again
    // and uses the new token.
    forge.pull_request(&shop(), 7, NOW).await.unwrap();
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
    let reads = secrets.reads.load(Ordering::SeqCst);
    for _ in 0..20 {
        forge.pull_request(&shop(), 7, NOW).await.unwrap();
    }
    assert_eq!(secrets.reads.load(Ordering::SeqCst), reads, "the Secret is not read for every request");
}

#[tokio::test]
async fn while_kubernetes_is_away_the_known_token_serves() {
    let server = knows("good").await;
    let secrets = Memory::with(&[("token", "good")]);
    let forge = with_secret(&server, &secrets).await;
    secrets.fail(Some(ClusterError::Unavailable("connection refused".into())));
    tokio::time::sleep(Duration::from_millis(250)).await;
    forge.pull_request(&shop(), 7, NOW).await.unwrap();

    let never_read = GithubForges::new(Arc::clone(&secrets) as _, hurried(), Metrics::default());
    let error = never_read.forge(&connection(&server.uri()), &shop()).await.err().unwrap();
    assert!(matches!(error, ForgeError::Unknown(_)), "worth another try: {error:?}");
}

#[tokio::test]
async fn a_missing_secret_is_told() {
    let forges = GithubForges::new(Arc::new(Memory::default()), hurried(), Metrics::default());
    let error = forges.forge(&connection("http://127.0.0.1:1"), &shop()).await.err().unwrap();
    assert!(matches!(error, ForgeError::Credentials(_)), "{error:?}");
    assert!(error.to_string().contains("no Secret \"github\""), "{error}");
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_logged_or_said() {
    // The log is for the whole program: one for this thread alone would miss events that another
    // thread logs first.
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let server = MockServer::start().await;
    let minted = "ghs_minted.and-opaque";
    let token = serde_json::json!({"token": minted, "expires_at": "2999-01-01T00:00:00Z"});
    Mock::given(method("POST"))
        .and(path("/app/installations/5/access_tokens"))
        .respond_with(json_answer(201, &token))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(path("/repos/acme/shop/pulls/7"))
        .and(header("authorization", format!("Bearer {minted}")))
        .respond_with(json_answer(200, &pull_request_json(7)))
        .mount(&server)
        .await;
    let key = World::new().await.app.private_key;
    let secrets = Memory::with(&[("appId", "3"), ("privateKey", &key), ("installationId", "5")]);
    let forge = with_secret(&server, &secrets).await;
    forge.pull_request(&shop(), 7, NOW).await.unwrap();
    let reading = forge.open_pull_requests(&shop()).await.unwrap_err();
    let creating = forge.create_deployment(&shop(), &new_deployment()).await.unwrap_err();
    let said = format!("{reading} {reading:?} {creating} {creating:?}");
    let requests = server.received_requests().await.unwrap();
    let jwt = requests[0].headers.get("authorization").unwrap().to_str().unwrap().to_owned();
    let jwt = jwt.trim_start_matches("Bearer ");

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("GET /repos/acme/shop/pulls/7") && logged.contains("status=200"), "{logged}");
    let line = key.lines().nth(1).unwrap();
    for secret in [minted, jwt, line] {
        assert!(!logged.contains(secret), "logged");
        assert!(!said.contains(secret), "{said}");
    }
}
