//! A receiver of commands, and an independent check of their signatures.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

/// A request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Arrived {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Returns the fields of the form, in order.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    /// Returns the expected signature by `openssl`, which shares no code with the stand-in.
    pub(crate) fn signature(&self, secret: &str) -> String {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let mut child = Command::new("openssl")
            .args(["dgst", "-sha256", "-hmac", secret, "-r"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("openssl, to check signatures by another implementation");
        let base = format!("v0:{}:{}", self.header("x-slack-request-timestamp"), self.body);
        child.stdin.take().unwrap().write_all(base.as_bytes()).unwrap();
        let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        format!("v0={}", output.split_whitespace().next().unwrap())
    }
}

/// A prepared answer of a receiver.
#[derive(Clone, Debug)]
struct Planned {
    status: u16,
    content_type: &'static str,
    body: String,
    after: Duration,
}

/// A receiver of commands.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    arrived: Arc<Mutex<Vec<Arrived>>>,
    planned: Arc<Mutex<Option<Planned>>>,
    pub(crate) url: String,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/slack", listener.local_addr().unwrap());
        let receiver = Self { url, ..Self::default() };
        let app = axum::Router::new().fallback(receive).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        receiver
    }

    /// Returns the last request.
    pub(crate) fn last(&self) -> Arrived {
        self.arrived.lock().unwrap().last().unwrap().clone()
    }

    pub(crate) fn answer(&self, status: u16, content_type: &'static str, body: &str) {
        let planned = Planned { status, content_type, body: body.to_owned(), after: Duration::ZERO };
        *self.planned.lock().unwrap() = Some(planned);
    }

    pub(crate) fn answer_after(&self, after: Duration) {
        let planned = Planned { status: 200, content_type: "text/plain", body: "late".to_owned(), after };
        *self.planned.lock().unwrap() = Some(planned);
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> Response {
    let headers =
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    receiver.arrived.lock().unwrap().push(Arrived { headers, body });
    let planned = receiver.planned.lock().unwrap().clone();
    match planned {
        None => StatusCode::OK.into_response(),
        Some(Planned { status, content_type, body, after }) => {
            tokio::time::sleep(after).await;
            let status = StatusCode::from_u16(status).unwrap();
            (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
        }
    }
}
