//! A server on a port of its own, and an ingest that records its events.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use matinee::controllers::WebhookReceiver;
use matinee::core::event::Event;
use matinee::core::freshness::Delivery;
use matinee::core::signature::WebhookSecret;
use matinee::core::slack::{ChatMessage, SlackSignature};
use matinee::metrics::Metrics;
use matinee::ports::{Body, Ingest, IngestError, Receiver};
use matinee::server::{Limits, ServerContext, app, serve};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::client::{Answer, Client};

/// Records events, and answers as prepared after its gate has a permit.
pub struct Recorder {
    pub events: Mutex<Vec<Event>>,
    /// The delivery that reported each of them.
    pub deliveries: Mutex<Vec<Option<Delivery>>>,
    pub result: Mutex<Result<String, IngestError>>,
    /// Each permit lets one event pass.
    pub gate: Semaphore,
}

#[async_trait]
impl Ingest for Recorder {
    async fn accept(&self, event: Event, delivery: Option<Delivery>) -> Result<String, IngestError> {
        self.gate.acquire().await.unwrap().forget();
        self.events.lock().unwrap().push(event);
        self.deliveries.lock().unwrap().push(delivery);
        self.result.lock().unwrap().clone()
    }
}

/// Records commands that are signed with the secret.
#[derive(Default)]
pub struct Counter {
    pub forms: Mutex<Vec<Vec<u8>>>,
}

#[async_trait]
impl Receiver<SlackSignature> for Counter {
    type Answer = Option<ChatMessage>;

    async fn accept(
        &self,
        signature: SlackSignature,
        body: Body,
    ) -> Result<Option<ChatMessage>, IngestError> {
        signature
            .verify(&[secret()], &body.bytes)
            .map_err(|error| IngestError::NotSigned(error.to_string()))?;
        self.forms.lock().unwrap().push(body.bytes);
        Ok(Some(ChatMessage { text: "taken".into(), ..ChatMessage::default() }))
    }
}

pub struct Served {
    pub address: SocketAddr,
    pub ingest: Arc<Recorder>,
    pub desk: Arc<Counter>,
    pub secrets: watch::Sender<Arc<[WebhookSecret]>>,
    pub metrics: Metrics,
    pub shutdown: CancellationToken,
    pub server: JoinHandle<()>,
}

pub fn secret() -> WebhookSecret {
    WebhookSecret::new(b"It's a Secret to Everybody\n").unwrap()
}

/// Returns limits that a test reaches quickly: 100 kB, half a second.
pub fn limits() -> Limits {
    Limits {
        body: 100_000,
        bodies: 150_000,
        header_time: Duration::from_millis(500),
        body_time: Duration::from_millis(500),
        request_time: Duration::from_millis(900),
        connections: 16,
    }
}

impl Served {
    /// Starts a server with the limits of production.
    pub async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub async fn with(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ingest = Arc::new(Recorder {
            events: Mutex::default(),
            deliveries: Mutex::default(),
            result: Mutex::new(Ok("previewed".into())),
            gate: Semaphore::new(1_000),
        });
        let desk = Arc::new(Counter::default());
        let (secrets, current) = watch::channel(Arc::from(vec![secret()]));
        let metrics = Metrics::default();
        let app = app(ServerContext {
            github: Arc::new(WebhookReceiver::new(current, Arc::clone(&ingest) as _)),
            slack: Arc::clone(&desk) as _,
            environments: Arc::new(|_, _| None),
            metrics: metrics.clone(),
            limits,
        });
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(serve(listener, app, limits, shutdown.clone()));
        Self { address, ingest, desk, secrets, metrics, shutdown, server }
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Sends bytes on a new connection, and reads the answer.
    pub async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut client = self.client().await;
        client.send(request).await;
        client.answer().await.unwrap()
    }

    /// Returns the value of a series.
    #[track_caller]
    pub fn counted(&self, series: &str) -> f64 {
        let text = self.metrics.encode().unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_else(|| panic!("{series} is not in\n{text}"))
    }

    /// Returns the number of deliveries of an event with this result.
    #[track_caller]
    pub fn webhooks(&self, event: &str, result: &str) -> u64 {
        let count = self.counted(&format!("matinee_webhooks_total{{event=\"{event}\",result=\"{result}\"}}"));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small count
        return count as u64;
    }

    pub fn events(&self) -> Vec<Event> {
        self.ingest.events.lock().unwrap().clone()
    }

    #[track_caller]
    pub fn nothing_was_applied(&self) {
        assert_eq!(self.events(), []);
    }
}
