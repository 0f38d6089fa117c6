//! Starts and stops the stand-in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt as _;

use crate::control;
use crate::pipeline::{self, Hangup};
use crate::world::World;

/// Settings of a stand-in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Base URL for others, such as `http://10.0.0.1:3001`, when it differs from the address to
    /// listen on. All response URLs begin with it.
    pub public_url: Option<String>,
    /// Lifetime of a response URL; 30 minutes on Slack.
    pub response_window: Duration,
    /// Client that sends commands, when the usual one can't: for example one that resolves names
    /// which the system doesn't know. It must not follow redirects.
    pub client: Option<reqwest::Client>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: None,
            response_window: Duration::from_mins(30),
            client: None,
        }
    }
}

/// An error of starting the stand-in.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is in use or not this machine's.
    #[error("cannot listen on {address}: {source}; choose another address or port 0")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// The HTTP client for commands could not be created.
    #[error("cannot make the HTTP client for commands: {0}")]
    Client(#[from] reqwest::Error),
}

/// A running stand-in. It stops when dropped.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    url: String,
    task: JoinHandle<()>,
}

impl StandIn {
    /// Starts a stand-in with a workspace and an app in it.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let failed = |source| StartError::Listen { address: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let url = settings.public_url.unwrap_or_else(|| format!("http://{address}"));
        let url = url.trim_end_matches('/').to_owned();
        let world = Arc::new(World::new(url.clone(), settings.response_window, settings.client)?);
        let router = Router::new()
            .nest("/_control", control::server::router())
            .fallback(pipeline::answer)
            .with_state(world);
        let task = tokio::spawn(accept(listener, router));
        Ok(Self { address, url, task })
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the base of all response URLs, which corresponds to `https://hooks.slack.com/`.
    pub fn response_url(&self) -> String {
        format!("{}/commands/", self.url)
    }

    /// Returns the URL that corresponds to `https://slack.com/api/`.
    pub fn api_url(&self) -> String {
        format!("{}/api/", self.url)
    }

    /// Returns the control API's base URL, by the address it listens on, without a trailing slash.
    pub fn control_url(&self) -> String {
        format!("http://{}/_control", self.address)
    }

    /// Returns a client of the control API.
    pub fn control(&self) -> control::Client {
        control::Client::new(&self.control_url())
    }

    /// Closes the socket and every connection. Returns when that is done.
    pub async fn stop(mut self) {
        self.task.abort();
        // An aborted task returns an error that says only that.
        let _ = (&mut self.task).await;
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, router: Router) {
    // The connections are dropped with this task.
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
        };
        let router = router.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| serve(router.clone(), request));
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        });
    }
}

/// Error that closes the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed as a fault demands")]
struct Closed;

async fn serve(router: Router, request: hyper::Request<hyper::body::Incoming>) -> Result<Response, Closed> {
    let request = request.map(axum::body::Body::new);
    let Ok(response) = router.oneshot(request).await;
    if response.extensions().get::<Hangup>().is_some() { Err(Closed) } else { Ok(response) }
}
