//! `matinee run`: the servers and the controllers, until a signal or a failure ends them.

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
use crate::metrics::Metrics;
use crate::ports::{Desk, Intake};
use crate::server::{self, Environments, Limits};
use crate::settings::{SecretFiles, Settings};

pub use admin::Admin;

use super::log::Filter;

/// How often the files with secrets are read again. The kubelet takes about a minute to bring a changed Secret into a pod.
const SECRETS_INTERVAL: Duration = Duration::from_secs(10);
/// How long requests may take to end when the controllers have failed, and most of all when this replica leads no more: by the time that another one
/// leads, nothing of this one is left.
const BRIEF: Duration = Duration::from_secs(3);
/// How long the controllers may take to finish what they are at. Kubernetes kills a pod 30 seconds after it asked it to end.
const GRACE: Duration = Duration::from_secs(15);

/// The controllers at work.
pub struct Working {
    /// Applies webhooks.
    pub intake: Arc<dyn Intake>,
    /// Takes slash commands.
    pub desk: Arc<dyn Desk>,
    /// Finds an environment, for its page.
    pub environments: Environments,
    /// Ends when webhooks can be applied.
    pub ready: BoxFuture<'static, ()>,
    /// Ends after the shutdown, once what was under way is done, or with what makes going on impossible.
    pub work: BoxFuture<'static, anyhow::Result<()>>,
}

/// Serves and controls until `shutdown`, or until the controllers end. Deliveries and reconciles under way get time to end; what is cut off
/// then is made up for by the next start, as after a crash.
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
    let app = server::app(server::Context {
        intake: working.intake,
        desk: working.desk,
        secrets,
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
        // What is cut off is delivered again, or found by a sweep.
        timeout(BRIEF, async { tokio::join!(server, admin.end()) }).await.ok();
        return result;
    }
    server.await.context("the server broke off")?;
    match timeout_at(ends_by, &mut work).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tracing::warn!("the controllers ended early: {error:#}"),
        Ok(Err(error)) => tracing::warn!("the controllers broke off: {error}"),
        Err(_) => tracing::warn!("the controllers did not end within {} s", GRACE.as_secs()),
    }
    // Last of all: who waits for the end sees how far it is.
    timeout(BRIEF, admin.end()).await.ok();
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

/// Keys of the ConfigMap that say what is logged: one for a while, by hand, which a chart doesn't write and so doesn't quarrel about; and the usual one.
const LOG: [&str; 2] = ["logOverride", "log"];

/// Logs what the ConfigMap says; `usual` where it says nothing. What is no filter is told, and changes nothing.
async fn follow_log(
    mut live: watch::Receiver<Option<BTreeMap<String, String>>>,
    usual: String,
    filter: Filter,
) {
    let mut current = usual.clone();
    // At first it may be known already.
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
            Ok(()) => tracing::info!(filter = wanted, "what is logged has changed"),
            Err(problem) => tracing::warn!("the log filter of the ConfigMap changes nothing: {problem}"),
        }
        current = wanted;
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
pub(super) async fn run(settings: Settings, filter: Filter) -> anyhow::Result<()> {
    let shutdown = until_signalled()?;
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("--listen (MATINEE_LISTEN): can't listen on {}", settings.listen))?;
    let admin = std::net::TcpListener::bind(settings.admin_listen).with_context(|| {
        format!("--admin-listen (MATINEE_ADMIN_LISTEN): can't listen on {}", settings.admin_listen)
    })?;
    tracing::info!(
        "listening on {}, and on {} for health and metrics",
        listener.local_addr()?,
        admin.local_addr()?
    );
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
    let controllers::Running { intake, desk, environments, settings: live, ready, work } = running;
    let usual = settings.log.filter.clone();
    let _follow = AbortOnDropHandle::new(tokio::spawn(follow_log(live, usual, filter)));
    let working = Working { intake, desk, environments, ready, work };
    operate(listener, admin, metrics, &settings, working, shutdown).await
}

#[cfg(test)]
mod tests;
