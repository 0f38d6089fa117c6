//! Authentication, and rights to pull.

use std::time::Duration;

use registry_stand_in::control::types::{Authentication, NewImage, NewUser, Visibility};
use registry_stand_in::{Settings, StandIn};
use reqwest::Method;

use crate::{OCI, Said, World, send};

const PR_7: &str = "/v2/acme/shop/manifests/pr-7";
const SHOP: &str = "/token?service=registry.test&scope=repository:acme/shop:pull";

async fn token(world: &World, path: &str, user: Option<(&str, &str)>) -> Said {
    let request = world.request(Method::GET, path);
    send(match user {
        Some((name, password)) => request.basic_auth(name, Some(password)),
        None => request,
    })
    .await
}

async fn pull(world: &World, token: &Said) -> Said {
    let token = token.json()["token"].as_str().unwrap().to_owned();
    send(world.request(Method::GET, PR_7).header("accept", OCI).bearer_auth(token)).await
}

/// Creates a world in which mona has access to `acme/shop` and lisa has not.
async fn private(authentication: Authentication) -> World {
    let world = World::start(authentication).await;
    world.control.set_visibility("acme/shop", Visibility::Private).await.unwrap();
    world.control.put_user("mona", "right").await.unwrap();
    let user = NewUser { password: "right".into(), repositories: Some(vec!["acme/other".into()]) };
    world.control.put_user_with("lisa", &user).await.unwrap();
    world
}

#[tokio::test]
async fn without_a_token_the_way_to_one_is_told() {
    let world = World::start(Authentication::Bearer).await;
    let said = world.get(PR_7).await;
    said.refused(401, "UNAUTHORIZED");
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"registry.test\"", world.stand_in.host());
    assert_eq!(said.header("www-authenticate"), format!("{realm},scope=\"repository:acme/shop:pull\""));
    assert_eq!(world.get("/v2/").await.header("www-authenticate"), realm);
    let head = world.head(PR_7).await;
    assert_eq!((head.status, head.text.as_str()), (401, ""));
    assert_eq!(head.header("www-authenticate"), said.header("www-authenticate"));
}

#[tokio::test]
async fn anybody_gets_a_token_for_what_is_public() {
    let world = World::start(Authentication::Bearer).await;
    let token = token(&world, SHOP, None).await;
    assert_eq!(token.json()["expires_in"], 60);
    assert_eq!(token.json()["token"], token.json()["access_token"]);
    assert_eq!(pull(&world, &token).await.status, 200);
}

#[tokio::test]
async fn a_token_is_good_for_what_it_was_asked_for() {
    let world = World::start(Authentication::Bearer).await;
    world.control.put_image(NewImage::new("acme/other", "v1")).await.unwrap();
    for scope in ["", "&scope=repository:acme/other:pull", "&scope=repository:acme/shop:push"] {
        let token = token(&world, &format!("/token?service=registry.test{scope}"), None).await;
        let said = pull(&world, &token).await;
        said.refused(401, "UNAUTHORIZED");
        assert!(said.header("www-authenticate").ends_with(",error=\"insufficient_scope\""));
    }
    let both =
        "/token?service=registry.test&scope=repository:acme/other:pull&scope=repository:acme/shop:pull";
    assert_eq!(pull(&world, &token(&world, both, None).await).await.status, 200);
}

#[tokio::test]
async fn what_is_private_is_only_for_who_may() {
    let world = private(Authentication::Bearer).await;
    for (user, status) in [(None, 401), (Some(("lisa", "right")), 401), (Some(("mona", "right")), 200)] {
        assert_eq!(pull(&world, &token(&world, SHOP, user).await).await.status, status, "{user:?}");
    }
    for user in [("mona", "wrong"), ("nobody", "right")] {
        token(&world, SHOP, Some(user)).await.refused(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn token_requests_without_form_are_refused() {
    let world = World::start(Authentication::Bearer).await;
    for path in [
        "/token",
        "/token?service=other",
        "/token?service=registry.test&scope=acme",
        "/token?service=registry.test&scope=a:b",
    ] {
        token(&world, path, None).await.refused(400, "UNSUPPORTED");
    }
}

#[tokio::test]
async fn tokens_expire() {
    let settings = Settings { token_lifetime: Duration::ZERO, ..Settings::default() };
    let stand_in = StandIn::start(settings).await.unwrap();
    let mut world = World::start(Authentication::Bearer).await;
    let good = token(&world, SHOP, None).await;
    world.control.expire_tokens().await.unwrap();
    let said = pull(&world, &good).await;
    assert!(said.header("www-authenticate").ends_with(",error=\"invalid_token\""));
    world.stand_in = stand_in;
    let expired = token(&world, SHOP, None).await;
    pull(&world, &expired).await.refused(401, "UNAUTHORIZED");
    let made_up = world.request(Method::GET, PR_7).bearer_auth("made-up");
    send(made_up).await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn with_basic_every_request_has_a_password() {
    let world = private(Authentication::Basic).await;
    let ask = |user: &str, password: &str| {
        send(world.request(Method::GET, PR_7).header("accept", OCI).basic_auth(user, Some(password)))
    };
    assert_eq!(world.get(PR_7).await.header("www-authenticate"), "Basic realm=\"registry.test\"");
    assert_eq!(ask("mona", "right").await.status, 200);
    ask("mona", "wrong").await.refused(401, "UNAUTHORIZED");
    ask("lisa", "right").await.refused(403, "DENIED");
    let token = token(&world, SHOP, Some(("mona", "right"))).await;
    pull(&world, &token).await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn what_is_not_there_is_told_only_to_who_may_know() {
    let world = private(Authentication::Bearer).await;
    let path = "/token?service=registry.test&scope=repository:acme/gone:pull";
    for (user, status) in [(None, 401), (Some(("mona", "right")), 404)] {
        let token = token(&world, path, user).await.json()["token"].as_str().unwrap().to_owned();
        let said = send(world.request(Method::GET, "/v2/acme/gone/manifests/x").bearer_auth(token)).await;
        assert_eq!(said.status, status, "{user:?}");
    }
}
