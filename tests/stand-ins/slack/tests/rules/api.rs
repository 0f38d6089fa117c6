//! The Web API.

use std::time::{Duration, Instant};

use serde_json::json;
use slack_stand_in::control::types::{Limits, NewChannel};

use crate::support::{World, send, start};

async fn with_channel() -> (World, String) {
    let world = start().await;
    let new = NewChannel { name: "deploys".into(), ..NewChannel::default() };
    let id = world.control.set_channel(new).await.unwrap().id;
    (world, id)
}

#[tokio::test]
async fn a_message_is_posted_by_id_or_name_and_changed_by_its_ts() {
    let (world, id) = with_channel().await;
    for channel in [id.as_str(), "deploys", "#deploys"] {
        let said = world.call("chat.postMessage", &json!({"channel": channel, "text": "on its way"})).await;
        assert_eq!((said.status, &said.body["ok"], &said.body["channel"]), (200, &json!(true), &json!(id)));
        assert_eq!(said.body["message"]["text"], "on its way");
        assert_eq!(said.body["message"]["ts"], said.body["ts"]);
    }
    let messages = world.control.messages().await.unwrap();
    let ts: Vec<&str> = messages.iter().map(|message| message.ts.as_str()).collect();
    assert!(ts[0] != ts[1] && ts[1] != ts[2], "{ts:?}");
    assert!(ts.iter().all(|ts| ts.split('.').map(str::len).eq([10, 6])), "{ts:?}");

    let said = world.call("chat.update", &json!({"channel": id, "ts": ts[1], "text": "done"})).await;
    assert_eq!((&said.body["ts"], &said.body["text"]), (&json!(ts[1]), &json!("done")));
    let after = world.control.messages().await.unwrap();
    let texts: Vec<_> = after.iter().map(|message| (message.text.as_str(), message.updates)).collect();
    assert_eq!(texts, [("on its way", 0), ("done", 1), ("on its way", 0)]);
}

#[tokio::test]
async fn a_change_keeps_the_blocks_that_it_leaves_out() {
    let (world, id) = with_channel().await;
    let blocks = json!([{"type": "divider"}]);
    let said = world.call("chat.postMessage", &json!({"channel": id, "text": "a", "blocks": blocks})).await;
    let ts = said.body["ts"].clone();
    for (change, left) in [
        (json!({"channel": id, "ts": ts, "text": "b"}), 1),
        (json!({"channel": id, "ts": ts, "text": "b", "blocks": []}), 0),
        (json!({"channel": id, "ts": ts, "blocks": "[{\"type\":\"divider\"},{\"type\":\"divider\"}]"}), 2),
    ] {
        assert_eq!(world.call("chat.update", &change).await.body["ok"], true, "{change}");
        assert_eq!(world.control.messages().await.unwrap()[0].blocks.len(), left, "{change}");
    }
}

