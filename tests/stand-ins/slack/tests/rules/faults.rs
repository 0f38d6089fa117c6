//! Requested faults, the log of requests, and the control API's own errors.

use std::time::{Duration, Instant};

use serde_json::json;
use slack_stand_in::control::ControlError;
use slack_stand_in::control::types::{FaultEffect, NewChannel, NewFault};
use slack_stand_in::{Settings, StandIn};

use crate::support::start;

#[tokio::test]
async fn a_fault_answers_instead_and_is_used_up() {
    let world = start().await;
    let url = world.typed("/deploy").await.response_url;
    let headers = [("retry-after".to_owned(), "3".to_owned())].into();
    let effect = FaultEffect::Answer { status: 429, headers, body: "slow down".into() };
    let fault = NewFault { path: "/commands/*".into(), times: Some(2), effect };
    world.control.add_fault(fault).await.unwrap();
    assert_eq!(world.call("chat.postMessage", &json!({})).await.error(), "channel_not_found");
    for _ in 0..2 {
        let said = world.post(&url, &json!({"text": "x"})).await;
        assert_eq!((said.status, said.text.as_str()), (429, "slow down"));
        assert_eq!(said.headers["retry-after"], "3");
    }
    assert!(world.control.responses().await.unwrap().is_empty());
    assert_eq!(world.post(&url, &json!({"text": "x"})).await.status, 200);
}

#[tokio::test]
async fn a_lost_answer_is_not_a_lost_message() {
    let world = start().await;
    let url = world.typed("/deploy").await.response_url;
    for (effect, made) in [(FaultEffect::CloseBefore, 0), (FaultEffect::CloseAfter, 1)] {
        world.control.break_next("/commands/*", effect).await.unwrap();
        let error = world.request(&url).json(&json!({"text": "x"})).send().await.unwrap_err();
        assert!(error.is_request(), "{error:?}");
        assert_eq!(world.control.responses().await.unwrap().len(), made);
    }
    let statuses: Vec<u16> = world.control.requests().await.unwrap().iter().map(|one| one.status).collect();
    assert_eq!(statuses, [0, 0]);
}

#[tokio::test]
async fn a_late_answer_is_late() {
    let world = start().await;
    let url = world.typed("/deploy").await.response_url;
    world.control.break_next("/commands/*", FaultEffect::DelayMs(300)).await.unwrap();
    let start = Instant::now();
    assert_eq!(world.post(&url, &json!({"text": "x"})).await.status, 200);
    assert!(start.elapsed() >= Duration::from_millis(300));
    world.control.break_next("/commands/*", FaultEffect::CloseBefore).await.unwrap();
    world.control.clear_faults().await.unwrap();
    assert_eq!(world.post(&url, &json!({"text": "x"})).await.status, 200);
    let requests = world.control.requests().await.unwrap();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|one| one.method == "POST" && url.ends_with(&one.path)), "{requests:?}");
}

#[tokio::test]
async fn the_control_api_says_what_is_wrong() {
    let world = start().await;
    for (result, wanted, says) in [
        (world.control.expire(7_000_000).await, 404, "no such command"),
        (world.control.revoke_token("xoxb-none").await, 404, "no such token"),
        (world.control.set_command("deploy", "http://127.0.0.1:1/").await, 422, "slash"),
        (world.control.set_channel(NewChannel::default()).await.map(drop), 422, "name"),
    ] {
        match result {
            Err(ControlError::Refused { status, message, .. }) => {
                assert_eq!(status, wanted);
                assert!(message.contains(says), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn it_stops_when_dropped_and_its_urls_begin_as_told() {
    let public_url = Some("http://slack.test:8080/".to_owned());
    let stand_in = StandIn::start(Settings { public_url, ..Settings::default() }).await.unwrap();
    assert_eq!(stand_in.response_url(), "http://slack.test:8080/commands/");
    assert_eq!(stand_in.api_url(), "http://slack.test:8080/api/");
    let (control, address) = (stand_in.control(), stand_in.address());
    control.app().await.unwrap();
    let taken = StandIn::start(Settings { listen: address, ..Settings::default() }).await.unwrap_err();
    assert!(taken.to_string().contains(&address.to_string()), "{taken}");
    stand_in.stop().await;
    control.app().await.unwrap_err();
}
