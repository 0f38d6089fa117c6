//! Starts and stops the stand-in. Every request passes the log and the faults.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt as _;

use crate::control::types::{Authentication, FaultEffect};
use crate::state::State;
use crate::{answer, control, token, v2};

/// Settings of a stand-in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Kind of authentication that it requires.
    pub authentication: Authentication,
    /// Lifetime of a token.
    pub token_lifetime: Duration,
}

impl Default for Settings {
    /// Returns settings in which tokens live 60 seconds, which the specification assumes when an
    /// answer has no `expires_in`.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            authentication: Authentication::Bearer,
            token_lifetime: Duration::from_mins(1),
        }
    }
}

/// An error of starting the stand-in.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; choose another address or port 0")]
pub struct StartError {
    /// The address.
    pub address: SocketAddr,
    /// The system's error.
    pub source: std::io::Error,
}

/// A running stand-in. It stops when dropped.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl StandIn {
    /// Starts an empty stand-in.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let failed = |source| StartError { address: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let world = Arc::new(World { state: Mutex::new(State::new(&settings)), address });
        let router =
            Router::new().nest("/_control", control::server::router()).fallback(registry).with_state(world);
        let task = tokio::spawn(accept(listener, router));
        Ok(Self { address, task })
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns host and port, as in the name of an image.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Returns a client of the control API.
    pub fn control(&self) -> control::Client {
        control::Client::new(&format!("http://{}/_control", self.address))
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The state, and the base address of URLs for requests without a host.
#[derive(Debug)]
pub(crate) struct World {
    state: Mutex<State>,
    pub(crate) address: SocketAddr,
}

impl World {
    /// Locks the state. A panic of another holder doesn't stop the stand-in.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("closed as a fault demands")]
struct Closed;

async fn serve(router: Router, request: hyper::Request<hyper::body::Incoming>) -> Result<Response, Closed> {
    let Ok(response) = router.oneshot(request.map(axum::body::Body::new)).await;
    if response.extensions().get::<Closed>().is_some() { Err(Closed) } else { Ok(response) }
}

/// Handles everything but the control API: logs the request, then applies a fault or answers it.
async fn registry(Shared(world): Shared<Arc<World>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let method = parts.method.as_str();
    let (sequence, effect) = {
        let mut state = world.lock();
        (state.log(&parts), state.take_fault(method, parts.uri.path()))
    };
    let response = match effect {
        Some(FaultEffect::Close) => {
            let mut response = StatusCode::OK.into_response();
            response.extensions_mut().insert(Closed);
            return response;
        }
        Some(FaultEffect::Answer { status, headers, body }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = (status, body).into_response();
            for (name, value) in &headers {
                if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                    response.headers_mut().insert(name, value);
                }
            }
            response
        }
        Some(FaultEffect::RateLimit { retry_after }) => {
            let mut response = answer::error(
                StatusCode::TOO_MANY_REQUESTS,
                "TOOMANYREQUESTS",
                "you have reached your pull rate limit",
            );
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        delay_or_none => {
            if let Some(FaultEffect::Delay { ms }) = delay_or_none {
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
            match parts.uri.path() {
                "/token" => token::answer(&world, &parts),
                path => v2::answer(&world, path, &parts),
            }
        }
    };
    world.lock().answered(sequence, response.status().as_u16());
    // A HEAD gets the answer to the GET without the body.
    if method == "HEAD" {
        let (head, _) = response.into_parts();
        return Response::from_parts(head, axum::body::Body::empty());
    }
    response
}
