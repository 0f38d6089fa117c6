//! `matinee run`: the server and the controllers, until a signal or a failure ends both.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::core::webhook::WebhookSecret;
use crate::ports::Intake;
use crate::server::{self, Limits, Readiness};
use crate::settings::{SecretFiles, Settings};

/// How often the files with secrets are read again. The kubelet takes about a minute to bring a changed Secret into a pod.
const SECRETS_INTERVAL: Duration = Duration::from_secs(10);
/// The controllers at work.
pub struct Working {
    /// Applies webhooks.
    pub intake: Arc<dyn Intake>,
    /// Ends when webhooks can be applied.
    pub ready: BoxFuture<'static, ()>,
    /// Ends only with what makes going on impossible.
    pub work: BoxFuture<'static, anyhow::Result<()>>,
}

/// Serves and controls until `shutdown`, or until the controllers end. Deliveries under way get time to end, and the controllers go on
/// until they have; a reconcile that is cut off then is made up for by the next start, as after a crash.
pub async fn operate(
    listener: TcpListener,
    settings: &Settings,
    working: Working,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let (sender, secrets) = watch::channel(settings.webhook_secrets.secrets());
    let ready = Arc::new(AtomicBool::new(false));
    let limits = Limits { body: settings.webhook_max_bytes, ..Limits::default() };
    let app = server::app(server::Context {
        intake: working.intake,
        secrets,
        readiness: readiness(Arc::clone(&ready)),
        limits,
    });
    let mut tasks = JoinSet::new();
    tasks.spawn(follow_secrets(settings.webhook_secrets.clone(), sender, SECRETS_INTERVAL));
    tasks.spawn(async move {
        working.ready.await;
        ready.store(true, Ordering::Release);
        tracing::info!("ready");
    });
    let server = tokio::spawn(server::serve(listener, app, limits, shutdown.clone()));
    let mut work = AbortOnDropHandle::new(tokio::spawn(working.work));

    let result = tokio::select! {
        ended = &mut work => match ended {
            Ok(Ok(())) => Err(anyhow!("the controllers ended without being asked to")),
            Ok(Err(error)) => Err(error.context("the controllers ended")),
            Err(error) => Err(anyhow!(error).context("the controllers broke off")),
        },
        () = shutdown.cancelled() => Ok(()),
    };
    shutdown.cancel();
    server.await.context("the server broke off")?;
    result
}

fn readiness(ready: Arc<AtomicBool>) -> Readiness {
    Arc::new(move || {
        if ready.load(Ordering::Acquire) {
            Ok(())
        } else {
            Err("the objects in the cluster are still being listed".to_owned())
        }
    })
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

#[cfg(test)]
mod tests;
