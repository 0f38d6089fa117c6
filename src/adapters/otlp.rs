//! Sends traces to a collector by OTLP over HTTP. It uses the HTTP client of the other adapters, so
//! that the binary has no second one. <https://opentelemetry.io/docs/specs/otlp/#otlphttp>

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry_http::{HttpClient as OtlpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

use super::http::HttpClient;
use super::sync::locked;

/// Most bytes of an answer, which says how many spans were rejected, and why.
const LARGEST: usize = 1 << 20;

/// Sends the exporter's requests on the tokio runtime, which the exporter's own thread doesn't
/// have.
pub struct CollectorClient {
    client: HttpClient,
    runtime: Handle,
    /// The last problem, so that the same one is logged once.
    problem: Mutex<Option<String>>,
}

impl fmt::Debug for CollectorClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectorClient").finish_non_exhaustive()
    }
}

impl CollectorClient {
    /// Creates a client. `timeout` bounds each request.
    ///
    /// # Errors
    /// This machine's certificate authorities can't be read.
    pub fn new(runtime: Handle, timeout: Duration) -> Result<Self, String> {
        Ok(Self { client: HttpClient::new(timeout)?, runtime, problem: Mutex::default() })
    }

    /// Logs a problem once, since the exporter itself logs nothing.
    fn note(&self, problem: Option<String>) {
        let mut last = locked(&self.problem);
        match &problem {
            Some(text) if problem != *last => tracing::warn!(error = text, "failed to export traces"),
            None if last.is_some() => tracing::info!("traces are exported again"),
            _ => {}
        }
        *last = problem;
    }
}

#[async_trait]
impl OtlpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = self.runtime.spawn(async move { client.exchange(request, LARGEST).await });
        let answer = sending.await.unwrap_or_else(|error| Err(error.to_string()));
        let problem = match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the collector answered {}", answer.status())),
            Err(error) => Some(error.clone()),
        };
        self.note(problem);
        answer.map_err(Into::into)
    }
}
