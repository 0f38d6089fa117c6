//! What the operator of a cluster asks: is it alive, is it ready, and what does it count? On an address of its own, which needn't be
//! reached from outside.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{StatusCode, header};

use super::answer::Answer;
use super::unknown;
use crate::metrics::{CONTENT_TYPE, Metrics};

/// Answers 200 as long as work gets done in the process, else 503 with the reason.
pub const HEALTH_PATH: &str = "/healthz";
/// Answers 200 when webhooks can be acted on, else 503 with the reason.
pub const READINESS_PATH: &str = "/readyz";
/// Everything that is counted, in the text format that Prometheus reads.
pub const METRICS_PATH: &str = "/metrics";

/// Whether all is well; if not, why.
pub type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What the admin server works with.
#[derive(Clone)]
pub struct AdminContext {
    /// Asked by [`HEALTH_PATH`].
    pub liveness: Check,
    /// Asked by [`READINESS_PATH`].
    pub readiness: Check,
    /// Shown by [`METRICS_PATH`].
    pub metrics: Metrics,
}

/// Everything that is served to the operator of the cluster, as a service that needs no socket.
pub fn admin(context: AdminContext) -> Router {
    let routes = Router::new()
        .route(HEALTH_PATH, get(async |State(context): State<AdminContext>| told(&context.liveness, "alive")))
        .route(
            READINESS_PATH,
            get(async |State(context): State<AdminContext>| told(&context.readiness, "ready")),
        )
        .route(METRICS_PATH, get(async |State(context): State<AdminContext>| metrics(&context.metrics)));
    unknown(routes).with_state(context)
}

fn told(check: &Check, well: &str) -> Answer {
    match check() {
        Ok(()) => Answer::new(StatusCode::OK, well),
        Err(reason) => Answer::new(StatusCode::SERVICE_UNAVAILABLE, reason),
    }
}

fn metrics(metrics: &Metrics) -> Response {
    match metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            let why = format!("the metrics can't be written: {error}");
            Answer::new(StatusCode::INTERNAL_SERVER_ERROR, why).into_response()
        }
    }
}
