//! Comments, labels and reactions.

use std::time::Duration;

use github_stand_in::control::types::Role;
use serde_json::{Value, json};

use crate::apps::with_app;
use crate::support::{SHOP, World, start};

const COMMENTS: &str = "/repos/acme/shop/issues/1/comments";

async fn with_pull() -> World {
    let world = start().await;
    world.control.push(SHOP, "feature").await.unwrap();
    world.control.open_pull_request(SHOP, "feature").await.unwrap();
    world
}

#[tokio::test]
async fn a_comment_is_written_changed_and_removed() {
    let world = with_pull().await;
    let made = world.api.post(COMMENTS, &json!({"body": "<!-- marker -->\nHello"})).await.expect(201).body;
    assert_eq!(made["user"]["login"], "acme");
    let url = made["url"].as_str().unwrap().to_owned();
    assert_eq!(world.api.get(COMMENTS).await.expect(200).body, json!([made]));
    let changed = world.api.patch(&url, &json!({"body": "Bye"})).await.expect(200).body;
    assert_eq!((&changed["id"], &changed["body"]), (&made["id"], &json!("Bye")));
    world.api.delete(&url).await.expect(204);
    world.api.get(&url).await.refused(404, "Not Found");
    world.api.patch(&url, &json!({"body": "x"})).await.refused(404, "Not Found");
    world
        .api
        .post("/repos/acme/shop/issues/9/comments", &json!({"body": "x"}))
        .await
        .refused(404, "Not Found");
}

#[tokio::test]
async fn a_comments_length_is_counted_in_characters() {
    let world = with_pull().await;
    world.api.post(COMMENTS, &json!({"body": "é".repeat(65_536)})).await.expect(201);
    let said = world.api.post(COMMENTS, &json!({"body": "é".repeat(65_537)})).await;
    said.invalid("IssueComment", "data", "unprocessable");
    assert_eq!(said.body["errors"][0]["message"], "Body is too long (maximum is 65536 characters)");
    world.api.post(COMMENTS, &json!({"body": " "})).await.invalid("IssueComment", "data", "unprocessable");
    let said = world.api.post(COMMENTS, &json!({})).await;
    said.refused(422, "Invalid request.\n\n\"body\" wasn't supplied.");
}

#[tokio::test]
async fn everybody_may_comment_but_change_only_their_own() {
    let world = with_pull().await;
    let token = world.control.create_classic_token("mona").await.unwrap();
    let mona = world.with_token(&token);
    let hers = mona.post(COMMENTS, &json!({"body": "Mine"})).await.expect(201).body;
    let theirs = world.api.post(COMMENTS, &json!({"body": "Theirs"})).await.expect(201).body;
    mona.patch(hers["url"].as_str().unwrap(), &json!({"body": "Still mine"})).await.expect(200);
    let said = mona.patch(theirs["url"].as_str().unwrap(), &json!({"body": "Now mine"})).await;
    said.refused(403, "Must have admin rights to Repository.");
    world.control.set_role(SHOP, "mona", Role::Write).await.unwrap();
    mona.patch(theirs["url"].as_str().unwrap(), &json!({"body": "Edited"})).await.expect(200);
    assert_eq!(hers["author_association"], "NONE");
    let again = mona.get(hers["url"].as_str().unwrap()).await.expect(200).body;
    assert_eq!(again["author_association"], "COLLABORATOR");
}

