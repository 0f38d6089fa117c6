//! Traces to a collector, by OTLP over HTTP: over the same kind of client as everything else, so that no second one gets into the program.
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use opentelemetry_http::{HttpClient as OtlpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

use super::http::{HttpClient, causes, client};

/// The largest answer that is read: it says how many spans were refused, and why.
const LARGEST: usize = 1 << 20;

/// Sends what the exporter has, on a runtime of which the exporter's own thread knows nothing.
#[derive(Debug)]
pub struct CollectorClient {
    client: HttpClient<Full<Bytes>>,
    runtime: Handle,
    timeout: Duration,
    /// What went wrong last: the same is said once.
    problem: Mutex<Option<String>>,
}

impl CollectorClient {
    /// A client whose requests take no longer than `timeout`.
    ///
    /// # Errors
    /// When this machine's certificate authorities can't be read.
    pub fn new(runtime: Handle, timeout: Duration) -> Result<Self, String> {
        let client = {
            let _entered = runtime.enter();
            client(timeout)?
        };
        Ok(Self { client, runtime, timeout, problem: Mutex::default() })
    }

    /// Says what went wrong, once; the exporter itself says nothing.
    fn note(&self, problem: Option<String>) {
        let mut last = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        match &problem {
            Some(text) if problem != *last => tracing::warn!("traces are lost: {text}"),
            None if last.is_some() => tracing::info!("traces are taken again"),
            _ => {}
        }
        *last = problem;
    }
}

#[async_trait]
impl OtlpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, timeout) = (self.client.clone(), self.timeout);
        let sending = self.runtime.spawn(async move {
            let exchange = async {
                let answer = client.request(request.map(Full::new)).await.map_err(|error| causes(&error))?;
                let (parts, body) = answer.into_parts();
                let body = Limited::new(body, LARGEST).collect().await.map_err(|error| error.to_string())?;
                Ok::<_, String>(Response::from_parts(parts, body.to_bytes()))
            };
            tokio::time::timeout(timeout, exchange)
                .await
                .unwrap_or_else(|_| Err(format!("no answer within {} s", timeout.as_secs())))
        });
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
