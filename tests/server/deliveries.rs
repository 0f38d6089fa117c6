//! The answers to each kind of delivery.

use std::sync::Arc;
use std::time::Duration;

use matinee::core::event::Event;
use matinee::core::signature::WebhookSecret;
use matinee::ports::IngestError;
use serde_json::json;
use tokio::time::timeout;

use super::client::{delivery, head};
use super::served::{Served, limits, secret};

fn opened() -> Vec<u8> {
    json!({
        "action": "opened",
        "pull_request": {
            "number": 7, "state": "open", "draft": false, "updated_at": "2026-01-02T03:04:05Z",
            "user": {"login": "mona", "type": "User"}, "labels": [],
            "head": {"sha": "a".repeat(40), "ref": "feature", "repo": {"id": 1}},
            "base": {"sha": "b".repeat(40), "ref": "main", "repo": {"id": 1}},
        },
        "repository": {"full_name": "acme/shop"},
    })
    .to_string()
    .into_bytes()
}

#[tokio::test]
async fn event_is_answered_202_after_its_effect_is_applied() {
    let served = Served::start().await;
    served.ingest.gate.forget_permits(1_000);
    let mut client = served.client().await;
    client.send(delivery(&secret(), &opened(), &[])).await;
    assert!(timeout(Duration::from_millis(300), client.answer()).await.is_err(), "answered too early");
    served.ingest.gate.add_permits(1);
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.message.as_str()), (202, "previewed"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let events = served.events();
    assert!(
        matches!(&events[..], [Event::PullRequest { pull_request, .. }] if pull_request.number == 7),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_delivery_that_is_sent_again_is_known_by_its_id() {
    let served = Served::start().await;
    let mut client = served.client().await;
    for id in ["72d3162e-cc78-11e3-81ab-4c9367dc0958", "72d3162e-cc78-11e3-81ab-4c9367dc0958", "another"] {
        client.send(delivery(&secret(), &opened(), &[("X-GitHub-Delivery", id)])).await;
        assert_eq!(client.answer().await.unwrap().status, 202);
    }
    let deliveries = served.ingest.deliveries.lock().unwrap().clone();
    assert!(deliveries[0].is_some());
    assert_eq!(deliveries[0], deliveries[1]);
    assert_ne!(deliveries[0], deliveries[2]);
}

#[tokio::test]
async fn connection_carries_many_deliveries() {
    let served = Served::start().await;
    let mut client = served.client().await;
    for _ in 0..3 {
        client.send(delivery(&secret(), &opened(), &[])).await;
        assert_eq!(client.answer().await.unwrap().status, 202);
    }
    assert_eq!(served.events().len(), 3);
}

#[tokio::test]
async fn a_ping_is_taken_in() {
    let served = Served::start().await;
    let answer = served
        .ask(delivery(&secret(), b"{\"zen\":\"Keep it logically awesome.\"}", &[("X-GitHub-Event", "ping")]))
        .await;
    assert_eq!(answer.status, 202);
    assert_eq!(served.events(), [Event::Ping]);
}

#[tokio::test]
async fn unknown_events_and_actions_are_answered_200_with_the_reason() {
    let served = Served::start().await;
    let star = served.ask(delivery(&secret(), b"{}", &[("X-GitHub-Event", "star")])).await;
    assert_eq!(star.status, 200);
    assert!(star.message.contains("ignored") && star.message.contains("\"star\""), "{}", star.message);
    let assigned = served.ask(delivery(&secret(), b"{\"action\":\"assigned\"}", &[])).await;
    assert_eq!(assigned.status, 200);
    assert!(assigned.message.contains("\"assigned\""), "{}", assigned.message);
    served.nothing_was_applied();
}

#[tokio::test]
async fn unsigned_and_wrongly_signed_deliveries_are_refused() {
    let served = Served::start().await;
    let stranger = WebhookSecret::new(b"some other secret").unwrap();
    let mut tampered = delivery(&secret(), &opened(), &[]);
    *tampered.last_mut().unwrap() = b' ';
    let unsigned = ("X-Hub-Signature-256", "");
    for (request, status, message) in [
        (delivery(&secret(), &opened(), &[unsigned]), 401, "is missing: set a secret on the webhook"),
        (
            delivery(&secret(), &opened(), &[("X-Hub-Signature-256", "sha256=12")]),
            401,
            "64 hexadecimal digits",
        ),
        (delivery(&stranger, &opened(), &[]), 403, "matches no configured secret"),
        (delivery(&stranger, b"not even json", &[]), 403, "matches no configured secret"),
        (delivery(&stranger, b"{}", &[("X-GitHub-Event", "star")]), 403, "matches no configured secret"),
        (tampered, 403, "matches no configured secret"),
    ] {
        let answer = served.ask(request).await;
        assert_eq!(answer.status, status, "{}", answer.message);
        assert!(answer.message.contains(message), "{}", answer.message);
    }
    served.nothing_was_applied();
}

#[tokio::test]
async fn an_unsigned_delivery_is_refused_before_any_of_its_body_arrives() {
    let served = Served::start().await;
    let answer = served.ask(head(&[("Content-Length", "1000")])).await;
    assert_eq!((answer.status, answer.header("connection")), (401, Some("close")));
}

#[tokio::test]
async fn webhook_secrets_rotate_at_run_time() {
    let served = Served::start().await;
    let next = WebhookSecret::new(b"the secret that comes next").unwrap();
    let both = [secret(), next.clone()];
    let cases: [(&[WebhookSecret], u16, u16); 3] =
        [(&both[..1], 202, 403), (&both, 202, 202), (&both[1..], 403, 202)];
    for (now, old_status, new_status) in cases {
        served.secrets.send(Arc::from(now)).unwrap();
        assert_eq!(served.ask(delivery(&secret(), &opened(), &[])).await.status, old_status);
        assert_eq!(served.ask(delivery(&next, &opened(), &[])).await.status, new_status);
    }
}

#[tokio::test]
async fn malformed_bodies_are_answered_400_with_the_field() {
    let served = Served::start().await;
    for (event, body, message) in [
        ("pull_request", &b"{\"action\":"[..], "pull_request event can't be read"),
        ("pull_request", b"", "pull_request event can't be read"),
        (
            "pull_request",
            b"{\"action\":\"opened\",\"pull_request\":{\"number\":\"x\"}}",
            "at pull_request.number",
        ),
        ("deployment", b"{\"action\":\"created\",\"deployment\":{}}", "deployment: missing field `id`"),
        ("", b"{}", "X-GitHub-Event"),
    ] {
        let answer = served.ask(delivery(&secret(), body, &[("X-GitHub-Event", event)])).await;
        assert_eq!(answer.status, 400, "{}", answer.message);
        assert!(answer.message.contains(message), "{}", answer.message);
    }
    served.nothing_was_applied();
}

#[tokio::test]
async fn only_json_is_read() {
    let served = Served::start().await;
    for wrong in ["application/x-www-form-urlencoded", "text/plain", "application/jsonx", ""] {
        let answer = served.ask(delivery(&secret(), &opened(), &[("Content-Type", wrong)])).await;
        assert_eq!(
            (answer.status, answer.message.as_str()),
            (415, "set the webhook's content type to application/json")
        );
    }
    served.nothing_was_applied();
    let charset = ("Content-Type", "Application/JSON; charset=utf-8");
    assert_eq!(served.ask(delivery(&secret(), &opened(), &[charset])).await.status, 202);
}

#[tokio::test]
async fn temporary_and_permanent_failures_have_distinct_statuses() {
    let served = Served::start().await;
    for (error, status, retry_after) in [
        (IngestError::Unavailable("the Kubernetes API does not answer".into()), 503, Some("30")),
        (IngestError::Refused("the Kubernetes API refuses the object".into()), 500, None),
    ] {
        *served.ingest.result.lock().unwrap() = Err(error.clone());
        let answer = served.ask(delivery(&secret(), &opened(), &[])).await;
        assert_eq!((answer.status, answer.header("retry-after")), (status, retry_after));
        assert_eq!(answer.message, format!("not applied: {error}"));
    }
}

#[tokio::test]
async fn an_effect_that_takes_too_long_is_answered_503_in_time() {
    let served = Served::with(limits()).await;
    served.ingest.gate.forget_permits(1_000);
    let answer = served.ask(delivery(&secret(), &opened(), &[])).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("30")));
    assert!(answer.message.contains("in time"), "{}", answer.message);
    // The server has cancelled the effect.
    served.ingest.gate.add_permits(1);
    tokio::task::yield_now().await;
    assert_eq!(served.ingest.gate.available_permits(), 1);
    served.nothing_was_applied();
}

