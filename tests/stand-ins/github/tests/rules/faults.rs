//! Requested faults, the log of requests, and the control API's own errors.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use github_stand_in::control::types::{FaultEffect, NewFault, NewPush};
use github_stand_in::{Settings, StandIn};
use reqwest::Method;
use serde_json::json;

use crate::support::{SHOP, start};

const DEPLOYMENTS: &str = "/repos/acme/shop/deployments";

#[tokio::test]
async fn a_fault_answers_instead_and_is_used_up() {
    let world = start().await;
    let effect = FaultEffect::Answer { status: 502, headers: BTreeMap::new(), body: None };
    let fault = NewFault { method: None, path: "/repos/*".to_owned(), times: Some(2), effect };
    world.control.add_fault(fault).await.unwrap();
    for _ in 0..2 {
        let said = world.api.post(DEPLOYMENTS, &json!({"ref": "main"})).await.expect(502);
        assert!(said.text.contains("Unicorn"), "{}", said.text);
    }
    assert_eq!(world.control.deployments(SHOP).await.unwrap().len(), 0);
    world.api.post(DEPLOYMENTS, &json!({"ref": "main"})).await.expect(201);
}

#[tokio::test]
async fn a_fault_hits_only_what_it_names() {
    let world = start().await;
    let headers = [("retry-after".to_owned(), "3".to_owned())].into();
    let effect =
        FaultEffect::Answer { status: 429, headers, body: Some("{\"message\":\"slow down\"}".to_owned()) };
    world.control.break_next("POST", "/repos/acme/shop/deployments/*/statuses", effect).await.unwrap();
    world.api.get(DEPLOYMENTS).await.expect(200);
    let made = world.api.post(DEPLOYMENTS, &json!({"ref": "main"})).await.expect(201).body;
    let statuses = format!("{}/statuses", made["url"].as_str().unwrap());
    let said = world.api.post(&statuses, &json!({"state": "queued"})).await.expect(429);
    assert_eq!((said.message(), said.header("retry-after")), ("slow down", "3"));
    world.api.post(&statuses, &json!({"state": "queued"})).await.expect(201);
}

#[tokio::test]
async fn a_lost_answer_is_not_a_lost_request() {
    let world = start().await;
    for (effect, made) in [(FaultEffect::CloseBefore, 0), (FaultEffect::CloseAfter, 1)] {
        world.control.break_next("POST", DEPLOYMENTS, effect).await.unwrap();
        let request = world.api.request(Method::POST, DEPLOYMENTS).json(&json!({"ref": "main"}));
        let error = request.send().await.unwrap_err();
        assert!(error.is_request(), "{error:?}");
        assert_eq!(world.control.deployments(SHOP).await.unwrap().len(), made);
    }
    let statuses: Vec<u16> = world.control.requests().await.unwrap().iter().map(|one| one.status).collect();
    assert_eq!(statuses, [0, 0]);
}

#[tokio::test]
async fn a_late_answer_is_late() {
    let world = start().await;
    world.control.break_next("GET", DEPLOYMENTS, FaultEffect::DelayMs(150)).await.unwrap();
    let started = Instant::now();
    world.api.get(DEPLOYMENTS).await.expect(200);
    assert!(started.elapsed() >= Duration::from_millis(150));
    let effect = FaultEffect::DelayMs(60_000);
    world.control.break_next("GET", DEPLOYMENTS, effect).await.unwrap();
    world.control.clear_faults().await.unwrap();
    world.api.get(DEPLOYMENTS).await.expect(200);
}

#[tokio::test]
async fn what_is_answered_late_is_done_at_once() {
    let world = start().await;
    let effect = FaultEffect::AnswerAfterMs(60_000);
    world.control.break_next("POST", DEPLOYMENTS, effect).await.unwrap();
    let request = world.api.request(Method::POST, DEPLOYMENTS).json(&json!({"ref": "main"}));
    let asked = tokio::spawn(request.send());
    while world.control.deployments(SHOP).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!asked.is_finished(), "it was answered at once");
    asked.abort();
}

