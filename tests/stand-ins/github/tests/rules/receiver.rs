//! A receiver of webhooks, and an independent check of their signatures.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;

/// A delivery that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Arrived {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Returns the event and its action.
    pub(crate) fn event(&self) -> String {
        match self.json()["action"].as_str() {
            Some(action) => format!("{} {action}", self.header("x-github-event")),
            None => self.header("x-github-event").to_owned(),
        }
    }
}

/// A receiver of webhooks.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    arrived: Arc<Mutex<Vec<Arrived>>>,
    answer: Arc<Mutex<Option<(u16, Duration)>>>,
    pub(crate) url: String,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhook", listener.local_addr().unwrap());
        let receiver = Self { url, ..Self::default() };
        let app = axum::Router::new().fallback(receive).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        receiver
    }

    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    pub(crate) fn events(&self) -> Vec<String> {
        self.arrived().iter().map(Arrived::event).collect()
    }

    pub(crate) fn forget(&self) {
        self.arrived.lock().unwrap().clear();
    }

    pub(crate) fn answer_with(&self, status: u16, after: Duration) {
        *self.answer.lock().unwrap() = Some((status, after));
    }
}

async fn receive(
    State(receiver): State<Receiver>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> StatusCode {
    let headers =
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    receiver.arrived.lock().unwrap().push(Arrived { headers, body: body.to_vec() });
    let answer = *receiver.answer.lock().unwrap();
    match answer {
        Some((status, after)) => {
            tokio::time::sleep(after).await;
            StatusCode::from_u16(status).unwrap()
        }
        None => StatusCode::ACCEPTED,
    }
}

/// Returns the HMAC-SHA256 by `openssl`, which shares no code with the stand-in.
pub(crate) fn openssl_hmac(secret: &str, body: &[u8]) -> String {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", secret, "-r"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl, to check signatures by another implementation");
    child.stdin.take().unwrap().write_all(body).unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    output.split_whitespace().next().unwrap().to_owned()
}