#[tokio::test]
async fn labels_are_added_set_and_removed() {
    let world = with_pull().await;
    let labels = "/repos/acme/shop/issues/1/labels";
    let names = |body: &Value| {
        body.as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let said = world.api.post(labels, &json!({"labels": ["preview", "Preview", "a/b"]})).await.expect(200);
    assert_eq!(names(&said.body), ["preview", "a/b"], "names ignore case");
    let said = world.api.post(labels, &json!(["third"])).await.expect(200);
    assert_eq!(names(&said.body), ["preview", "a/b", "third"]);
    let said = world.api.delete(&format!("{labels}/a%2Fb")).await.expect(200);
    assert_eq!(names(&said.body), ["preview", "third"]);
    world.api.delete(&format!("{labels}/a%2Fb")).await.refused(404, "Label does not exist");
    let said = world.api.put(labels, &json!({"labels": ["third", "fourth"]})).await.expect(200);
    assert_eq!(names(&said.body), ["third", "fourth"]);
    world.api.post(labels, &json!({"labels": "one"})).await.expect(422);
    world.api.post(labels, &json!({"labels": ["x".repeat(51)]})).await.invalid("Label", "name", "custom");
    let list = world.api.get("/repos/acme/shop/issues?labels=third").await.expect(200).body;
    assert_eq!(list[0]["number"], 1);
    world.api.delete(labels).await.expect(204);
    assert_eq!(world.api.get(labels).await.expect(200).body, json!([]));
}

#[tokio::test]
async fn a_reaction_counts_once() {
    let world = with_pull().await;
    let made = world.api.post(COMMENTS, &json!({"body": "/preview"})).await.expect(201).body;
    let reactions = format!("{}/reactions", made["url"].as_str().unwrap());
    let first = world.api.post(&reactions, &json!({"content": "eyes"})).await.expect(201).body;
    let second = world.api.post(&reactions, &json!({"content": "eyes"})).await.expect(200).body;
    assert_eq!(first, second);
    let said = world.api.post(&reactions, &json!({"content": "shrug"})).await;
    said.invalid("Reaction", "content", "custom");
    let comment = world.api.get(made["url"].as_str().unwrap()).await.expect(200).body;
    assert_eq!((&comment["reactions"]["eyes"], &comment["reactions"]["total_count"]), (&json!(1), &json!(1)));
    world.api.delete(&format!("{reactions}/{}", first["id"])).await.expect(204);
    assert_eq!(world.api.get(&reactions).await.expect(200).body, json!([]));
}

#[tokio::test]
async fn comments_belong_to_pull_requests_too_but_reactions_to_issues_alone() {
    let one = with_app(&[("pull_requests", "write")]).await;
    let (world, api) = (&one.world, one.as_installation().await);
    world.control.push(SHOP, "feature").await.unwrap();
    world.control.open_pull_request(SHOP, "feature").await.unwrap();
    let made = api.post(COMMENTS, &json!({"body": "/preview"})).await.expect(201).body;
    let url = made["url"].as_str().unwrap();
    api.patch(url, &json!({"body": "/preview now"})).await.expect(200);
    let said = api.post(&format!("{url}/reactions"), &json!({"content": "eyes"})).await;
    said.refused(403, "Resource not accessible by integration");
    assert_eq!(said.header("x-accepted-github-permissions"), "issues=write");

    let other = with_app(&[("issues", "write")]).await;
    let (world, api) = (&other.world, other.as_installation().await);
    world.control.push(SHOP, "feature").await.unwrap();
    world.control.open_pull_request(SHOP, "feature").await.unwrap();
    let made = api.post(COMMENTS, &json!({"body": "/preview"})).await.expect(201).body;
    let reactions = format!("{}/reactions", made["url"].as_str().unwrap());
    api.post(&reactions, &json!({"content": "eyes"})).await.expect(201);
}

#[tokio::test]
async fn the_comments_of_a_repository_are_sorted_on_request() {
    let world = with_pull().await;
    world.control.push(SHOP, "other").await.unwrap();
    world.control.open_pull_request(SHOP, "other").await.unwrap();
    let mut urls = Vec::new();
    for (number, body) in [(1, "one"), (2, "two"), (1, "three")] {
        let path = format!("/repos/acme/shop/issues/{number}/comments");
        let made = world.api.post(&path, &json!({"body": body})).await.expect(201).body;
        urls.push(made["url"].as_str().unwrap().to_owned());
    }
    // Times are whole seconds.
    let mut edited = Value::Null;
    while edited["updated_at"] == edited["created_at"] {
        tokio::time::sleep(Duration::from_millis(20)).await;
        edited = world.api.patch(&urls[0], &json!({"body": "one, edited"})).await.expect(200).body;
    }
    for (path, bodies) in [
        ("", vec!["one, edited", "two", "three"]),
        ("?direction=desc", vec!["one, edited", "two", "three"]),
        ("?sort=created&direction=desc", vec!["three", "two", "one, edited"]),
        ("?sort=updated&direction=desc", vec!["one, edited", "three", "two"]),
        ("?sort=updated&direction=asc", vec!["two", "three", "one, edited"]),
        ("?sort=updated&direction=desc&per_page=1", vec!["one, edited"]),
    ] {
        let list = world.api.get(&format!("/repos/acme/shop/issues/comments{path}")).await.expect(200).body;
        let found: Vec<&str> =
            list.as_array().unwrap().iter().map(|one| one["body"].as_str().unwrap()).collect();
        assert_eq!(found, bodies, "{path}");
    }
    // The comments of one issue aren't sorted: "ordered by ascending ID".
    let list = world.api.get(&format!("{COMMENTS}?sort=updated&direction=desc")).await.expect(200).body;
    assert_eq!((&list[0]["body"], &list[1]["body"]), (&json!("one, edited"), &json!("three")));
}
