//! Rate limits: the adapter obeys GitHub's headers, reads fail at once, writes wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use matinee::adapters::github::{GithubSettings, Pace};
use matinee::api::DeploymentState;
use matinee::core::forge::PullRequest;
use matinee::metrics::Metrics;
use matinee::ports::ForgeError;
use serde_json::json;
use wiremock::{MockServer, ResponseTemplate};

use crate::support::{
    DEPLOYMENTS, arrived, bodies, counted_forge_at, deployment_json, forge, forge_at, hurried, in_turn,
    json_answer, new_deployment, pull_request_json, report, shop,
};

const PULL: &str = "/repos/acme/shop/pulls/7";

fn secondary(status: u16) -> ResponseTemplate {
    json_answer(status, &json!({"message": "You have exceeded a secondary rate limit."}))
}

/// Adds headers of an exhausted rate limit, which is reset after so many seconds.
fn exhausted(answer: ResponseTemplate, seconds: i64) -> ResponseTemplate {
    answer
        .insert_header("x-ratelimit-remaining", "0")
        .insert_header("x-ratelimit-reset", (Timestamp::now().as_second() + seconds).to_string().as_str())
}

#[tokio::test]
async fn write_honours_retry_after_while_reads_continue() {
    for status in [403, 429] {
        let server = MockServer::start().await;
        let answers =
            vec![secondary(status).insert_header("retry-after", "1"), json_answer(201, &deployment_json(1))];
        let came = in_turn(&server, "POST", DEPLOYMENTS, answers).await;
        in_turn(&server, "GET", PULL, vec![json_answer(200, &pull_request_json(7))]).await;
        let forge = forge(&server).await;
        let writing = {
            let forge = Arc::clone(&forge);
            tokio::spawn(async move { forge.create_deployment(&shop(), &new_deployment()).await })
        };
        tokio::time::sleep(Duration::from_millis(200)).await;
        forge.pull_request(&shop(), 7, Duration::ZERO).await.unwrap();
        assert_eq!(writing.await.unwrap().unwrap().id, 1);
        let came = came.lock().unwrap();
        assert_eq!(came.len(), 2);
        assert!(came[1] - came[0] >= Duration::from_secs(1), "{came:?}");
    }
}

#[tokio::test]
async fn a_limit_that_does_not_say_how_long_doubles() {
    let server = MockServer::start().await;
    let answers = vec![secondary(403), secondary(429), secondary(403), json_answer(201, &deployment_json(1))];
    let came = in_turn(&server, "POST", DEPLOYMENTS, answers).await;
    forge(&server).await.create_deployment(&shop(), &new_deployment()).await.unwrap();
    let came = came.lock().unwrap();
    let waits: Vec<Duration> = came.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (wait, least) in waits.iter().zip([100, 200, 400]) {
        assert!(*wait >= Duration::from_millis(least), "{waits:?}");
    }
    assert_eq!(waits.len(), 3);
}

#[tokio::test]
async fn newer_status_replaces_a_rate_limited_status() {
    let server = MockServer::start().await;
    let at = format!("{DEPLOYMENTS}/1/statuses");
    let answers = vec![secondary(403).insert_header("retry-after", "2"), json_answer(201, &json!({"id": 1}))];
    in_turn(&server, "POST", &at, answers).await;
    let forge = forge(&server).await;
    let old = {
        let forge = Arc::clone(&forge);
        tokio::spawn(async move {
            forge.create_deployment_status(&shop(), &report(1, DeploymentState::Queued, "")).await
        })
    };
    arrived(&server, "POST", 1).await;
    forge.create_deployment_status(&shop(), &report(1, DeploymentState::Success, "")).await.unwrap();
    assert_eq!(old.await.unwrap(), Err(ForgeError::Superseded));
    let states: Vec<_> = bodies(&server, "POST").await.iter().map(|body| body["state"].clone()).collect();
    assert_eq!(states, ["queued", "success"], "the queued one was turned away and isn't sent again");
}

