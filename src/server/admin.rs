//! Health, readiness and metrics for the operator of the cluster. They have their own address,
//! which needn't be reachable from outside.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{StatusCode, header};

use super::answer::Answer;
use super::unknown;
use crate::metrics::{CONTENT_TYPE, Metrics};

/// Responds with 200 while the process does its work, else with 503 and the cause.
pub const HEALTH_PATH: &str = "/healthz";
/// Responds with 200 when webhooks can be applied, else with 503 and the cause.
pub const READINESS_PATH: &str = "/readyz";
/// Responds with all metrics, in Prometheus' text format.
pub const METRICS_PATH: &str = "/metrics";

/// Checks a part of the process. The error is the cause of a problem.
pub type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Data for the admin server.
#[derive(Clone)]
pub struct AdminContext {
    /// Check for [`HEALTH_PATH`].
    pub liveness: Check,
    /// Check for [`READINESS_PATH`].
    pub readiness: Check,
    /// Metrics for [`METRICS_PATH`].
    pub metrics: Metrics,
}

/// Returns the admin server as a service that needs no socket.
pub fn admin(context: AdminContext) -> Router {
    let routes = Router::new()
        .route(
            HEALTH_PATH,
            get(async |State(context): State<AdminContext>| answer(&context.liveness, "alive")),
        )
        .route(
            READINESS_PATH,
            get(async |State(context): State<AdminContext>| answer(&context.readiness, "ready")),
        )
        .route(METRICS_PATH, get(async |State(context): State<AdminContext>| metrics(&context.metrics)));
    unknown(routes).with_state(context)
}

fn answer(check: &Check, well: &str) -> Answer {
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
