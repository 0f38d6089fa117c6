//! Checks that every answer and every webhook payload has the shape of GitHub's own description.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use github_stand_in::control::types::{NewApp, NewCheckRun, NewHook, NewInstallation, NewRepository};
use github_stand_in::{Settings, StandIn};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::tools;

const SHOP: &str = "/repos/acme/shop";

/// The events the App subscribes to.
const EVENTS: [&str; 7] =
    ["check_run", "deployment", "deployment_status", "issue_comment", "pull_request", "push", "status"];

/// A client that records every answer.
struct Recorder {
    base: String,
    token: String,
    http: reqwest::Client,
    records: Vec<Value>,
}

impl Recorder {
    async fn call(&mut self, method: &str, path: &str, body: Value) -> Value {
        let request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.base))
            .bearer_auth(&self.token)
            .header("user-agent", "conformance");
        let request = if body.is_null() { request } else { request.json(&body) };
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let body: Value = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
        self.records.push(json!({"method": method, "path": path, "status": status, "body": body}));
        body
    }

    async fn get(&mut self, path: &str) -> Value {
        self.call("GET", path, Value::Null).await
    }

    /// Sends a request whose answer must have the given status.
    async fn expect(&mut self, status: u16, method: &str, path: &str, body: Value) -> Value {
        let body = self.call(method, path, body).await;
        let record = self.records.last().unwrap();
        assert_eq!(record["status"], status, "{method} {path}: {body}");
        body
    }
}

