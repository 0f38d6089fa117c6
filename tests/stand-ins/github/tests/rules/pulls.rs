//! Pull requests: their states, heads in forks, and lists.

use github_stand_in::control::types::{AccountKind, NewPullRequest, NewPush, PullChange};
use serde_json::{Value, json};

use crate::support::{SHOP, World, start};

const PULLS: &str = "/repos/acme/shop/pulls";

/// Opens a pull request from a new branch. Returns its number.
async fn open(world: &World, branch: &str) -> u64 {
    world.control.push_files(SHOP, branch, &[(&format!("{branch}.txt"), "text\n")]).await.unwrap();
    world.control.open_pull_request(SHOP, branch).await.unwrap().number
}

async fn shown(world: &World, number: u64) -> Value {
    world.api.get(&format!("{PULLS}/{number}")).await.expect(200).body
}

#[tokio::test]
async fn mergeability_is_unknown_when_first_asked() {
    let world = start().await;
    let number = open(&world, "feature").await;
    let first = shown(&world, number).await;
    assert_eq!((&first["mergeable"], &first["mergeable_state"]), (&Value::Null, &json!("unknown")));
    let second = shown(&world, number).await;
    assert_eq!((&second["mergeable"], &second["mergeable_state"]), (&json!(true), &json!("clean")));
    assert_eq!(second["updated_at"], first["updated_at"], "asking changes nothing");
    world.control.push(SHOP, "feature").await.unwrap();
    assert_eq!(shown(&world, number).await["mergeable"], Value::Null, "a push makes it unknown again");
    world.control.push_files(SHOP, "main", &[("feature.txt", "other\n")]).await.unwrap();
    assert_eq!(shown(&world, number).await["mergeable"], Value::Null, "so does a push to the base");
    let last = shown(&world, number).await;
    assert_eq!((&last["mergeable"], &last["mergeable_state"]), (&json!(false), &json!("dirty")));
}

#[tokio::test]
async fn a_pull_request_shows_its_head_and_base() {
    let world = start().await;
    let number = open(&world, "feature/one").await;
    let pull = shown(&world, number).await;
    let repo = world.api.get("/repos/acme/shop").await.expect(200).body;
    assert_eq!(pull["head"]["label"], "acme:feature/one");
    assert_eq!(pull["head"]["ref"], "feature/one");
    assert_eq!(pull["head"]["sha"], world.control.head(SHOP, "feature/one").await.unwrap());
    assert_eq!((&pull["head"]["repo"]["id"], &pull["base"]["repo"]["id"]), (&repo["id"], &repo["id"]));
    assert_eq!(pull["head"]["repo"]["fork"], false);
    assert_eq!(pull["base"]["ref"], "main");
    assert_eq!(
        (&pull["draft"], &pull["merged"], &pull["state"]),
        (&json!(false), &json!(false), &json!("open"))
    );
    assert_eq!(
        (&pull["commits"], &pull["changed_files"], &pull["additions"]),
        (&json!(1), &json!(1), &json!(1))
    );
}

#[tokio::test]
async fn a_forks_head_is_told_by_its_repository_which_may_go() {
    let world = start().await;
    let fork = world.control.fork(SHOP, "mona").await.unwrap();
    // A fork's branch may have the same name as a branch of this repository.
    world.control.push("mona/shop", "main").await.unwrap();
    let number = world.control.open_pull_request(SHOP, "mona:main").await.unwrap().number;
    let pull = shown(&world, number).await;
    assert_eq!(pull["head"]["repo"]["id"], fork.id);
    assert_eq!(pull["head"]["repo"]["full_name"], "mona/shop");
    assert_eq!((&pull["head"]["repo"]["fork"], &pull["head"]["label"]), (&json!(true), &json!("mona:main")));
    assert_ne!(pull["head"]["repo"]["id"], pull["base"]["repo"]["id"]);
    assert_eq!(pull["user"]["login"], "mona");

    world.control.delete_repository("mona/shop").await.unwrap();
    let pull = shown(&world, number).await;
    assert_eq!((&pull["head"]["repo"], &pull["state"]), (&Value::Null, &json!("closed")));
    assert_eq!(pull["head"]["user"]["login"], "mona");
    let list = world.api.get(&format!("{PULLS}?state=all")).await.expect(200).body;
    assert_eq!(list[0]["head"]["repo"], Value::Null);
    let said = world.api.patch(&format!("{PULLS}/{number}"), &json!({"state": "open"})).await;
    said.invalid("PullRequest", "state", "custom");
}

