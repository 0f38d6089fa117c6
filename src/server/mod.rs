//! HTTP in: GitHub's webhooks, commands from Slack and pages; and on another address health and metrics.

mod admin;
mod answer;
mod body;
pub mod listen;
mod page;
mod slack;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use http::StatusCode;
use tokio::sync::{Semaphore, watch};

pub use admin::{AdminContext, Check, HEALTH_PATH, METRICS_PATH, READINESS_PATH, admin};
pub use listen::serve;
pub(crate) use page::escape;

pub use crate::adapters::github::registration::manifest::WEBHOOK_PATH;
use crate::api::PreviewEnvironment;
use crate::core::signature::WebhookSecret;
use crate::metrics::{Metrics, WebhookResult};
use crate::ports::{Desk, Intake};
use answer::Answer;

/// Where Slack sends slash commands: the "Request URL" of the app's command.
pub const SLACK_PATH: &str = "/slack/commands";
/// The page of an environment, which deployment statuses link to as their log.
pub const ENVIRONMENT_PATH: &str = "/environments/{namespace}/{name}";

/// The largest webhook that GitHub sends, in bytes. <https://docs.github.com/webhooks/webhook-events-and-payloads>
pub const LARGEST_WEBHOOK: usize = 25 * 1024 * 1024;

/// The secrets that deliveries may be signed with now.
pub type Secrets = watch::Receiver<Arc<[WebhookSecret]>>;

/// Finds an environment by namespace and name.
pub type Environments = Arc<dyn Fn(&str, &str) -> Option<Arc<PreviewEnvironment>> + Send + Sync>;

/// What one request, and all of them together, may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest body of a webhook in bytes.
    pub body: usize,
    /// Bytes that the bodies of all requests may fill at one time; at least [`Limits::body`]. What doesn't fit is asked to come again.
    pub bodies: usize,
    /// Time to send the header of a request, also on a connection that was used before.
    pub header_time: Duration,
    /// Time for the whole body to arrive, from the end of the header.
    pub body_time: Duration,
    /// Time from the end of the header to the answer, more than [`Limits::body_time`]. GitHub gives up after 10 seconds.
    pub request_time: Duration,
    /// Connections open at one time; more of them wait to be accepted.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: LARGEST_WEBHOOK,
            bodies: 64 * 1024 * 1024,
            header_time: Duration::from_secs(10),
            body_time: Duration::from_secs(8),
            request_time: Duration::from_millis(9_500),
            connections: 512,
        }
    }
}

/// What the server works with.
#[derive(Clone)]
pub struct Context {
    /// Applies events.
    pub intake: Arc<dyn Intake>,
    /// Takes slash commands.
    pub desk: Arc<dyn Desk>,
    /// Secrets of the webhook.
    pub secrets: Secrets,
    /// Asked for the environment of a page.
    pub environments: Environments,
    /// Counts what is answered.
    pub metrics: Metrics,
    /// What requests may use.
    pub limits: Limits,
}

struct Shared {
    context: Context,
    /// One permit per byte of a body in memory.
    memory: Arc<Semaphore>,
}

/// Everything that is served, as a service that needs no socket.
pub fn app(context: Context) -> Router {
    let bytes = context.limits.bodies.max(context.limits.body).min(Semaphore::MAX_PERMITS);
    let shared = Arc::new(Shared { context, memory: Arc::new(Semaphore::new(bytes)) });
    let routes = Router::new()
        .route(WEBHOOK_PATH, post(webhook::receive))
        .route(SLACK_PATH, post(slack::receive))
        .route(ENVIRONMENT_PATH, get(page::environment));
    unknown(routes).with_state(shared)
}

/// Answers what no route takes.
fn unknown<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes
        .method_not_allowed_fallback(async || {
            Answer::new(StatusCode::METHOD_NOT_ALLOWED, "this method is not supported here")
        })
        .fallback(async || Answer::new(StatusCode::NOT_FOUND, "there is nothing here"))
}

/// What an answer says about the request: how it ended, for the count.
fn result(status: StatusCode) -> WebhookResult {
    match status {
        StatusCode::ACCEPTED => WebhookResult::Applied,
        _ if status.is_success() => WebhookResult::Ignored,
        _ if status.is_client_error() => WebhookResult::Refused,
        _ => WebhookResult::Failed,
    }
}
