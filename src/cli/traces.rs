//! Traces: what webhooks, reconciles and requests to GitHub took, sent to a collector. Set by OpenTelemetry's own variables alone, and off
//! where they name no collector. <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>

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

/// Bounds one request to the collector.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the end may take in which the last spans are sent.
const END_WITHIN: Duration = Duration::from_secs(5);
/// Name of the service where no variable gives another.
const SERVICE: &str = "matinee";

/// Traces on their way.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

/// Starts sending traces on that runtime; `None` when the variables don't ask for it.
///
/// # Errors
/// When a variable can't be used. The message names it.
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
    // Matinee's own spans, whatever the log shows; what is logged goes into the log alone.
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

/// Whether the variables name a collector and don't switch traces off.
fn is_wanted(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name| variable(name).filter(|value| !value.trim().is_empty());
    let says = |name, word: &str| set(name).is_some_and(|value| value.trim().eq_ignore_ascii_case(word));
    let named = [OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT];
    named.into_iter().any(|name| set(name).is_some())
        && !says("OTEL_SDK_DISABLED", "true")
        && !says("OTEL_TRACES_EXPORTER", "none")
}

impl Traces {
    /// Sends what is left. Blocks, for five seconds at most; the runtime has to run meanwhile.
    pub fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(END_WITHIN) {
            tracing::warn!("the last traces are lost: {error}");
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
