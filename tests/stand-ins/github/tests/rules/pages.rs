//! The pages: their content, its escaping, and their buttons.

use github_stand_in::control::types::NewPullRequest;
use serde_json::json;

use crate::support::{SHOP, World, start, start_below};

/// Returns a page's status and text.
async fn page(world: &World, path: &str) -> (u16, String) {
    let url = format!("{}{path}", world.stand_in.html_url());
    let response = reqwest::Client::new().get(url).header("accept", "text/html").send().await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    (response.status().as_u16(), response.text().await.unwrap())
}

/// Presses a button. Returns the status of the resulting page.
async fn press(world: &World, path: &str, form: &[(&str, &str)]) -> u16 {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(form);
    let request =
        reqwest::Client::new().post(format!("{}{path}", world.stand_in.html_url())).body(body.finish());
    request.header("accept", "text/html").send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn everything_is_escaped() {
    let world = start().await;
    let evil = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>";
    world.control.push(SHOP, "feature").await.unwrap();
    let new = NewPullRequest {
        head: "feature".to_owned(),
        title: Some(evil.to_owned()),
        body: Some(evil.to_owned()),
        labels: vec!["<b>x".to_owned()],
        ..NewPullRequest::default()
    };
    world.control.open(SHOP, new).await.unwrap();
    world.control.comment(SHOP, 1, "mona", evil).await.unwrap();
    world.control.comment(SHOP, 1, "mona", "[click](javascript:alert(1))").await.unwrap();
    world.control.conclude_check(SHOP, "feature", evil, "success").await.unwrap();
    let body = json!({"ref": "feature", "environment": evil, "required_contexts": []});
    let made = world.api.post("/repos/acme/shop/deployments", &body).await.expect(201).body;
    let status =
        json!({"state": "success", "description": evil, "environment_url": "http://a.test/\"><script>"});
    world.api.post(&format!("{}/statuses", made["url"].as_str().unwrap()), &status).await.expect(201);
    for path in ["/", "/acme/shop", "/acme/shop/pull/1", "/acme/shop/deployments"] {
        let (status, text) = page(&world, path).await;
        assert_eq!(status, 200, "{path}");
        for bad in ["<script>alert", "<img src=x", "<b>x", "javascript:", "\"><script>"] {
            assert!(!text.contains(bad), "{bad} in {path}: {text}");
        }
        assert!(text.contains("&lt;script&gt;"), "{path}");
    }
}

#[tokio::test]
async fn a_pull_requests_page_shows_its_deployments() {
    let world = start().await;
    world.control.push(SHOP, "feature").await.unwrap();
    world.control.open_pull_request(SHOP, "feature").await.unwrap();
    let merge_box = |text: &str| {
        let start = text.find("class=\"merge").unwrap();
        text[start..].split("</form>").next().unwrap().to_owned()
    };
    for (state, word) in [
        ("queued", "Queued"),
        ("in_progress", "In progress"),
        ("failure", "Failure"),
        ("error", "Error"),
        ("success", "Active"),
    ] {
        let body = json!({"ref": "feature", "environment": "preview/pr-1", "required_contexts": [],
            "transient_environment": true});
        let made = world.api.post("/repos/acme/shop/deployments", &body).await.expect(201).body;
        let statuses = format!("{}/statuses", made["url"].as_str().unwrap());
        let body =
            json!({"state": state, "environment_url": "http://pr-1.test/", "log_url": "http://log.test/"});
        world.api.post(&statuses, &body).await.expect(201);
        let (_, text) = page(&world, "/acme/shop/pull/1").await;
        assert!(merge_box(&text).contains(word), "{word}");
        assert!(text.contains("href=\"http://pr-1.test/\"") && text.contains("View deployment"));
        assert!(text.contains("href=\"http://log.test/\""));
        world.api.post(&statuses, &json!({"state": "inactive"})).await.expect(201);
        let (_, text) = page(&world, "/acme/shop/pull/1").await;
        assert!(merge_box(&text).contains("Destroyed") && !text.contains("View deployment"));
    }
    world.control.push(SHOP, "feature").await.unwrap();
    let (_, text) = page(&world, "/acme/shop/pull/1").await;
    assert!(!merge_box(&text).contains("preview/pr-1"), "only the head's deployments count");
    assert!(text.contains("temporarily deployed to"), "the timeline keeps them");
}

#[tokio::test]
async fn buttons_do_what_they_say() {
    let world = start().await;
    let form =
        [("head", "feature"), ("title", "One"), ("label", "preview"), ("path", "a.txt"), ("content", "a")];
    assert_eq!(press(&world, "/acme/shop/pulls", &form).await, 200);
    let pull = || async { world.control.pull_request(SHOP, 1).await.unwrap() };
    let first = pull().await;
    assert_eq!((first.title.as_str(), first.labels.as_slice()), ("One", ["preview".to_owned()].as_slice()));
    assert_eq!(press(&world, "/acme/shop/pull/1/push", &[("message", "More")]).await, 200);
    assert_ne!(pull().await.head_sha, first.head_sha);
    press(&world, "/acme/shop/pull/1/draft", &[]).await;
    assert!(pull().await.draft);
    press(&world, "/acme/shop/pull/1/ready", &[]).await;
    assert!(!pull().await.draft);
    press(&world, "/acme/shop/pull/1/unlabel", &[("label", "preview")]).await;
    assert!(pull().await.labels.is_empty());
    press(&world, "/acme/shop/pull/1/comment", &[("body", "/preview"), ("author", "mona")]).await;
    assert_eq!(world.control.comments(SHOP, 1).await.unwrap()[0].author, "mona");
    press(&world, "/acme/shop/pull/1/close", &[]).await;
    assert_eq!(pull().await.state, "closed");
    press(&world, "/acme/shop/pull/1/reopen", &[]).await;
    assert_eq!(pull().await.state, "open");
    press(&world, "/acme/shop/pull/1/merge", &[]).await;
    assert!(pull().await.merged);
    assert_eq!(press(&world, "/acme/shop/push", &[("branch", "main")]).await, 200);
    assert_eq!(press(&world, "/acme/shop/pull/1/explode", &[]).await, 422);
    assert_eq!(press(&world, "/acme/shop/pull/9/close", &[]).await, 422);
}

#[tokio::test]
async fn other_sites_cannot_press_buttons() {
    let world = start().await;
    let url = format!("{}/acme/shop/push", world.stand_in.html_url());
    let before = world.control.head(SHOP, "main").await.unwrap();
    let request = reqwest::Client::new().post(url).header("sec-fetch-site", "cross-site").body("branch=main");
    assert_eq!(request.send().await.unwrap().status().as_u16(), 403);
    assert_eq!(world.control.head(SHOP, "main").await.unwrap(), before);
}

#[tokio::test]
async fn pages_are_there_with_a_base_path_too_and_missing_ones_are_not() {
    let world = start_below("/api/v3").await;
    for path in ["/", "/acme/shop", "/acme/shop/deployments", "/_assets/style.css", "/_assets/live.js"] {
        assert_eq!(page(&world, path).await.0, 200, "{path}");
    }
    let sha = world.control.head(SHOP, "main").await.unwrap();
    assert_eq!(page(&world, &format!("/acme/shop/commit/{sha}")).await.0, 200);
    for path in
        ["/acme/nowhere", "/acme/shop/pull/1", "/acme/shop/pull/x", "/a/b/c/d/e", "/acme/shop/commit/0"]
    {
        assert_eq!(page(&world, path).await.0, 404, "{path}");
    }
}
