//! A collector receives the trace of a webhook. The test starts itself again as the traced program,
//! with OpenTelemetry's environment variables, which can't be set for a running process.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers outside of `#[test]` functions are test code too

#[allow(dead_code)] // shared with the tests of the server
#[path = "../../server/client.rs"]
mod client;
#[allow(dead_code)] // shared with the tests of the server
#[path = "../../server/served.rs"]
mod served;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use client::delivery;
use libtest_mimic::{Arguments, Trial};
use matinee::adapters::github::{GithubForges, GithubSettings};
use matinee::api::GithubConnection;
use matinee::cli::traces;
use matinee::metrics::Metrics;
use matinee::ports::{ClusterError, ForgeError, Forges as _, Secrets};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;
use served::{Served, secret};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Marks the traced process.
const TRACED: &str = "MATINEE_TEST_TRACED";

fn main() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    if std::env::var_os(TRACED).is_some() {
        traced();
        return ExitCode::SUCCESS;
    }
    let trials = vec![
        Trial::test("a_webhook_is_a_span_with_its_attributes", || {
            a_webhook_is_a_span_with_its_attributes();
            Ok(())
        }),
        Trial::test("nothing_is_sent_when_traces_are_switched_off", || {
            nothing_is_sent_when_traces_are_switched_off();
            Ok(())
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Receives two deliveries, and ends.
fn traced() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (traces, layer) = traces::start(runtime.handle()).unwrap().unzip();
    tracing_subscriber::registry().with(layer).init();
    runtime.block_on(async {
        let served = Served::start().await;
        let answer = served.ask(delivery(&secret(), b"{}", &[("X-GitHub-Event", "ping")])).await;
        assert_eq!(answer.status, 202, "{}", answer.message);
        *served.ingest.result.lock().unwrap() = Err(matinee::ports::IngestError::Unavailable("away".into()));
        served.ask(delivery(&secret(), b"{}", &[("X-GitHub-Event", "ping")])).await;
        ask_github().await;
    });
    if let Some(traces) = traces {
        traces.end();
    }
}

const TOKEN: &str = "ghp_of_nobody";

struct Token;

#[async_trait::async_trait]
impl Secrets for Token {
    async fn secret(&self, _: &str) -> Result<Option<BTreeMap<String, Vec<u8>>>, ClusterError> {
        Ok(Some([("token".to_owned(), TOKEN.as_bytes().to_vec())].into()))
    }
}

/// Reads a pull request that doesn't exist.
async fn ask_github() {
    let github = wiremock::MockServer::start().await;
    let connection = GithubConnection { url: github.uri(), secret_name: "github".into() };
    let forges = GithubForges::new(Arc::new(Token), GithubSettings::default(), Metrics::default());
    let shop = "acme/shop".parse().unwrap();
    let forge = forges.forge(&connection, &shop).await.unwrap();
    assert!(matches!(forge.pull_request(&shop, 7, Duration::ZERO).await, Err(ForgeError::NotFound(_))));
}

/// Requests to the collector, with their headers.
type Received = Arc<Mutex<Vec<(HeaderMap, ExportTraceServiceRequest)>>>;

async fn take(State(received): State<Received>, headers: HeaderMap, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    received.lock().unwrap().push((headers, request));
}

/// Runs the traced program with a collector. Returns the requests to the collector.
fn run(variables: &[(&str, &str)]) -> Vec<(HeaderMap, ExportTraceServiceRequest)> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let received = Received::default();
    let app = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&received));
    let address: SocketAddr = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = tokio_util::sync::CancellationToken::new();
        tokio::spawn(matinee::server::serve(listener, app, matinee::server::Limits::default(), shutdown));
        address
    });
    let status = Command::new(std::env::current_exe().unwrap())
        .env(TRACED, "1")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"))
        // The program sends nothing before its end, however long it runs.
        .env("OTEL_BSP_SCHEDULE_DELAY", "600000")
        .envs(variables.iter().copied())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    std::mem::take(&mut *received.lock().unwrap())
}

fn attributes(of: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.clone().unwrap().value.unwrap() {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    of.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}

fn a_webhook_is_a_span_with_its_attributes() {
    let received = run(&[
        ("OTEL_SERVICE_NAME", "matinee-east"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=hush"),
    ]);
    let (headers, request) = &received[0];
    assert_eq!(received.len(), 1, "what is left at the end is sent at once");
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["x-api-key"], "hush");
    let [spans] = &request.resource_spans[..] else { panic!("{request:?}") };
    let resource = attributes(&spans.resource.as_ref().unwrap().attributes);
    assert_eq!(resource["service.name"], "matinee-east");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(resource["deployment.environment.name"], "test");
    let [scope] = &spans.scope_spans[..] else { panic!("{request:?}") };
    let [taken, failed, asked] = &scope.spans[..] else { panic!("{request:?}") };
    let told = attributes(&taken.attributes);
    assert_eq!(taken.name, "webhook");
    assert_eq!(told["delivery"], "72d3162e-cc78-11e3-81ab-4c9367dc0958");
    assert_eq!(told["event"], "ping");
    assert_eq!(told["status"], "202");
    assert!(taken.end_time_unix_nano >= taken.start_time_unix_nano && taken.start_time_unix_nano > 0);
    assert_eq!(taken.status.as_ref().map_or(0, |status| status.code), 0);
    assert_eq!(attributes(&failed.attributes)["status"], "503");
    assert_eq!(failed.status.as_ref().unwrap().code, 2, "an error, as a collector counts them");
    assert_eq!(asked.name, "github");
    let told = attributes(&asked.attributes);
    assert_eq!(
        ["method", "path", "status"].map(|name| told[name].as_str()),
        ["GET", "/repos/{}/{}/pulls/{}", "404"]
    );
    let all = format!("{request:?}");
    for secret in ["sha256", "It's a Secret", TOKEN] {
        assert!(!all.contains(secret), "{all}");
    }
}

fn nothing_is_sent_when_traces_are_switched_off() {
    assert!(run(&[("OTEL_SDK_DISABLED", "true")]).is_empty());
    assert!(run(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).is_empty());
}
