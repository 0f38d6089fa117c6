//! The answers to each kind of slash command.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use matinee::core::signature::WebhookSecret;
use matinee::core::slack::signature::sign;

use super::client::Answer;
use super::served::{Served, limits, secret};

const FORM: &[u8] = b"team_id=T1&channel_id=C1&user_id=U1&command=%2Fdeploy&text=help&response_url=https%3A%2F%2Fhooks.slack.com%2Fx";

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn request(headers: &[(&str, String)], length: usize, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST /slack/commands HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n"
    );
    for (name, value) in headers {
        // Writing into a string can't fail.
        let _ = write!(request, "{name}: {value}\r\n");
    }
    let mut bytes = format!("{request}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn signed(secret: &WebhookSecret, at: i64, body: &[u8]) -> Vec<u8> {
    let headers =
        [("X-Slack-Request-Timestamp", at.to_string()), ("X-Slack-Signature", sign(secret, at, body))];
    request(&headers, body.len(), body)
}

fn refused(served: &Served, answer: &Answer, status: u16, word: &str) {
    assert_eq!(answer.status, status, "{}", answer.message);
    assert!(answer.message.contains(word), "{}", answer.message);
    assert!(served.desk.forms.lock().unwrap().is_empty(), "it was taken");
}

#[tokio::test]
async fn a_signed_command_is_answered_with_what_slack_shows() {
    let served = Served::start().await;
    let answer = served.ask(signed(&secret(), now(), FORM)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(*served.desk.forms.lock().unwrap(), [FORM.to_vec()]);
    assert_eq!(served.webhooks("slack", "applied"), 1);
}

#[tokio::test]
async fn unsigned_slack_request_is_rejected_unread() {
    let served = Served::start().await;
    // The body never arrives, and the server answers anyway.
    let answer = served.ask(request(&[], 50, b"")).await;
    refused(&served, &answer, 401, "X-Slack-Request-Timestamp is missing");
    assert_eq!(served.webhooks("slack", "refused"), 1);
    let stale = [("X-Slack-Request-Timestamp", (now() - 301).to_string())];
    refused(&served, &served.ask(request(&stale, 50, b"")).await, 401, "more than 300 s away");
    let unsigned = [("X-Slack-Request-Timestamp", now().to_string())];
    refused(&served, &served.ask(request(&unsigned, 50, b"")).await, 401, "X-Slack-Signature is missing");
}

#[tokio::test]
async fn a_signature_by_somebody_else_or_of_another_body_is_refused() {
    let served = Served::start().await;
    let other = WebhookSecret::new(b"another secret, as long as one").unwrap();
    refused(&served, &served.ask(signed(&other, now(), FORM)).await, 403, "signing secret");
    let mut changed = signed(&secret(), now(), FORM);
    *changed.last_mut().unwrap() = b'y';
    refused(&served, &served.ask(changed).await, 403, "signing secret");
}

#[tokio::test]
async fn a_form_that_is_too_large_or_too_slow_is_refused() {
    let served = Served::with(limits()).await;
    let body = vec![b'x'; 70_000];
    refused(&served, &served.ask(signed(&secret(), now(), &body)).await, 413, "too large");
    let late = [
        ("X-Slack-Request-Timestamp", now().to_string()),
        ("X-Slack-Signature", sign(&secret(), now(), FORM)),
    ];
    let answer = served.ask(request(&late, FORM.len(), &FORM[..10])).await;
    assert!(matches!(answer.status, 408 | 503), "{} {}", answer.status, answer.message);
}