#[tokio::test]
async fn bots_are_told_by_their_type() {
    let world = start().await;
    world.control.create_account("dependabot[bot]", AccountKind::Bot).await.unwrap();
    world.control.push(SHOP, "bump").await.unwrap();
    let new = NewPullRequest {
        head: "bump".to_owned(),
        author: Some("dependabot[bot]".to_owned()),
        ..NewPullRequest::default()
    };
    let number = world.control.open(SHOP, new).await.unwrap().number;
    let user = shown(&world, number).await["user"].clone();
    assert_eq!((&user["type"], &user["login"]), (&json!("Bot"), &json!("dependabot[bot]")));
    assert_eq!(world.api.get("/users/dependabot%5Bbot%5D").await.expect(200).body["id"], user["id"]);
}

#[tokio::test]
async fn lists_are_filtered_and_sorted() {
    let world = start().await;
    let (one, two, three) =
        (open(&world, "one").await, open(&world, "two").await, open(&world, "three").await);
    world.control.close(SHOP, two).await.unwrap();
    world.control.push(SHOP, "release").await.unwrap();
    let base = PullChange { base: Some("release".to_owned()), ..PullChange::default() };
    world.control.change(SHOP, three, base).await.unwrap();
    for (query, numbers) in [
        ("", vec![three, one]),
        ("?state=open", vec![three, one]),
        ("?state=closed", vec![two]),
        ("?state=all", vec![three, two, one]),
        ("?state=all&direction=asc", vec![one, two, three]),
        ("?state=all&sort=updated&direction=asc&per_page=1&page=1", vec![one]),
        ("?head=acme:one", vec![one]),
        ("?head=other:one", vec![]),
        ("?head=one", vec![three, one]),
        ("?base=release", vec![three]),
        ("?state=all&per_page=2&page=2", vec![one]),
        ("?page=9", vec![]),
        ("?per_page=0", vec![three, one]),
    ] {
        let list = world.api.get(&format!("{PULLS}{query}")).await.expect(200).body;
        let found: Vec<u64> =
            list.as_array().unwrap().iter().map(|pull| pull["number"].as_u64().unwrap()).collect();
        assert_eq!(found, numbers, "{query}");
    }
}

#[tokio::test]
async fn pull_requests_are_made_by_the_api_too() {
    let world = start().await;
    world.control.push(SHOP, "feature").await.unwrap();
    let new = json!({"title": "One", "head": "feature", "base": "main", "draft": true});
    let made = world.api.post(PULLS, &new).await.expect(201).body;
    assert_eq!((&made["number"], &made["draft"]), (&json!(1), &json!(true)));
    let again = world.api.post(PULLS, &new).await;
    again.refused(422, "Validation Failed");
    assert_eq!(again.body["errors"][0]["message"], "A pull request already exists for acme:feature.");
    for (body, field) in [
        (json!({"title": "One", "head": "nowhere", "base": "main"}), "head"),
        (json!({"title": "One", "head": "feature", "base": "nowhere"}), "base"),
    ] {
        world.api.post(PULLS, &body).await.invalid("PullRequest", field, "invalid");
    }
    let untitled = world.api.post(PULLS, &json!({"head": "feature", "base": "main"})).await;
    untitled.invalid("PullRequest", "title", "missing_field");
    let same = world.api.post(PULLS, &json!({"title": "One", "head": "main", "base": "main"})).await;
    assert_eq!(same.body["errors"][0]["message"], "No commits between main and main");
    world.api.post(PULLS, &json!({"title": "One"})).await.expect(422);
}

#[tokio::test]
async fn a_pull_request_is_edited_closed_and_reopened() {
    let world = start().await;
    let number = open(&world, "feature").await;
    let path = format!("{PULLS}/{number}");
    let closed = world.api.patch(&path, &json!({"state": "closed", "title": "Other"})).await.expect(200).body;
    assert_eq!((&closed["state"], &closed["title"]), (&json!("closed"), &json!("Other")));
    assert!(closed["closed_at"].is_string());
    let moved = world.control.push(SHOP, "feature").await.unwrap();
    assert_ne!(shown(&world, number).await["head"]["sha"], moved, "a closed one does not follow its branch");
    let open = world.api.patch(&path, &json!({"state": "open"})).await.expect(200).body;
    assert_eq!((&open["closed_at"], &open["head"]["sha"]), (&Value::Null, &json!(moved)));
    world.api.patch(&path, &json!({"state": "gone"})).await.expect(422);
    world.api.patch(&path, &json!({"base": "nowhere"})).await.invalid("PullRequest", "base", "invalid");
    world.api.patch(&path, &json!({"title": " "})).await.invalid("PullRequest", "title", "missing_field");
    world.control.delete_branch(SHOP, "feature").await.unwrap();
    assert_eq!(shown(&world, number).await["state"], "closed", "without its branch it is closed");
    world.api.patch(&path, &json!({"state": "open"})).await.invalid("PullRequest", "state", "custom");
}

