//! Receives webhook deliveries. Requests with an invalid header are rejected before the body is
//! read. A response with 202 means that the effect is applied.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use tokio::time::timeout;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::answer::Answer;
use super::body::{self, BodyError};
use super::{Limits, Shared, result};
use crate::core::freshness::Delivery;
use crate::core::signature::{SIGNATURE_HEADER, Signature};
use crate::ports::{GithubAnswer, GithubDelivery, IngestError};

const EVENT_HEADER: &str = "x-github-event";
const DELIVERY_HEADER: &str = "x-github-delivery";

/// Value of `Retry-After` for a delivery that could not be applied.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Responds to one delivery.
pub(super) async fn receive(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    let start = Instant::now();
    let event = short_header(request.headers(), EVENT_HEADER).unwrap_or_default();
    let delivery = short_header(request.headers(), DELIVERY_HEADER).unwrap_or_default();
    let span = tracing::info_span!("webhook", delivery, event, status = Empty, otel.status_code = Empty);
    async {
        // This timeout covers everything: a delivery that GitHub has given up must not use
        // resources any longer.
        let answer = timeout(shared.context.limits.request_time, deliver(&shared, request))
            .await
            .unwrap_or_else(|_| {
                Answer::new(StatusCode::SERVICE_UNAVAILABLE, "the event could not be applied in time")
                    .retry_after(RETRY_AFTER)
            });
        shared.context.metrics.webhook(&event, result(answer.status), start.elapsed());
        let (status, message) = (answer.status.as_u16(), answer.message.as_str());
        if answer.status.is_success() {
            tracing::info!(status, result = message, "webhook handled");
        } else {
            tracing::warn!(status, reason = message, "webhook rejected");
        }
        // Only for traces, because the log line above already contains this.
        let span = Span::current();
        span.record("status", status);
        if answer.status.is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
        answer
    }
    .instrument(span)
    .await
}

async fn deliver(shared: &Shared, request: Request) -> Answer {
    let limits = &shared.context.limits;
    let (parts, body) = request.into_parts();
    let delivery = short_header(&parts.headers, DELIVERY_HEADER).map(|id| Delivery::new(&id));
    let (event, signature) = match check_header(&parts.headers) {
        Ok(checked) => checked,
        Err(answer) => return answer.closing(),
    };
    let length = body.size_hint().exact();
    let held = match body::read(body, length, limits.body, limits.body_time, &shared.memory).await {
        Ok(held) => held,
        Err(error) => return refuse_body(&error, limits).closing(),
    };
    let delivery = GithubDelivery { event, signature, delivery };
    let answer = shared.context.github.accept(delivery, held.into_body()).await;
    match answer {
        Ok(GithubAnswer::Applied { done, happened_at }) => {
            if let Some(at) = happened_at {
                // GitHub's clock may be ahead of this one.
                let lag = Timestamp::now().duration_since(at).try_into().unwrap_or_default();
                shared.context.metrics.webhook_lag(lag);
            }
            Answer::new(StatusCode::ACCEPTED, done)
        }
        Ok(GithubAnswer::Ignored(reason)) => Answer::new(StatusCode::OK, format!("ignored: {reason}")),
        Err(IngestError::NotSigned(reason)) => Answer::new(StatusCode::FORBIDDEN, reason),
        Err(IngestError::Invalid(reason)) => Answer::new(StatusCode::BAD_REQUEST, reason),
        Err(IngestError::Unavailable(reason)) => {
            Answer::new(StatusCode::SERVICE_UNAVAILABLE, format!("not applied: {reason}"))
                .retry_after(RETRY_AFTER)
        }
        Err(IngestError::Refused(reason)) => {
            Answer::new(StatusCode::INTERNAL_SERVER_ERROR, format!("not applied: {reason}"))
        }
    }
}

/// Checks the header before any of the body is read. Returns the event's name and the signature.
fn check_header(headers: &HeaderMap) -> Result<(String, Signature), Answer> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Answer::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "set the webhook's content type to application/json",
        ));
    }
    let signature = Signature::from_header(headers.get(SIGNATURE_HEADER).map(http::HeaderValue::as_bytes))
        .map_err(|error| Answer::new(StatusCode::UNAUTHORIZED, error.to_string()))?;
    let event = short_header(headers, EVENT_HEADER).ok_or_else(|| {
        Answer::new(
            StatusCode::BAD_REQUEST,
            "the header X-GitHub-Event is missing or is not the name of an event",
        )
    })?;
    Ok((event, signature))
}

/// Returns a header that contains a name or an id; `None` when it is missing, too long, or not
/// plain text.
fn short_header(headers: &HeaderMap, name: &str) -> Option<String> {
    const LONGEST: usize = 100;
    let text = headers.get(name)?.to_str().ok()?;
    (!text.is_empty() && text.len() <= LONGEST).then(|| text.to_owned())
}

fn refuse_body(error: &BodyError, limits: &Limits) -> Answer {
    match error {
        BodyError::TooLarge => Answer::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is larger than the {} bytes that are allowed here", limits.body),
        ),
        BodyError::TooSlow => Answer::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not arrive within {:?}", limits.body_time),
        ),
        BodyError::NoRoom => {
            Answer::new(StatusCode::SERVICE_UNAVAILABLE, "too many large deliveries at the same time")
                .retry_after(RETRY_AFTER)
        }
        BodyError::Broken => Answer::new(StatusCode::BAD_REQUEST, "the body broke off"),
    }
}