#[tokio::test]
async fn without_a_good_token_nothing_is_done() {
    let (world, id) = with_channel().await;
    let body = json!({"channel": id, "text": "x", "token": world.app.bot_token});
    let (url, said) = (world.method("chat.postMessage"), "a token in JSON is no token");
    assert_eq!(world.post(&url, &body).await.error(), "not_authed", "{said}");
    assert_eq!(world.call_with("xoxb-0-0-nonsense", "chat.postMessage", &body).await.error(), "invalid_auth");
    let other = world.control.create_token(&["commands"]).await.unwrap();
    let said = world.call_with(&other, "chat.postMessage", &body).await;
    assert_eq!(said.error(), "missing_scope");
    assert_eq!((&said.body["needed"], &said.body["provided"]), (&json!("chat:write"), &json!("commands")));
    let other = world.control.create_token(&["chat:write"]).await.unwrap();
    assert_eq!(world.call_with(&other, "chat.postMessage", &body).await.body["ok"], true);
    world.control.revoke_token(&other).await.unwrap();
    assert_eq!(world.call_with(&other, "chat.update", &body).await.error(), "token_revoked");
    assert_eq!(world.control.messages().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_200_and_a_word() {
    let (world, id) = with_channel().await;
    let set = async |name: &str, private, member, archived| {
        let new = NewChannel { name: name.into(), private, member, archived };
        world.control.set_channel(new).await.unwrap().id
    };
    let hidden = set("hidden", true, false, false).await;
    let elsewhere = set("elsewhere", false, false, false).await;
    let old = set("old", false, true, true).await;
    let said = world.call("chat.postMessage", &json!({"channel": id, "text": "x"})).await;
    let ts = said.body["ts"].clone();
    for (method, body, word) in [
        ("chat.postMessage", json!({"text": "x"}), "channel_not_found"),
        ("chat.postMessage", json!({"channel": "C0NONE", "text": "x"}), "channel_not_found"),
        ("chat.postMessage", json!({"channel": hidden, "text": "x"}), "channel_not_found"),
        ("chat.postMessage", json!({"channel": elsewhere, "text": "x"}), "not_in_channel"),
        ("chat.postMessage", json!({"channel": old, "text": "x"}), "is_archived"),
        ("chat.postMessage", json!({"channel": id}), "no_text"),
        ("chat.postMessage", json!({"channel": id, "text": "", "blocks": []}), "no_text"),
        ("chat.postMessage", json!({"channel": id, "text": "x", "blocks": {}}), "invalid_blocks_format"),
        ("chat.postMessage", json!({"channel": id, "text": "x", "blocks": "["}), "invalid_blocks_format"),
        ("chat.postMessage", json!({"channel": id, "text": "x", "blocks": [1]}), "invalid_blocks"),
        ("chat.update", json!({"channel": id, "text": "x"}), "message_not_found"),
        ("chat.update", json!({"channel": id, "ts": "1.000001", "text": "x"}), "message_not_found"),
        ("chat.update", json!({"channel": "deploys", "ts": ts, "text": "x"}), "channel_not_found"),
        ("chat.update", json!({"channel": id, "ts": ts}), "no_text"),
        ("chat.update", json!({"channel": id, "ts": ts, "text": "é".repeat(4001)}), "msg_too_long"),
        ("chat.delete", json!({"channel": id, "ts": ts}), "unknown_method"),
    ] {
        let said = world.call(method, &body).await;
        assert_eq!((said.status, &said.body["ok"], said.error()), (200, &json!(false), word), "{body}");
    }
    assert_eq!(world.control.messages().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_long_text_is_cut_when_it_is_posted() {
    let (world, id) = with_channel().await;
    let body = json!({"channel": id, "text": "é".repeat(40_001)});
    assert_eq!(world.call("chat.postMessage", &body).await.body["ok"], true);
    assert_eq!(world.control.messages().await.unwrap()[0].text.chars().count(), 40_000);
}

#[tokio::test]
async fn arguments_come_as_json_or_as_a_form() {
    let (world, id) = with_channel().await;
    let url = world.method("chat.postMessage");
    let with = |content_type: Option<&str>, body: String| {
        let request = world.request(&url).bearer_auth(&world.app.bot_token).body(body);
        match content_type {
            Some(content_type) => request.header("content-type", content_type),
            None => request,
        }
    };
    let json = json!({"channel": id, "text": "x"}).to_string();
    let form = format!("channel={id}&text=a+b%26c");
    let token = &world.app.bot_token;
    for (content_type, body, word) in [
        (Some("application/json; charset=utf-8"), json.clone(), ""),
        (Some("application/x-www-form-urlencoded"), form.clone(), ""),
        (Some("application/json"), "{".to_owned(), "invalid_json"),
        (Some("application/json"), "[]".to_owned(), "json_not_object"),
        (Some("text/xml"), json.clone(), "invalid_post_type"),
        (None, json.clone(), "missing_post_type"),
    ] {
        assert_eq!(send(with(content_type, body)).await.error(), word, "{content_type:?}");
    }
    assert_eq!(world.control.messages().await.unwrap()[1].text, "a b&c");
    // A form may have the token as a field.
    let request = world.request(&url).header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(send(request.body(format!("{form}&token={token}"))).await.body["ok"], true);
    // Slack accepts JSON without a charset with a warning.
    let said = send(with(Some("application/json"), json)).await;
    assert_eq!((&said.body["ok"], &said.body["warning"]), (&json!(true), &json!("missing_charset")));
}

#[tokio::test]
async fn one_message_a_second_and_channel_when_the_limit_is_on() {
    let (world, id) = with_channel().await;
    let body = json!({"channel": id, "text": "x"});
    for _ in 0..3 {
        assert_eq!(world.call("chat.postMessage", &body).await.status, 200);
    }
    world.control.set_limits(Limits { one_message_per_second: true }).await.unwrap();
    let mut taken = Instant::now();
    let said = loop {
        let before = Instant::now();
        let said = world.call("chat.postMessage", &body).await;
        if said.status != 200 {
            break said;
        }
        taken = before;
    };
    assert_eq!((said.status, said.error()), (429, "ratelimited"));
    assert_eq!(said.headers["retry-after"], "1");
    let new = NewChannel { name: "general".into(), ..NewChannel::default() };
    let other = world.control.set_channel(new).await.unwrap().id;
    assert_eq!(world.call("chat.postMessage", &json!({"channel": other, "text": "x"})).await.status, 200);
    while world.call("chat.postMessage", &body).await.status != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(taken.elapsed() >= Duration::from_secs(1), "{:?}", taken.elapsed());
}
