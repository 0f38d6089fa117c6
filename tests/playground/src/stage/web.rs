//! Requests to URLs as a browser on this machine sends them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use serde_json::Value;

use super::Stage;

/// Answer of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Stage {
    /// Requests a URL once. As in a browser, names that end in `.localhost` are this machine's.
    /// Redirects are not followed.
    ///
    /// # Errors
    /// When there is no answer within 10 seconds. An answer of any status is a success.
    pub async fn fetch(&self, url: &str) -> Result<Answer> {
        let ask = async {
            let answer = self.web.get(url).send().await?;
            Ok::<_, reqwest::Error>(Answer { status: answer.status().as_u16(), body: answer.text().await? })
        };
        ask.await.with_context(|| format!("no answer from {url}"))
    }
}

impl Stage {
    /// Calls the stand-in's REST API with [`Stage::token`], as `gh api` would; `path` is below the
    /// base URL, such as `repos/acme/shop/deployments`. Returns the status and the body.
    ///
    /// # Errors
    /// When there is no answer, or none in JSON. An answer with an error status is a success.
    pub async fn gh_api(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let url = format!("{}/{path}", self.github_api());
        let mut request = self
            .web
            .request(method.parse()?, &url)
            .bearer_auth(self.token())
            .header("User-Agent", "gh")
            .header("Accept", "application/vnd.github+json");
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.with_context(|| format!("no answer from {url}"))?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).with_context(|| format!("{url} answers no JSON: {text}"))?
        };
        Ok((status, body))
    }
}

/// Returns a client for this machine: it uses no proxy and resolves all names to loopback or not at
/// all.
pub(super) fn client() -> Result<reqwest::Client> {
    // reqwest panics without a provider where the workspace builds it with TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(Duration::from_secs(10))
        .dns_resolver(Arc::new(Loopback))
        .build()?)
}

struct Loopback;

impl Resolve for Loopback {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_ascii_lowercase();
        Box::pin(async move {
            // Names below `test` are included, because GitHub rejects a webhook whose name is a
            // loopback name.
            if name == "localhost" || [".localhost", ".test"].iter().any(|zone| name.ends_with(zone)) {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                return Ok(Box::new(std::iter::once(address)) as Addrs);
            }
            Err(format!("{name} is not a name of this machine").into())
        })
    }
}