#[tokio::test]
async fn other_methods_and_paths_are_told_apart() {
    let served = Served::start().await;
    for (request, status) in [
        ("GET /webhooks/github", 405),
        ("PUT /webhooks/github", 405),
        ("POST /", 404),
        ("GET /webhooks/github/", 404),
        // These paths are served on another address.
        ("GET /healthz", 404),
        ("GET /readyz", 404),
        ("GET /metrics", 404),
    ] {
        let answer = served.ask(format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert_eq!(answer.status, status, "{request}: {}", answer.message);
    }
}

#[tokio::test]
async fn each_delivery_is_counted_by_event_and_result() {
    let served = Served::start().await;
    served.ask(delivery(&secret(), &opened(), &[])).await;
    served.ask(delivery(&secret(), b"{}", &[("X-GitHub-Event", "star")])).await;
    served
        .ask(delivery(&secret(), b"{}", &[("X-GitHub-Event", "of_tomorrow"), ("Content-Type", "text/plain")]))
        .await;
    served.ask(delivery(&WebhookSecret::new(b"somebody else's!").unwrap(), &opened(), &[])).await;
    served.ask(delivery(&secret(), b"{}", &[])).await;
    for error in [IngestError::Unavailable("away".into()), IngestError::Refused("no".into())] {
        *served.ingest.result.lock().unwrap() = Err(error);
        served.ask(delivery(&secret(), &opened(), &[])).await;
    }
    assert_eq!(
        ["applied", "ignored", "refused", "failed"].map(|result| served.webhooks("pull_request", result)),
        [1, 0, 2, 2]
    );
    // Unknown events don't get series of their own.
    assert_eq!((served.webhooks("other", "ignored"), served.webhooks("other", "refused")), (1, 1));
    assert!(!served.metrics.encode().unwrap().contains("of_tomorrow"));
    assert!((served.counted("matinee_webhook_duration_seconds_count") - 7.).abs() < 0.1);
    // The lag is counted only for applied deliveries, and this one is old.
    assert!((served.counted("matinee_webhook_lag_seconds_count") - 1.).abs() < 0.1);
    assert!(served.counted("matinee_webhook_lag_seconds_sum") > 3_600.);
}

#[tokio::test]
async fn a_clock_that_is_ahead_makes_no_negative_lag() {
    let served = Served::start().await;
    let mut body: serde_json::Value = serde_json::from_slice(&opened()).unwrap();
    body["pull_request"]["updated_at"] = "2999-01-02T03:04:05Z".into();
    served.ask(delivery(&secret(), body.to_string().as_bytes(), &[])).await;
    assert!((served.counted("matinee_webhook_lag_seconds_count") - 1.).abs() < 0.1);
    assert!(served.counted("matinee_webhook_lag_seconds_sum").abs() < f64::EPSILON);
}
