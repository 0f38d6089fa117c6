//! Slash commands and their immediate answers, and the signature of requests.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use slack_stand_in::control::ControlError;
use slack_stand_in::control::types::{Forgery, Sees, Typed};

use crate::support::start;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

#[tokio::test]
async fn a_command_is_a_form_with_all_its_fields() {
    let world = start().await;
    let typed = world.typed("/deploy   acme/shop@main to staging & \"más\" ").await;
    let arrived = world.receiver.last();
    assert_eq!(arrived.header("content-type"), "application/x-www-form-urlencoded");
    assert!(arrived.header("user-agent").starts_with("Slackbot 1.0"));
    let form = arrived.form();
    let names: Vec<&str> = form.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "token",
            "team_id",
            "team_domain",
            "channel_id",
            "channel_name",
            "user_id",
            "user_name",
            "command",
            "text",
            "api_app_id",
            "is_enterprise_install",
            "response_url",
            "trigger_id"
        ]
    );
    assert_eq!(form, typed.fields);
    assert_eq!(typed.field("text"), "acme/shop@main to staging & \"más\"");
    let app = &world.app;
    for (name, value) in [
        ("token", app.verification_token.as_str()),
        ("team_id", &app.team_id),
        ("team_domain", "acme"),
        ("channel_name", "deploys"),
        ("user_name", "mona"),
        ("command", "/deploy"),
        ("api_app_id", &app.api_app_id),
        ("is_enterprise_install", "false"),
        ("response_url", &typed.response_url),
    ] {
        assert_eq!(typed.field(name), value, "{name}");
    }
    assert!(typed.field("user_id").starts_with("U0") && typed.field("channel_id").starts_with("C0"));
}

