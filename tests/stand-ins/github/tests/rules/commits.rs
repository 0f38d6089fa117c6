//! Commits, statuses, check runs, contents and references.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use github_stand_in::control::types::NewPush;
use reqwest::Method;
use serde_json::json;

use crate::apps::with_app;
use crate::support::{SHOP, start};

#[tokio::test]
async fn statuses_combine_to_the_worst_of_the_latest() {
    let world = start().await;
    let sha = world.control.head(SHOP, "main").await.unwrap();
    let statuses = format!("/repos/acme/shop/statuses/{sha}");
    let combined = "/repos/acme/shop/commits/main/status";
    assert_eq!(world.api.get(combined).await.expect(200).body["state"], "pending");
    for (context, state, together) in [
        ("ci", "failure", "failure"),
        ("lint", "success", "failure"),
        ("ci", "pending", "pending"),
        ("ci", "success", "success"),
        ("other", "error", "failure"),
    ] {
        world.api.post(&statuses, &json!({"state": state, "context": context})).await.expect(201);
        assert_eq!(world.api.get(combined).await.expect(200).body["state"], together);
    }
    assert_eq!(world.api.get(combined).await.expect(200).body["total_count"], 3);
    let all = world.api.get("/repos/acme/shop/commits/main/statuses").await.expect(200).body;
    assert_eq!((all.as_array().unwrap().len(), &all[0]["context"]), (5, &json!("other")));
}

#[tokio::test]
async fn commit_statuses_are_checked() {
    let world = start().await;
    let sha = world.control.head(SHOP, "main").await.unwrap();
    let statuses = format!("/repos/acme/shop/statuses/{sha}");
    for (body, field) in [
        (json!({"state": "fine"}), "state"),
        (json!({"state": "success", "description": "x".repeat(141)}), "description"),
        (json!({"state": "success", "context": "x".repeat(256)}), "context"),
        (json!({"state": "success", "target_url": "ftp://x"}), "target_url"),
    ] {
        world.api.post(&statuses, &body).await.invalid("Status", field, "custom");
    }
    let made = world.api.post(&statuses, &json!({"state": "success"})).await.expect(201).body;
    assert_eq!(made["context"], "default");
    let said = world.api.post("/repos/acme/shop/statuses/main", &json!({"state": "success"})).await;
    said.refused(422, "No commit found for SHA: main");
}

#[tokio::test]
async fn check_runs_are_made_by_apps_alone() {
    let one = with_app(&[("checks", "write")]).await;
    let (world, api) = (&one.world, one.as_installation().await);
    let sha = world.control.push(SHOP, "feature/x").await.unwrap();
    let new = json!({"name": "build", "head_sha": sha});
    let said = world.api.post("/repos/acme/shop/check-runs", &new).await;
    said.refused(403, "You must authenticate via a GitHub App.");
    let run = api.post("/repos/acme/shop/check-runs", &new).await.expect(201).body;
    assert_eq!(
        (&run["status"], &run["conclusion"], &run["app"]["slug"]),
        (&json!("queued"), &json!(null), &json!("matinee"))
    );
    let path = format!("/repos/acme/shop/check-runs/{}", run["id"]);
    for body in [
        json!({"status": "completed"}),
        json!({"conclusion": "well"}),
        json!({"output": {"title": "no summary"}}),
    ] {
        api.patch(&path, &body).await.expect(422);
    }
    let done = api.patch(&path, &json!({"conclusion": "success"})).await.expect(200).body;
    assert_eq!((&done["status"], &done["conclusion"]), (&json!("completed"), &json!("success")));
    assert!(done["completed_at"].is_string());
    api.post("/repos/acme/shop/check-runs", &new).await.expect(201);
    let list = |query: &str| format!("/repos/acme/shop/commits/feature/x/check-runs{query}");
    let latest = api.get(&list("?check_name=build")).await.expect(200).body;
    assert_eq!((&latest["total_count"], &latest["check_runs"][0]["status"]), (&json!(1), &json!("queued")));
    assert_eq!(api.get(&list("?filter=all")).await.expect(200).body["total_count"], 2);
    assert_eq!(api.get(&list("?status=completed&filter=all")).await.expect(200).body["total_count"], 1);
    assert_eq!(api.get(&list("?check_name=other")).await.expect(200).body["total_count"], 0);
}

