//! Messages through the Web API.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use matinee::core::slack::ChatMessage;
use matinee::ports::{Chat as _, ChatError};
use secrecy::SecretString;
use serde_json::json;
use slack_stand_in::control::types::{FaultEffect, Limits, NewChannel};

use crate::stand_in::{World, text};

fn word(result: Result<String, ChatError>) -> String {
    match result {
        Err(error @ ChatError::Refused { .. }) => {
            assert!(!error.may_pass());
            let ChatError::Refused { word, remedy } = error else { unreachable!() };
            assert!(remedy.is_some() || word == "no_text", "{word} has no remedy");
            word
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_message_is_posted_and_then_changed() {
    let world = World::new().await;
    let message = ChatMessage { blocks: vec![json!({"type": "divider"})], ..text("on its way") };
    let ts = world.chat.post(&world.token(), &world.channel.id, &message, None).await.unwrap();
    assert_eq!(world.control.messages().await.unwrap()[0].blocks.len(), 1);
    assert_eq!(world.post("done", Some(&ts)).await, Ok(ts.clone()));
    let messages = world.control.messages().await.unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!((messages[0].ts.as_str(), messages[0].text.as_str()), (ts.as_str(), "done"));
    assert!(messages[0].blocks.is_empty(), "the old blocks are gone with the old text");
}

#[tokio::test]
async fn a_wrong_token_is_slacks_word_and_what_to_do() {
    let world = World::new().await;
    let with = async |token: &str| {
        world.chat.post(&SecretString::from(token), &world.channel.id, &text("x"), None).await
    };
    assert_eq!(word(with("xoxb-0-nonsense").await), "invalid_auth");
    let scopeless = world.control.create_token(&[]).await.unwrap();
    assert_eq!(word(with(&scopeless).await), "missing_scope");
    world.control.revoke_token(&world.app.bot_token).await.unwrap();
    assert_eq!(word(with(&world.app.bot_token).await), "token_revoked");
    let requests = world.control.requests().await.unwrap().len();
    assert!(matches!(with("xoxb-\n").await, Err(ChatError::NotSent(_))));
    assert_eq!(world.control.requests().await.unwrap().len(), requests);
}

#[tokio::test]
async fn a_refused_message_is_slacks_word() {
    let world = World::new().await;
    let new = NewChannel { name: "elsewhere".into(), member: false, ..NewChannel::default() };
    let elsewhere = world.control.set_channel(new).await.unwrap().id;
    for (channel, said, update, expected) in [
        ("C0NONE", "x", None, "channel_not_found"),
        (elsewhere.as_str(), "x", None, "not_in_channel"),
        (&world.channel.id, "", None, "no_text"),
        (&world.channel.id, "x", Some("1.000001"), "message_not_found"),
    ] {
        assert_eq!(word(world.chat.post(&world.token(), channel, &text(said), update).await), expected);
    }
}

#[tokio::test]
async fn a_limit_says_when_to_try_again() {
    let world = World::new().await;
    world.control.set_limits(Limits { one_message_per_second: true }).await.unwrap();
    let mut posted = 0;
    let until = loop {
        match world.post("x", None).await {
            Ok(_) => posted += 1,
            Err(ChatError::RateLimited { until }) => break until,
            other => panic!("{other:?}"),
        }
    };
    assert!(posted > 0);
    let wait = until.duration_since(Timestamp::now());
    assert!(wait <= SignedDuration::from_secs(1), "{wait:?}");
    tokio::time::sleep(Duration::try_from(wait).unwrap_or_default() + Duration::from_millis(5)).await;
    world.post("x", None).await.unwrap();
    assert_eq!(
        world.control.messages().await.unwrap().len(),
        posted + 1,
        "what was turned away wasn't shown"
    );
}

#[tokio::test]
async fn a_lost_answer_is_said_to_be_open_and_nothing_is_sent_twice() {
    let world = World::new().await;
    for (effect, arrived) in [(FaultEffect::CloseBefore, 0), (FaultEffect::CloseAfter, 1)] {
        world.control.break_next("/api/chat.postMessage", effect).await.unwrap();
        let error = world.post("x", None).await.unwrap_err();
        assert!(matches!(&error, ChatError::Unknown(_)) && error.may_pass(), "{error:?}");
        assert_eq!(world.control.messages().await.unwrap().len(), arrived);
    }
    assert_eq!(world.control.requests().await.unwrap().len(), 2);
    let World { stand_in, chat, app, channel, .. } = world;
    stand_in.stop().await;
    let error = chat.post(&app.bot_token.into(), &channel.id, &text("x"), None).await.unwrap_err();
    assert!(matches!(&error, ChatError::Unknown(why) if why.contains("refused")), "{error:?}");
}