fn jwt(id: u64, key: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({"iat": now - 60, "exp": now + 540, "iss": id});
    let key = EncodingKey::from_rsa_pem(key.as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap()
}

/// Returns write permissions for all endpoints below.
fn everything() -> std::collections::BTreeMap<String, String> {
    [
        "administration",
        "checks",
        "contents",
        "deployments",
        "issues",
        "pull_requests",
        "repository_hooks",
        "statuses",
    ]
    .map(|name| (name.to_owned(), "write".to_owned()))
    .into()
}

#[tokio::test]
async fn answers_and_payloads_have_the_shapes_github_describes() {
    let stand_in = StandIn::start(Settings::default()).await.unwrap();
    let control = stand_in.control();
    control.create_account("acme", github_stand_in::control::types::AccountKind::Organization).await.unwrap();
    let files = [("README.md", "# shop\n"), ("src/main.rs", "fn main() {}\n")];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
    let new = NewRepository { full_name: "acme/shop".to_owned(), files, ..NewRepository::default() };
    control.create_repository(new).await.unwrap();
    // Nothing listens on that port; the log keeps the payloads anyway.
    let hook = |path: &str| NewHook {
        url: format!("http://127.0.0.1:9/{path}"),
        secret: Some("secret".to_owned()),
        events: vec!["*".to_owned()],
        content_type: None,
    };
    let repository_hook = control.create_hook("acme/shop", hook("repository")).await.unwrap();
    let new = NewApp {
        slug: "matinee".to_owned(),
        owner: "acme".to_owned(),
        permissions: everything(),
        events: EVENTS.map(str::to_owned).to_vec(),
        webhook: Some(hook("app")),
    };
    let app = control.create_app(new).await.unwrap();
    let installed = NewInstallation { account: "acme".to_owned(), repositories: None };
    let installation = control.install_app(app.id, installed).await.unwrap();

    let mut api = Recorder {
        base: stand_in.api_url().to_owned(),
        token: jwt(app.id, &app.private_key),
        http: reqwest::Client::new(),
        records: Vec::new(),
    };
    as_app(&mut api, installation).await;
    let token = api.records.last().unwrap()["body"]["token"].as_str().unwrap().to_owned();
    api.token = token;
    pull_requests(&mut api, &control).await;
    deployments(&mut api).await;
    commits(&mut api, &control).await;
    repositories(&mut api, &control, repository_hook).await;
    merged_and_deleted(&mut api, &control).await;
    api.token = control.create_classic_token("mona").await.unwrap();
    api.get("/user").await;

    control.settle(Duration::from_secs(20)).await.unwrap();
    for hook in [repository_hook, app.hook.unwrap()] {
        for delivery in control.deliveries(hook).await.unwrap() {
            let (event, action) = (&delivery.event, &delivery.action);
            api.records.push(json!({"event": event, "action": action, "payload": delivery.payload}));
        }
    }
    judge(&api.records);
}

fn judge(records: &[Value]) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance.jsonl");
    let mut out = std::fs::File::create(&file).unwrap();
    for record in records {
        writeln!(out, "{record}").unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/conformance.py");
    let said = tools::run(Command::new(tools::python()).arg(script).arg(tools::description()).arg(file));
    println!("{said}");
}

async fn as_app(api: &mut Recorder, installation: u64) {
    for path in ["/app", "/app/installations", "/app/hook/config", "/app/hook/deliveries"] {
        api.expect(200, "GET", path, Value::Null).await;
    }
    api.expect(200, "GET", &format!("/app/installations/{installation}"), Value::Null).await;
    api.expect(200, "GET", "/repos/acme/shop/installation", Value::Null).await;
    api.expect(200, "GET", "/orgs/acme/installation", Value::Null).await;
    let tokens = format!("/app/installations/{installation}/access_tokens");
    api.expect(422, "POST", &tokens, json!({"repositories": ["nowhere"]})).await;
    api.expect(201, "POST", &tokens, json!({"repositories": ["shop"]})).await;
    api.expect(201, "POST", &tokens, json!({})).await;
}

async fn pull_requests(api: &mut Recorder, control: &github_stand_in::control::Client) {
    control.push_files("acme/shop", "feature", &[("a b.txt", "text\n")]).await.unwrap();
    let new = json!({"title": "One", "head": "feature", "base": "main", "body": "Please"});
    api.expect(201, "POST", &format!("{SHOP}/pulls"), new).await;
    control.fork("acme/shop", "mona").await.unwrap();
    control.push("mona/shop", "patch").await.unwrap();
    control.open_pull_request("acme/shop", "mona:patch").await.unwrap();
    let labels = json!({"labels": ["preview", "bug"]});
    api.expect(200, "POST", &format!("{SHOP}/issues/1/labels"), labels).await;
    api.expect(200, "DELETE", &format!("{SHOP}/issues/1/labels/bug"), Value::Null).await;
    api.expect(200, "PUT", &format!("{SHOP}/issues/1/labels"), json!(["preview", "x"])).await;
    api.expect(404, "DELETE", &format!("{SHOP}/issues/1/labels/bug"), Value::Null).await;
    api.expect(200, "PATCH", &format!("{SHOP}/pulls/1"), json!({"title": "Two", "body": "Other"})).await;
    let comments = format!("{SHOP}/issues/1/comments");
    let comment = api.expect(201, "POST", &comments, json!({"body": "Hello"})).await["id"].clone();
    let comment = format!("{SHOP}/issues/comments/{comment}");
    api.expect(422, "POST", &comments, json!({"body": "a".repeat(65_537)})).await;
    api.expect(201, "POST", &format!("{comment}/reactions"), json!({"content": "eyes"})).await;
    api.expect(200, "POST", &format!("{comment}/reactions"), json!({"content": "eyes"})).await;
    for path in [
        "/pulls",
        "/pulls/1",
        "/pulls/1",
        "/pulls/2",
        "/pulls/1/files",
        "/pulls/1/commits",
        "/issues",
        "/issues/1",
        "/issues/1/comments",
        "/issues/1/labels",
        "/issues/comments",
    ] {
        api.expect(200, "GET", &format!("{SHOP}{path}"), Value::Null).await;
    }
    api.get(&format!("{SHOP}/pulls/99")).await;
    api.get(&comment).await;
    api.get(&format!("{comment}/reactions")).await;
    api.expect(200, "PATCH", &comment, json!({"body": "Hello again"})).await;
    api.expect(204, "DELETE", &comment, Value::Null).await;
    for (draft, state) in
        [(Some(true), None), (Some(false), None), (None, Some("closed")), (None, Some("open"))]
    {
        let state = state.map(str::to_owned);
        let change = github_stand_in::control::types::PullChange { draft, state, ..Default::default() };
        control.change("acme/shop", 1, change).await.unwrap();
    }
    control.push("acme/shop", "feature").await.unwrap();
}

async fn deployments(api: &mut Recorder) {
    let list = format!("{SHOP}/deployments");
    let body =
        json!({"ref": "feature", "environment": "preview/pr-1", "payload": {"a": [1]}, "description": "x"});
    let id = api.expect(201, "POST", &list, body).await["id"].clone();
    api.expect(201, "POST", &list, json!({"ref": "main", "payload": "text"})).await;
    api.expect(422, "POST", &list, json!({"ref": "nowhere"})).await;
    api.expect(422, "POST", &list, json!({})).await;
    api.expect(422, "POST", &list, json!({"ref": "main", "description": "x".repeat(141)})).await;
    api.expect(409, "POST", &list, json!({"ref": "main", "required_contexts": ["ci"]})).await;
    let one = format!("{list}/{id}");
    let urls = json!({
        "state": "success",
        "description": "ready",
        "environment_url": "http://pr-1.example.test",
        "log_url": "http://log.example.test",
    });
    let status = api.expect(201, "POST", &format!("{one}/statuses"), urls).await["id"].clone();
    api.expect(201, "POST", &format!("{one}/statuses"), json!({"state": "in_progress"})).await;
    api.expect(422, "POST", &format!("{one}/statuses"), json!({"state": "wrong"})).await;
    for path in [list.clone(), one.clone(), format!("{one}/statuses"), format!("{one}/statuses/{status}")] {
        api.expect(200, "GET", &path, Value::Null).await;
    }
    let environment = format!("{SHOP}/environments/preview%2Fpr-1");
    api.expect(200, "GET", &format!("{SHOP}/environments"), Value::Null).await;
    api.expect(200, "GET", &environment, Value::Null).await;
    api.expect(200, "PUT", &environment, json!({"wait_timer": 5})).await;
    api.expect(204, "DELETE", &environment, Value::Null).await;
    api.expect(201, "POST", &format!("{one}/statuses"), json!({"state": "success"})).await;
    api.expect(422, "DELETE", &one, Value::Null).await;
    api.expect(201, "POST", &format!("{one}/statuses"), json!({"state": "inactive"})).await;
    api.expect(204, "DELETE", &one, Value::Null).await;
}

async fn commits(api: &mut Recorder, control: &github_stand_in::control::Client) {
    let sha = control.head("acme/shop", "feature").await.unwrap();
    let status = json!({"state": "success", "context": "ci", "target_url": "http://ci.example.test"});
    api.expect(201, "POST", &format!("{SHOP}/statuses/{sha}"), status).await;
    let run = json!({"name": "build", "head_sha": sha, "status": "in_progress"});
    let run = api.expect(201, "POST", &format!("{SHOP}/check-runs"), run).await;
    let path = format!("{SHOP}/check-runs/{}", run["id"]);
    let done = json!({"conclusion": "success", "output": {"title": "Built", "summary": "Well"}});
    api.expect(200, "PATCH", &path, done).await;
    api.expect(200, "GET", &path, Value::Null).await;
    let suite = format!("{SHOP}/check-suites/{}", run["check_suite"]["id"]);
    api.expect(200, "GET", &suite, Value::Null).await;
    api.expect(200, "GET", &format!("{suite}/check-runs"), Value::Null).await;
    let new = NewCheckRun {
        r#ref: "main".to_owned(),
        name: "test".to_owned(),
        conclusion: Some("failure".to_owned()),
        ..NewCheckRun::default()
    };
    control.set_check("acme/shop", new).await.unwrap();
    for path in [
        "/commits".to_owned(),
        format!("/commits/{sha}"),
        "/commits/feature/status".to_owned(),
        "/commits/feature/statuses".to_owned(),
        "/commits/feature/check-runs".to_owned(),
        "/commits/feature/check-suites".to_owned(),
        format!("/commits/{sha}/pulls"),
        "/compare/main...feature".to_owned(),
        "/compare/main...mona:patch".to_owned(),
    ] {
        api.expect(200, "GET", &format!("{SHOP}{path}"), Value::Null).await;
    }
    api.expect(422, "GET", &format!("{SHOP}/commits/nowhere"), Value::Null).await;
}

async fn repositories(api: &mut Recorder, control: &github_stand_in::control::Client, hook: u64) {
    let sha = control.head("acme/shop", "main").await.unwrap();
    let new = json!({"ref": "refs/heads/other", "sha": sha});
    api.expect(201, "POST", &format!("{SHOP}/git/refs"), new.clone()).await;
    api.expect(422, "POST", &format!("{SHOP}/git/refs"), new).await;
    let tag = json!({"ref": "refs/tags/v1", "sha": sha});
    api.expect(201, "POST", &format!("{SHOP}/git/refs"), tag).await;
    for path in [
        "",
        "/branches",
        "/branches/other",
        "/tags",
        "/git/ref/heads/other",
        "/git/matching-refs/heads/o",
        "/contents/README.md",
        "/contents/src",
        "/collaborators/acme/permission",
        "/hooks",
    ] {
        api.expect(200, "GET", &format!("{SHOP}{path}"), Value::Null).await;
    }
    api.expect(204, "DELETE", &format!("{SHOP}/git/refs/heads/other"), Value::Null).await;
    api.expect(404, "GET", &format!("{SHOP}/branches/other"), Value::Null).await;
    api.expect(200, "GET", "/repos/mona/shop", Value::Null).await;
    let path = format!("{SHOP}/hooks/{hook}");
    api.expect(200, "GET", &path, Value::Null).await;
    control.settle(Duration::from_secs(20)).await.unwrap();
    let list = api.expect(200, "GET", &format!("{path}/deliveries"), Value::Null).await;
    let one = format!("{path}/deliveries/{}", list[0]["id"]);
    api.expect(200, "GET", &one, Value::Null).await;
    api.expect(202, "POST", &format!("{one}/attempts"), json!({})).await;
    api.expect(200, "GET", "/installation/repositories", Value::Null).await;
    api.expect(200, "GET", "/rate_limit", Value::Null).await;
    api.expect(200, "GET", "/users/acme", Value::Null).await;
}

async fn merged_and_deleted(api: &mut Recorder, control: &github_stand_in::control::Client) {
    api.expect(200, "PUT", &format!("{SHOP}/pulls/1/merge"), json!({})).await;
    api.expect(405, "PUT", &format!("{SHOP}/pulls/1/merge"), json!({})).await;
    api.expect(204, "GET", &format!("{SHOP}/pulls/1/merge"), Value::Null).await;
    api.expect(200, "GET", &format!("{SHOP}/pulls/1"), Value::Null).await;
    control.delete_branch("acme/shop", "feature").await.unwrap();
}
