//! Personal tokens, required headers, limits, and conditional requests.

use github_stand_in::control::types::{Limits, NewRepository, NewToken, Role};
use reqwest::Method;
use serde_json::json;

use crate::support::{Api, SHOP, permissions, start, start_below};

#[tokio::test]
async fn bad_credentials_are_told_from_none() {
    let world = start().await;
    world.with_token("ghp_wrong").get("/repos/acme/shop").await.refused(401, "Bad credentials");
    let anonymous = world.anonymous();
    anonymous.get("/repos/acme/shop").await.expect(200);
    anonymous.get("/user").await.refused(401, "Requires authentication");
    let said = anonymous.post("/repos/acme/shop/deployments", &json!({"ref": "main"})).await;
    said.refused(401, "Requires authentication");
    let request = anonymous.request(Method::GET, "/user").header("authorization", "token");
    anonymous.send(request).await.refused(401, "Bad credentials");
}

#[tokio::test]
async fn tokens_come_as_bearer_token_or_basic() {
    let world = start().await;
    let token = world.control.create_classic_token("mona").await.unwrap();
    let api = world.anonymous();
    for request in [
        api.request(Method::GET, "/user").bearer_auth(&token),
        api.request(Method::GET, "/user").header("authorization", format!("token {token}")),
        api.request(Method::GET, "/user").basic_auth("x-access-token", Some(&token)),
        api.request(Method::GET, "/user").basic_auth(&token, Some("x-oauth-basic")),
    ] {
        assert_eq!(api.send(request).await.expect(200).body["login"], "mona");
    }
    let said = world.with_token(&token).get("/user").await;
    assert_eq!(said.header("x-oauth-scopes"), "repo");
}

#[tokio::test]
async fn a_personal_token_expires() {
    let world = start().await;
    let new = NewToken { user: "mona".to_owned(), lifetime_seconds: Some(1), ..NewToken::default() };
    let api = world.with_token(&world.control.create_token(new).await.unwrap());
    let first = api.get("/user").await;
    let mut last = first.status;
    for _ in 0..100 {
        if last != 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        last = api.get("/user").await.status;
    }
    assert_eq!(last, 401);
}

#[tokio::test]
async fn a_users_token_may_what_its_user_may() {
    let world = start().await;
    let token = world.control.create_classic_token("mona").await.unwrap();
    let mona = world.with_token(&token);
    let deploy = json!({"ref": "main"});
    mona.post("/repos/acme/shop/deployments", &deploy).await.refused(404, "Not Found");
    world.control.set_role(SHOP, "mona", Role::Read).await.unwrap();
    mona.post("/repos/acme/shop/deployments", &deploy).await.refused(404, "Not Found");
    world.control.set_role(SHOP, "mona", Role::Write).await.unwrap();
    mona.post("/repos/acme/shop/deployments", &deploy).await.expect(201);
    let said = mona.delete("/repos/acme/shop/environments/production").await;
    said.refused(403, "Must have admin rights to Repository.");
}

#[tokio::test]
async fn a_fine_grained_token_may_no_more_than_it_says() {
    let world = start().await;
    for name in ["acme/one", "acme/two"] {
        let new = NewRepository { full_name: name.to_owned(), private: true, ..NewRepository::default() };
        world.control.create_repository(new).await.unwrap();
    }
    let new = NewToken {
        user: "acme".to_owned(),
        permissions: Some(permissions(&[("deployments", "write")])),
        repositories: Some(vec!["acme/one".to_owned()]),
        lifetime_seconds: None,
    };
    let api = world.with_token(&world.control.create_token(new).await.unwrap());
    api.post("/repos/acme/one/deployments", &json!({"ref": "main"})).await.expect(201);
    let refused = "Resource not accessible by personal access token";
    api.get("/repos/acme/one/pulls").await.refused(403, refused);
    api.get("/repos/acme/two/deployments").await.refused(404, "Not Found");
    api.post("/repos/acme/shop/deployments", &json!({"ref": "main"})).await.refused(403, refused);
}

