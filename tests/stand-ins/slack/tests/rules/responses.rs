//! Response URLs.

use std::time::Duration;

use serde_json::{Value, json};
use slack_stand_in::Settings;

use crate::support::{send, start, start_with};

#[tokio::test]
async fn five_answers_are_taken_and_no_sixth() {
    let world = start().await;
    let url = world.typed("/deploy").await.response_url;
    for number in 1..=5 {
        let said = world.post(&url, &json!({"text": format!("{number}")})).await;
        assert_eq!((said.status, said.text.as_str()), (200, "ok"));
    }
    let said = world.post(&url, &json!({"text": "6"})).await;
    assert_eq!((said.status, said.body), (404, json!({"ok": false, "error": "used_url"})));
    let texts: Vec<_> =
        world.control.responses().await.unwrap().into_iter().map(|one| (one.number, one.text)).collect();
    assert_eq!(texts, [1, 2, 3, 4, 5].map(|number| (number, number.to_string())));
    // Each command has a counter of its own.
    let url = world.typed("/deploy").await.response_url;
    assert_eq!(world.post(&url, &json!({"text": "1"})).await.status, 200);
}

#[tokio::test]
async fn after_its_time_a_url_takes_nothing() {
    let world = start().await;
    let typed = world.typed("/deploy").await;
    world.control.expire(typed.id).await.unwrap();
    let said = world.post(&typed.response_url, &json!({"text": "late"})).await;
    assert_eq!((said.status, said.body), (404, json!({"ok": false, "error": "expired_url"})));

    let settings = Settings { response_window: Duration::ZERO, ..Settings::default() };
    let world = start_with(settings).await;
    let url = world.typed("/deploy").await.response_url;
    assert_eq!(world.post(&url, &json!({"text": "late"})).await.error(), "expired_url");
    assert!(world.control.responses().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_is_kept_as_it_was_meant() {
    let world = start().await;
    let typed = world.typed("/deploy").await;
    world.post(&typed.response_url, &json!({"text": "for me"})).await;
    let blocks = json!([{"type": "section", "text": {"type": "mrkdwn", "text": "*done*"}}]);
    let body =
        json!({"text": "done", "response_type": "in_channel", "replace_original": true, "blocks": blocks});
    world.post(&typed.response_url, &body).await;
    world.post(&typed.response_url, &json!({"delete_original": true})).await;
    let kept = world.control.responses().await.unwrap();
    assert_eq!(kept.len(), 3);
    assert!(kept.iter().all(|one| one.invocation == typed.id));
    assert_eq!((kept[0].response_type.as_str(), kept[0].replace_original), ("ephemeral", false));
    assert_eq!((kept[1].response_type.as_str(), kept[1].replace_original), ("in_channel", true));
    assert_eq!(Value::from(kept[1].blocks.clone()), blocks);
    assert!(kept[2].delete_original);
}

#[tokio::test]
async fn a_body_that_is_no_message_is_refused_and_not_counted() {
    let world = start().await;
    let url = world.typed("/deploy").await.response_url;
    let many = vec![json!({"type": "divider"}); 51];
    for (body, word) in [
        (json!({}), "no_text"),
        (json!({"text": ""}), "no_text"),
        (json!([]), "invalid_payload"),
        (json!({"text": 7}), "invalid_payload"),
        (json!({"text": "x", "response_type": "everybody"}), "invalid_payload"),
        (json!({"text": "x", "replace_original": "yes"}), "invalid_payload"),
        (json!({"text": "x", "blocks": {"type": "divider"}}), "invalid_blocks_format"),
        (json!({"text": "x", "blocks": [{}]}), "invalid_blocks"),
        (json!({"text": "x", "blocks": many}), "invalid_blocks"),
    ] {
        let said = world.post(&url, &body).await;
        assert_eq!((said.status, said.text.as_str()), (400, word), "{body}");
    }
    let said = send(world.request(&url).header("content-type", "application/json").body("{")).await;
    assert_eq!((said.status, said.text.as_str()), (400, "invalid_payload"));
    let form = world.request(&url).header("content-type", "application/x-www-form-urlencoded").body("text=x");
    assert_eq!(send(form).await.text, "invalid_payload");
    for _ in 0..5 {
        assert_eq!(world.post(&url, &json!({"text": "x"})).await.status, 200);
    }
}

#[tokio::test]
async fn a_url_that_was_not_given_is_none() {
    let world = start().await;
    let url = world.typed("/deploy").await.response_url;
    let guess = format!("{}{}", &url[..url.len() - 24], "a".repeat(24));
    let said = world.post(&guess, &json!({"text": "x"})).await;
    assert_eq!((said.status, said.text.as_str()), (404, "no_service"));
}
