//! The client process, in which the variables are set. It prints one line for each server, which
//! says whether it was reached.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use matinee::adapters::github::{GithubForges, GithubSettings};
use matinee::adapters::kubernetes;
use matinee::adapters::registry::{RegistryClient, RegistrySettings};
use matinee::adapters::slack::{SlackChat, SlackSettings};
use matinee::adapters::url_probe::WebProber;
use matinee::api::GithubConnection;
use matinee::core::slack::ChatMessage;
use matinee::metrics::Metrics;
use matinee::ports::{
    Chat as _, ChatError, ClusterError, ForgeError, Forges as _, Prober as _, Registry as _, Secrets,
};

/// Sends a request to each server. Everything behind the proxy answers 404.
pub async fn ask_all() {
    for (name, answer) in [
        ("github", github().await),
        ("registry", registry().await),
        ("slack", slack().await),
        ("kubernetes", kubernetes().await),
    ] {
        match answer {
            Ok(()) => println!("{name} reached"),
            Err(why) => println!("{name} not reached: {}", why.replace('\n', " ")),
        }
    }
    let preview = WebProber::new(Duration::from_secs(2)).probe("https://preview.test", None).await;
    println!("preview {}", if preview.is_ok() { "reached" } else { "not reached" });
}

struct Token;

#[async_trait]
impl Secrets for Token {
    async fn secret(&self, _: &str) -> Result<Option<BTreeMap<String, Vec<u8>>>, ClusterError> {
        Ok(Some([("token".to_owned(), b"ghp_of_nobody".to_vec())].into()))
    }
}

async fn github() -> Result<(), String> {
    let connection = GithubConnection { url: "https://github.test".into(), secret_name: "github".into() };
    let forges = GithubForges::new(Arc::new(Token), GithubSettings::default(), Metrics::default());
    let shop = "acme/shop".parse().unwrap();
    let forge = forges.forge(&connection, &shop).await.map_err(|error| error.to_string())?;
    match forge.pull_request(&shop, 7, Duration::ZERO).await {
        Err(ForgeError::NotFound(_)) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

async fn registry() -> Result<(), String> {
    let client = RegistryClient::new(RegistrySettings::default())?;
    let there = client.exists(&"registry.test/acme/shop:pr-7".parse().unwrap(), None, false).await;
    there.map(|there| assert!(!there)).map_err(|error| error.to_string())
}

async fn slack() -> Result<(), String> {
    let settings = SlackSettings { api_url: "https://slack.test/api/".into(), ..SlackSettings::default() };
    let chat = SlackChat::new(&settings)?;
    match chat.post(&"xoxb-of-nobody".into(), "C1", &ChatMessage::default(), None).await {
        Err(ChatError::Refused { .. }) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

async fn kubernetes() -> Result<(), String> {
    let client = kubernetes::client().await.map_err(|error| format!("{error:#}"))?;
    match client.apiserver_version().await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => Err(format!("{other:?}")),
    }
}
