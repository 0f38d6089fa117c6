//! `matinee run`: the server and the controllers, until a signal or a failure ends both.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::core::webhook::WebhookSecret;
use crate::ports::Intake;
use crate::server::{self, Limits, Readiness};
use crate::settings::{SecretFiles, Settings};

/// How often the files with secrets are read again. The kubelet takes about a minute to bring a changed Secret into a pod.
const SECRETS_INTERVAL: Duration = Duration::from_secs(10);
/// How long the controllers may take to end what they are doing. Kubernetes kills a pod 30 seconds after it asked it to end.
const GRACE: Duration = Duration::from_secs(15);

/// The controllers at work.
pub struct Working<F> {
    /// Applies webhooks.
    pub intake: Arc<dyn Intake>,
    /// Whether webhooks can be applied yet.
    pub readiness: Readiness,
    /// Ends after the shutdown was asked for, or with what made going on impossible.
    pub work: F,
}

/// Serves and controls until `shutdown`, or until the controllers end. What is under way gets time to end.
pub async fn operate<F>(
    listener: TcpListener,
    settings: &Settings,
    working: Working<F>,
    shutdown: CancellationToken,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let (sender, secrets) = watch::channel(settings.webhook_secrets.secrets());
    let limits = Limits { body: settings.webhook_max_bytes, ..Limits::default() };
    let app = server::app(server::Context {
        intake: working.intake,
        secrets,
        readiness: working.readiness,
        limits,
    });
    let server = tokio::spawn(server::serve(listener, app, limits, shutdown.clone()));
    let follow = tokio::spawn(follow_secrets(settings.webhook_secrets.clone(), sender, SECRETS_INTERVAL));

    let mut work = std::pin::pin!(working.work);
    let result = tokio::select! {
        result = &mut work => result.context("the controllers ended"),
        () = shutdown.cancelled() => match timeout(GRACE, &mut work).await {
            Ok(result) => result.context("the controllers did not end well"),
            Err(_) => {
                tracing::warn!("the controllers did not end within {GRACE:?}");
                Ok(())
            }
        },
    };
    shutdown.cancel();
    server.await.context("the server failed")?;
    follow.abort();
    result
}

/// Keeps the secrets as the files have them. Secrets in use stay in use while a file can't be read or holds none.
async fn follow_secrets(
    mut files: SecretFiles,
    current: watch::Sender<Arc<[WebhookSecret]>>,
    pause: Duration,
) {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut problem = None;
    loop {
        ticks.tick().await;
        let before = files.clone();
        match tokio::task::spawn_blocking(move || before.reopen()).await {
            Ok(Ok(now)) => {
                if now != files {
                    tracing::info!("the webhook's secrets changed: {} in use", now.secrets().len());
                    files = now;
                    current.send_replace(files.secrets());
                }
                problem = None;
            }
            Ok(Err(text)) => {
                if problem.as_ref() != Some(&text) {
                    tracing::warn!("the webhook's secrets stay as they were: {text}");
                    problem = Some(text);
                }
            }
            Err(error) => tracing::warn!("the webhook's secrets could not be read: {error}"),
        }
    }
}

/// Cancelled by the first SIGTERM or SIGINT. A second one ends the process as ever.
fn until_signalled() -> anyhow::Result<CancellationToken> {
    let shutdown = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let cancelled = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("ending");
        cancelled.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(1);
    });
    Ok(shutdown)
}

/// Runs the operator.
pub(super) async fn run(settings: Settings) -> anyhow::Result<()> {
    let shutdown = until_signalled()?;
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("--listen (MATINEE_LISTEN): can't listen on {}", settings.listen))?;
    tracing::info!("listening on {}", listener.local_addr()?);
    let _ = (listener, shutdown);
    anyhow::bail!("the controllers are missing")
}
