//! Metrics of requests to GitHub.

use std::sync::Arc;
use std::time::Duration;

use matinee::adapters::github::Pace;
use matinee::api::DeploymentState;
use matinee::metrics::Metrics;
use matinee::ports::ForgeError;
use serde_json::json;
use wiremock::MockServer;

use crate::support::{
    DEPLOYMENTS, counted_forge_at, deployment_json, hurried, in_turn, json_answer, new_deployment,
    pull_request_json, report, shop,
};

const PULL: &str = "/repos/acme/shop/pulls/7";

/// Returns the value of a series; `None` when it doesn't exist.
fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    let text = metrics.encode().unwrap();
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test]
async fn requests_are_counted_by_method_and_code_and_the_rate_limit_is_shown() {
    let server = MockServer::start().await;
    let limited = |answer: wiremock::ResponseTemplate, remaining: &str| {
        answer
            .insert_header("x-ratelimit-limit", "5000")
            .insert_header("x-ratelimit-remaining", remaining)
            .insert_header("x-ratelimit-reset", "1790000000")
            .insert_header("x-ratelimit-resource", "core")
    };
    let answers = vec![
        limited(json_answer(200, &pull_request_json(7)), "4321"),
        limited(json_answer(404, &json!({"message": "Not Found"})), "4320"),
    ];
    in_turn(&server, "GET", PULL, answers).await;
    in_turn(&server, "POST", DEPLOYMENTS, vec![json_answer(201, &deployment_json(1))]).await;
    let metrics = Metrics::default();
    let forge = counted_forge_at(&server.uri(), hurried(), metrics.clone()).await.unwrap();
    let left = "matinee_github_rate_limit_remaining{credentials=\"github\"}";
    forge.pull_request(&shop(), 7, Duration::ZERO).await.unwrap();
    assert_eq!(value(&metrics, left), Some(4_321.));
    assert!(matches!(forge.pull_request(&shop(), 7, Duration::ZERO).await, Err(ForgeError::NotFound(_))));
    forge.create_deployment(&shop(), &new_deployment()).await.unwrap();
    for (series, expected) in [
        ("matinee_github_requests_total{method=\"GET\",code=\"200\"}", 1.),
        ("matinee_github_requests_total{method=\"GET\",code=\"404\"}", 1.),
        ("matinee_github_requests_total{method=\"POST\",code=\"201\"}", 1.),
        ("matinee_github_request_duration_seconds_count{method=\"GET\"}", 2.),
        (left, 4_320.),
        ("matinee_github_rate_limit_limit{credentials=\"github\"}", 5_000.),
    ] {
        assert_eq!(value(&metrics, series), Some(expected), "{series}");
    }
}

#[tokio::test]
async fn a_request_without_an_answer_has_no_code() {
    // Nothing listens on this port any more.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let metrics = Metrics::default();
    let forge = counted_forge_at(&format!("http://{free}"), hurried(), metrics.clone()).await.unwrap();
    assert!(matches!(forge.pull_request(&shop(), 7, Duration::ZERO).await, Err(ForgeError::Unknown(_))));
    assert_eq!(value(&metrics, "matinee_github_requests_total{method=\"GET\",code=\"none\"}"), Some(1.));
}

#[tokio::test]
async fn writes_are_counted_while_they_wait_and_by_how_long_they_waited() {
    let server = MockServer::start().await;
    for id in 1..=3 {
        let at = format!("{DEPLOYMENTS}/{id}/statuses");
        in_turn(&server, "POST", &at, vec![json_answer(201, &json!({"id": 1}))]).await;
    }
    let metrics = Metrics::default();
    let mut settings = hurried();
    settings.pace = Pace { gap: Duration::from_secs(2), burst: 1, ..Pace::default() };
    let forge = counted_forge_at(&server.uri(), settings, metrics.clone()).await.unwrap();
    let queued = "matinee_github_writes_queued{credentials=\"github\"}";
    let write = |id| {
        let forge = Arc::clone(&forge);
        tokio::spawn(async move {
            forge.create_deployment_status(&shop(), &report(id, DeploymentState::Success, "")).await
        })
    };
    write(1).await.unwrap().unwrap();
    assert_eq!(value(&metrics, queued), Some(0.));
    let (second, third) = (write(2), write(3));
    let both_wait = async {
        while value(&metrics, queued) != Some(2.) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), both_wait).await.unwrap();
    // An aborted request doesn't wait any longer.
    third.abort();
    assert!(third.await.unwrap_err().is_cancelled());
    assert_eq!(value(&metrics, queued), Some(1.));
    second.await.unwrap().unwrap();
    assert_eq!(value(&metrics, queued), Some(0.));
    assert_eq!(value(&metrics, "matinee_github_write_wait_seconds_count"), Some(2.));
    assert!(value(&metrics, "matinee_github_write_wait_seconds_sum").unwrap() > 0.);
}
