//! `matinee run`: runs the servers and the controllers until a signal or an error ends them.

mod admin;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::adapters::process;
use crate::adapters::slack::SlackSettings;
use crate::controllers;
use crate::core::signature::WebhookSecret;
use crate::core::slack::{ChatMessage, SlackSignature};
use crate::metrics::Metrics;
use crate::ports::{Ingest, Receiver};
use crate::server::{self, Environments, Limits};
use crate::settings::{SecretFiles, Settings};

pub use admin::Admin;

use super::log::Filter;

/// Time between two reads of the files with secrets. The kubelet takes about a minute to update a
/// Secret in a pod.
const SECRETS_INTERVAL: Duration = Duration::from_secs(10);
/// Time for requests to end after the controllers have failed. It is short because this replica may
/// have lost the Lease: it must have ended before another one leads.
const BRIEF: Duration = Duration::from_secs(3);
/// Time for the controllers to complete their work. Kubernetes kills a pod 30 seconds after it has
/// signalled the end.
const GRACE: Duration = Duration::from_secs(15);

/// The running controllers.
pub struct Working {
    /// Applies webhooks.
    pub ingest: Arc<dyn Ingest>,
    /// Receives slash commands.
    pub slack: Arc<dyn Receiver<SlackSignature, Answer = Option<ChatMessage>>>,
    /// Finds an environment, for its page.
    pub environments: Environments,
    /// Completes when webhooks can be applied.
    pub ready: BoxFuture<'static, ()>,
    /// Completes after the shutdown and the end of the running work, or with a fatal error.
    pub work: BoxFuture<'static, anyhow::Result<()>>,
}

/// Serves requests and runs the controllers until `shutdown`, or until the controllers end. Running
/// deliveries and reconciles get time to complete. The next start repeats interrupted ones, as
/// after a crash.
pub async fn operate(
    listener: TcpListener,
    admin: Admin,
    metrics: Metrics,
    settings: &Settings,
    working: Working,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let (sender, secrets) = watch::channel(settings.webhook_secrets.secrets());
    let limits = Limits { body: settings.webhook_max_bytes, ..Limits::default() };
    let app = server::app(server::ServerContext {
        github: Arc::new(controllers::WebhookReceiver::new(secrets, working.ingest)),
        slack: working.slack,
        environments: working.environments,
        metrics,
        limits,
    });
    let mut tasks = JoinSet::new();
    tasks.spawn(follow_secrets(settings.webhook_secrets.clone(), sender, SECRETS_INTERVAL));
    let admin = Arc::new(admin);
    let listed = Arc::clone(&admin);
    tasks.spawn(async move {
        working.ready.await;
        listed.ready();
        tracing::info!("ready");
    });
    let server = tokio::spawn(server::serve(listener, app, limits, shutdown.clone()));
    let mut work = AbortOnDropHandle::new(tokio::spawn(working.work));

    let result = tokio::select! {
        biased;
        () = shutdown.cancelled() => Ok(()),
        ended = &mut work => match ended {
            Ok(Ok(())) => Err(anyhow!("the controllers ended without being asked to")),
            Ok(Err(error)) => Err(error.context("the controllers ended")),
            Err(error) => Err(anyhow!(error).context("the controllers broke off")),
        },
    };
    shutdown.cancel();
    let ends_by = Instant::now() + GRACE;
    if result.is_err() {
        // GitHub redelivers interrupted events, or a sweep finds them.
        timeout(BRIEF, async { tokio::join!(server, admin.end()) }).await.ok();
        return result;
    }
    server.await.context("the server broke off")?;
    match timeout_at(ends_by, &mut work).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tracing::warn!(error = format!("{error:#}"), "controllers ended early"),
        Ok(Err(error)) => tracing::warn!(%error, "controllers panicked"),
        Err(_) => tracing::warn!(seconds = GRACE.as_secs(), "controllers did not end in time"),
    }
    // Stop health and metrics last, so that the progress of the shutdown stays visible.
    timeout(BRIEF, admin.end()).await.ok();
    result
}

