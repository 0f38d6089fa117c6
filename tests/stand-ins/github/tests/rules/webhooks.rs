//! Webhooks: payloads, signatures, delivery faults, and the log.

use std::time::Duration;

use github_stand_in::control::types::{DeliveryMode, NewHook, Shuffle, ShuffleOrder};
use serde_json::{Value, json};

use crate::apps::with_app;
use crate::receiver::{Arrived, Receiver, openssl_hmac};
use crate::support::{SHOP, World, start};

const SECRET: &str = "It's a Secret to Everybody";
const WAIT: Duration = Duration::from_secs(20);

/// Starts a stand-in whose repository has a hook for these events. Its ping has already arrived.
async fn hooked(events: &[&str]) -> (World, Receiver, u64) {
    let world = start().await;
    let receiver = Receiver::start().await;
    let new = NewHook {
        url: receiver.url.clone(),
        secret: Some(SECRET.to_owned()),
        events: events.iter().map(|event| (*event).to_owned()).collect(),
        content_type: None,
    };
    let hook = world.control.create_hook(SHOP, new).await.unwrap();
    world.control.settle(WAIT).await.unwrap();
    assert_eq!(receiver.events(), ["ping"]);
    receiver.forget();
    (world, receiver, hook)
}

#[tokio::test]
async fn deliveries_are_signed_over_the_very_bytes_and_carry_githubs_headers() {
    let (world, receiver, hook) = hooked(&["push"]).await;
    world.control.push_files(SHOP, "feature", &[("ü.txt", "späße <&>\u{2028}")]).await.unwrap();
    world.control.settle(WAIT).await.unwrap();
    let one = &receiver.arrived()[0];
    let signature = format!("sha256={}", openssl_hmac(SECRET, &one.body));
    assert_eq!(one.header("x-hub-signature-256"), signature);
    assert_eq!(one.header("x-github-event"), "push");
    assert_eq!(one.header("content-type"), "application/json");
    assert_eq!(one.header("x-github-hook-id"), hook.to_string());
    assert_eq!(one.header("x-github-hook-installation-target-type"), "repository");
    let id = one.json()["repository"]["id"].to_string();
    assert_eq!(one.header("x-github-hook-installation-target-id"), id);
    assert!(one.header("user-agent").starts_with("GitHub-Hookshot/"));
    assert_eq!(one.header("x-github-delivery").len(), 36);
    let body = one.json();
    assert_eq!(body["ref"], "refs/heads/feature");
    assert_eq!(body["created"], true);
    assert_eq!(body["head_commit"]["added"], json!(["ü.txt"]));
}

#[tokio::test]
async fn forms_are_signed_too_and_hooks_without_a_secret_are_not() {
    let world = start().await;
    let receiver = Receiver::start().await;
    let secret = Some(SECRET.to_owned());
    let form = Some("form".to_owned());
    let new = NewHook { url: receiver.url.clone(), secret, content_type: form, events: vec![] };
    world.control.create_hook(SHOP, new).await.unwrap();
    world.control.settle(WAIT).await.unwrap();
    let one = &receiver.arrived()[0];
    assert_eq!(one.header("content-type"), "application/x-www-form-urlencoded");
    assert!(one.body.starts_with(b"payload=%7B"));
    assert_eq!(one.header("x-hub-signature-256"), format!("sha256={}", openssl_hmac(SECRET, &one.body)));
    receiver.forget();
    let new = NewHook { url: format!("{}/2", receiver.url), ..NewHook::default() };
    world.control.create_hook(SHOP, new).await.unwrap();
    world.control.settle(WAIT).await.unwrap();
    assert_eq!(receiver.arrived()[0].header("x-hub-signature-256"), "");
}