#[tokio::test]
async fn merging_needs_an_open_ready_and_unchanged_head_without_conflicts() {
    let world = start().await;
    let number = open(&world, "feature").await;
    let path = format!("{PULLS}/{number}/merge");
    let unmergeable = "Pull Request is not mergeable";
    world.api.get(&path).await.refused(404, "Not Found");
    world.control.convert_to_draft(SHOP, number).await.unwrap();
    world.api.put(&path, &json!({})).await.refused(405, unmergeable);
    world.control.mark_ready(SHOP, number).await.unwrap();
    let said = world.api.put(&path, &json!({"sha": "0000000000000000000000000000000000000000"})).await;
    said.refused(409, "Head branch was modified. Review and try the merge again.");
    let merged = world.api.put(&path, &json!({"commit_title": "Merge it"})).await.expect(200).body;
    assert_eq!(merged["merged"], true);
    assert_eq!(world.control.head(SHOP, "main").await.unwrap(), merged["sha"].as_str().unwrap());
    world.api.get(&path).await.expect(204);
    let pull = shown(&world, number).await;
    assert_eq!((&pull["merged"], &pull["state"]), (&json!(true), &json!("closed")));
    assert_eq!(pull["merge_commit_sha"], merged["sha"]);
    let commit =
        world.api.get(&format!("/repos/acme/shop/commits/{}", merged["sha"].as_str().unwrap())).await;
    assert_eq!(commit.expect(200).body["parents"].as_array().unwrap().len(), 2);
    world.api.patch(&format!("{PULLS}/{number}"), &json!({"state": "open"})).await.expect(422);

    let other = open(&world, "other").await;
    world.control.push_files(SHOP, "main", &[("other.txt", "conflict\n")]).await.unwrap();
    world.api.put(&format!("{PULLS}/{other}/merge"), &json!({})).await.refused(405, unmergeable);
}

#[tokio::test]
async fn an_open_one_has_a_commit_that_tries_the_merge() {
    let world = start().await;
    let number = open(&world, "feature").await;
    let deploy = json!({"ref": format!("refs/pull/{number}/merge"), "environment": "x", "auto_merge": false, "required_contexts": []});
    assert_eq!(shown(&world, number).await["merge_commit_sha"], Value::Null);
    let pull = shown(&world, number).await;
    let merge = pull["merge_commit_sha"].as_str().unwrap();
    let made = world.api.post("/repos/acme/shop/deployments", &deploy).await.expect(201).body;
    assert_eq!((made["sha"].as_str(), &made["ref"]), (Some(merge), &deploy["ref"]));
    let commit = world.api.get(&format!("/repos/acme/shop/commits/{merge}")).await.expect(200).body;
    let parents: Vec<_> = commit["parents"].as_array().unwrap().iter().map(|parent| &parent["sha"]).collect();
    assert_eq!(parents, [&pull["base"]["sha"], &pull["head"]["sha"]]);
    // The merge commit is not one of the pull request's own commits.
    let commits = world.api.get(&format!("{PULLS}/{number}/commits")).await.expect(200).body;
    assert!(commits.as_array().unwrap().iter().all(|commit| commit["sha"] != merge));
}

#[tokio::test]
async fn pushing_the_head_to_the_base_merges() {
    let world = start().await;
    let (one, two) = (open(&world, "one").await, open(&world, "two").await);
    let before = shown(&world, two).await;
    let head = world.control.head(SHOP, "one").await.unwrap();
    world.control.set_ref(SHOP, "refs/heads/main", &head).await.unwrap();
    let merged = shown(&world, one).await;
    assert_eq!((&merged["merged"], &merged["merge_commit_sha"]), (&json!(true), &json!(head)));
    let other = shown(&world, two).await;
    assert_eq!((&other["state"], &other["base"]["sha"]), (&json!("open"), &json!(head)));
    assert_eq!(other["updated_at"], before["updated_at"]);
}

