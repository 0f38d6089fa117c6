//! Faults, the log of requests, and errors of the control API.

use std::time::{Duration, Instant};

use registry_stand_in::control::types::{Authentication, FaultEffect, NewFault, NewImage, Visibility};
use registry_stand_in::{Settings, StandIn};

use crate::{OCI, World};

const PR_7: &str = "/v2/acme/shop/manifests/pr-7";

#[tokio::test]
async fn faults_hit_as_often_as_told() {
    let world = World::start(Authentication::Open).await;
    let effect = FaultEffect::Answer {
        status: 503,
        headers: [("x-why".to_owned(), "fault".to_owned())].into(),
        body: "down".into(),
    };
    let fault = NewFault { method: Some("get".into()), path: "/v2/acme".into(), times: 2, effect };
    world.control.add_fault(fault.clone()).await.unwrap();
    assert_eq!(world.head(PR_7).await.status, 200);
    for _ in 0..2 {
        let said = world.get(PR_7).await;
        assert_eq!((said.status, said.header("x-why"), said.text.as_str()), (503, "fault", "down"));
    }
    assert_eq!(world.get(PR_7).await.status, 200);
    world.control.add_fault(fault).await.unwrap();
    world.control.clear_faults().await.unwrap();
    assert_eq!(world.get(PR_7).await.status, 200);
}

#[tokio::test]
async fn limits_say_how_long_when_told() {
    let world = World::start(Authentication::Open).await;
    for (retry_after, header) in [(Some(7), "7"), (None, "")] {
        world.control.break_next("/v2/", FaultEffect::RateLimit { retry_after }).await.unwrap();
        let said = world.get(PR_7).await;
        said.refused(429, "TOOMANYREQUESTS");
        assert_eq!(said.header("retry-after"), header);
    }
}

#[tokio::test]
async fn answers_can_be_late_or_never_come() {
    let world = World::start(Authentication::Open).await;
    world.control.break_next(PR_7, FaultEffect::Delay { ms: 200 }).await.unwrap();
    let start = Instant::now();
    assert_eq!(world.get(PR_7).await.status, 200);
    assert!(start.elapsed() >= Duration::from_millis(200));
    world.control.break_next(PR_7, FaultEffect::Close).await.unwrap();
    world.request(reqwest::Method::GET, PR_7).send().await.unwrap_err();
}

#[tokio::test]
async fn requests_are_noted_without_passwords() {
    let world = World::start(Authentication::Open).await;
    world.head(PR_7).await;
    let request = world.request(reqwest::Method::GET, "/token?service=x").basic_auth("mona", Some("s3cret"));
    request.header("user-agent", "me").send().await.unwrap();
    let all = world.control.requests().await.unwrap();
    assert_eq!(all.len(), 2, "{all:?}");
    let (first, second) = (&all[0], &all[1]);
    assert_eq!((&*first.method, &*first.path, first.status, &*first.accept), ("HEAD", PR_7, 200, OCI));
    assert_eq!((&*first.authorization, &first.username), ("none", &None));
    assert_eq!((&*second.path, second.status, &*second.user_agent), ("/token?service=x", 401, "me"));
    assert_eq!((&*second.authorization, second.username.as_deref()), ("basic", Some("mona")));
    assert!(!format!("{all:?}").contains("s3cret"));
    world.control.reset_requests().await.unwrap();
    assert!(world.control.requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_control_api_says_what_is_wrong() {
    let world = World::start(Authentication::Open).await;
    let control = &world.control;
    for (error, words) in [
        (control.put_image(NewImage::new("Acme", "x")).await.map(|_| ()).unwrap_err(), "`Acme` is no name"),
        (control.put_image(NewImage::new("acme", "-")).await.map(|_| ()).unwrap_err(), "`-` is no tag"),
        (control.remove_image("acme/shop", "pr-8").await.unwrap_err(), "no image acme/shop:pr-8"),
        (control.set_visibility("acme", Visibility::Public).await.unwrap_err(), "no repository acme"),
        (control.put_user("a:b", "x").await.unwrap_err(), "has a colon"),
        (control.remove_user("mona").await.unwrap_err(), "no user mona"),
    ]
    .map(|(error, words)| (error.to_string(), words))
    {
        assert!(error.contains(words), "{error}");
    }
    let settings = Settings { listen: world.stand_in.address(), ..Settings::default() };
    let taken = StandIn::start(settings).await.unwrap_err().to_string();
    assert!(taken.contains("cannot listen on 127.0.0.1:"), "{taken}");
}
