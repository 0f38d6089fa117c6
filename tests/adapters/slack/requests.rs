//! Requests from Slack are accepted and parsed; forged ones are rejected.

use matinee::core::slack::{Parsed, RequestError};
use slack_stand_in::control::types::{Forgery, Sees, Typed};

use crate::stand_in::World;

#[tokio::test]
async fn a_command_is_verified_read_and_answered() {
    let world = World::new().await;
    let typed = world.typed("/deploy acme/shop@main to staging & \"más\"").await;
    let read = world.command();
    assert_eq!(
        (read.command.as_str(), read.text.as_str()),
        ("/deploy", "acme/shop@main to staging & \"más\"")
    );
    for (field, value) in [
        ("team_id", &read.team_id),
        ("team_domain", &read.team_domain),
        ("channel_id", &read.channel_id),
        ("channel_name", &read.channel_name),
        ("user_id", &read.user_id),
        ("user_name", &read.user_name),
    ] {
        assert_eq!(typed.field(field), value, "{field}");
    }
    assert_eq!(typed.response_url, read.response_url.as_str());
    let sees =
        Sees::Message { response_type: "ephemeral".into(), text: "on its way".into(), blocks: Vec::new() };
    assert_eq!(typed.answer.sees, sees);
}

#[tokio::test]
async fn a_forgery_is_told_by_its_reason() {
    let world = World::new().await;
    for (forgery, reason) in [
        (Forgery::WrongSecret, RequestError::Mismatch),
        (Forgery::TamperedBody, RequestError::Mismatch),
        (Forgery::Timestamp { seconds: -310 }, RequestError::Stale),
        // The distance from the bound leaves room for a slow machine, on which the time comes
        // nearer until the request arrives.
        (Forgery::Timestamp { seconds: 400 }, RequestError::Stale),
        (Forgery::Unsigned, RequestError::NoSignature),
    ] {
        let typed = Typed::new("mona", "deploys", "/deploy x").forged(forgery.clone());
        let typed = world.control.type_command(typed).await.unwrap();
        assert_eq!(world.last(), Err(reason), "{forgery:?}");
        assert_eq!(typed.answer.sees, Sees::Error("dispatch_failed".into()));
    }
    let recent = Typed::new("mona", "deploys", "/deploy x").forged(Forgery::Timestamp { seconds: -200 });
    world.control.type_command(recent).await.unwrap();
    assert_eq!(world.command().text, "x");
}

#[tokio::test]
async fn a_look_at_the_certificate_is_no_command() {
    let world = World::new().await;
    assert_eq!(world.control.check_certificate("/deploy").await.unwrap().status, 200);
    assert_eq!(world.last(), Ok(Parsed::SslCheck));
}