#[tokio::test]
async fn contents_come_as_json_raw_or_a_directory() {
    let world = start().await;
    let text = "kind: Deployment\n".repeat(20);
    world
        .control
        .push_files(SHOP, "feature", &[("deploy/a b.yaml", &text), ("deploy/x/y.txt", "y")])
        .await
        .unwrap();
    let path = "/repos/acme/shop/contents/deploy/a%20b.yaml?ref=feature";
    let file = world.api.get(path).await.expect(200).body;
    let content = file["content"].as_str().unwrap();
    assert!(content.lines().all(|line| line.len() <= 60));
    assert_eq!(STANDARD.decode(content.replace('\n', "")).unwrap(), text.as_bytes());
    assert_eq!((&file["encoding"], &file["size"]), (&json!("base64"), &json!(text.len())));
    for accept in ["application/vnd.github.raw+json", "application/vnd.github.v3.raw"] {
        let request = world.api.request(Method::GET, path).header("accept", accept);
        assert_eq!(world.api.send(request).await.expect(200).text, text);
    }
    let dir = world.api.get("/repos/acme/shop/contents/deploy?ref=feature").await.expect(200).body;
    let kinds: Vec<(&str, &str)> = dir
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["path"].as_str().unwrap(), one["type"].as_str().unwrap()))
        .collect();
    assert_eq!(kinds, [("deploy/a b.yaml", "file"), ("deploy/x", "dir")]);
    world.api.get("/repos/acme/shop/contents/deploy").await.refused(404, "Not Found");
    let said = world.api.get("/repos/acme/shop/contents/README.md?ref=nowhere").await;
    said.refused(404, "No commit found for the ref nowhere");
}

#[tokio::test]
async fn branches_and_refs_may_have_slashes() {
    let world = start().await;
    let sha = world.control.push(SHOP, "feature/one").await.unwrap();
    for path in ["/branches/feature/one", "/branches/feature%2Fone"] {
        assert_eq!(
            world.api.get(&format!("/repos/acme/shop{path}")).await.expect(200).body["commit"]["sha"],
            sha
        );
    }
    let found = world.api.get("/repos/acme/shop/git/ref/heads/feature/one").await.expect(200).body;
    assert_eq!(found["object"]["sha"], sha);
    world.api.get("/repos/acme/shop/branches/feature").await.refused(404, "Branch not found");
    world.api.get("/repos/acme/shop/git/ref/heads/feature").await.refused(404, "Not Found");
    let refs = "/repos/acme/shop/git/refs";
    world.api.post(refs, &json!({"ref": "refs/heads/two", "sha": sha})).await.expect(201);
    let twice = world.api.post(refs, &json!({"ref": "refs/heads/two", "sha": sha})).await;
    twice.refused(422, "Reference already exists");
    let main = world.control.head(SHOP, "main").await.unwrap();
    let back = world.api.patch(&format!("{refs}/heads/two"), &json!({"sha": main})).await;
    back.refused(422, "Update is not a fast forward");
    world.api.patch(&format!("{refs}/heads/two"), &json!({"sha": main, "force": true})).await.expect(200);
    world.api.delete(&format!("{refs}/heads/two")).await.expect(204);
    world.api.delete(&format!("{refs}/heads/two")).await.refused(422, "Reference does not exist");
}

