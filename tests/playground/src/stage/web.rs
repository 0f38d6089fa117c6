//! Requests to URLs as a browser on this machine would make them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;

use super::Stage;

/// What a URL answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Stage {
    /// Asks a URL, once; names that end in `.localhost` are this machine's, as in a browser. Redirects are not followed.
    ///
    /// # Errors
    /// When there is no answer within 10 seconds. An answer of any status is one.
    pub async fn fetch(&self, url: &str) -> Result<Answer> {
        let ask = async {
            let answer = self.web.get(url).send().await?;
            Ok::<_, reqwest::Error>(Answer { status: answer.status().as_u16(), body: answer.text().await? })
        };
        ask.await.with_context(|| format!("no answer from {url}"))
    }
}

/// A client for this machine: no proxy, and no names other than of loopback.
pub(super) fn client() -> Result<reqwest::Client> {
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
            if name == "localhost" || name.ends_with(".localhost") {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                return Ok(Box::new(std::iter::once(address)) as Addrs);
            }
            Err(format!("{name} is not a name of this machine").into())
        })
    }
}
