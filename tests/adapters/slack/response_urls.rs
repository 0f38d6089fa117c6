//! Answers to commands through their response URL.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use matinee::adapters::slack::{SlackChat, SlackSettings};
use matinee::core::slack::{ChatMessage, ResponseType};
use matinee::ports::{Chat as _, ChatError};
use serde_json::json;
use slack_stand_in::Settings;
use slack_stand_in::control::types::FaultEffect;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::stand_in::{World, text};

fn word(result: Result<(), ChatError>) -> String {
    match result {
        Err(ChatError::Refused { word, .. }) => word,
        other => panic!("{other:?}"),
    }
}

/// Starts a server that isn't Slack's and would answer ok.
async fn elsewhere() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_string("ok")).mount(&server).await;
    server
}

#[tokio::test]
async fn an_answer_arrives_as_it_was_meant() {
    let world = World::new().await;
    world.typed("/deploy x").await;
    let url = world.command().response_url;
    world.chat.respond(url.as_str(), &text("for you")).await.unwrap();
    let message = ChatMessage {
        text: "for all".into(),
        blocks: vec![json!({"type": "divider"})],
        response_type: ResponseType::InChannel,
        replace_original: true,
    };
    world.chat.respond(url.as_str(), &message).await.unwrap();
    let kept = world.control.responses().await.unwrap();
    let said: Vec<_> = kept
        .iter()
        .map(|one| (one.text.as_str(), one.response_type.as_str(), one.replace_original, one.blocks.len()))
        .collect();
    assert_eq!(said, [("for you", "ephemeral", false, 0), ("for all", "in_channel", true, 1)]);
    let requests = world.control.requests().await.unwrap();
    assert!(requests.iter().all(|one| one.user_agent.starts_with("matinee/")), "{requests:?}");
}

#[tokio::test]
async fn a_sixth_answer_is_refused_for_good() {
    let world = World::new().await;
    let url = world.typed("/deploy x").await.response_url;
    for _ in 0..5 {
        world.chat.respond(&url, &text("x")).await.unwrap();
    }
    let error = world.chat.respond(&url, &text("x")).await.unwrap_err();
    assert!(!error.may_pass());
    assert_eq!(error.to_string(), "Slack refused: used_url; a command can be answered five times only");
}

#[tokio::test]
async fn an_answer_after_its_time_is_refused_for_good() {
    let settings = Settings { response_window: Duration::ZERO, ..Settings::default() };
    let world = World::with(settings, Duration::from_secs(5)).await;
    let url = world.typed("/deploy x").await.response_url;
    let error = world.chat.respond(&url, &text("x")).await.unwrap_err();
    assert!(!error.may_pass());
    assert_eq!(
        error.to_string(),
        "Slack refused: expired_url; a command can be answered for 30 minutes only"
    );
}

#[tokio::test]
async fn a_refusal_without_json_is_a_word_too() {
    let world = World::new().await;
    let url = world.typed("/deploy x").await.response_url;
    assert_eq!(word(world.chat.respond(&url, &text("")).await), "no_text");
    assert_eq!(word(world.chat.respond(&format!("{url}0"), &text("x")).await), "no_service");
}

#[tokio::test]
async fn a_limit_says_when_to_try_again() {
    let world = World::new().await;
    let url = world.typed("/deploy x").await.response_url;
    let headers = BTreeMap::from([("retry-after".to_owned(), "20".to_owned())]);
    let effect = FaultEffect::Answer { status: 429, headers, body: String::new() };
    world.control.break_next("/commands/*", effect).await.unwrap();
    match world.chat.respond(&url, &text("x")).await {
        Err(ChatError::RateLimited { until }) => {
            let wait = until.duration_since(Timestamp::now());
            assert!(
                wait > SignedDuration::from_secs(10) && wait <= SignedDuration::from_secs(20),
                "{wait:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(world.control.responses().await.unwrap().is_empty());
    world.chat.respond(&url, &text("x")).await.unwrap();
}

#[tokio::test]
async fn a_lost_answer_is_said_to_be_open_and_nothing_is_sent_twice() {
    let world = World::new().await;
    let url = world.typed("/deploy x").await.response_url;
    for (effect, arrived) in [(FaultEffect::CloseBefore, 0), (FaultEffect::CloseAfter, 1)] {
        world.control.break_next("/commands/*", effect).await.unwrap();
        let error = world.chat.respond(&url, &text("x")).await.unwrap_err();
        assert!(matches!(&error, ChatError::Unknown(_)) && error.may_pass(), "{error:?}");
        assert_eq!(world.control.responses().await.unwrap().len(), arrived);
    }
    assert_eq!(world.control.requests().await.unwrap().len(), 2);
    for status in [500, 503] {
        let effect = FaultEffect::Answer { status, headers: BTreeMap::new(), body: "<html>".into() };
        world.control.break_next("/commands/*", effect).await.unwrap();
        let error = world.chat.respond(&url, &text("x")).await.unwrap_err();
        assert_eq!(error, ChatError::Unknown(format!("response_url: HTTP {status}")));
    }
}

#[tokio::test]
async fn an_answer_is_bounded_in_time_and_size() {
    let world = World::with(Settings::default(), Duration::from_millis(400)).await;
    let url = world.typed("/deploy x").await.response_url;
    world.control.break_next("/commands/*", FaultEffect::DelayMs(60_000)).await.unwrap();
    let start = Instant::now();
    let error = world.chat.respond(&url, &text("x")).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(30));
    assert!(matches!(&error, ChatError::Unknown(_)), "{error:?}");

    let world = World::new().await;
    let url = world.typed("/deploy x").await.response_url;
    let effect = FaultEffect::Answer { status: 200, headers: BTreeMap::new(), body: "a".repeat(3 << 19) };
    world.control.break_next("/commands/*", effect).await.unwrap();
    let error = world.chat.respond(&url, &text("x")).await.unwrap_err();
    assert!(matches!(&error, ChatError::Unknown(why) if why.contains("broke off")), "{error:?}");
}

#[tokio::test]
async fn nobody_else_is_asked() {
    let (world, elsewhere) = (World::new().await, elsewhere().await);
    let url = world.typed("/deploy x").await.response_url;
    let path = url.strip_prefix(&world.stand_in.response_url()).unwrap();
    for foreign in [
        format!("{}/commands/{path}", elsewhere.uri()),
        format!("{}../api/chat.postMessage", world.stand_in.response_url()),
        url.replace("127.0.0.1", "localhost"),
        url.replace("http://", "http://user@"),
        String::new(),
    ] {
        let error = world.chat.respond(&foreign, &text("x")).await.unwrap_err();
        assert!(matches!(&error, ChatError::NotSent(_)) && !error.may_pass(), "{foreign}: {error:?}");
    }
    // By default the adapter sends requests to Slack only.
    let chat = SlackChat::new(&SlackSettings::default()).unwrap();
    let error = chat.respond(&url, &text("x")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "nothing was sent to Slack: the response_url is not below https://hooks.slack.com/: it isn't Slack's"
    );
    assert!(world.control.requests().await.unwrap().is_empty());
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let (world, elsewhere) = (World::new().await, elsewhere().await);
    let url = world.typed("/deploy x").await.response_url;
    for status in [301, 302, 303, 307, 308] {
        let headers = BTreeMap::from([("location".to_owned(), elsewhere.uri())]);
        let effect = FaultEffect::Answer { status, headers, body: String::new() };
        world.control.break_next("/commands/*", effect).await.unwrap();
        assert_eq!(word(world.chat.respond(&url, &text("x")).await), format!("HTTP {status}"));
    }
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}