#[tokio::test]
async fn a_pull_requests_life_in_events() {
    let (world, receiver, _) = hooked(&["pull_request"]).await;
    let control = &world.control;
    let before = control.push(SHOP, "feature").await.unwrap();
    let number = control.open_pull_request(SHOP, "feature").await.unwrap().number;
    control.label(SHOP, number, "preview").await.unwrap();
    control.unlabel(SHOP, number, "preview").await.unwrap();
    control.convert_to_draft(SHOP, number).await.unwrap();
    control.mark_ready(SHOP, number).await.unwrap();
    let after = control.push(SHOP, "feature").await.unwrap();
    let path = format!("/repos/acme/shop/pulls/{number}");
    world.api.patch(&path, &json!({"title": "Another title"})).await.expect(200);
    control.close(SHOP, number).await.unwrap();
    control.reopen(SHOP, number).await.unwrap();
    control.merge(SHOP, number).await.unwrap();
    control.settle(WAIT).await.unwrap();
    let actions: Vec<String> = receiver
        .events()
        .iter()
        .map(|event| event.strip_prefix("pull_request ").unwrap().to_owned())
        .collect();
    assert_eq!(
        actions,
        [
            "opened",
            "labeled",
            "unlabeled",
            "converted_to_draft",
            "ready_for_review",
            "synchronize",
            "edited",
            "closed",
            "reopened",
            "closed"
        ]
    );
    let bodies: Vec<Value> = receiver.arrived().iter().map(Arrived::json).collect();
    assert_eq!(bodies[0]["pull_request"]["mergeable"], Value::Null);
    assert_eq!(bodies[1]["label"]["name"], "preview");
    assert_eq!((&bodies[5]["before"], &bodies[5]["after"]), (&json!(before), &json!(after)));
    assert_eq!(bodies[5]["pull_request"]["head"]["sha"], after);
    assert_eq!(bodies[6]["changes"]["title"]["from"], "feature");
    assert_eq!(bodies[7]["pull_request"]["merged"], false);
    assert_eq!(bodies[9]["pull_request"]["merged"], true);
    assert!(bodies.iter().all(|body| body.get("installation").is_none()), "no App, no installation");
}

#[tokio::test]
async fn deployments_and_their_statuses_are_told_but_inactive_is_not() {
    let (world, receiver, _) = hooked(&["deployment", "deployment_status"]).await;
    let mut urls = Vec::new();
    for _ in 0..2 {
        let body = json!({"ref": "main", "environment": "staging", "payload": {"image": "shop:1"}});
        let made = world.api.post("/repos/acme/shop/deployments", &body).await.expect(201).body;
        urls.push(format!("{}/statuses", made["url"].as_str().unwrap()));
        world.api.post(urls.last().unwrap(), &json!({"state": "success"})).await.expect(201);
    }
    world.api.post(&urls[1], &json!({"state": "inactive"})).await.expect(201);
    world.control.settle(WAIT).await.unwrap();
    let told = ["deployment created", "deployment_status created"];
    assert_eq!(receiver.events(), [told, told].concat());
    let first = receiver.arrived()[0].json();
    assert_eq!(first["deployment"]["payload"], json!({"image": "shop:1"}));
    assert_eq!(first["sender"]["login"], "acme");
    let states = world.control.deployments(SHOP).await.unwrap();
    assert_eq!(states[0].state.as_deref(), Some("inactive"), "made inactive, in silence");
    assert!(states[0].statuses.last().unwrap().automatic);
}

#[tokio::test]
async fn comments_checks_and_statuses_are_told() {
    let (world, receiver, _) = hooked(&["*"]).await;
    world.control.push(SHOP, "feature").await.unwrap();
    let number = world.control.open_pull_request(SHOP, "feature").await.unwrap().number;
    world.control.comment(SHOP, number, "mona", "/preview").await.unwrap();
    world.control.set_commit_status(SHOP, "feature", "ci", "success").await.unwrap();
    world.control.conclude_check(SHOP, "feature", "build", "success").await.unwrap();
    world.control.settle(WAIT).await.unwrap();
    let events = [
        "push",
        "pull_request opened",
        "issue_comment created",
        "status",
        "check_run created",
        "check_run completed",
    ];
    assert_eq!(receiver.events(), events);
    let comment = receiver.arrived()[2].json();
    assert_eq!(comment["comment"]["body"], "/preview");
    assert_eq!(comment["comment"]["author_association"], "NONE");
    assert!(comment["issue"]["pull_request"].is_object());
    let check = receiver.arrived()[5].json();
    assert_eq!(check["check_run"]["pull_requests"][0]["number"], number);
}

#[tokio::test]
async fn one_hook_is_waited_for_whatever_others_have_on_their_way() {
    let (world, receiver, hook) = hooked(&["push"]).await;
    let (control, short) = (&world.control, Duration::from_millis(10));
    let new = NewHook { url: format!("{}/2", receiver.url), ..NewHook::default() };
    let late = control.create_hook(SHOP, new).await.unwrap();
    control.settle(WAIT).await.unwrap();
    control.set_delivery_mode(late, DeliveryMode { delay_ms: 600_000, ..Default::default() }).await.unwrap();
    receiver.forget();
    control.push(SHOP, "feature").await.unwrap();
    control.settle_hook(hook, WAIT).await.unwrap();
    assert_eq!(receiver.events(), ["push"]);
    assert!(control.settle_hook(late, short).await.is_err() && control.settle(short).await.is_err());
    assert!(control.settle_hook(0, WAIT).await.unwrap_err().to_string().contains("no hook has the id 0"));
}

