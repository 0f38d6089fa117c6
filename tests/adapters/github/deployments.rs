//! Creation of deployments: the request, the meaning of each answer, and that no request is sent
//! twice.

use std::time::Duration;

use matinee::ports::ForgeError;
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{
    DEPLOYMENTS, TOKEN, arrived, bodies, deployment_json, forge, in_turn, json_answer, new_deployment, shop,
};

#[tokio::test]
async fn everything_github_would_decide_otherwise_is_sent() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path(DEPLOYMENTS))
        .and(header("authorization", format!("Bearer {TOKEN}")))
        .and(header("user-agent", concat!("matinee/", env!("CARGO_PKG_VERSION"))))
        .and(header("x-github-api-version", "2022-11-28"))
        .and(header("accept", "application/vnd.github+json"))
        .and(header("content-type", "application/json"))
        .respond_with(json_answer(201, &deployment_json(42)))
        .mount(&server)
        .await;
    let mut wanted = new_deployment();
    wanted.description = "日本".repeat(100);
    let created = forge(&server).await.create_deployment(&shop(), &wanted).await.unwrap();
    assert_eq!((created.id, created.creator.as_str()), (42, "matinee[bot]"));
    assert_eq!(created.payload, wanted.payload);
    let sent = bodies(&server, "POST").await;
    assert_eq!(
        sent,
        [json!({
            "ref": "a".repeat(40), "environment": "preview/pr-7", "payload": {"matinee": {"cluster": "c1"}},
            "description": format!("{}日…", "日本".repeat(69)), "transient_environment": true,
            "production_environment": false, "auto_merge": false, "required_contexts": [],
        })]
    );
    assert_eq!(sent[0]["description"].as_str().unwrap().chars().count(), 140);
}

/// Checks an error's variant.
type Meaning = fn(&ForgeError) -> bool;

#[tokio::test]
async fn every_other_answer_has_its_meaning_and_is_asked_for_once() {
    let say = |message: &str| json!({"message": message});
    let page = ResponseTemplate::new(502).set_body_string("<html>Unicorn!</html>");
    let cases: Vec<(&str, ResponseTemplate, Meaning)> = vec![
        ("Auto-merged main into feature", json_answer(202, &say("Auto-merged main into feature")), |error| {
            matches!(error, ForgeError::Conflict(_))
        }),
        ("Conflict merging main", json_answer(409, &say("Conflict merging main")), |error| {
            matches!(error, ForgeError::Conflict(_))
        }),
        ("No ref found for", json_answer(422, &say("No ref found for: abc")), |error| {
            matches!(error, ForgeError::Invalid(_))
        }),
        ("installed on acme/shop", json_answer(404, &say("Not Found")), |error| {
            matches!(error, ForgeError::NotFound(_))
        }),
        ("Deployments: write", json_answer(403, &say("Resource not accessible by integration")), |error| {
            matches!(error, ForgeError::Forbidden(_))
        }),
        ("502 Bad Gateway", page, |error| matches!(error, ForgeError::Unknown(_))),
        ("500", json_answer(500, &say("Server Error")), |error| matches!(error, ForgeError::Unknown(_))),
        ("not understood", json_answer(201, &json!({"id": "what?"})), |error| {
            matches!(error, ForgeError::Unknown(_))
        }),
        (
            "no answer within",
            json_answer(201, &deployment_json(1)).set_delay(Duration::from_secs(5)),
            |error| matches!(error, ForgeError::Unknown(_)),
        ),
    ];
    for (expected, answer, meaning) in cases {
        let server = MockServer::start().await;
        in_turn(&server, "POST", DEPLOYMENTS, vec![answer]).await;
        let error = forge(&server).await.create_deployment(&shop(), &new_deployment()).await.unwrap_err();
        assert!(meaning(&error), "{expected}: {error:?}");
        let text = error.to_string();
        assert!(text.contains("POST /repos/acme/shop/deployments") && text.contains(expected), "{text}");
        assert_eq!(bodies(&server, "POST").await.len(), 1, "{expected}");
    }
}

#[tokio::test]
async fn a_connection_that_is_refused_is_unknown_too() {
    let server = MockServer::builder().start().await;
    let forge = forge(&server).await;
    drop(server);
    let error = forge.create_deployment(&shop(), &new_deployment()).await.unwrap_err();
    assert!(matches!(error, ForgeError::Unknown(_)), "{error:?}");
}

#[tokio::test]
async fn a_renamed_repository_is_followed_on_the_same_host_only() {
    let (server, other) = (MockServer::start().await, MockServer::start().await);
    let moved = |to: String| ResponseTemplate::new(307).insert_header("location", to);
    in_turn(
        &server,
        "POST",
        DEPLOYMENTS,
        vec![moved(format!("{}/repositories/1/deployments", server.uri()))],
    )
    .await;
    in_turn(&server, "POST", "/repositories/1/deployments", vec![json_answer(201, &deployment_json(5))])
        .await;
    let created = forge(&server).await.create_deployment(&shop(), &new_deployment()).await.unwrap();
    assert_eq!(created.id, 5);
    let sent = bodies(&server, "POST").await;
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1]);

    server.reset().await;
    for elsewhere in [other.uri(), format!("{}.evil.example/x", server.uri()), "//evil.example/x".into()] {
        server.reset().await;
        in_turn(&server, "POST", DEPLOYMENTS, vec![moved(elsewhere)]).await;
        let error = forge(&server).await.create_deployment(&shop(), &new_deployment()).await.unwrap_err();
        assert!(error.to_string().contains("another host"), "{error}");
    }
    assert_eq!(other.received_requests().await.unwrap().len(), 0, "the token went to another host");

    server.reset().await;
    in_turn(&server, "POST", DEPLOYMENTS, vec![moved(DEPLOYMENTS.into())]).await;
    let error = forge(&server).await.create_deployment(&shop(), &new_deployment()).await.unwrap_err();
    assert!(error.to_string().contains("redirected too often"), "{error}");
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_what_waits_along_and_nothing_else() {
    let server = MockServer::start().await;
    let slow = json_answer(201, &deployment_json(1)).set_delay(Duration::from_secs(1));
    in_turn(&server, "POST", DEPLOYMENTS, vec![slow, json_answer(201, &deployment_json(2))]).await;
    let forge = forge(&server).await;
    let of = |environment: &str| {
        let mut wanted = new_deployment();
        environment.clone_into(&mut wanted.environment);
        let forge = std::sync::Arc::clone(&forge);
        tokio::spawn(async move { forge.create_deployment(&shop(), &wanted).await })
    };
    let sent = of("being sent");
    arrived(&server, "POST", 1).await;
    let waiting = of("waiting");
    tokio::task::yield_now().await;
    // One caller is aborted while its request is under way, the other while it waits.
    sent.abort();
    waiting.abort();
    let next = of("next").await.unwrap().unwrap();
    assert_eq!(next.id, 2);
    let environments: Vec<Value> =
        bodies(&server, "POST").await.iter().map(|body| body["environment"].clone()).collect();
    assert_eq!(environments, ["being sent", "next"]);
}