/// Returns when the rate limit that a read met is reset.
fn limited(read: Result<PullRequest, ForgeError>) -> Timestamp {
    match read {
        Err(ForgeError::RateLimited { until }) => until,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn at_the_primary_limit_nothing_is_sent_before_its_reset() {
    let server = MockServer::start().await;
    let refused = json_answer(403, &json!({"message": "API rate limit exceeded for installation ID 1."}));
    in_turn(&server, "GET", PULL, vec![exhausted(refused.clone(), 60)]).await;
    let forge = forge(&server).await;
    for _ in 0..5 {
        let wait =
            limited(forge.pull_request(&shop(), 7, Duration::ZERO).await).duration_since(Timestamp::now());
        // If the adapter had waited, no time would be left.
        assert!(wait > SignedDuration::from_secs(1) && wait < SignedDuration::from_secs(61), "{wait:?}");
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 1);

    // A write waits for the reset.
    let server = MockServer::start().await;
    let answers = vec![exhausted(refused, 5), json_answer(200, &pull_request_json(7))];
    in_turn(&server, "GET", PULL, answers).await;
    in_turn(&server, "POST", DEPLOYMENTS, vec![json_answer(201, &deployment_json(1))]).await;
    let forge = self::forge(&server).await;
    let until = limited(forge.pull_request(&shop(), 7, Duration::ZERO).await);
    forge.create_deployment(&shop(), &new_deployment()).await.unwrap();
    assert!(Timestamp::now() >= until.checked_sub(SignedDuration::from_millis(100)).unwrap());
    forge.pull_request(&shop(), 7, Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn after_the_last_request_none_is_tried() {
    let server = MockServer::start().await;
    in_turn(&server, "GET", PULL, vec![exhausted(json_answer(200, &pull_request_json(7)), 60)]).await;
    let forge = forge(&server).await;
    forge.pull_request(&shop(), 7, Duration::ZERO).await.unwrap();
    let next = forge.pull_request(&shop(), 7, Duration::ZERO).await;
    assert!(matches!(next, Err(ForgeError::RateLimited { .. })), "{next:?}");
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
    // Known answers are still available.
    forge.pull_request(&shop(), 7, Duration::from_mins(1)).await.unwrap();
}

#[tokio::test]
async fn a_caller_that_goes_away_at_a_limit_is_not_sent_later() {
    // The caller is aborted while it waits for the reset, or before the rejection arrives.
    for delay in [0, 1] {
        let server = MockServer::start().await;
        let refused = secondary(403).insert_header("retry-after", "1");
        let answers =
            vec![refused.set_delay(Duration::from_secs(delay)), json_answer(201, &deployment_json(1))];
        in_turn(&server, "POST", DEPLOYMENTS, answers).await;
        let metrics = Metrics::default();
        let forge = counted_forge_at(&server.uri(), hurried(), metrics.clone()).await.unwrap();
        let (repository, wanted) = (shop(), new_deployment());
        let leaves = async {
            arrived(&server, "POST", 1).await;
            let answered = "matinee_github_requests_total{method=\"POST\",code=\"403\"} 1";
            while delay == 0 && !metrics.encode().unwrap().contains(answered) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            made = forge.create_deployment(&repository, &wanted) => panic!("{made:?}"),
            () = leaves => {}
        }
        tokio::time::sleep(Duration::from_millis(1_500 + 1_000 * delay)).await;
        assert_eq!(bodies(&server, "POST").await.len(), 1);
        assert_eq!(forge.create_deployment(&shop(), &new_deployment()).await.unwrap().id, 1);
    }
}

#[tokio::test]
async fn the_budget_for_content_is_kept() {
    let server = MockServer::start().await;
    in_turn(&server, "POST", DEPLOYMENTS, vec![json_answer(201, &deployment_json(1))]).await;
    let pace = Pace { gap: Duration::ZERO, per_minute: 3, ..Pace::default() };
    let forge = forge_at(&server.uri(), GithubSettings { pace, ..hurried() }).await.unwrap();
    for _ in 0..3 {
        forge.create_deployment(&shop(), &new_deployment()).await.unwrap();
    }
    let (repository, wanted) = (shop(), new_deployment());
    let fourth = forge.create_deployment(&repository, &wanted);
    assert!(tokio::time::timeout(Duration::from_millis(300), fourth).await.is_err());
    assert_eq!(bodies(&server, "POST").await.len(), 3);
}

#[tokio::test]
async fn unanswering_server_gets_reads_in_sequence() {
    let server = MockServer::start().await;
    let slow = ResponseTemplate::new(200).set_body_json(json!([])).set_delay(Duration::from_mins(1));
    let at = "/repos/acme/shop/pulls";
    let came = in_turn(&server, "GET", at, vec![slow]).await;
    let settings = GithubSettings { timeout: Duration::from_millis(500), ..hurried() };
    let forge = forge_at(&server.uri(), settings).await.unwrap();
    // Each read is of another pull request, so that they share no answer.
    let forge = &forge;
    let read = |number: i64| async move {
        let began = Instant::now();
        let result = forge.pull_request(&shop(), number, Duration::ZERO).await;
        (result.unwrap_err(), began.elapsed())
    };
    let list = || async move {
        let began = Instant::now();
        let result = forge.open_pull_requests(&shop()).await;
        (result.unwrap_err(), began.elapsed())
    };
    for _ in 0..3 {
        assert!(matches!(list().await.0, ForgeError::Unknown(_)));
    }
    let asked = came.lock().unwrap().len();
    let ((_, probe), others) = tokio::join!(list(), async {
        // The first read is the probe.
        tokio::time::sleep(Duration::from_millis(50)).await;
        futures::future::join_all((1..=20).map(read)).await
    });
    assert!(probe >= Duration::from_millis(400), "{probe:?}");
    for (error, took) in others {
        assert!(
            matches!(&error, ForgeError::Unknown(why) if why.contains("one request at a time")),
            "{error}"
        );
        assert!(took < Duration::from_millis(300), "{took:?}");
    }
    assert_eq!(came.lock().unwrap().len(), asked + 1);
}
