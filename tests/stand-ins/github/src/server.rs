//! Starts and stops the stand-in, and routes requests to its parts.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt as _;

use crate::api::call::Call;
use crate::api::pipeline::{self, Hangup};
use crate::state::Urls;
use crate::state::users::{RESERVED, SETTINGS};
use crate::world::World;
use crate::{control, pages};

/// Largest body of a request, in bytes.
const MAX_BODY: usize = 30 * 1024 * 1024;

/// Settings of a stand-in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Base path of the REST API: empty as on api.github.com, or `/api/v3` as on Enterprise Server.
    pub base_path: String,
    /// Base path of everything, including the REST API's: empty, or a path as behind a proxy in
    /// front of several services.
    pub path: String,
    /// Base URL for others, such as `http://10.0.0.1:3000`, when it differs from the address to
    /// listen on. All URLs in answers begin with it.
    pub public_url: Option<String>,
    /// Client that sends webhooks, when the usual one can't: for example one that resolves names
    /// which the system doesn't know. It must not follow redirects.
    pub client: Option<reqwest::Client>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            base_path: String::new(),
            path: String::new(),
            public_url: None,
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
    /// The base path is malformed.
    #[error("path `{0}` must be empty, or start with a slash and not end with one")]
    BasePath(String),
    /// The HTTP client for webhooks could not be created.
    #[error("cannot make the HTTP client for webhooks: {0}")]
    Client(#[from] reqwest::Error),
}

/// A running stand-in. It stops when dropped.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    path: String,
    urls: Urls,
    task: JoinHandle<()>,
}

impl StandIn {
    /// Starts an empty stand-in.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let (base, path) = (settings.base_path, settings.path);
        for path in [&base, &path] {
            if !path.is_empty() && (!path.starts_with('/') || path.ends_with('/')) {
                return Err(StartError::BasePath(path.clone()));
            }
        }
        let failed = |source| StartError::Listen { address: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let html = settings.public_url.unwrap_or_else(|| format!("http://{address}{path}"));
        let html = html.trim_end_matches('/').to_owned();
        let urls = Urls { api: format!("{html}{base}"), html };
        let world = Arc::new(World::new(urls.clone(), base, settings.client)?);
        let router = match path.as_str() {
            "" => router(&world),
            path => Router::new().nest(path, router(&world)),
        };
        let task = tokio::spawn(accept(listener, router));
        Ok(Self { address, path, urls, task })
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the REST API's base URL, without a trailing slash.
    pub fn api_url(&self) -> &str {
        &self.urls.api
    }

    /// Returns the pages' base URL, without a trailing slash.
    pub fn html_url(&self) -> &str {
        &self.urls.html
    }

    /// Returns the control API's base URL, by the address it listens on, without a trailing slash.
    pub fn control_url(&self) -> String {
        format!("http://{}{}/_control", self.address, self.path)
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
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
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

fn router(world: &Arc<World>) -> Router {
    Router::new().nest("/_control", control::server::router()).fallback(route).with_state(Arc::clone(world))
}

/// Routes a request to the pages or to the REST API, which share the root when the API has no base
/// path.
async fn route(State(world): State<Arc<World>>, request: Request) -> Response {
    let path = request.uri().path();
    let below =
        path.strip_prefix(world.base_path.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let accept = request.headers().get("accept").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let first =
        |path: &str| path.trim_start_matches('/').split('/').next().unwrap_or_default().to_lowercase();
    let is_api = match below {
        // With a base path, everything below it belongs to the API.
        Some(_) if !world.base_path.is_empty() => true,
        Some(rest) => match first(rest).as_str() {
            // Both the pages and the REST API have these paths.
            "" | "apps" => !accept.contains("text/html"),
            "_assets" => false,
            name if SETTINGS.contains(&name) => false,
            name => RESERVED.contains(&name) || accept.contains("json"),
        },
        None => false,
    };
    match below {
        Some(rest) if is_api => {
            let rest = if rest.is_empty() { "/".to_owned() } else { rest.to_owned() };
            rest_api(&world, &rest, request).await
        }
        _ => pages::answer(&world, request).await,
    }
}

async fn rest_api(world: &Arc<World>, path: &str, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let limited = http_body_util::Limited::new(body, MAX_BODY);
    let Ok(body) = limited.collect().await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large").into_response();
    };
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let segments = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect();
    let call = Call {
        method: parts.method,
        path: path.to_owned(),
        segments,
        query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        headers: parts.headers,
        body: body.to_bytes().to_vec(),
    };
    pipeline::answer(world, call, &query).await
}
