//! Secrets in memory, settings with short times, and a server with prepared answers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use matinee::adapters::github::{GithubForges, GithubSettings, Pace};
use matinee::api::{DeploymentReport, DeploymentState, GithubConnection};
use matinee::core::forge::{NewDeployment, RepositoryName};
use matinee::metrics::Metrics;
use matinee::ports::{ClusterError, Forge, ForgeError, Forges, Secrets};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// The token for tests with prepared answers. No log and no message may contain it.
pub const TOKEN: &str = "ghs_opaque.and-long_0123456789";

type Data = BTreeMap<String, Vec<u8>>;

/// The Secrets of the operator's namespace.
#[derive(Default)]
pub struct Memory {
    secrets: Mutex<BTreeMap<String, Data>>,
    failing: Mutex<Option<ClusterError>>,
    pub reads: AtomicUsize,
}

impl Memory {
    pub fn with(pairs: &[(&str, &str)]) -> Arc<Self> {
        let memory = Arc::new(Self::default());
        memory.set(pairs);
        memory
    }

    /// Replaces the content of the Secret `github`.
    pub fn set(&self, pairs: &[(&str, &str)]) {
        let data = pairs.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        self.secrets.lock().unwrap().insert("github".to_owned(), data);
    }

    pub fn fail(&self, error: Option<ClusterError>) {
        *self.failing.lock().unwrap() = error;
    }
}

#[async_trait]
impl Secrets for Memory {
    async fn secret(&self, name: &str) -> Result<Option<Data>, ClusterError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if let Some(error) = self.failing.lock().unwrap().clone() {
            return Err(error);
        }
        Ok(self.secrets.lock().unwrap().get(name).cloned())
    }
}

/// Returns settings with milliseconds where GitHub needs seconds.
pub fn hurried() -> GithubSettings {
    GithubSettings {
        timeout: Duration::from_secs(2),
        pace: Pace { gap: Duration::from_millis(20), burst: 1, ..Pace::default() },
        secondary_wait: Duration::from_millis(100),
        secret_max_age: Duration::from_millis(200),
        ..GithubSettings::default()
    }
}

pub fn connection(url: &str) -> GithubConnection {
    GithubConnection { url: url.to_owned(), secret_name: "github".to_owned() }
}

pub fn shop() -> RepositoryName {
    "acme/shop".parse().unwrap()
}

pub async fn forge_at(url: &str, settings: GithubSettings) -> Result<Arc<dyn Forge>, ForgeError> {
    counted_forge_at(url, settings, Metrics::default()).await
}

pub async fn counted_forge_at(
    url: &str,
    settings: GithubSettings,
    metrics: Metrics,
) -> Result<Arc<dyn Forge>, ForgeError> {
    let forges = GithubForges::new(Memory::with(&[("token", TOKEN)]), settings, metrics);
    forges.forge(&connection(url), &shop()).await
}

/// Returns a forge with a token, for a server with prepared answers.
pub async fn forge(server: &MockServer) -> Arc<dyn Forge> {
    forge_at(&server.uri(), hurried()).await.unwrap()
}

/// Answers each request with the next item of the list, repeats the last one, and records when the
/// requests arrived.
pub struct InTurn {
    answers: Vec<ResponseTemplate>,
    came: Arc<Mutex<Vec<Instant>>>,
}

impl Respond for InTurn {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let mut came = self.came.lock().unwrap();
        came.push(Instant::now());
        self.answers[(came.len() - 1).min(self.answers.len() - 1)].clone()
    }
}

/// Mounts the answers on the server. Returns the list of arrival times.
pub async fn in_turn(
    server: &MockServer,
    verb: &str,
    at: &str,
    answers: Vec<ResponseTemplate>,
) -> Arc<Mutex<Vec<Instant>>> {
    let came = Arc::new(Mutex::new(Vec::new()));
    let responder = InTurn { answers, came: Arc::clone(&came) };
    Mock::given(method(verb)).and(path(at)).respond_with(responder).mount(server).await;
    came
}

/// Returns the bodies of the requests with that method, in order.
pub async fn bodies(server: &MockServer, verb: &str) -> Vec<Value> {
    let requests = server.received_requests().await.unwrap();
    requests
        .iter()
        .filter(|request| request.method.as_str() == verb)
        .map(|request| serde_json::from_slice(&request.body).unwrap_or(Value::Null))
        .collect()
}

/// Waits until this many requests with that method have arrived.
pub async fn arrived(server: &MockServer, verb: &str, count: usize) {
    while bodies(server, verb).await.len() < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub const DEPLOYMENTS: &str = "/repos/acme/shop/deployments";

pub fn new_deployment() -> NewDeployment {
    NewDeployment {
        sha: "a".repeat(40),
        environment: "preview/pr-7".into(),
        description: "Preview of #7".into(),
        payload: json!({"matinee": {"cluster": "c1"}}),
        transient: true,
        production: false,
    }
}

pub fn deployment_json(id: i64) -> Value {
    json!({"id": id, "sha": "a".repeat(40), "environment": "preview/pr-7", "creator": {"login": "matinee[bot]"},
        "payload": {"matinee": {"cluster": "c1"}}, "created_at": "2026-01-02T03:04:05Z"})
}

pub fn report(deployment_id: i64, state: DeploymentState, description: &str) -> DeploymentReport {
    DeploymentReport {
        deployment_id,
        state,
        description: description.to_owned(),
        environment_url: None,
        log_url: None,
    }
}

pub fn pull_request_json(number: i64) -> Value {
    json!({"number": number, "state": "open", "draft": false, "updated_at": "2026-01-02T03:04:05Z",
        "user": {"login": "mona", "type": "User"}, "labels": [],
        "head": {"sha": "b".repeat(40), "ref": "feature", "repo": {"id": 1}}, "base": {"ref": "main", "repo": {"id": 1}}})
}

pub fn json_answer(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}
