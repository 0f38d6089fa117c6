//! Creating, listing, getting and deleting deployments.

use github_stand_in::control::types::NewPush;
use serde_json::{Value, json};

use crate::support::{SHOP, Said, World, start};

const DEPLOYMENTS: &str = "/repos/acme/shop/deployments";

/// Deploys main's head without any gates, with these further fields.
async fn deploy(world: &World, more: Value) -> Said {
    let mut body = json!({"ref": "main", "auto_merge": false, "required_contexts": []});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.api.post(DEPLOYMENTS, &body).await
}

#[tokio::test]
async fn defaults_are_githubs() {
    let world = start().await;
    let sha = world.control.head(SHOP, "main").await.unwrap();
    let made = world.api.post(DEPLOYMENTS, &json!({"ref": "main"})).await.expect(201).body;
    assert_eq!(made["sha"], sha);
    assert_eq!(made["ref"], "main");
    assert_eq!(made["task"], "deploy");
    assert_eq!(made["environment"], "production");
    assert_eq!(made["production_environment"], true);
    assert_eq!(made["transient_environment"], false);
    assert_eq!(made["payload"], json!({}));
    assert_eq!(made["description"], Value::Null);
    assert!(made["id"].as_u64().unwrap() > u64::from(u32::MAX));
    let created = made["created_at"].as_str().unwrap();
    assert!(created.ends_with('Z') && created.len() == 20, "{created}");
    let fetched = world.api.get(made["url"].as_str().unwrap()).await.expect(200).body;
    assert_eq!(fetched, made);
}

#[tokio::test]
async fn production_is_told_from_the_name_unless_said() {
    let world = start().await;
    let made = deploy(&world, json!({"environment": "staging"})).await.expect(201).body;
    assert_eq!(made["production_environment"], false);
    let made = deploy(&world, json!({"environment": "eu", "production_environment": true})).await;
    assert_eq!(made.expect(201).body["production_environment"], true);
}

#[tokio::test]
async fn a_ref_is_a_branch_a_tag_or_a_sha() {
    let world = start().await;
    let sha = world.control.push(SHOP, "feature/one").await.unwrap();
    world.control.set_ref(SHOP, "refs/tags/v1", &sha).await.unwrap();
    for name in ["feature/one", "v1", &sha, &sha[..10], "refs/heads/feature/one", "refs/tags/v1"] {
        let made = deploy(&world, json!({"ref": name})).await.expect(201).body;
        assert_eq!((made["sha"].as_str(), made["ref"].as_str()), (Some(sha.as_str()), Some(name)));
    }
    for name in ["nowhere", "0123456789012345678901234567890123456789", &sha[..6], ""] {
        deploy(&world, json!({"ref": name})).await.refused(422, &format!("No ref found for: {name}"));
    }
}

#[tokio::test]
async fn a_payload_is_kept_as_it_was_sent() {
    let world = start().await;
    for payload in [json!({"matinee": {"version": 1, "list": [1, null, "ä"]}}), json!("{\"a\":1}"), json!("")]
    {
        let made = deploy(&world, json!({"payload": payload})).await.expect(201).body;
        assert_eq!(made["payload"], payload);
    }
}

