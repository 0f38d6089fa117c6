//! Starting and stopping, and what every request passes: the log and the faults.

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

/// How to start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// How it wants to see who asks.
    pub authentication: Authentication,
    /// How long a token lives.
    pub token_lifetime: Duration,
}

impl Default for Settings {
    /// Tokens that live as long as the specification says when an answer doesn't: 60 seconds.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            authentication: Authentication::Bearer,
            token_lifetime: Duration::from_mins(1),
        }
    }
}

/// Why the stand-in could not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; choose another address or port 0")]
pub struct StartError {
    /// The address.
    pub address: SocketAddr,
    /// What the system said.
    pub source: std::io::Error,
}

/// A running stand-in. It stops when dropped.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl StandIn {
    /// Starts one with nothing in it.
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

    /// Host and port as they stand in the name of an image.
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

/// The state, and the address of which URLs are made when a request names none.
#[derive(Debug)]
pub(crate) struct World {
    state: Mutex<State>,
    pub(crate) address: SocketAddr,
}

impl World {
    /// Returns the state. A panic elsewhere while it was locked is no reason to stop everything.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, router: Router) {
    // Dropped with this task, and its connections with it.
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

/// The connection is to be closed without an answer.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("closed as a fault demands")]
struct Closed;

async fn serve(router: Router, request: hyper::Request<hyper::body::Incoming>) -> Result<Response, Closed> {
    let Ok(response) = router.oneshot(request.map(axum::body::Body::new)).await;
    if response.extensions().get::<Closed>().is_some() { Err(Closed) } else { Ok(response) }
}

/// Everything but the control API: logged, then broken or answered.
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
    // A HEAD is answered as the GET would be, short of the body.
    if method == "HEAD" {
        let (head, _) = response.into_parts();
        return Response::from_parts(head, axum::body::Body::empty());
    }
    response
}
