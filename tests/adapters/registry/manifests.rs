//! Whether an image exists, and answers that don't say it.

use std::time::Duration;

use matinee::adapters::registry::RegistrySettings;
use registry_stand_in::Settings;
use registry_stand_in::control::types::{Authentication, FaultEffect, Kind, NewFault, NewImage};

use crate::support::{PR_7, World, ask, invalid, not_answered, settings};

#[tokio::test]
async fn images_of_every_type_are_found_by_tag_and_digest() {
    let world = World::start(Authentication::Open).await;
    for kind in [Kind::OciManifest, Kind::OciIndex, Kind::DockerManifest, Kind::DockerList] {
        let new = NewImage { kind, ..NewImage::new("a/manifests/b", "latest") };
        let digest = world.control.put_image(new).await.unwrap().digest;
        for image in [
            "a/manifests/b".to_owned(),
            format!("a/manifests/b@{digest}"),
            format!("a/manifests/b:gone@{digest}"),
        ] {
            assert_eq!(world.ask(&image, None).await, Ok(true), "{kind:?} {image}");
        }
    }
    let requests = world.control.requests().await.unwrap();
    assert!(requests.iter().all(|request| request.method == "HEAD"), "{requests:?}");
    assert!(requests[0].user_agent.starts_with("matinee/"), "{requests:?}");
}

#[tokio::test]
async fn missing_manifest_is_found_after_the_push() {
    let world = World::start(Authentication::Open).await;
    let digest = format!("acme/shop@sha256:{}", "0".repeat(64));
    for image in ["acme/shop:pr-8", "acme/other:pr-7", &digest] {
        assert_eq!(world.ask(image, None).await, Ok(false), "{image}");
    }
    world.control.put_image(NewImage::new("acme/shop", "pr-8")).await.unwrap();
    assert_eq!(world.ask("acme/shop:pr-8", None).await, Ok(true));
    world.control.remove_image("acme/shop", "pr-8").await.unwrap();
    assert_eq!(world.ask("acme/shop:pr-8", None).await, Ok(false));
}

#[tokio::test]
async fn where_head_is_not_allowed_get_is_asked() {
    for status in [405, 501] {
        let world = World::start(Authentication::Bearer).await;
        let effect = FaultEffect::Answer { status, headers: [].into(), body: String::new() };
        let fault = NewFault { method: Some("HEAD".into()), path: "/v2/".into(), times: 99, effect };
        world.control.add_fault(fault).await.unwrap();
        assert_eq!(world.pr_7(None).await, Ok(true));
        assert_eq!(world.ask("acme/shop:pr-8", None).await, Ok(false));
        let head = format!("HEAD {PR_7} none {status}");
        assert_eq!(
            world.requests().await[..3],
            [&*head, &format!("GET {PR_7} none 401"), "GET /token none 200"]
        );
    }
}

#[tokio::test]
async fn no_answer_is_told_as_such() {
    let world = World::start(Authentication::Bearer).await;
    let close = NewFault { method: None, path: "/v2/".into(), times: 9, effect: FaultEffect::Close };
    world.control.add_fault(close).await.unwrap();
    let error = world.pr_7(None).await;
    assert!(not_answered(&error).starts_with(&format!("{}/acme/shop: ", world.stand_in.host())), "{error:?}");
    world.control.clear_faults().await.unwrap();

    for path in ["/v2/", "/token"] {
        for status in [500, 503, 408] {
            let effect = FaultEffect::Answer { status, headers: [].into(), body: String::new() };
            world.control.break_next(path, effect).await.unwrap();
            let error = world.pr_7(None).await;
            assert!(not_answered(&error).contains(&status.to_string()), "{error:?}");
        }
    }
    world.control.break_next("/token", FaultEffect::Close).await.unwrap();
    not_answered(&world.pr_7(None).await);
    assert_eq!(world.pr_7(None).await, Ok(true), "nothing of it is remembered");

    let host = world.stand_in.host();
    drop(world.stand_in);
    not_answered(&ask(&world.client, &format!("{host}/acme/shop"), None, true).await);
}

#[tokio::test]
async fn a_late_answer_is_not_waited_for() {
    let hasty = RegistrySettings { timeout: Duration::from_millis(200), ..settings() };
    let world = World::start_with(Settings::default(), hasty).await;
    for path in ["/v2/", "/token"] {
        world.control.break_next(path, FaultEffect::Delay { ms: 60_000 }).await.unwrap();
        let error = world.pr_7(None).await;
        assert!(not_answered(&error).ends_with("no answer within 0.2 s"), "{error:?}");
    }
}

#[tokio::test]
async fn registry_uses_tls_unless_insecure() {
    let world = World::start(Authentication::Open).await;
    let image = format!("{}/acme/shop:pr-7", world.stand_in.host());
    not_answered(&ask(&world.client, &image, None, false).await);
    assert_eq!(world.requests().await, [""; 0]);
}

#[tokio::test]
async fn redirects_are_followed_within_the_registry() {
    let world = World::start(Authentication::Open).await;
    let there = format!("http://{}{PR_7}", world.stand_in.host());
    for (status, location) in [(301, PR_7), (302, "pr-7"), (307, &*there), (308, PR_7)] {
        world.answer_next(status, &[("location", location)]).await;
        assert_eq!(world.ask("acme/shop:moved", None).await, Ok(true), "{location}");
    }
    let effect = FaultEffect::Answer {
        status: 307,
        headers: [("location".to_owned(), PR_7.to_owned())].into(),
        body: String::new(),
    };
    let fault = NewFault { method: None, path: "/v2/".into(), times: 99, effect };
    world.control.add_fault(fault).await.unwrap();
    let error = world.pr_7(None).await;
    assert!(invalid(&error).ends_with("it redirects too often"), "{error:?}");
}

#[tokio::test]
async fn web_page_is_reported_as_not_a_registry() {
    let world = World::start(Authentication::Open).await;
    for (status, headers, why) in [
        (200, &[("content-type", "text/html; charset=utf-8")][..], "it is not a registry"),
        (400, &[], "400"),
        (204, &[], "204"),
        (307, &[], "doesn't say where"),
    ] {
        world.answer_next(status, headers).await;
        let error = world.pr_7(None).await;
        assert!(invalid(&error).contains(why), "{error:?}");
    }
}