#[tokio::test]
async fn collaborators_permissions_are_told_in_four_words() {
    let world = start().await;
    for (role, permission, role_name) in [
        (Role::Read, "read", "read"),
        (Role::Triage, "read", "triage"),
        (Role::Write, "write", "write"),
        (Role::Maintain, "write", "maintain"),
        (Role::Admin, "admin", "admin"),
    ] {
        world.control.set_role(SHOP, "mona", role).await.unwrap();
        let said = world.api.get("/repos/acme/shop/collaborators/mona/permission").await.expect(200).body;
        assert_eq!((&said["permission"], &said["role_name"]), (&json!(permission), &json!(role_name)));
    }
    let mallory = world.control.create_classic_token("mallory").await.unwrap();
    // Everybody may read a public repository, so the permission `read` says nothing about trust.
    let path = "/repos/acme/shop/collaborators/mallory/permission";
    assert_eq!(world.api.get(path).await.expect(200).body["permission"], "read");
    let said = world.with_token(&mallory).get(path).await;
    said.refused(403, "Must have push access to view collaborator permission.");
    let said = world.api.get("/repos/acme/shop/collaborators/nobody/permission").await;
    said.refused(404, "nobody is not a user");
}

#[tokio::test]
async fn requests_need_a_user_agent() {
    let world = start().await;
    let bare = reqwest::Client::new();
    let said = bare.get(format!("{}/repos/acme/shop", world.stand_in.api_url())).send().await.unwrap();
    assert_eq!(said.status().as_u16(), 403);
    let text = said.text().await.unwrap();
    assert!(text.contains("Please make sure your request has a User-Agent header"), "{text}");
}

#[tokio::test]
async fn versions_out_of_service_are_refused() {
    let world = start().await;
    for version in ["2022-11-28", "2026-03-10"] {
        let request =
            world.api.request(Method::GET, "/repos/acme/shop").header("x-github-api-version", version);
        let said = world.api.send(request).await.expect(200);
        assert_eq!(said.header("x-github-api-version-selected"), version);
    }
    let request = world.api.request(Method::GET, "/repos/acme/shop").header("x-github-api-version", "v3");
    let said = world.api.send(request).await.expect(400);
    assert!(said.message().contains("\"v3\", is not a supported version"), "{}", said.text);
}

#[tokio::test]
async fn an_unchanged_answer_is_a_free_304() {
    let world = start().await;
    let first = world.api.get("/repos/acme/shop/pulls").await.expect(200);
    let etag = first.header("etag").to_owned();
    assert!(etag.starts_with("W/\""), "{etag}");
    let again = |etag: String| {
        let request = world.api.request(Method::GET, "/repos/acme/shop/pulls").header("if-none-match", etag);
        world.api.send(request)
    };
    let same = again(etag.clone()).await.expect(304);
    assert_eq!((same.text.as_str(), same.header("etag")), ("", etag.as_str()));
    assert_eq!(same.header("x-ratelimit-used"), first.header("x-ratelimit-used"), "a 304 is free");
    again(format!("\"other\", {etag}")).await.expect(304);
    world.control.push(SHOP, "feature").await.unwrap();
    world.control.open_pull_request(SHOP, "feature").await.unwrap();
    let changed = again(etag.clone()).await.expect(200);
    assert_ne!(changed.header("etag"), etag);
    let counted: Vec<bool> =
        world.control.requests().await.unwrap().iter().map(|request| request.counted).collect();
    assert_eq!(counted, [true, false, false, true]);
    // As on GitHub, another token has another ETag for the same answer.
    let token = world.control.create_classic_token("acme").await.unwrap();
    let other = world.with_token(&token).get("/repos/acme/shop/pulls").await.expect(200);
    assert_ne!(other.header("etag"), changed.header("etag"));
}

#[tokio::test]
async fn the_primary_limit_is_counted_told_and_enforced() {
    let world = start().await;
    for status in [403, 429] {
        let limits = Limits { primary: 3, primary_status: status, ..Limits::default() };
        world.control.set_limits(limits).await.unwrap();
        for left in [2, 1, 0] {
            let said = world.api.get("/repos/acme/shop").await.expect(200);
            assert_eq!(said.header("x-ratelimit-remaining"), left.to_string());
            assert_eq!(said.header("x-ratelimit-limit"), "3");
        }
        let said = world.api.get("/repos/acme/shop").await;
        said.refused(status, "API rate limit exceeded for user acme.");
        assert_eq!(said.header("x-ratelimit-remaining"), "0");
        let reset: i64 = said.header("x-ratelimit-reset").parse().unwrap();
        assert!((1..=3_600).contains(&(reset - crate::apps::now())), "{reset}");
        let rate = world.api.get("/rate_limit").await.expect(200).body;
        assert_eq!((&rate["rate"]["remaining"], &rate["rate"]["reset"]), (&json!(0), &json!(reset)));
        // Other callers have limits of their own.
        world.anonymous().get("/repos/acme/shop").await.expect(200);
    }
    let limits = Limits { primary: 1, window_seconds: 1, ..Limits::default() };
    world.control.set_limits(limits).await.unwrap();
    world.api.get("/repos/acme/shop").await.expect(200);
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        if world.api.get("/repos/acme/shop").await.status == 200 {
            return;
        }
    }
    panic!("the window never ended");
}

