//! An App's webhook as the App itself sees it: <https://docs.github.com/rest/apps/webhooks>

use std::time::Duration;

use github_stand_in::control::types::{AppMade, NewApp, NewHook, NewInstallation};
use serde_json::{Value, json};

use crate::apps::{jwt, now};
use crate::receiver::Receiver;
use crate::support::{Api, SHOP, World, permissions, start};

const WAIT: Duration = Duration::from_secs(5);

/// Starts a stand-in with an App that is installed on `acme` and whose webhook gets pushes.
async fn hooked(url: &str) -> (World, AppMade) {
    let world = start().await;
    let secret = Some("s3cret".to_owned());
    let new = NewApp {
        slug: "hooked".to_owned(),
        owner: "acme".to_owned(),
        permissions: permissions(&[("contents", "read")]),
        events: vec!["push".to_owned()],
        webhook: Some(NewHook { url: url.to_owned(), secret, ..NewHook::default() }),
    };
    let app = world.control.create_app(new).await.unwrap();
    let new = NewInstallation { account: "acme".to_owned(), repositories: None };
    world.control.install_app(app.id, new).await.unwrap();
    world.control.settle(WAIT).await.unwrap();
    (world, app)
}

fn as_app(world: &World, app: &AppMade) -> Api {
    let claims = json!({"iat": now() - 60, "exp": now() + 540, "iss": app.id});
    world.with_token(&jwt(&app.private_key, &claims))
}

fn guids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["guid"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn only_the_app_itself_sees_its_webhook_and_never_the_secret() {
    let receiver = Receiver::start().await;
    let (world, app) = hooked(&receiver.url).await;
    let config = as_app(&world, &app).get("/app/hook/config").await.expect(200).body;
    let expected =
        json!({"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": receiver.url});
    assert_eq!(config, expected);
    for path in ["/app/hook/config", "/app/hook/deliveries", "/app/hook/deliveries/1"] {
        world.api.get(path).await.refused(401, "A JSON web token could not be decoded");
        let anonymous = world.anonymous().get(path).await;
        assert_eq!(anonymous.status, 401, "{}", anonymous.text);
    }
    let again = world.api.post("/app/hook/deliveries/1/attempts", &json!({})).await;
    again.refused(401, "A JSON web token could not be decoded");
}

#[tokio::test]
async fn an_app_without_a_webhook_has_nothing_to_show() {
    let one = crate::apps::with_app(&[]).await;
    let api = one.world.with_token(&one.jwt());
    for path in ["/app/hook/config", "/app/hook/deliveries"] {
        api.get(path).await.refused(404, "Not Found");
    }
}

#[tokio::test]
async fn deliveries_are_newest_first_and_paged_by_a_cursor() {
    let receiver = Receiver::start().await;
    let (world, app) = hooked(&receiver.url).await;
    for branch in ["one", "two", "three"] {
        world.control.push(SHOP, branch).await.unwrap();
    }
    world.control.settle(WAIT).await.unwrap();
    let api = as_app(&world, &app);
    let all = api.get("/app/hook/deliveries").await.expect(200);
    assert_eq!(all.header("link"), "");
    let events: Vec<&str> =
        all.body.as_array().unwrap().iter().map(|one| one["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["push", "push", "push", "installation", "ping"]);
    assert_eq!(all.body[0]["status_code"], 202, "{}", all.body[0]);
    assert!(all.body[0]["installation_id"].is_u64() && all.body[0]["repository_id"].is_u64());
    assert_eq!(all.body[0].get("request"), None, "a listing has no payloads");

    let mut next = Some("/app/hook/deliveries?per_page=2".to_owned());
    let mut found = Vec::new();
    let mut pages = 0;
    while let Some(url) = next {
        let page = api.get(&url).await.expect(200);
        found.extend(guids(&page.body).iter().map(|guid| (*guid).to_owned()));
        next = crate::statuses::link(page.header("link"), "next");
        pages += 1;
    }
    assert_eq!((pages, found.iter().map(String::as_str).collect::<Vec<_>>()), (3, guids(&all.body)));
    api.get("/app/hook/deliveries?cursor=2").await.refused(400, "Bad Request");
}

#[tokio::test]
async fn one_delivery_shows_what_was_sent_and_can_be_sent_again() {
    let receiver = Receiver::start().await;
    let (world, app) = hooked(&receiver.url).await;
    let api = as_app(&world, &app);
    let list = api.get("/app/hook/deliveries").await.expect(200).body;
    let path = format!("/app/hook/deliveries/{}", list[1]["id"]);
    let ping = api.get(&path).await.expect(200).body;
    assert_eq!((&ping["event"], &ping["url"]), (&json!("ping"), &json!(receiver.url)));
    assert_eq!(ping["request"]["payload"]["hook"]["config"]["secret"], "********");
    assert!(ping["request"]["headers"].is_object() && ping["response"].is_object());
    api.post(&format!("{path}/attempts"), &json!({})).await.expect(202);
    world.control.settle(WAIT).await.unwrap();
    let list = api.get("/app/hook/deliveries").await.expect(200).body;
    assert_eq!((&list[0]["guid"], &list[0]["redelivery"]), (&ping["guid"], &json!(true)));
    api.get("/app/hook/deliveries/999999").await.refused(404, "Not Found");
}

#[tokio::test]
async fn deliveries_are_listed_by_their_outcome() {
    // Nothing listens on that port.
    let (world, app) = hooked("http://127.0.0.1:1/webhooks/github").await;
    let api = as_app(&world, &app);
    let all = api.get("/app/hook/deliveries").await.expect(200).body;
    assert_eq!((&all[0]["status_code"], &all[0]["status"]), (&json!(0), &json!("failed to connect to host")));
    // A delivery without an answer counts as neither.
    for outcome in ["success", "failure"] {
        let found = api.get(&format!("/app/hook/deliveries?status={outcome}")).await.expect(200).body;
        assert_eq!(found, json!([]), "{outcome}");
    }
    api.get("/app/hook/deliveries?status=lost").await.invalid("Hook", "status", "invalid");

    let receiver = Receiver::start().await;
    let (world, app) = hooked(&receiver.url).await;
    let api = as_app(&world, &app);
    let found = api.get("/app/hook/deliveries?status=success&per_page=1").await.expect(200);
    assert_eq!(found.body[0]["event"], "installation");
    let next = crate::statuses::link(found.header("link"), "next").unwrap();
    assert_eq!(api.get(&next).await.expect(200).body[0]["event"], "ping");
    let failed = api.get("/app/hook/deliveries?status=failure").await.expect(200).body;
    assert_eq!(failed, json!([]));
}
