//! Deployment statuses: the requests, their order, and statuses that need no request.

use std::sync::Arc;
use std::time::Duration;

use matinee::adapters::github::GithubForges;
use matinee::api::{DeploymentReport, DeploymentState};
use matinee::metrics::Metrics;
use matinee::ports::{Forge, ForgeError, Forges as _};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use crate::support::{
    DEPLOYMENTS, Memory, TOKEN, arrived, bodies, connection, deployment_json, forge, hurried, in_turn,
    json_answer, new_deployment, report, shop,
};

/// Accepts every status, but delays the answer to the very first request.
async fn slow_start(server: &MockServer) {
    let any = || Mock::given(matchers::method("POST")).and(matchers::path_regex("/statuses$"));
    let accepted = json_answer(201, &json!({"id": 1, "state": "queued"}));
    let slow = accepted.clone().set_delay(Duration::from_secs(1));
    any().respond_with(slow).up_to_n_times(1).mount(server).await;
    any().respond_with(accepted).mount(server).await;
}

fn send(forge: &Arc<dyn Forge>, report: DeploymentReport) -> tokio::task::JoinHandle<Result<(), ForgeError>> {
    let forge = Arc::clone(forge);
    tokio::spawn(async move { forge.create_deployment_status(&shop(), &report).await })
}

fn path(id: i64) -> String {
    format!("{DEPLOYMENTS}/{id}/statuses")
}

#[tokio::test]
async fn descriptions_are_cut_on_a_character_and_urls_are_repeated() {
    let server = MockServer::start().await;
    in_turn(&server, "POST", &path(7), vec![json_answer(201, &json!({"id": 1}))]).await;
    let forge = forge(&server).await;
    let mut wanted = report(7, DeploymentState::Failure, &"🎭é".repeat(90));
    wanted.environment_url = Some("http://pr-7-shop.preview.example.com".into());
    wanted.log_url = Some("http://logs.example.com/?a=b&c".into());
    forge.create_deployment_status(&shop(), &wanted).await.unwrap();
    forge.create_deployment_status(&shop(), &report(7, DeploymentState::InProgress, "x")).await.unwrap();
    let sent = bodies(&server, "POST").await;
    assert_eq!(
        sent,
        [
            json!({"state": "failure", "description": format!("{}🎭…", "🎭é".repeat(69)), "auto_inactive": false,
                "environment_url": "http://pr-7-shop.preview.example.com", "log_url": "http://logs.example.com/?a=b&c"}),
            json!({"state": "in_progress", "description": "x", "auto_inactive": false}),
        ]
    );
    assert_eq!(sent[0]["description"].as_str().unwrap().chars().count(), 140);
}

#[tokio::test]
async fn only_the_newest_is_sent_and_bad_news_goes_first() {
    let server = MockServer::start().await;
    slow_start(&server).await;
    in_turn(&server, "POST", DEPLOYMENTS, vec![json_answer(201, &deployment_json(9))]).await;
    let forge = forge(&server).await;
    let first = send(&forge, report(1, DeploymentState::Queued, ""));
    arrived(&server, "POST", 1).await;
    let mut later = Vec::new();
    for report in [
        report(2, DeploymentState::Inactive, ""),
        report(3, DeploymentState::Queued, ""),
        report(3, DeploymentState::InProgress, "old news"),
        report(4, DeploymentState::Success, ""),
        report(3, DeploymentState::InProgress, "news"),
        report(5, DeploymentState::Failure, ""),
        report(1, DeploymentState::Error, ""),
    ] {
        later.push(send(&forge, report));
        tokio::task::yield_now().await;
    }
    let wanted = new_deployment();
    let (created, repository) = (forge.create_deployment(&shop(), &wanted).await, shop());
    assert_eq!(created.unwrap().id, 9, "{repository}");
    first.await.unwrap().unwrap();
    let mut outcomes = Vec::new();
    for task in later {
        outcomes.push(task.await.unwrap());
    }
    let superseded = Err(ForgeError::Superseded);
    assert_eq!(outcomes, [Ok(()), superseded.clone(), superseded, Ok(()), Ok(()), Ok(()), Ok(())]);
    let requests = server.received_requests().await.unwrap();
    let order: Vec<String> = requests
        .iter()
        .map(|request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let state = body["state"].as_str().unwrap_or("create").to_owned();
            let id = request.url.path().split('/').rev().nth(1).unwrap().to_owned();
            if state == "create" { state } else { format!("{id} {state}") }
        })
        .collect();
    assert_eq!(
        order,
        ["1 queued", "5 failure", "1 error", "4 success", "create", "2 inactive", "3 in_progress"]
    );
}

