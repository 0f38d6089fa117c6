//! Tokens and passwords.

use std::time::Duration;

use matinee::core::image::credentials_for;
use registry_stand_in::Settings;
use registry_stand_in::control::types::{Authentication, FaultEffect, NewImage, NewUser};

use crate::support::{PASSWORD, PR_7, World, credentials, mona, refused, settings};

#[tokio::test]
async fn what_is_public_is_seen_with_a_token_for_anybody() {
    let world = World::start(Authentication::Bearer).await;
    assert_eq!(world.pr_7(None).await, Ok(true));
    let (none, token, with) =
        (format!("HEAD {PR_7} none 401"), "GET /token none 200", format!("HEAD {PR_7} bearer 200"));
    assert_eq!(world.requests().await, [&*none, token, &with]);
    // From then on the adapter knows the kind of authentication, and the token is valid for a
    // while.
    assert_eq!(world.pr_7(None).await, Ok(true));
    assert_eq!(world.ask("acme/shop:pr-8", None).await, Ok(false));
    assert_eq!(world.requests().await, [&*with, "HEAD /v2/acme/shop/manifests/pr-8 bearer 404"]);
}

#[tokio::test]
async fn only_pulling_this_repository_is_asked_for() {
    let world = World::start(Authentication::Bearer).await;
    let challenge = format!(
        "Bearer realm=\"http://{}/token\",service=\"registry.test\",scope=\"repository:acme/shop:pull,push,delete repository:acme/other:pull\"",
        world.stand_in.host()
    );
    world.answer_next(401, &[("www-authenticate", &challenge)]).await;
    assert_eq!(world.pr_7(None).await, Ok(true));
    let requests = world.control.requests().await.unwrap();
    assert_eq!(requests[1].path, "/token?service=registry.test&scope=repository%3Aacme%2Fshop%3Apull");
}

#[tokio::test]
async fn what_is_private_needs_the_right_credentials() {
    for authentication in [Authentication::Bearer, Authentication::Basic] {
        let world = World::start(authentication).await;
        world.make_private().await;
        let user = NewUser { password: PASSWORD.into(), repositories: Some(vec![]) };
        world.control.put_user_with("lisa", &user).await.unwrap();
        let error = world.pr_7(None).await;
        assert!(refused(&error).contains("add those of 127.0.0.1"), "{error:?}");
        for wrong in
            [credentials("mona", "wrong"), credentials("nobody", PASSWORD), credentials("lisa", PASSWORD)]
        {
            let error = world.pr_7(Some(&wrong)).await;
            assert!(refused(&error).contains("refuses the credentials"), "{error:?}");
        }
        assert_eq!(world.pr_7(Some(&mona())).await, Ok(true));
        assert_eq!(world.ask("acme/shop:pr-8", Some(&mona())).await, Ok(false));
        // A caller without mona's credentials must not see with her token what she may see.
        refused(&world.pr_7(None).await);
        refused(&world.pr_7(Some(&credentials("mona", "wrong"))).await);
        // A changed password takes effect at once.
        assert_eq!(world.pr_7(Some(&mona())).await, Ok(true));
        world.control.put_user("mona", "another").await.unwrap();
        world.control.expire_tokens().await.unwrap();
        refused(&world.pr_7(Some(&mona())).await);
        assert_eq!(world.pr_7(Some(&credentials("mona", "another"))).await, Ok(true));
    }
}

#[tokio::test]
async fn credentials_are_sent_only_when_asked_for_and_to_who_takes_them() {
    let world = World::start(Authentication::Bearer).await;
    assert_eq!(world.pr_7(Some(&mona())).await, Ok(true));
    let expected =
        [&*format!("HEAD {PR_7} none 401"), "GET /token basic 200", &format!("HEAD {PR_7} bearer 200")];
    assert_eq!(world.requests().await, expected);
    world.control.set_authentication(Authentication::Open).await.unwrap();
    assert_eq!(world.ask("acme/other:pr-8", Some(&mona())).await, Ok(false));
    assert_eq!(world.requests().await, ["HEAD /v2/acme/other/manifests/pr-8 none 404"]);
}

#[tokio::test]
async fn credentials_come_from_a_secret() {
    let world = World::start(Authentication::Bearer).await;
    world.make_private().await;
    let config = serde_json::json!({"auths": {
        "ghcr.io": {"username": "x", "password": "y"},
        (world.stand_in.host()): {"username": "mona", "password": PASSWORD},
    }});
    let data = [(".dockerconfigjson".to_owned(), config.to_string().into_bytes())].into();
    let image = format!("{}/acme/shop:pr-7", world.stand_in.host()).parse().unwrap();
    let found = credentials_for("pull", &data, &image).unwrap();
    assert_eq!(world.pr_7(found.as_ref()).await, Ok(true));
}

#[tokio::test]
async fn a_token_that_is_no_longer_good_is_replaced() {
    let world = World::start(Authentication::Bearer).await;
    assert_eq!(world.pr_7(None).await, Ok(true));
    world.control.expire_tokens().await.unwrap();
    world.requests().await;
    assert_eq!(world.pr_7(None).await, Ok(true));
    let (old, new) = (format!("HEAD {PR_7} bearer 401"), format!("HEAD {PR_7} bearer 200"));
    assert_eq!(world.requests().await, [&*old, "GET /token none 200", &new]);
    assert_eq!(world.pr_7(None).await, Ok(true));
    assert_eq!(world.requests().await, [new]);
}

#[tokio::test]
async fn a_token_is_not_used_to_its_last_moment() {
    let stand_in = Settings { token_lifetime: Duration::from_secs(1), ..Settings::default() };
    let world = World::start_with(stand_in, settings()).await;
    assert_eq!(world.pr_7(None).await, Ok(true));
    world.requests().await;
    // The token is in the last tenth of its life, in which it is still valid.
    tokio::time::sleep(Duration::from_millis(910)).await;
    assert_eq!(world.pr_7(None).await, Ok(true));
    assert_eq!(world.requests().await, ["GET /token none 200", &format!("HEAD {PR_7} bearer 200")]);
}

#[tokio::test]
async fn each_repository_has_a_token_of_its_own() {
    let world = World::start(Authentication::Bearer).await;
    world.control.put_image(NewImage::new("acme/other", "v1")).await.unwrap();
    assert_eq!(world.pr_7(None).await, Ok(true));
    assert_eq!(world.ask("acme/other:v1", None).await, Ok(true));
    assert_eq!(world.pr_7(None).await, Ok(true));
    let tokens = world.requests().await.iter().filter(|request| request.contains("/token")).count();
    assert_eq!(tokens, 2);
}

#[tokio::test]
async fn another_way_to_authenticate_is_found() {
    let world = World::start(Authentication::Basic).await;
    let (open, basic, bearer) = (Authentication::Open, Authentication::Basic, Authentication::Bearer);
    for authentication in [basic, open, bearer, open, basic, bearer, basic] {
        world.control.set_authentication(authentication).await.unwrap();
        assert_eq!(world.pr_7(Some(&mona())).await, Ok(true), "{authentication:?}");
    }
}

#[tokio::test]
async fn some_refuse_with_the_token_already() {
    let world = World::start(Authentication::Bearer).await;
    for status in [401, 403] {
        let body = "{\"errors\":[{\"code\":\"DENIED\"}]}".to_owned();
        let effect = FaultEffect::Answer { status, headers: [].into(), body };
        world.control.break_next("/token", effect).await.unwrap();
        refused(&world.pr_7(None).await);
    }
}
