//! Deployment statuses, their effects on other deployments, and environments.

use serde_json::{Value, json};

use crate::support::{SHOP, World, permissions, start};

/// Deploys main to an environment. Returns the deployment's URL.
async fn deploy(world: &World, environment: &str, more: Value) -> String {
    let mut body =
        json!({"ref": "main", "auto_merge": false, "required_contexts": [], "environment": environment});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = world.api.post("/repos/acme/shop/deployments", &body).await.expect(201).body;
    made["url"].as_str().unwrap().to_owned()
}

async fn report(world: &World, deployment: &str, body: Value) -> Value {
    world.api.post(&format!("{deployment}/statuses"), &body).await.expect(201).body
}

/// Returns the states of a deployment, newest first.
async fn states(world: &World, deployment: &str) -> Vec<String> {
    let list = world.api.get(&format!("{deployment}/statuses")).await.expect(200).body;
    list.as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_status_is_made_listed_and_fetched() {
    let world = start().await;
    let deployment = deploy(&world, "preview/pr-1", json!({})).await;
    let first = report(&world, &deployment, json!({"state": "queued"})).await;
    let second = report(
        &world,
        &deployment,
        json!({
            "state": "success",
            "description": "12 of 12 ready",
            "environment_url": "https://pr-1.example.test",
            "log_url": "https://logs.example.test/1",
        }),
    )
    .await;
    assert_eq!(second["target_url"], "https://logs.example.test/1");
    assert_eq!(second["environment"], "preview/pr-1");
    assert_eq!(second["deployment_url"], deployment);
    assert_eq!(second["creator"]["login"], "acme");
    let list = world.api.get(&format!("{deployment}/statuses")).await.expect(200).body;
    assert_eq!(list, json!([second, first]), "newest first");
    let one = world.api.get(second["url"].as_str().unwrap()).await.expect(200).body;
    assert_eq!(one, second);
    world.api.get(&format!("{deployment}/statuses/1")).await.refused(404, "Not Found");
}

#[tokio::test]
async fn every_documented_state_and_no_other_is_taken() {
    let world = start().await;
    let deployment = deploy(&world, "preview", json!({})).await;
    for state in ["error", "failure", "inactive", "in_progress", "queued", "pending", "success"] {
        report(&world, &deployment, json!({"state": state})).await;
    }
    let statuses = format!("{deployment}/statuses");
    let said = world.api.post(&statuses, &json!({"state": "running"})).await;
    said.invalid("DeploymentStatus", "state", "custom");
    let said = world.api.post(&statuses, &json!({})).await;
    said.refused(422, "Invalid request.\n\n\"state\" wasn't supplied.");
    let said = world.api.post("/repos/acme/shop/deployments/1/statuses", &json!({"state": "success"})).await;
    said.refused(404, "Not Found");
    assert_eq!(states(&world, &deployment).await.len(), 7);
}

#[tokio::test]
async fn descriptions_urls_and_types_are_checked() {
    let world = start().await;
    let deployment = deploy(&world, "preview", json!({})).await;
    let statuses = format!("{deployment}/statuses");
    let post = |body: Value| {
        let (api, statuses) = (world.api.clone(), statuses.clone());
        async move { api.post(&statuses, &body).await }
    };
    post(json!({"state": "failure", "description": "€".repeat(140)})).await.expect(201);
    let said = post(json!({"state": "failure", "description": "€".repeat(141)})).await;
    said.invalid("DeploymentStatus", "description", "custom");
    for url in ["ftp://example.test", "javascript:alert(1)", "example.test", "https://"] {
        let said = post(json!({"state": "success", "environment_url": url})).await;
        said.invalid("DeploymentStatus", "environment_url", "custom");
        let said = post(json!({"state": "success", "log_url": url})).await;
        said.invalid("DeploymentStatus", "log_url", "custom");
    }
    let said = post(json!({"state": "success", "auto_inactive": "yes"})).await;
    said.refused(422, "Invalid request.\n\nFor 'properties/auto_inactive', \"yes\" is not a boolean.");
    assert_eq!(states(&world, &deployment).await, ["failure"]);
}

#[tokio::test]
async fn a_success_makes_earlier_ones_of_the_environment_inactive() {
    let world = start().await;
    let old = deploy(&world, "Staging", json!({})).await;
    let transient = deploy(&world, "staging", json!({"transient_environment": true})).await;
    let production = deploy(&world, "staging", json!({"production_environment": true})).await;
    let elsewhere = deploy(&world, "qa", json!({})).await;
    let failed = deploy(&world, "staging", json!({})).await;
    let new = deploy(&world, "staging", json!({})).await;
    let later = deploy(&world, "staging", json!({})).await;
    for one in [&old, &transient, &production, &elsewhere, &later] {
        report(&world, one, json!({"state": "success", "auto_inactive": false})).await;
    }
    report(&world, &failed, json!({"state": "failure"})).await;
    report(&world, &new, json!({"state": "in_progress"})).await;
    assert_eq!(states(&world, &old).await, ["success"], "only a success supersedes");
    report(&world, &new, json!({"state": "success"})).await;
    assert_eq!(states(&world, &old).await, ["inactive", "success"]);
    assert_eq!(states(&world, &transient).await, ["success"], "transient ones stay");
    assert_eq!(states(&world, &production).await, ["success"], "production ones stay");
    assert_eq!(states(&world, &elsewhere).await, ["success"], "other environments stay");
    assert_eq!(states(&world, &failed).await, ["failure"], "only successes become inactive");
    assert_eq!(states(&world, &later).await, ["success"], "only earlier ones become inactive");
    report(&world, &old, json!({"state": "success", "auto_inactive": false})).await;
    assert_eq!(states(&world, &old).await, ["success", "inactive", "success"], "the last status counts");
    assert_eq!(states(&world, &new).await, ["success", "in_progress"]);
}

#[tokio::test]
async fn a_status_may_move_the_deployment_to_another_environment() {
    let world = start().await;
    let deployment = deploy(&world, "staging", json!({})).await;
    report(&world, &deployment, json!({"state": "queued", "environment": "qa"})).await;
    let status = report(&world, &deployment, json!({"state": "success"})).await;
    assert_eq!(status["environment"], "qa", "the previous status's environment is used");
    let shown = world.api.get(&deployment).await.expect(200).body;
    assert_eq!((&shown["environment"], &shown["original_environment"]), (&json!("qa"), &json!("staging")));
}

#[tokio::test]
async fn statuses_come_in_pages() {
    let world = start().await;
    let deployment = deploy(&world, "preview", json!({})).await;
    for number in 0..5 {
        report(&world, &deployment, json!({"state": "in_progress", "description": number.to_string()})).await;
    }
    let mut seen = Vec::new();
    let mut next = Some(format!("{deployment}/statuses?per_page=2"));
    let mut pages = 0;
    while let Some(url) = next {
        let page = world.api.get(&url).await.expect(200);
        pages += 1;
        seen.extend(page.body.as_array().unwrap().iter().map(|one| one["description"].clone()));
        next = link(page.header("link"), "next");
    }
    assert_eq!((pages, json!(seen)), (3, json!(["4", "3", "2", "1", "0"])));
}

#[tokio::test]
async fn links_name_the_repository_by_id_and_all_four_relations() {
    let world = start().await;
    let deployment = deploy(&world, "preview", json!({})).await;
    for _ in 0..3 {
        report(&world, &deployment, json!({"state": "in_progress"})).await;
    }
    let page = world.api.get(&format!("{deployment}/statuses?per_page=1&page=2")).await.expect(200);
    let header = page.header("link");
    for (relation, number) in [("prev", 1), ("next", 3), ("first", 1), ("last", 3)] {
        let url = link(header, relation).unwrap();
        assert!(url.contains("/repositories/") && url.contains(&format!("page={number}")), "{url}");
        world.api.get(&url).await.expect(200);
    }
    let all = world.api.get(&format!("{deployment}/statuses?per_page=1000")).await.expect(200);
    assert_eq!(all.header("link"), "", "one page needs no links");
}

/// Returns the URL of a relation in a `Link` header.
pub(crate) fn link(header: &str, relation: &str) -> Option<String> {
    let part = header.split(", ").find(|part| part.ends_with(&format!("; rel=\"{relation}\"")))?;
    Some(part.split_once('<')?.1.split_once('>')?.0.to_owned())
}

#[tokio::test]
async fn environments_are_made_by_deployments_and_found_by_encoded_names() {
    let world = start().await;
    deploy(&world, "preview/pr-1", json!({})).await;
    deploy(&world, "PREVIEW/PR-1", json!({})).await;
    let list = world.api.get("/repos/acme/shop/environments").await.expect(200).body;
    assert_eq!(list["total_count"], 1);
    assert_eq!(list["environments"][0]["name"], "preview/pr-1");
    let one = world.api.get("/repos/acme/shop/environments/preview%2Fpr-1").await.expect(200).body;
    assert_eq!(one["name"], "preview/pr-1");
    world.api.get("/repos/acme/shop/environments/preview/pr-1").await.refused(404, "Not Found");
    world.api.delete("/repos/acme/shop/environments/preview%2Fpr-1").await.expect(204);
    world.api.delete("/repos/acme/shop/environments/preview%2Fpr-1").await.refused(404, "Not Found");
}

#[tokio::test]
async fn environments_are_changed_only_with_administration() {
    let world = start().await;
    deploy(&world, "preview/pr-1", json!({})).await;
    let path = "/repos/acme/shop/environments/preview%2Fpr-1";
    let grants = permissions(&[("deployments", "write"), ("administration", "read")]);
    let token = world.control.create_fine_grained_token("acme", grants).await.unwrap();
    let refused = world.with_token(&token).delete(path).await;
    refused.refused(403, "Resource not accessible by personal access token");
    let grants = permissions(&[("administration", "write")]);
    let token = world.control.create_fine_grained_token("acme", grants).await.unwrap();
    let admin = world.with_token(&token);
    let put = admin.put(path, &json!({"wait_timer": 30})).await.expect(200).body;
    assert_eq!(put["protection_rules"][0]["wait_timer"], 30);
    let unknown = admin.put(path, &json!({"timer": 30})).await;
    unknown.refused(422, "Invalid request.\n\n\"timer\" is not a permitted key.");
    admin.delete(path).await.expect(204);
    assert_eq!(world.control.deployments(SHOP).await.unwrap().len(), 1);
}