#[tokio::test]
async fn the_timeline_tells_everything_in_order() {
    let world = start().await;
    let number = open(&world, "feature").await;
    let head = world.control.head(SHOP, "feature").await.unwrap();
    let body = json!({"ref": head, "environment": "preview/pr-1", "required_contexts": []});
    let made = world.api.post("/repos/acme/shop/deployments", &body).await.expect(201).body;
    let statuses = format!("{}/statuses", made["url"].as_str().unwrap());
    let ready = json!({"state": "success", "environment_url": "http://pr-1.example.test"});
    world.api.post(&statuses, &ready).await.expect(201);
    world.api.post("/repos/acme/shop/deployments", &json!({"ref": "main"})).await.expect(201);
    world.control.label(SHOP, number, "preview").await.unwrap();
    world.control.push(SHOP, "feature").await.unwrap();
    world.control.comment(SHOP, number, "mona", "Nice").await.unwrap();
    world.control.close(SHOP, number).await.unwrap();
    let timeline = world.control.timeline(SHOP, number).await.unwrap();
    let kinds: Vec<&str> = timeline.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["opened", "deployment", "deployment_status", "labeled", "committed", "commented", "closed"],
        "main's deployment is not the pull request's"
    );
    assert_eq!(timeline[2].environment_url.as_deref(), Some("http://pr-1.example.test"));
    assert!(timeline.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
    let everything = world.control.repository_timeline(SHOP).await.unwrap();
    assert_eq!(everything.iter().filter(|entry| entry.kind == "deployment").count(), 2);
}

#[tokio::test]
async fn files_tell_what_they_were_called_before() {
    let world = start().await;
    let first = [("docs/old.md", "# Text\n"), ("deploy/a.yaml", "a: 1\n"), ("gone.txt", "x\n")];
    world.control.push_files(SHOP, "main", &first).await.unwrap();
    let text = |text: &str| Some(text.to_owned());
    let push = NewPush {
        branch: "feature".into(),
        files: [
            ("docs/old.md".to_owned(), None),
            ("docs/new.md".to_owned(), text("# Text\n")),
            ("deploy/a.yaml".to_owned(), text("a: 2\n")),
            ("gone.txt".to_owned(), None),
            ("added.txt".to_owned(), text("new\n")),
        ]
        .into(),
        ..NewPush::default()
    };
    world.control.push_commit(SHOP, push).await.unwrap();
    let number = world.control.open_pull_request(SHOP, "feature").await.unwrap().number;
    let files = world.api.get(&format!("{PULLS}/{number}/files")).await.expect(200).body;
    let found: Vec<(&str, &str, Option<&str>)> = files
        .as_array()
        .unwrap()
        .iter()
        .map(|file| {
            let text = |name: &str| file[name].as_str();
            (text("filename").unwrap(), text("status").unwrap(), text("previous_filename"))
        })
        .collect();
    assert_eq!(
        found,
        [
            ("added.txt", "added", None),
            ("deploy/a.yaml", "modified", None),
            ("docs/new.md", "renamed", Some("docs/old.md")),
            ("gone.txt", "removed", None),
        ]
    );
    assert_eq!((&files[2]["changes"], &files[2]["patch"]), (&json!(0), &Value::Null));
    assert_eq!(shown(&world, number).await["changed_files"], 4);
    let commits =
        world.api.get("/repos/acme/shop/commits?sha=feature&path=docs/old.md").await.expect(200).body;
    assert_eq!(commits.as_array().unwrap().len(), 2, "the commit that renamed it touched it");
}

#[tokio::test]
async fn three_thousand_files_are_told_at_most() {
    let world = start().await;
    let files = (0..3_001).map(|number| (format!("{number:04}.txt"), Some(format!("{number}\n")))).collect();
    let push = NewPush { branch: "feature".into(), files, ..NewPush::default() };
    world.control.push_commit(SHOP, push).await.unwrap();
    let number = world.control.open_pull_request(SHOP, "feature").await.unwrap().number;
    let last = world.api.get(&format!("{PULLS}/{number}/files?per_page=100&page=30")).await.expect(200);
    assert_eq!(last.body.as_array().unwrap().len(), 100);
    assert!(!last.header("link").contains("rel=\"next\""), "{}", last.header("link"));
    assert_eq!(shown(&world, number).await["changed_files"], 3_001);
}
