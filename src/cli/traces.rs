//! Sends traces of webhooks, reconciles and requests to GitHub to a collector. OpenTelemetry's own
//! variables configure them. They are off if no variable names a collector.
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>

use std::env;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{
    OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, SpanExporter, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, filter_fn};

use super::log::AnyLayer;
use crate::adapters::otlp::CollectorClient;

/// Timeout of one request to the collector.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Time to send the last spans.
const END_WITHIN: Duration = Duration::from_secs(5);
/// Default name of the service.
const SERVICE: &str = "matinee";

/// A running exporter of traces.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

/// Starts to send traces on that runtime; `None` when the variables don't request it.
///
/// # Errors
/// A variable is invalid. The message names it.
pub fn start(runtime: &Handle) -> anyhow::Result<Option<(Traces, AnyLayer)>> {
    let wanted = is_wanted(|name| env::var(name).ok());
    wanted.then(|| to_the_collector(runtime)).transpose()
}

fn to_the_collector(runtime: &Handle) -> anyhow::Result<(Traces, AnyLayer)> {
    let client = CollectorClient::new(runtime.clone(), TIMEOUT).map_err(|error| anyhow!(error))?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .build()
        .context("traces can't be sent: correct the variables that begin with OTEL_EXPORTER_OTLP_")?;
    let mut resource = Resource::builder();
    if env::var_os("OTEL_SERVICE_NAME").is_none()
        && !env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|given| given.contains("service.name="))
    {
        resource = resource.with_service_name(SERVICE);
    }
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.with_attribute(version).build())
        .build();
    // Only Matinee's own spans, whatever the log's filter is. Log events aren't sent.
    let spans = filter_fn(|metadata| {
        metadata.is_span()
            && *metadata.level() <= Level::INFO
            && metadata.target().split("::").next() == Some(SERVICE)
    })
    .with_max_level_hint(LevelFilter::INFO);
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(SERVICE))
        .with_location(false)
        .with_threads(false)
        .with_filter(spans)
        .boxed();
    Ok((Traces(provider), layer))
}

/// Whether the variables name a collector and don't disable traces.
fn is_wanted(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name| variable(name).filter(|value| !value.trim().is_empty());
    let says = |name, word: &str| set(name).is_some_and(|value| value.trim().eq_ignore_ascii_case(word));
    let named = [OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT];
    named.into_iter().any(|name| set(name).is_some())
        && !says("OTEL_SDK_DISABLED", "true")
        && !says("OTEL_TRACES_EXPORTER", "none")
}

impl Traces {
    /// Sends the remaining spans. Blocks for at most five seconds, in which the runtime must run.
    pub fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(END_WITHIN) {
            tracing::warn!(%error, "failed to send the last traces");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_sent_only_where_somebody_says_so() {
        let wanted = |given: &[(&str, &str)]| {
            let value = |name: &str| given.iter().find(|(known, _)| *known == name);
            is_wanted(|name| value(name).map(|(_, value)| (*value).to_owned()))
        };
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        assert!(wanted(&[endpoint]));
        assert!(wanted(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces")]));
        assert!(wanted(&[endpoint, ("OTEL_SDK_DISABLED", "false")]));
        assert!(!wanted(&[]));
        assert!(!wanted(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]));
        assert!(!wanted(&[endpoint, ("OTEL_SDK_DISABLED", "True")]));
        assert!(!wanted(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]));
    }
}