#[tokio::test]
async fn requests_are_logged_and_forgotten() {
    let world = start().await;
    world.api.get(&format!("{DEPLOYMENTS}?environment=a%2Fb")).await.expect(200);
    world.api.get("/repos/acme/nowhere").await.expect(404);
    world.api.get("/rate_limit").await.expect(200);
    world.anonymous().get("/repos/acme/shop").await.expect(200);
    let log = world.control.requests().await.unwrap();
    let seen: Vec<(&str, &str, u16, bool, &str)> = log
        .iter()
        .map(|one| (one.method.as_str(), one.path.as_str(), one.status, one.counted, one.who.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("GET", "/repos/acme/shop/deployments?environment=a%2Fb", 200, true, "user acme"),
            ("GET", "/repos/acme/nowhere", 404, true, "user acme"),
            ("GET", "/rate_limit", 200, false, "user acme"),
            ("GET", "/repos/acme/shop", 200, true, "anonymous"),
        ]
    );
    assert!(log.iter().all(|one| one.user_agent == "rules/1"));
    world.control.reset_requests().await.unwrap();
    assert!(world.control.requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_control_api_says_what_is_wrong() {
    let world = start().await;
    let push = NewPush { branch: "a b".to_owned(), ..NewPush::default() };
    for (error, words) in [
        (
            world.control.push("acme/nowhere", "x").await.unwrap_err(),
            "404: there is no repository acme/nowhere",
        ),
        (world.control.push_commit(SHOP, push).await.unwrap_err(), "`a b` is no branch's name"),
        (world.control.close(SHOP, 7).await.map(|_| ()).unwrap_err(), "there is no pull request 7"),
        (world.control.open_pull_request(SHOP, "nowhere").await.map(|_| ()).unwrap_err(), "PullRequest head"),
        (world.control.flush_deliveries(1).await.unwrap_err(), "no hook has the id 1"),
        (
            world
                .control
                .create_fine_grained_token("x", [("deploy".to_owned(), "write".to_owned())].into())
                .await
                .map(|_| ())
                .unwrap_err(),
            "`deploy: write` is no permission",
        ),
    ]
    .map(|(error, words)| (error.to_string(), words))
    {
        assert!(error.contains(words), "{error}");
    }
    let http = reqwest::Client::new();
    let url = format!("{}/repos", world.stand_in.control_url());
    let said = http.post(&url).body("{\"fullname\": \"a/b\"}").send().await.unwrap();
    assert_eq!(said.status().as_u16(), 422);
    let text = said.text().await.unwrap();
    assert!(text.contains("unknown field `fullname`"), "{text}");
}

#[tokio::test]
async fn starting_says_what_is_wrong_and_stopping_frees_the_port() {
    let bad = Settings { base_path: "api".to_owned(), ..Settings::default() };
    assert!(
        StandIn::start(bad).await.unwrap_err().to_string().contains("must be empty, or start with a slash")
    );
    let first = StandIn::start(Settings::default()).await.unwrap();
    let settings = Settings { listen: first.address(), ..Settings::default() };
    let taken = StandIn::start(settings.clone()).await.unwrap_err().to_string();
    assert!(taken.contains("cannot listen on 127.0.0.1:"), "{taken}");
    first.stop().await;
    let second = StandIn::start(settings).await.unwrap();
    second.control().requests().await.unwrap();
}

#[tokio::test]
async fn urls_can_be_those_others_use() {
    let settings = Settings {
        public_url: Some("http://github.test/".to_owned()),
        base_path: "/api/v3".to_owned(),
        ..Settings::default()
    };
    let stand_in = StandIn::start(settings).await.unwrap();
    assert_eq!(
        (stand_in.api_url(), stand_in.html_url()),
        ("http://github.test/api/v3", "http://github.test")
    );
    stand_in.control().requests().await.unwrap();
}