#[tokio::test]
async fn the_same_person_in_the_same_channel_has_the_same_ids_and_each_command_its_own_url() {
    let world = start().await;
    let (first, second) = (world.typed("/deploy a").await, world.typed("/deploy").await);
    for field in ["user_id", "channel_id", "team_id"] {
        assert_eq!(first.field(field), second.field(field));
    }
    assert_eq!(second.field("text"), "");
    let other = world.control.type_command(Typed::new("hubot", "general", "/deploy")).await.unwrap();
    assert_ne!(other.field("user_id"), first.field("user_id"));
    assert_ne!(other.field("channel_id"), first.field("channel_id"));
    assert_ne!(first.response_url, second.response_url);
    assert_ne!(first.field("trigger_id"), second.field("trigger_id"));
    let secret = first.response_url.rsplit('/').next().unwrap();
    assert_eq!(secret.len(), 24);
    assert_eq!(world.control.invocations().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_request_is_signed_over_version_time_and_body() {
    let world = start().await;
    world.typed("/deploy acme/shop@main to staging").await;
    let arrived = world.receiver.last();
    assert_eq!(arrived.header("x-slack-signature"), arrived.signature(&world.app.signing_secret));
    let time: i64 = arrived.header("x-slack-request-timestamp").parse().unwrap();
    assert!((now() - time).abs() <= 5, "{time}");
}

#[tokio::test]
async fn a_forgery_is_wrong_in_what_it_names_and_in_nothing_else() {
    let world = start().await;
    let secret = &world.app.signing_secret;
    for forgery in [
        Forgery::WrongSecret,
        Forgery::Timestamp { seconds: -301 },
        Forgery::Timestamp { seconds: 400 },
        Forgery::TamperedBody,
        Forgery::Unsigned,
    ] {
        let typed = Typed::new("mona", "deploys", "/deploy x").forged(forgery.clone());
        world.control.type_command(typed).await.unwrap();
        let arrived = world.receiver.last();
        let good = arrived.header("x-slack-signature") == arrived.signature(secret);
        let off = arrived.header("x-slack-request-timestamp").parse::<i64>().unwrap() - now();
        let stale = matches!(forgery, Forgery::Timestamp { .. });
        assert_eq!(good, stale, "{forgery:?}");
        assert_eq!(off.abs() > 290, stale, "{forgery:?}: {off}");
        let user = &arrived.form().into_iter().find(|(name, _)| name == "user_id").unwrap().1;
        assert_eq!(user == "U0EVIL", forgery == Forgery::TamperedBody, "{user}");
        assert_eq!(arrived.header("x-slack-signature").is_empty(), forgery == Forgery::Unsigned);
    }
}

#[tokio::test]
async fn the_immediate_answer_is_nothing_text_or_a_message() {
    let world = start().await;
    let typed = world.typed("/deploy").await;
    assert_eq!((typed.answer.status, typed.answer.sees), (200, Sees::Nothing));

    world.receiver.answer(200, "text/plain; charset=utf-8", "on its way");
    let typed = world.typed("/deploy").await;
    let message = |response_type: &str, text: &str| Sees::Message {
        response_type: response_type.to_owned(),
        text: text.to_owned(),
        blocks: Vec::new(),
    };
    assert_eq!(typed.answer.sees, message("ephemeral", "on its way"));
    assert_eq!((typed.answer.body.as_str(), typed.answer.json), ("on its way", None));

    world.receiver.answer(200, "application/json", "{\"text\": \"for me\"}");
    assert_eq!(world.typed("/deploy").await.answer.sees, message("ephemeral", "for me"));
    world.receiver.answer(
        200,
        "application/json",
        "{\"text\": \"for all\", \"response_type\": \"in_channel\"}",
    );
    let answer = world.typed("/deploy").await.answer;
    assert_eq!(answer.sees, message("in_channel", "for all"));
    assert_eq!(answer.content_type, "application/json");
    assert_eq!(answer.json, Some(json!({"text": "for all", "response_type": "in_channel"})));
    assert_eq!(world.control.invocations().await.unwrap()[3].answer.sees, answer.sees);
}

#[tokio::test]
async fn anything_but_200_with_a_message_is_a_failure() {
    let world = start().await;
    for (status, content_type, body) in [
        (500, "text/plain", "broken"),
        (202, "text/plain", "accepted"),
        (403, "application/json", "{\"text\": \"no\"}"),
        (302, "text/plain", ""),
        (200, "application/json", "{"),
        (200, "application/json", "{\"text\": 7}"),
    ] {
        world.receiver.answer(status, content_type, body);
        let answer = world.typed("/deploy").await.answer;
        assert_eq!((answer.status, answer.sees), (status, Sees::Error("dispatch_failed".into())), "{body}");
    }
    world.control.set_command("/deploy", "http://127.0.0.1:1/").await.unwrap();
    let answer = world.typed("/deploy").await.answer;
    assert_eq!((answer.status, answer.sees), (0, Sees::Error("dispatch_failed".into())));
}

#[tokio::test]
async fn after_three_seconds_it_is_given_up() {
    let world = start().await;
    world.receiver.answer_after(Duration::from_mins(1));
    let answer = world.typed("/deploy").await.answer;
    assert_eq!((answer.status, answer.sees), (0, Sees::Error("operation_timeout".into())));
    assert!(answer.milliseconds >= 3000, "{}", answer.milliseconds);
    world.receiver.answer_after(Duration::from_millis(1200));
    let answer = world.typed("/deploy").await.answer;
    assert_eq!(answer.status, 200);
    assert!(answer.milliseconds >= 1200, "{}", answer.milliseconds);
}

#[tokio::test]
async fn a_command_that_there_is_not_is_no_command() {
    let world = start().await;
    for (text, wanted) in [("/undeploy x", 404), ("deploy x", 422)] {
        match world.control.type_command(Typed::new("mona", "deploys", text)).await {
            Err(ControlError::Refused { status, .. }) => assert_eq!(status, wanted),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_look_at_the_certificate_has_two_fields() {
    let world = start().await;
    assert_eq!(world.control.check_certificate("/deploy").await.unwrap().status, 200);
    let arrived = world.receiver.last();
    let token = world.app.verification_token.clone();
    assert_eq!(arrived.form(), [("ssl_check".to_owned(), "1".to_owned()), ("token".to_owned(), token)]);
    assert_eq!(arrived.header("x-slack-signature"), arrived.signature(&world.app.signing_secret));
}
