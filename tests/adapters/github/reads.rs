//! Reads: pages, conditional requests, missing and null fields, and error messages.

use std::time::Duration;

use futures::future::join_all;
use matinee::core::forge::StatusState;
use matinee::ports::ForgeError;
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{
    DEPLOYMENTS, bodies, deployment_json, forge, forge_at, hurried, in_turn, json_answer, pull_request_json,
    shop,
};

const PULLS: &str = "/repos/acme/shop/pulls";

#[tokio::test]
async fn pages_are_followed_below_a_base_path_whatever_host_and_path_the_links_name() {
    for (prefix, links) in [
        ("", "https://api.github.com/repositories/1/pulls"),
        ("/api/v3", "https://ghe.internal/api/v3/repositories/1/pulls"),
        ("/repos", "http://127.0.0.1:1/elsewhere"),
    ] {
        let server = MockServer::start().await;
        let at = format!("{prefix}{PULLS}");
        let link =
            format!("<{links}?state=open&per_page=100&page=2>; rel=\"next\", <{links}?page=2>; rel=\"last\"");
        Mock::given(method("GET"))
            .and(path(&at))
            .and(query_param("state", "open"))
            .and(query_param_is_missing("page"))
            .respond_with(
                json_answer(200, &json!([pull_request_json(9), pull_request_json(8)]))
                    .insert_header("link", link),
            )
            .mount(&server)
            .await;
        // An item moves from the first page to the second between the two requests.
        Mock::given(method("GET"))
            .and(path(&at))
            .and(query_param("page", "2"))
            .respond_with(json_answer(200, &json!([pull_request_json(8), pull_request_json(7)])))
            .mount(&server)
            .await;
        for slash in ["", "/"] {
            let forge = forge_at(&format!("{}{prefix}{slash}", server.uri()), hurried()).await.unwrap();
            let listing = forge.open_pull_requests(&shop()).await.unwrap();
            let numbers: Vec<i64> = listing.items.iter().map(|pull| pull.number).collect();
            assert_eq!(numbers, [9, 8, 7], "{prefix}");
        }
    }
}

#[tokio::test]
async fn pages_that_lead_in_a_circle_are_an_error() {
    let server = MockServer::start().await;
    let answer = json_answer(200, &json!([pull_request_json(1)]))
        .insert_header("link", "<http://x/y?page=2>; rel=\"next\"");
    in_turn(&server, "GET", PULLS, vec![answer]).await;
    let error = forge(&server).await.open_pull_requests(&shop()).await.unwrap_err();
    assert!(error.to_string().contains("lead back"), "{error}");
}

#[tokio::test]
async fn an_unchanged_page_is_not_sent_again_and_the_version_tells_changes() {
    let server = MockServer::start().await;
    let page = |tag: &str, body: Value| json_answer(200, &body).insert_header("etag", tag);
    let listing = json!([deployment_json(2), deployment_json(1)]);
    // Answers by the ETag sent: first, unchanged, unchanged under another ETag (as after a new
    // token), changed.
    let given = || Mock::given(method("GET")).and(path(DEPLOYMENTS));
    given()
        .and(header("if-none-match", "W/\"1\""))
        .respond_with(ResponseTemplate::new(304))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    given()
        .and(header("if-none-match", "W/\"1\""))
        .respond_with(page("\"2\"", listing.clone()))
        .mount(&server)
        .await;
    given()
        .and(header("if-none-match", "\"2\""))
        .respond_with(page("\"3\"", json!([deployment_json(3)])))
        .mount(&server)
        .await;
    given().respond_with(page("W/\"1\"", listing)).mount(&server).await;
    let forge = forge(&server).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let listing = forge.recent_deployments(&shop()).await.unwrap();
        seen.push((listing.version, listing.items.len()));
    }
    let (first, last) = (seen[0].0, seen[3].0);
    assert_eq!(seen, [(first, 2), (first, 2), (first, 2), (last, 1)]);
    assert!(last > first);
}

#[tokio::test]
async fn a_page_that_fails_fails_the_listing_and_spoils_nothing() {
    let server = MockServer::start().await;
    let first = json_answer(200, &json!([deployment_json(1)])).insert_header("etag", "\"1\"");
    in_turn(&server, "GET", DEPLOYMENTS, vec![first, ResponseTemplate::new(500), ResponseTemplate::new(304)])
        .await;
    let forge = forge(&server).await;
    let before = forge.recent_deployments(&shop()).await.unwrap();
    assert!(matches!(forge.recent_deployments(&shop()).await, Err(ForgeError::Unknown(_))));
    let after = forge.recent_deployments(&shop()).await.unwrap();
    assert_eq!((before.version, before.items.len()), (after.version, after.items.len()));
}