/// Updates the secrets from their files. The previous secrets stay valid while a file can't be read
/// or is invalid.
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
                    tracing::info!(secrets = now.secrets().len(), "webhook secrets changed");
                    files = now;
                    current.send_replace(files.secrets());
                }
                problem = None;
            }
            Ok(Err(text)) => {
                if problem.as_ref() != Some(&text) {
                    tracing::warn!(
                        error = text,
                        "failed to reload webhook secrets, keeping the previous ones"
                    );
                    problem = Some(text);
                }
            }
            Err(error) => tracing::warn!(%error, "failed to read webhook secrets"),
        }
    }
}

/// Keys of the ConfigMap with the log filter. The first one takes precedence: it is for people, so
/// the chart doesn't set it.
const LOG: [&str; 2] = ["logOverride", "log"];

/// Applies the log filter of the ConfigMap, or `usual` if it has none. Reports an invalid filter
/// and keeps the previous one.
async fn follow_log(
    mut live: watch::Receiver<Option<BTreeMap<String, String>>>,
    usual: String,
    filter: Filter,
) {
    let mut current = usual.clone();
    // The ConfigMap may have been read already.
    live.mark_changed();
    while live.changed().await.is_ok() {
        let wanted = {
            let live = live.borrow_and_update();
            let data = live.as_ref();
            LOG.iter().find_map(|key| data?.get(*key)).unwrap_or(&usual).clone()
        };
        if wanted == current {
            continue;
        }
        match filter.set_filter(&wanted) {
            Ok(()) => tracing::info!(filter = wanted, "log filter changed"),
            Err(problem) => {
                tracing::warn!(error = %problem, "log filter of the ConfigMap is invalid, keeping the previous one");
            }
        }
        current = wanted;
    }
}

/// Returns a token that the first SIGTERM or SIGINT cancels. A second signal ends the process.
fn until_signalled() -> anyhow::Result<CancellationToken> {
    let shutdown = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let cancelled = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("shutting down");
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
pub(super) async fn run(settings: Settings, filter: Filter) -> anyhow::Result<()> {
    let shutdown = until_signalled()?;
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("--listen (MATINEE_LISTEN): can't listen on {}", settings.listen))?;
    let admin = std::net::TcpListener::bind(settings.admin_listen).with_context(|| {
        format!("--admin-listen (MATINEE_ADMIN_LISTEN): can't listen on {}", settings.admin_listen)
    })?;
    tracing::info!(address = %listener.local_addr()?, admin_address = %admin.local_addr()?, "listening");
    let metrics = Metrics::default();
    metrics.process(Arc::new(process::facts));
    let admin = Admin::start(admin, metrics.clone())?;
    let starting = controllers::start(controllers::Options {
        namespace: settings.namespace.clone(),
        cluster_id: settings.cluster_id.clone(),
        public_url: settings.public_url.clone(),
        sweep_interval: settings.sweep_interval,
        concurrency: settings.concurrency,
        election: settings.election.clone(),
        config_map: settings.config_map.clone(),
        github_write_interval: settings.github_write_interval,
        slack: SlackSettings {
            api_url: settings.slack_api_url.clone(),
            response_url: settings.slack_response_url.clone(),
            ..SlackSettings::default()
        },
        metrics: metrics.clone(),
        shutdown: shutdown.clone(),
    });
    let running = tokio::select! {
        running = starting => running?,
        () = shutdown.cancelled() => return Ok(()),
    };
    let controllers::Running { ingest, slack, environments, settings: live, ready, work } = running;
    let usual = settings.log.filter.clone();
    let _follow = AbortOnDropHandle::new(tokio::spawn(follow_log(live, usual, filter)));
    let working = Working { ingest, slack, environments, ready, work };
    operate(listener, admin, metrics, &settings, working, shutdown).await
}

#[cfg(test)]
mod tests;
