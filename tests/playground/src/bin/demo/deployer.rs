//! Another team's deployer, which uses GitHub's API only: it polls for deployments of one
//! environment, deploys the newest, and reports to GitHub.
//! <https://docs.github.com/en/rest/deployments/deployments>

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use axum::Router;
use playground::stage::Stage;
use playground::stage::github::types::{AccountKind, Role};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The environment that it deploys to.
pub(crate) const ENVIRONMENT: &str = "production";
/// Its login on GitHub.
pub(crate) const LOGIN: &str = "shop-deployer";
/// All permissions of its token.
const PERMISSIONS: [(&str, &str); 2] = [("deployments", "write"), ("metadata", "read")];
/// Interval of polling.
const PAUSE: Duration = Duration::from_millis(500);

/// The running deployer. It stops when dropped.
pub(crate) struct Deployer {
    tasks: [JoinHandle<()>; 2],
    problem: Arc<OnceLock<String>>,
}

impl Deployer {
    /// Creates an account and a token for the deployer, and starts it.
    pub(crate) async fn start(stage: &Stage, repository: &str) -> Result<Self> {
        let github = stage.github();
        github.create_account(LOGIN, AccountKind::User).await?;
        github.set_role(repository, LOGIN, Role::Write).await?;
        let permissions = PERMISSIONS.map(|(name, level)| (name.to_owned(), level.to_owned())).into();
        let token = github.create_fine_grained_token(LOGIN, permissions).await?;

        // Its "production": a server that returns the commit it runs.
        let runs = Arc::new(Mutex::new(String::from("nothing yet")));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://shop.localhost:{}", listener.local_addr()?.port());
        let shown = Arc::clone(&runs);
        let page =
            async move || shown.lock().map_or_else(|_| String::new(), |sha| format!("revision: {sha}\n"));
        let server = tokio::spawn(async move {
            // Runs until it is aborted.
            let _ = axum::serve(listener, Router::new().fallback(page)).await;
        });

        // reqwest panics without a provider where the workspace builds it with TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let api = Api {
            http: Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?,
            deployments: format!("{}/repos/{repository}/deployments", stage.github_api()),
            token,
        };
        let problem = Arc::new(OnceLock::new());
        let told = Arc::clone(&problem);
        let polls = tokio::spawn(async move {
            if let Err(error) = api.poll(&runs, &url).await {
                let _ = told.set(format!("{error:#}"));
            }
        });
        Ok(Self { tasks: [server, polls], problem })
    }

    /// Fails when the deployer has given up.
    pub(crate) fn check(&self) -> Result<()> {
        match self.problem.get() {
            Some(problem) => bail!("{LOGIN} gave up: {problem}"),
            None => Ok(()),
        }
    }
}

impl Drop for Deployer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// A client of GitHub's API.
struct Api {
    http: Client,
    /// The URL of the repository's deployments.
    deployments: String,
    token: String,
}

impl Api {
    async fn poll(&self, runs: &Mutex<String>, url: &str) -> Result<()> {
        let mut done = 0;
        loop {
            let path = format!("?environment={ENVIRONMENT}&per_page=1");
            let newest = self.call(Method::GET, &path, None).await?;
            if let Some(id) = newest[0]["id"].as_u64().filter(|id| *id > done) {
                self.deploy(id, &newest[0], runs, url).await?;
                done = id;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn deploy(&self, id: u64, deployment: &Value, runs: &Mutex<String>, url: &str) -> Result<()> {
        self.tell(id, json!({"state": "in_progress", "description": "Rolling out"})).await?;
        let sha = deployment["sha"].as_str().context("a deployment has no commit")?;
        if let Ok(mut runs) = runs.lock() {
            sha[..sha.len().min(7)].clone_into(&mut runs);
        }
        self.tell(id, json!({"state": "success", "description": "Rolled out", "environment_url": url})).await
    }

    async fn tell(&self, id: u64, status: Value) -> Result<()> {
        self.call(Method::POST, &format!("/{id}/statuses"), Some(status)).await.map(|_| ())
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let url = format!("{}{path}", self.deployments);
        let mut request = self
            .http
            .request(method, &url)
            .bearer_auth(&self.token)
            .header("User-Agent", LOGIN)
            .header("Accept", "application/vnd.github+json");
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.with_context(|| format!("no answer from {url}"))?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{url} answers {status}: {text}");
        serde_json::from_str(&text).with_context(|| format!("{url} answers no JSON: {text}"))
    }
}