#[tokio::test]
async fn commits_are_listed_compared_and_found_by_their_beginning() {
    let world = start().await;
    let base = world.control.head(SHOP, "main").await.unwrap();
    let one = world.control.push_files(SHOP, "feature", &[("one.txt", "1\n")]).await.unwrap();
    let two = world.control.push_files(SHOP, "feature", &[("two.txt", "2\n")]).await.unwrap();
    let list = world.api.get("/repos/acme/shop/commits?sha=feature").await.expect(200).body;
    let shas: Vec<&str> = list.as_array().unwrap().iter().map(|one| one["sha"].as_str().unwrap()).collect();
    assert_eq!(shas, [two.as_str(), one.as_str(), base.as_str()]);
    let only = world.api.get("/repos/acme/shop/commits?sha=feature&path=one.txt").await.expect(200).body;
    assert_eq!((only.as_array().unwrap().len(), &only[0]["sha"]), (1, &json!(one)));
    let short = world.api.get(&format!("/repos/acme/shop/commits/{}", &two[..8])).await.expect(200).body;
    assert_eq!((&short["sha"], &short["files"][0]["filename"]), (&json!(two), &json!("two.txt")));
    world.api.get("/repos/acme/shop/commits/nowhere").await.refused(422, "No commit found for SHA: nowhere");
    let compared = world.api.get("/repos/acme/shop/compare/main...feature").await.expect(200).body;
    assert_eq!((&compared["status"], &compared["ahead_by"]), (&json!("ahead"), &json!(2)));
    let push = NewPush { branch: "feature".to_owned(), onto: Some(one.clone()), ..NewPush::default() };
    world.control.push_commit(SHOP, push).await.unwrap();
    let compared = world.api.get(&format!("/repos/acme/shop/compare/{two}...feature")).await.expect(200).body;
    assert_eq!((&compared["status"], &compared["behind_by"]), (&json!("diverged"), &json!(1)));
}

#[tokio::test]
async fn contexts_ignore_case() {
    let world = start().await;
    let sha = world.control.head(SHOP, "main").await.unwrap();
    let statuses = format!("/repos/acme/shop/statuses/{sha}");
    for (context, state) in [("CI/Build", "failure"), ("lint", "success"), ("ci/build", "success")] {
        world.api.post(&statuses, &json!({"state": state, "context": context})).await.expect(201);
    }
    let combined = world.api.get("/repos/acme/shop/commits/main/status").await.expect(200).body;
    assert_eq!((&combined["state"], &combined["total_count"]), (&json!("success"), &json!(2)));
    assert_eq!(combined["statuses"][0]["context"], "ci/build", "as it was written last");
}

#[tokio::test]
async fn a_renamed_branch_redirects_until_another_has_its_name() {
    let world = start().await;
    let sha = world.control.push(SHOP, "feature/one").await.unwrap();
    world.control.push(SHOP, "other").await.unwrap();
    world.control.rename_branch(SHOP, "feature/one", "feature/two").await.unwrap();
    let old = "/repos/acme/shop/branches/feature%2Fone";
    // The client follows the redirect.
    let found = world.api.get(old).await.expect(200).body;
    assert_eq!((&found["name"], &found["commit"]["sha"]), (&json!("feature/two"), &json!(sha)));
    assert!(world.control.rename_branch(SHOP, "other", "feature/two").await.is_err(), "that name is taken");
    assert!(
        world.control.rename_branch(SHOP, "feature/one", "three").await.is_err(),
        "there is none any more"
    );
    world.control.rename_branch(SHOP, "feature/two", "feature/three").await.unwrap();
    assert_eq!(world.api.get(old).await.expect(200).body["name"], "feature/three");
    let main = world.control.head(SHOP, "main").await.unwrap();
    world.control.set_ref(SHOP, "refs/heads/feature/one", &main).await.unwrap();
    assert_eq!(world.api.get(old).await.expect(200).body["name"], "feature/one");
    let list = world.api.get("/repos/acme/shop/branches").await.expect(200).body;
    let names: Vec<&str> = list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["feature/one", "feature/three", "main", "other"]);
}

#[tokio::test]
async fn a_sha_alone_is_told_on_request() {
    let world = start().await;
    let sha = world.control.push(SHOP, "feature/one").await.unwrap();
    for name in ["feature%2Fone", "feature/one", &sha[..7]] {
        let path = format!("/repos/acme/shop/commits/{name}");
        let ask = || world.api.request(Method::GET, &path).header("accept", "application/vnd.github.sha");
        let said = world.api.send(ask()).await.expect(200);
        assert_eq!(said.text, sha);
        let again = ask().header("if-none-match", said.header("etag"));
        world.api.send(again).await.expect(304);
    }
}