#[tokio::test]
async fn fields_of_wrong_types_are_refused() {
    let world = start().await;
    for (body, complaint) in [
        (json!({}), "\"ref\" wasn't supplied."),
        (json!({"ref": 7}), "For 'properties/ref', 7 is not a string."),
        (json!({"ref": null}), "For 'properties/ref', nil is not a string."),
        (json!({"ref": "main", "auto_merge": "no"}), "For 'properties/auto_merge', \"no\" is not a boolean."),
        (json!({"ref": "main", "required_contexts": "ci"}), "is not an array."),
        (json!({"ref": "main", "payload": [1]}), "[1] is not an object."),
        (json!({"ref": "main", "environment": {}}), "For 'properties/environment', {} is not a string."),
        (json!({"ref": "main", "transient_environment": 1}), "is not a boolean."),
    ] {
        let said = world.api.post(DEPLOYMENTS, &body).await.expect(422);
        assert!(said.message().starts_with("Invalid request.\n\n"), "{}", said.text);
        assert!(said.message().contains(complaint), "{} in {}", complaint, said.text);
    }
    assert_eq!(world.control.deployments(SHOP).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused() {
    let world = start().await;
    for (text, message) in [("{\"ref\":", "Problems parsing JSON"), ("[1]", "Body should be a JSON object")] {
        let request = world.api.request(reqwest::Method::POST, DEPLOYMENTS).body(text);
        world.api.send(request).await.refused(400, message);
    }
}

#[tokio::test]
async fn descriptions_and_names_have_a_longest_length_in_characters() {
    let world = start().await;
    deploy(&world, json!({"description": "ä".repeat(140)})).await.expect(201);
    let said = deploy(&world, json!({"description": "ä".repeat(141)})).await;
    said.invalid("Deployment", "description", "custom");
    assert_eq!(said.body["errors"][0]["message"], "description is too long (maximum is 140 characters)");
    deploy(&world, json!({"environment": "e".repeat(255)})).await.expect(201);
    deploy(&world, json!({"environment": "e".repeat(256)})).await.invalid(
        "Deployment",
        "environment",
        "custom",
    );
    deploy(&world, json!({"environment": " "})).await.invalid("Deployment", "environment", "missing_field");
}

#[tokio::test]
async fn a_branch_that_is_behind_is_merged_instead_of_deployed() {
    let world = start().await;
    world.control.push_files(SHOP, "topic", &[("topic.txt", "topic")]).await.unwrap();
    world.control.push_files(SHOP, "main", &[("main.txt", "main")]).await.unwrap();
    let before = world.control.head(SHOP, "topic").await.unwrap();
    let body = json!({"ref": "topic", "required_contexts": []});
    let merged = world.api.post(DEPLOYMENTS, &body).await.expect(202);
    assert_eq!(merged.body, json!({"message": "Auto-merged main into topic on deployment."}));
    assert_eq!(world.control.deployments(SHOP).await.unwrap().len(), 0);
    let after = world.control.head(SHOP, "topic").await.unwrap();
    assert_ne!(before, after);
    let made = world.api.post(DEPLOYMENTS, &body).await.expect(201).body;
    assert_eq!(made["sha"], after);
}

#[tokio::test]
async fn a_sha_is_never_merged_into() {
    let world = start().await;
    let sha = world.control.push_files(SHOP, "topic", &[("topic.txt", "topic")]).await.unwrap();
    world.control.push_files(SHOP, "main", &[("main.txt", "main")]).await.unwrap();
    let made = world.api.post(DEPLOYMENTS, &json!({"ref": sha})).await.expect(201).body;
    assert_eq!(made["sha"], sha);
}

#[tokio::test]
async fn a_merge_conflict_makes_no_deployment() {
    let world = start().await;
    world.control.push_files(SHOP, "topic", &[("same.txt", "topic")]).await.unwrap();
    world.control.push_files(SHOP, "main", &[("same.txt", "main")]).await.unwrap();
    let said = world.api.post(DEPLOYMENTS, &json!({"ref": "topic"})).await;
    said.refused(409, "Conflict merging main into topic");
    assert_eq!(world.control.deployments(SHOP).await.unwrap().len(), 0);
}

#[tokio::test]
async fn every_known_context_must_be_a_success_unless_said_otherwise() {
    let world = start().await;
    world.control.set_commit_status(SHOP, "main", "ci/test", "success").await.unwrap();
    world.control.set_commit_status(SHOP, "main", "ci/lint", "pending").await.unwrap();
    let all = json!({"ref": "main"});
    let said = world.api.post(DEPLOYMENTS, &all).await;
    said.refused(409, "Conflict: Commit status checks failed for main.");
    let error = &said.body["errors"][0];
    assert_eq!((&error["field"], &error["code"]), (&json!("required_contexts"), &json!("invalid")));
    assert!(
        error["contexts"].as_array().unwrap().contains(&json!({"context": "ci/lint", "state": "pending"}))
    );

    let some = |names: Value| json!({"ref": "main", "required_contexts": names});
    world.api.post(DEPLOYMENTS, &some(json!(["ci/test"]))).await.expect(201);
    world.api.post(DEPLOYMENTS, &some(json!([]))).await.expect(201);
    world.api.post(DEPLOYMENTS, &some(json!(["never-submitted"]))).await.expect(409);
    world.control.set_commit_status(SHOP, "main", "ci/lint", "success").await.unwrap();
    world.api.post(DEPLOYMENTS, &all).await.expect(201);
    // Check runs are contexts too.
    world.control.conclude_check(SHOP, "main", "build", "failure").await.unwrap();
    world.api.post(DEPLOYMENTS, &all).await.expect(409);
    world.control.conclude_check(SHOP, "main", "build", "success").await.unwrap();
    world.api.post(DEPLOYMENTS, &all).await.expect(201);
}

#[tokio::test]
async fn lists_are_filtered_and_newest_first() {
    let world = start().await;
    let sha = world.control.push(SHOP, "feature").await.unwrap();
    let first = deploy(&world, json!({"environment": "Staging"})).await.expect(201).body["id"].clone();
    let second =
        deploy(&world, json!({"ref": "feature", "task": "migrate"})).await.expect(201).body["id"].clone();
    let ids = |query: String| {
        let api = world.api.clone();
        async move {
            let list = api.get(&format!("{DEPLOYMENTS}{query}")).await.expect(200).body;
            list.as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>()
        }
    };
    assert_eq!(ids(String::new()).await, [second.clone(), first.clone()]);
    assert_eq!(ids("?environment=STAGING".to_owned()).await, vec![first.clone()]);
    assert_eq!(ids(format!("?sha={sha}")).await, vec![second.clone()]);
    assert_eq!(ids("?ref=feature".to_owned()).await, vec![second.clone()]);
    assert_eq!(ids("?task=migrate".to_owned()).await, vec![second.clone()]);
    assert_eq!(ids(format!("?sha={sha}&environment=staging")).await, Vec::<Value>::new());
}

#[tokio::test]
async fn only_inactive_deployments_can_be_deleted_unless_it_is_the_only_one() {
    let world = start().await;
    let url = |made: &Value| made["url"].as_str().unwrap().to_owned();
    let only = url(&deploy(&world, json!({})).await.expect(201).body);
    world.api.delete(&only).await.expect(204);
    world.api.get(&only).await.refused(404, "Not Found");

    let one = url(&deploy(&world, json!({})).await.expect(201).body);
    let two = url(&deploy(&world, json!({"environment": "staging"})).await.expect(201).body);
    let message =
        "We cannot delete an active deployment unless it is the only deployment in a given repository.";
    world.api.delete(&one).await.refused(422, message);
    world.api.post(&format!("{one}/statuses"), &json!({"state": "success"})).await.expect(201);
    world.api.delete(&one).await.refused(422, message);
    world.api.post(&format!("{one}/statuses"), &json!({"state": "inactive"})).await.expect(201);
    world.api.delete(&one).await.expect(204);
    world.api.delete(&two).await.expect(204);
    world.api.delete(&two).await.refused(404, "Not Found");
}

#[tokio::test]
async fn commits_of_forks_are_known_to_the_parent() {
    let world = start().await;
    world.control.fork(SHOP, "mona").await.unwrap();
    let push = NewPush { branch: "patch".to_owned(), ..NewPush::default() };
    let sha = world.control.push_commit("mona/shop", push).await.unwrap();
    deploy(&world, json!({"ref": sha})).await.expect(201);
    deploy(&world, json!({"ref": "patch"})).await.refused(422, "No ref found for: patch");
}
