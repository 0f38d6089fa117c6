//! Receives slash commands from Slack. Requests with an invalid header are rejected before the body
//! is read. Slack shows the response to the user at once.
//! <https://docs.slack.dev/interactivity/implementing-slash-commands>

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Json, Response};
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use tokio::time::timeout;
use tracing::Instrument as _;

use super::answer::Answer;
use super::body::{self, BodyError};
use super::{Shared, result};
use crate::core::slack::command::LARGEST_FORM;
use crate::core::slack::signature::{SIGNATURE_HEADER, SlackSignature, TIMESTAMP_HEADER};
use crate::metrics::WebhookResult;
use crate::ports::IngestError;

/// Time limit for a response. Slack's own timeout is three seconds.
const WITHIN: Duration = Duration::from_millis(2_800);

/// Responds to one command.
pub(super) async fn receive(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let start = Instant::now();
    let span = tracing::info_span!("slack");
    async {
        let answer = timeout(WITHIN, take(&shared, request)).await.unwrap_or_else(|_| {
            Err(Answer::new(StatusCode::SERVICE_UNAVAILABLE, "the command could not be taken in time"))
        });
        let result = answer.as_ref().map_or_else(|answer| result(answer.status), |_| WebhookResult::Applied);
        shared.context.metrics.webhook("slack", result, start.elapsed());
        match answer {
            Ok(response) => response,
            Err(answer) => {
                tracing::warn!(status = answer.status.as_u16(), reason = %answer.message, "slash command rejected");
                answer.into_response()
            }
        }
    }
    .instrument(span)
    .await
}

async fn take(shared: &Shared, request: Request) -> Result<Response, Answer> {
    let (parts, body) = request.into_parts();
    let signature =
        signature(&parts.headers).map_err(|why| Answer::new(StatusCode::UNAUTHORIZED, why).closing())?;
    let length = body.size_hint().exact();
    let held = body::read(body, length, LARGEST_FORM, WITHIN, &shared.memory).await.map_err(|error| {
        match error {
            BodyError::TooLarge => Answer::new(StatusCode::PAYLOAD_TOO_LARGE, "the form is too large"),
            BodyError::TooSlow => Answer::new(StatusCode::REQUEST_TIMEOUT, "the form came too slowly"),
            BodyError::NoRoom => Answer::new(StatusCode::SERVICE_UNAVAILABLE, "too much at the same time"),
            BodyError::Broken => Answer::new(StatusCode::BAD_REQUEST, "the form broke off"),
        }
        .closing()
    })?;
    match shared.context.slack.accept(signature, held.into_body()).await {
        Ok(Some(message)) => Ok(Json(message.response()).into_response()),
        Ok(None) => Ok(StatusCode::OK.into_response()),
        Err(IngestError::NotSigned(why)) => Err(Answer::new(StatusCode::FORBIDDEN, why)),
        Err(IngestError::Invalid(why)) => Err(Answer::new(StatusCode::BAD_REQUEST, why)),
        Err(IngestError::Refused(why) | IngestError::Unavailable(why)) => {
            Err(Answer::new(StatusCode::SERVICE_UNAVAILABLE, why))
        }
    }
}

fn signature(headers: &HeaderMap) -> Result<SlackSignature, String> {
    let value = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    SlackSignature::from_headers(value(TIMESTAMP_HEADER), value(SIGNATURE_HEADER), Timestamp::now())
        .map_err(|error| error.to_string())
}
