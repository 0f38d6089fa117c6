use std::path::PathBuf;
use std::sync::Mutex;

use async_trait::async_trait;
use clap::Parser;
use futures::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::core::event::Event;
use crate::core::freshness::Delivery;
use crate::core::signature::sign;
use crate::core::slack::{ChatMessage, SlackSignature};
use crate::ports::{Body, IngestError, Receiver};
use crate::settings::Flags;

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    flags: Flags,
}

/// Temporary file with a secret. It is deleted when dropped.
struct SecretFile(PathBuf);

impl SecretFile {
    fn new(name: &str, content: &str) -> Self {
        let path = std::env::temp_dir().join(format!("matinee-run-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    fn settings(&self) -> Settings {
        let flags = Program::try_parse_from(["matinee", "--webhook-secret-file", self.0.to_str().unwrap()]);
        Settings::new(&flags.unwrap().flags, &self.0.with_extension("none")).unwrap()
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Blocks each event until it is let through.
struct Gate {
    events: Mutex<Vec<Event>>,
    arrived: Semaphore,
    through: Semaphore,
}

#[async_trait]
impl Ingest for Gate {
    async fn accept(&self, event: Event, _: Option<Delivery>) -> Result<String, IngestError> {
        self.arrived.add_permits(1);
        self.through.acquire().await.unwrap().forget();
        self.events.lock().unwrap().push(event);
        Ok("taken in".into())
    }
}

/// Accepts no commands.
struct Closed;

#[async_trait]
impl Receiver<SlackSignature> for Closed {
    type Answer = Option<ChatMessage>;

    async fn accept(&self, _: SlackSignature, _: Body) -> Result<Option<ChatMessage>, IngestError> {
        Err(IngestError::NotSigned("closed".into()))
    }
}

struct Operated {
    address: std::net::SocketAddr,
    admin: std::net::SocketAddr,
    metrics: Metrics,
    gate: Arc<Gate>,
    ready: Option<oneshot::Sender<()>>,
    fail: Option<oneshot::Sender<()>>,
    shutdown: CancellationToken,
    end: JoinHandle<anyhow::Result<()>>,
}

impl Operated {
    async fn start(settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let admin = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let admin_address = admin.local_addr().unwrap();
        let metrics = Metrics::default();
        let counted = metrics.clone();
        let admin = Admin::start(admin, metrics.clone()).unwrap();
        let gate = Arc::new(Gate {
            events: Mutex::default(),
            arrived: Semaphore::new(0),
            through: Semaphore::new(0),
        });
        let (ready, when_ready) = oneshot::channel();
        let (fail, when_failed) = oneshot::channel();
        let working = Working {
            ingest: Arc::clone(&gate) as _,
            slack: Arc::new(Closed),
            environments: Arc::new(|_, _| None),
            ready: when_ready.map(|_| ()).boxed(),
            work: when_failed.map(|_| Err(anyhow!("no watch on environments"))).boxed(),
        };
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let end =
            tokio::spawn(async move { operate(listener, admin, counted, &settings, working, stop).await });
        Self {
            address,
            admin: admin_address,
            metrics,
            gate,
            ready: Some(ready),
            fail: Some(fail),
            shutdown,
            end,
        }
    }

    /// Sends a request that closes its connection, and reads the complete response.
    async fn ask(address: std::net::SocketAddr, request: String) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Returns the admin listener's response.
    async fn admin(&self, path: &str) -> String {
        get(self.admin, path).await
    }

    async fn readiness(&self) -> String {
        self.admin("/readyz").await
    }
}

async fn get(address: std::net::SocketAddr, path: &str) -> String {
    Operated::ask(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
}

fn ping(secret: &WebhookSecret) -> String {
    let signature = sign(secret, b"{}");
    format!(
        "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
         X-GitHub-Event: ping\r\nX-Hub-Signature-256: {signature}\r\nContent-Length: 2\r\n\r\n{{}}"
    )
}

#[tokio::test]
async fn process_is_ready_when_controllers_are() {
    let file = SecretFile::new("ready", "0123456789abcdef");
    let mut operated = Operated::start(file.settings()).await;
    let answer = operated.readiness().await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("still being listed"), "{answer}");
    operated.ready.take().unwrap().send(()).unwrap();
    timeout(PATIENCE, async {
        while !operated.readiness().await.starts_with("HTTP/1.1 200") {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    operated.shutdown.cancel();
    timeout(PATIENCE, operated.end).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn process_ends_with_the_error_of_the_controllers() {
    let file = SecretFile::new("fails", "0123456789abcdef");
    let mut operated = Operated::start(file.settings()).await;
    operated.readiness().await;
    operated.fail.take().unwrap().send(()).unwrap();
    let error = timeout(PATIENCE, operated.end).await.unwrap().unwrap().unwrap_err();
    assert_eq!(format!("{error:#}"), "the controllers ended: no watch on environments");
    for address in [operated.address, operated.admin] {
        assert!(TcpStream::connect(address).await.is_err(), "nothing listens any more");
    }
}

#[tokio::test]
async fn running_delivery_is_applied_before_shutdown() {
    let file = SecretFile::new("ends", "0123456789abcdef\n");
    let operated = Operated::start(file.settings()).await;
    let secret = WebhookSecret::new(b"0123456789abcdef").unwrap();
    let delivery = tokio::spawn(Operated::ask(operated.address, ping(&secret)));
    operated.gate.arrived.acquire().await.unwrap().forget();
    operated.shutdown.cancel();
    assert!(!operated.end.is_finished());
    // Health and metrics are served until the end.
    assert!(operated.admin("/healthz").await.starts_with("HTTP/1.1 200"));
    operated.gate.through.add_permits(1);
    let answer = timeout(PATIENCE, delivery).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 202") && answer.contains("taken in"), "{answer}");
    timeout(PATIENCE, operated.end).await.unwrap().unwrap().unwrap();
    assert_eq!(operated.gate.events.lock().unwrap()[..], [Event::Ping]);
}

#[tokio::test]
async fn health_and_metrics_have_an_address_of_their_own() {
    let file = SecretFile::new("admin", "0123456789abcdef");
    let operated = Operated::start(file.settings()).await;
    let answer = operated.admin("/healthz").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"message":"alive"}"#), "{answer}");
    operated.gate.through.add_permits(1);
    let secret = WebhookSecret::new(b"0123456789abcdef").unwrap();
    Operated::ask(operated.address, ping(&secret)).await;
    let answer = operated.admin("/metrics").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{head}"
    );
    assert!(body.contains("\nmatinee_webhooks_total{event=\"ping\",result=\"applied\"} 1\n"), "{body}");
    assert_eq!(body, operated.metrics.encode().unwrap());
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert!(get(operated.address, path).await.starts_with("HTTP/1.1 404"), "{path}");
    }
    for path in ["/", "/webhooks/github", "/environments/a/b"] {
        assert!(operated.admin(path).await.starts_with("HTTP/1.1 404"), "{path}");
    }
    operated.shutdown.cancel();
    timeout(PATIENCE, operated.end).await.unwrap().unwrap().unwrap();
}

#[test]
fn a_runtime_all_of_whose_threads_are_blocked_is_not_alive() {
    let working = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let asking = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let admin = working
        .block_on(async { Admin::watching(listener, Metrics::default(), Duration::from_secs(3)) })
        .unwrap();
    let health = |wanted: &str| {
        asking.block_on(async {
            let asked = async {
                loop {
                    let answer = get(address, "/healthz").await;
                    if answer.starts_with(wanted) {
                        return answer;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            timeout(PATIENCE, asked).await.unwrap()
        })
    };
    health("HTTP/1.1 200");
    // This blocks one of two threads, so the heartbeat continues.
    let (free, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let block = || {
        let (blocked, (says, begun)) = (Arc::clone(&blocked), std::sync::mpsc::channel());
        working.spawn(async move {
            says.send(()).unwrap();
            blocked.lock().unwrap().recv().unwrap();
        });
        begun.recv().unwrap();
    };
    block();
    health("HTTP/1.1 200");
    block();
    let answer = health("HTTP/1.1 503");
    assert!(answer.contains("every thread is blocked"), "{answer}");
    free.send(()).unwrap();
    free.send(()).unwrap();
    health("HTTP/1.1 200");
    working.block_on(admin.end());
}

#[tokio::test]
async fn changed_secrets_are_used_and_broken_ones_are_not() {
    let file = SecretFile::new("follow", "0123456789abcdef");
    let files = file.settings().webhook_secrets;
    let (sender, mut current) = watch::channel(files.secrets());
    let task = tokio::spawn(follow_secrets(files, sender, Duration::from_millis(5)));
    let next = |text: &str| Arc::from([WebhookSecret::new(text.as_bytes()).unwrap()]);
    for secret in ["the second secret", "the third secret!"] {
        // A file may be empty while it is being written. The previous secret stays valid.
        std::fs::write(&file.0, "").unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert!(!current.has_changed().unwrap());
        std::fs::write(&file.0, secret).unwrap();
        timeout(PATIENCE, current.changed()).await.unwrap().unwrap();
        assert_eq!(*current.borrow_and_update(), next(secret));
    }
    task.abort();
}