#[tokio::test]
async fn once_closed_what_is_being_sent_is_sent_and_nothing_else() {
    let server = MockServer::start().await;
    slow_start(&server).await;
    let forges = GithubForges::new(Memory::with(&[("token", TOKEN)]), hurried(), Metrics::default());
    let forge = forges.forge(&connection(&server.uri()), &shop()).await.unwrap();
    let first = send(&forge, report(1, DeploymentState::Queued, ""));
    arrived(&server, "POST", 1).await;
    let waiting = send(&forge, report(2, DeploymentState::Success, ""));
    tokio::task::yield_now().await;
    forges.close();
    let not_sent = Err(ForgeError::NotSent("this replica ends".to_owned()));
    assert_eq!(waiting.await.unwrap(), not_sent);
    assert_eq!(send(&forge, report(3, DeploymentState::Failure, "")).await.unwrap(), not_sent);
    first.await.unwrap().unwrap();
    assert_eq!(bodies(&server, "POST").await.len(), 1);
}

#[tokio::test]
async fn the_same_is_never_posted_twice_in_a_row() {
    let server = MockServer::start().await;
    slow_start(&server).await;
    let forge = forge(&server).await;
    let queued = || report(1, DeploymentState::Queued, "");
    // While the first request is under way, it is unknown whether the second is needed.
    let (first, second) = (send(&forge, queued()), send(&forge, queued()));
    arrived(&server, "POST", 1).await;
    let third = send(&forge, queued());
    first.await.unwrap().ok();
    second.await.unwrap().ok();
    third.await.unwrap().unwrap();
    forge.create_deployment_status(&shop(), &queued()).await.unwrap();
    assert_eq!(bodies(&server, "POST").await.len(), 1);
    forge.create_deployment_status(&shop(), &report(1, DeploymentState::Queued, "new")).await.unwrap();
    forge.create_deployment_status(&shop(), &queued()).await.unwrap();
    assert_eq!(bodies(&server, "POST").await.len(), 3, "what differs is sent, and so is the way back");
}

#[tokio::test]
async fn after_an_unknown_outcome_the_same_may_be_sent_again() {
    let server = MockServer::start().await;
    let accepted = json_answer(201, &json!({"id": 1}));
    let answers = vec![accepted.clone(), ResponseTemplate::new(502), accepted];
    in_turn(&server, "POST", &path(1), answers).await;
    let forge = forge(&server).await;
    let (queued, success) = (report(1, DeploymentState::Queued, ""), report(1, DeploymentState::Success, ""));
    forge.create_deployment_status(&shop(), &queued).await.unwrap();
    let lost = forge.create_deployment_status(&shop(), &success).await;
    assert!(matches!(lost, Err(ForgeError::Unknown(_))), "{lost:?}");
    // GitHub may show either status.
    forge.create_deployment_status(&shop(), &queued).await.unwrap();
    assert_eq!(bodies(&server, "POST").await.len(), 3);
}

#[tokio::test]
async fn writes_keep_their_distance() {
    let server = MockServer::start().await;
    let accepted = json_answer(201, &json!({"id": 1}));
    let came = in_turn(&server, "POST", &path(1), vec![accepted]).await;
    let mut settings = crate::support::hurried();
    settings.pace.gap = Duration::from_millis(200);
    let forge = crate::support::forge_at(&server.uri(), settings).await.unwrap();
    for description in ["a", "b", "c", "d"] {
        forge
            .create_deployment_status(&shop(), &report(1, DeploymentState::Queued, description))
            .await
            .unwrap();
    }
    let came = came.lock().unwrap();
    assert_eq!(came.len(), 4);
    for pair in came.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(200), "{came:?}");
    }
}