#[tokio::test]
async fn one_pull_request_is_asked_for_once_by_many() {
    let server = MockServer::start().await;
    let answer = json_answer(200, &pull_request_json(7)).set_delay(Duration::from_millis(100));
    let unchanged = ResponseTemplate::new(304);
    in_turn(&server, "GET", &format!("{PULLS}/7"), vec![answer.insert_header("etag", "\"1\""), unchanged])
        .await;
    let (forge, repository) = (forge(&server).await, shop());
    let recent = Duration::from_mins(1);
    let answers = join_all((0..100).map(|_| forge.pull_request(&repository, 7, recent))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().number == 7));
    assert_eq!(bodies(&server, "GET").await.len(), 1);
    // A caller that needs the present state gets no older answer, but a conditional request is
    // enough.
    assert_eq!(forge.pull_request(&repository, 7, Duration::ZERO).await.unwrap().number, 7);
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].headers.get("if-none-match").unwrap(), "\"1\"");
}

#[tokio::test]
async fn a_failure_is_shared_by_those_who_wait_for_it() {
    let server = MockServer::start().await;
    let slow = ResponseTemplate::new(500).set_delay(Duration::from_millis(200));
    in_turn(&server, "GET", &format!("{PULLS}/7"), vec![slow]).await;
    let (forge, repository) = (forge(&server).await, shop());
    let answers = join_all((0..100).map(|_| forge.pull_request(&repository, 7, Duration::ZERO))).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(ForgeError::Unknown(_)))));
    // One request by the first caller, and one for all callers that came after the first request
    // was sent.
    assert_eq!(bodies(&server, "GET").await.len(), 2);
}

#[tokio::test]
async fn what_is_null_or_a_string_is_read() {
    let server = MockServer::start().await;
    let mut pull = pull_request_json(7);
    pull["head"]["repo"] = Value::Null;
    pull["user"] = Value::Null;
    in_turn(&server, "GET", &format!("{PULLS}/7"), vec![json_answer(200, &pull)]).await;
    let mut deployment = deployment_json(1);
    deployment["payload"] = json!("{\"image\": \"shop:1\"}");
    deployment["creator"] = Value::Null;
    in_turn(&server, "GET", DEPLOYMENTS, vec![json_answer(200, &json!([deployment]))]).await;
    let forge = forge(&server).await;
    let pull = forge.pull_request(&shop(), 7, Duration::ZERO).await.unwrap();
    assert!(pull.is_fork());
    let deployments = forge.recent_deployments(&shop()).await.unwrap();
    assert_eq!(deployments.items[0].payload, json!({"image": "shop:1"}));
}

#[tokio::test]
async fn environments_are_encoded_and_told_apart_without_regard_to_case() {
    let server = MockServer::start().await;
    let mut other = deployment_json(3);
    other["environment"] = json!("Preview/PR-7");
    let mut stranger = deployment_json(4);
    stranger["environment"] = json!("preview/pr-70");
    in_turn(
        &server,
        "GET",
        DEPLOYMENTS,
        vec![json_answer(200, &json!([deployment_json(1), other, stranger, deployment_json(2)]))],
    )
    .await;
    let forge = forge(&server).await;
    let found = forge.deployments(&shop(), "preview/pr-7", Some("abc")).await.unwrap();
    assert_eq!(found.iter().map(|deployment| deployment.id).collect::<Vec<_>>(), [3, 2, 1], "newest first");
    forge.deployments(&shop(), "größe & mehr=100%+#?", None).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].url.query().unwrap(), "environment=preview%2Fpr-7&per_page=100&sha=abc");
    assert_eq!(
        requests[1].url.query().unwrap(),
        "environment=gr%C3%B6%C3%9Fe%20%26%20mehr%3D100%25%2B%23%3F&per_page=100"
    );
}

#[tokio::test]
async fn the_state_is_the_newest_status() {
    let server = MockServer::start().await;
    let statuses =
        json!([{"id": 2, "state": "success"}, {"id": 3, "state": "inactive"}, {"id": 1, "state": "queued"}]);
    in_turn(&server, "GET", &format!("{DEPLOYMENTS}/1/statuses"), vec![json_answer(200, &statuses)]).await;
    in_turn(&server, "GET", &format!("{DEPLOYMENTS}/2/statuses"), vec![json_answer(200, &json!([]))]).await;
    let forge = forge(&server).await;
    assert_eq!(forge.deployment_state(&shop(), 1).await.unwrap(), Some(StatusState::Inactive));
    let listing = forge.deployment_statuses(&shop(), 1).await.unwrap();
    assert_eq!(listing.items.iter().map(|status| status.id).collect::<Vec<_>>(), [3, 2, 1], "newest first");
    assert_eq!(forge.deployment_state(&shop(), 2).await.unwrap(), None);
}

#[tokio::test]
async fn a_base_url_that_is_none_is_told_and_a_password_in_it_is_not_repeated() {
    for url in ["", "api.github.com", "ftp://host/", "http://host/?x=1"] {
        let error = forge_at(url, hurried()).await.err().unwrap();
        assert!(matches!(error, ForgeError::Invalid(_)), "{error:?}");
        assert!(error.to_string().contains("https://api.github.com"), "{error}");
    }
    let error = forge_at("https://user:s3cret@ghe.example.com", hurried()).await.err().unwrap().to_string();
    assert!(error.contains("must not hold credentials") && !error.contains("s3cret"), "{error}");
}
