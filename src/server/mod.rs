//! HTTP server: GitHub's webhooks, commands from Slack, and pages; health and metrics on a second
//! address.

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

pub use crate::adapters::github::registration::manifest::WEBHOOK_PATH;
use crate::api::PreviewEnvironment;
use crate::core::signature::WebhookSecret;
use crate::core::slack::{ChatMessage, SlackSignature};
use crate::metrics::{Metrics, WebhookResult};
use crate::ports::{GithubAnswer, GithubDelivery, Receiver};
use answer::Answer;

/// Path of slash commands: the "Request URL" of the Slack app's command.
pub const SLACK_PATH: &str = "/slack/commands";
/// Page of an environment. Deployment statuses link to it as their log.
pub const ENVIRONMENT_PATH: &str = "/environments/{namespace}/{name}";

/// Size of GitHub's largest webhook, in bytes.
/// <https://docs.github.com/webhooks/webhook-events-and-payloads>
pub const LARGEST_WEBHOOK: usize = 25 * 1024 * 1024;

/// Secrets that are valid for signatures of deliveries at present.
pub type Secrets = watch::Receiver<Arc<[WebhookSecret]>>;

/// Finds an environment by namespace and name.
pub type Environments = Arc<dyn Fn(&str, &str) -> Option<Arc<PreviewEnvironment>> + Send + Sync>;

/// Limits on one request and on all requests together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest body of a webhook in bytes.
    pub body: usize,
    /// Bytes that the bodies of all requests may occupy at a time; at least [`Limits::body`].
    /// Further senders get the status 503 and retry.
    pub bodies: usize,
    /// Time to send the header of a request, also on a reused connection.
    pub header_time: Duration,
    /// Time for the body to arrive, from the end of the header.
    pub body_time: Duration,
    /// Time from the end of the header to the response, more than [`Limits::body_time`]. GitHub's
    /// timeout is 10 seconds.
    pub request_time: Duration,
    /// Maximum number of open connections. Further ones wait to be accepted.
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

/// Data for the server.
#[derive(Clone)]
pub struct ServerContext {
    /// Receives GitHub's webhook deliveries.
    pub github: Arc<dyn Receiver<GithubDelivery, Answer = GithubAnswer>>,
    /// Receives Slack's slash commands.
    pub slack: Arc<dyn Receiver<SlackSignature, Answer = Option<ChatMessage>>>,
    /// Finds the environment of a page.
    pub environments: Environments,
    /// Metrics of the requests.
    pub metrics: Metrics,
    /// Limits on requests.
    pub limits: Limits,
}

struct Shared {
    context: ServerContext,
    /// One permit for each byte of a body in memory.
    memory: Arc<Semaphore>,
}

/// Returns the server as a service that needs no socket.
pub fn app(context: ServerContext) -> Router {
    let bytes = context.limits.bodies.max(context.limits.body).min(Semaphore::MAX_PERMITS);
    let shared = Arc::new(Shared { context, memory: Arc::new(Semaphore::new(bytes)) });
    let routes = Router::new()
        .route(WEBHOOK_PATH, post(webhook::receive))
        .route(SLACK_PATH, post(slack::receive))
        .route(ENVIRONMENT_PATH, get(page::environment));
    unknown(routes).with_state(shared)
}

/// Adds responses for unknown paths and methods.
fn unknown<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes
        .method_not_allowed_fallback(async || {
            Answer::new(StatusCode::METHOD_NOT_ALLOWED, "this method is not supported here")
        })
        .fallback(async || Answer::new(StatusCode::NOT_FOUND, "there is nothing here"))
}

/// Returns the label of a response in the metrics.
fn result(status: StatusCode) -> WebhookResult {
    match status {
        StatusCode::ACCEPTED => WebhookResult::Applied,
        _ if status.is_success() => WebhookResult::Ignored,
        _ if status.is_client_error() => WebhookResult::Refused,
        _ => WebhookResult::Failed,
    }
}