#[tokio::test]
async fn content_is_limited_by_the_minute_and_hour() {
    let world = start().await;
    let body = json!({"ref": "main"});
    for (minute, hour, status) in [(2, 500, 403), (80, 2, 429)] {
        let limits = Limits {
            content_per_minute: minute,
            content_per_hour: hour,
            secondary_status: status,
            ..Limits::default()
        };
        world.control.set_limits(limits).await.unwrap();
        for _ in 0..2 {
            world.api.post("/repos/acme/shop/deployments", &body).await.expect(201);
        }
        let said = world.api.post("/repos/acme/shop/deployments", &body).await.expect(status);
        assert!(said.message().starts_with("You have exceeded a secondary rate limit"), "{}", said.text);
        let wait: u64 = said.header("retry-after").parse().unwrap();
        assert!(wait >= 1 && wait <= if minute == 2 { 60 } else { 3_600 }, "{wait}");
        assert_ne!(said.header("x-ratelimit-remaining"), "0", "the primary limit is another matter");
        world.api.get("/repos/acme/shop/deployments").await.expect(200);
    }
    let limits = Limits { content_per_minute: 0, retry_after: Some(7), ..Limits::default() };
    world.control.set_limits(limits.clone()).await.unwrap();
    let said = world.api.post("/repos/acme/shop/deployments", &body).await.expect(403);
    assert_eq!(said.header("retry-after"), "7");
    world.control.set_limits(Limits { omit_retry_after: true, ..limits }).await.unwrap();
    let said = world.api.post("/repos/acme/shop/deployments", &body).await.expect(403);
    assert_eq!(said.header("retry-after"), "");
}

#[tokio::test]
async fn points_and_concurrency_are_limited() {
    let world = start().await;
    world.control.set_limits(Limits { points_per_minute: 6, ..Limits::default() }).await.unwrap();
    world.api.post("/repos/acme/shop/deployments", &json!({"ref": "main"})).await.expect(201);
    world.api.get("/repos/acme/shop").await.expect(200);
    let said = world.api.get("/repos/acme/shop").await.expect(403);
    assert!(
        said.message().starts_with("You have exceeded a secondary rate limit. Please wait"),
        "{}",
        said.text
    );
    world.control.set_limits(Limits { concurrent: 0, ..Limits::default() }).await.unwrap();
    world.api.get("/repos/acme/shop").await.expect(403);
}

#[tokio::test]
async fn limits_that_make_no_sense_are_refused() {
    let world = start().await;
    for limits in [
        Limits { token_length: 521, ..Limits::default() },
        Limits { primary_status: 500, ..Limits::default() },
    ] {
        let error = world.control.set_limits(limits).await.unwrap_err().to_string();
        assert!(error.contains("422"), "{error}");
    }
}

#[tokio::test]
async fn the_api_may_have_a_base_path() {
    let world = start_below("/api/v3").await;
    assert!(world.stand_in.api_url().ends_with("/api/v3"));
    let repo = world.api.get("/repos/acme/shop").await.expect(200).body;
    assert_eq!(repo["url"], format!("{}/repos/acme/shop", world.stand_in.api_url()));
    assert_eq!(repo["html_url"], format!("{}/acme/shop", world.stand_in.html_url()));
    let by_id = world.api.get(&format!("/repositories/{}", repo["id"])).await.expect(200).body;
    assert_eq!(by_id, repo);
    let root = Api::new(world.stand_in.html_url(), None);
    root.get("/repos/acme/shop").await.expect(404);
    let requests = world.control.requests().await.unwrap();
    assert_eq!(requests[0].path, "/repos/acme/shop", "logged below the base path");
}