#[tokio::test]
async fn an_apps_hook_gets_events_of_its_installations() {
    let receiver = Receiver::start().await;
    let one = with_app(&[("deployments", "write")]).await;
    let hook = NewHook { url: receiver.url.clone(), secret: Some(SECRET.to_owned()), ..NewHook::default() };
    let new = github_stand_in::control::types::NewApp {
        slug: "hooked".to_owned(),
        owner: "acme".to_owned(),
        events: vec!["pull_request".to_owned(), "deployment".to_owned()],
        webhook: Some(hook),
        ..Default::default()
    };
    let app = one.world.control.create_app(new).await.unwrap();
    one.world.control.settle(WAIT).await.unwrap();
    assert_eq!(receiver.events(), ["ping"]);
    let new =
        github_stand_in::control::types::NewInstallation { account: "acme".to_owned(), repositories: None };
    let installation = one.world.control.install_app(app.id, new).await.unwrap();
    one.world.control.push(SHOP, "feature").await.unwrap();
    one.world.control.open_pull_request(SHOP, "feature").await.unwrap();
    one.world.control.settle(WAIT).await.unwrap();
    assert_eq!(receiver.events(), ["ping", "installation created", "pull_request opened"]);
    let last = &receiver.arrived()[2];
    assert_eq!(last.json()["installation"]["id"], installation);
    assert_eq!(last.header("x-github-hook-installation-target-type"), "integration");
    assert_eq!(last.header("x-github-hook-installation-target-id"), app.id.to_string());
}

/// Pushes to each of the branches, which sends one delivery each.
async fn push_all(world: &World, branches: &[&str]) {
    for branch in branches {
        world.control.push(SHOP, branch).await.unwrap();
    }
}

fn branches(receiver: &Receiver) -> Vec<String> {
    receiver
        .arrived()
        .iter()
        .map(|one| one.json()["ref"].as_str().unwrap().strip_prefix("refs/heads/").unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn deliveries_can_be_lost_and_redelivered_with_the_same_id() {
    let (world, receiver, hook) = hooked(&["push"]).await;
    let lose = DeliveryMode { lose_next: 1, ..DeliveryMode::default() };
    world.control.set_delivery_mode(hook, lose).await.unwrap();
    push_all(&world, &["one", "two"]).await;
    world.control.settle(WAIT).await.unwrap();
    assert_eq!(branches(&receiver), ["two"]);
    let log = world.control.deliveries(hook).await.unwrap();
    let first = &log[1];
    assert_eq!((first.status.as_str(), first.status_code, first.redelivery), ("lost", 0, false));
    let path = format!("/repos/acme/shop/hooks/{hook}/deliveries/{}/attempts", first.id);
    world.api.post(&path, &json!({})).await.expect(202);
    world.control.settle(WAIT).await.unwrap();
    assert_eq!(branches(&receiver), ["two", "one"]);
    assert_eq!(receiver.arrived()[1].header("x-github-delivery"), first.guid);
    let list = world.api.get(&format!("/repos/acme/shop/hooks/{hook}/deliveries")).await.expect(200).body;
    assert_eq!((&list[0]["guid"], &list[0]["redelivery"]), (&json!(first.guid), &json!(true)));
    assert_eq!(list[0]["status"], "OK");
    let full = world
        .api
        .get(&format!("/repos/acme/shop/hooks/{hook}/deliveries/{}", list[0]["id"]))
        .await
        .expect(200)
        .body;
    assert_eq!(full["request"]["payload"]["ref"], "refs/heads/one");
    assert_eq!(full["request"]["headers"]["X-GitHub-Event"], "push");
    let all = DeliveryMode { lose_all: true, ..DeliveryMode::default() };
    world.control.set_delivery_mode(hook, all).await.unwrap();
    push_all(&world, &["three", "four"]).await;
    world.control.settle(WAIT).await.unwrap();
    assert_eq!(branches(&receiver).len(), 2);
}

#[tokio::test]
async fn deliveries_can_come_twice_and_late() {
    let (world, receiver, hook) = hooked(&["push"]).await;
    let mode = DeliveryMode { double: true, delay_ms: 100, ..DeliveryMode::default() };
    world.control.set_delivery_mode(hook, mode).await.unwrap();
    let started = std::time::Instant::now();
    push_all(&world, &["one"]).await;
    world.control.settle(WAIT).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(100));
    assert_eq!(branches(&receiver), ["one", "one"]);
    let arrived = receiver.arrived();
    assert_eq!(arrived[0].header("x-github-delivery"), arrived[1].header("x-github-delivery"));
}

#[tokio::test]
async fn deliveries_are_in_order_unless_shuffled() {
    let (world, receiver, hook) = hooked(&["push"]).await;
    let names: Vec<String> = (0..12).map(|number| format!("b{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    push_all(&world, &names).await;
    world.control.settle(WAIT).await.unwrap();
    assert_eq!(branches(&receiver), names);
    receiver.forget();

    let shuffle = |order, hold| DeliveryMode {
        shuffle: Some(Shuffle { hold, order, seed: 7 }),
        ..DeliveryMode::default()
    };
    world.control.set_delivery_mode(hook, shuffle(ShuffleOrder::Reversed, 3)).await.unwrap();
    push_all(&world, &["one", "two"]).await;
    world.control.settle(WAIT).await.unwrap();
    assert_eq!(branches(&receiver), Vec::<String>::new(), "held until there are three");
    push_all(&world, &["three", "four"]).await;
    world.control.settle(WAIT).await.unwrap();
    assert_eq!(branches(&receiver)[..3], ["three", "two", "one"]);
    world.control.flush_deliveries(hook).await.unwrap();
    world.control.settle(WAIT).await.unwrap();
    assert_eq!(branches(&receiver), ["three", "two", "one", "four"]);
    receiver.forget();

    world.control.set_delivery_mode(hook, shuffle(ShuffleOrder::Random, 12)).await.unwrap();
    for _ in 0..2 {
        push_all(&world, &names).await;
        world.control.settle(WAIT).await.unwrap();
    }
    let arrived = branches(&receiver);
    let (first, second) = arrived.split_at(12);
    assert_ne!(first, names);
    assert_eq!(first, second, "the same seed gives the same order");
    let mut sorted = first.to_vec();
    sorted.sort();
    assert_eq!(sorted, names);
}

#[tokio::test]
async fn failed_deliveries_are_logged_and_never_sent_again() {
    let (world, receiver, hook) = hooked(&["push"]).await;
    receiver.answer_with(500, Duration::ZERO);
    push_all(&world, &["one"]).await;
    world.control.settle(WAIT).await.unwrap();
    receiver.answer_with(200, Duration::from_secs(11));
    push_all(&world, &["two"]).await;
    world.control.settle(WAIT).await.unwrap();
    assert_eq!(branches(&receiver), ["one", "two"]);
    let log = world.control.deliveries(hook).await.unwrap();
    let ends: Vec<(&str, u16)> = log[1..].iter().map(|one| (one.status.as_str(), one.status_code)).collect();
    assert_eq!(ends, [("Invalid HTTP Response: Internal Server Error", 500), ("timed out", 0)]);
    let new = NewHook { url: "http://127.0.0.1:9/nobody".to_owned(), ..NewHook::default() };
    let dead = world.control.create_hook(SHOP, new).await.unwrap();
    world.control.settle(WAIT).await.unwrap();
    assert_eq!(world.control.deliveries(dead).await.unwrap()[0].status, "failed to connect to host");
}

#[tokio::test]
async fn hooks_are_managed_by_the_api() {
    let world = start().await;
    let receiver = Receiver::start().await;
    let config = json!({"url": receiver.url, "secret": SECRET, "content_type": "json"});
    let body = json!({"config": config, "events": ["push"]});
    let made = world.api.post("/repos/acme/shop/hooks", &body).await.expect(201).body;
    assert_eq!(made["config"]["secret"], "********");
    let path = format!("/repos/acme/shop/hooks/{}", made["id"]);
    world.api.post(&format!("{path}/pings"), &json!({})).await.expect(204);
    world.control.settle(WAIT).await.unwrap();
    assert_eq!(receiver.events(), ["ping", "ping"]);
    world.api.post("/repos/acme/shop/hooks", &body).await.refused(422, "Validation Failed");
    world.api.post("/repos/acme/shop/hooks", &json!({"config": {}})).await.invalid(
        "Hook",
        "url",
        "missing_field",
    );
    let changed = world.api.patch(&path, &json!({"active": false})).await.expect(200).body;
    assert_eq!(changed["active"], false);
    receiver.forget();
    push_all(&world, &["one"]).await;
    world.control.settle(WAIT).await.unwrap();
    assert_eq!(receiver.events(), Vec::<String>::new());
    world.api.delete(&path).await.expect(204);
    world.api.get(&path).await.refused(404, "Not Found");
}

#[tokio::test]
async fn deliveries_are_paged_by_a_cursor() {
    let (world, _, hook) = hooked(&["push"]).await;
    push_all(&world, &["one", "two", "three", "four"]).await;
    world.control.settle(WAIT).await.unwrap();
    let mut next = Some(format!("/repos/acme/shop/hooks/{hook}/deliveries?per_page=2"));
    let mut events = Vec::new();
    while let Some(url) = next {
        let page = world.api.get(&url).await.expect(200);
        events.extend(page.body.as_array().unwrap().iter().map(|one| one["event"].clone()));
        next = crate::statuses::link(page.header("link"), "next");
    }
    assert_eq!(json!(events), json!(["push", "push", "push", "push", "ping"]));
}
