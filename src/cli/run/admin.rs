//! Serves health, readiness and metrics from a separate thread, so that they work even if the main
//! runtime is blocked.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::metrics::Metrics;
use crate::server::{self, AdminContext, Check, Limits};

/// Interval of the runtime's heartbeat.
const BEAT: Duration = Duration::from_secs(1);
/// Maximum age of the last heartbeat. On a machine that is short of CPU time the heartbeat is late,
/// but not this late. A runtime whose threads are all blocked never runs it.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// Maximum number of connections for health and metrics.
const CONNECTIONS: usize = 64;

/// The server for health, readiness and metrics, from the start of the process to its end.
pub struct Admin {
    ready: Arc<AtomicBool>,
    shutdown: CancellationToken,
    thread: Mutex<Option<JoinHandle<()>>>,
    _beat: AbortOnDropHandle<()>,
}

impl Admin {
    /// Serves on the listener. Monitors the runtime from which this is called.
    pub fn start(listener: TcpListener, metrics: Metrics) -> anyhow::Result<Self> {
        Self::watching(listener, metrics, STUCK_AFTER)
    }

    pub(super) fn watching(
        listener: TcpListener,
        metrics: Metrics,
        stuck_after: Duration,
    ) -> anyhow::Result<Self> {
        listener.set_nonblocking(true)?;
        let pulse = Arc::new(Pulse::default());
        let ready = Arc::<AtomicBool>::default();
        let context = AdminContext {
            liveness: pulse.check(stuck_after),
            readiness: readiness(Arc::clone(&ready)),
            metrics,
        };
        let shutdown = CancellationToken::new();
        let until = shutdown.clone();
        let limits = Limits { connections: CONNECTIONS, ..Limits::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serve = move || {
            runtime.block_on(async {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => server::serve(listener, server::admin(context), limits, until).await,
                    Err(error) => tracing::error!(%error, "failed to serve health and metrics"),
                }
            });
        };
        let thread = std::thread::Builder::new().name("admin".to_owned()).spawn(serve)?;
        let beat = AbortOnDropHandle::new(tokio::spawn(pulse.keep()));
        Ok(Self { ready, shutdown, thread: Mutex::new(Some(thread)), _beat: beat })
    }

    /// Marks the process as ready.
    pub fn ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Completes the running requests and stops.
    pub async fn end(&self) {
        self.shutdown.cancel();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        if !matches!(tokio::task::spawn_blocking(move || thread.join()).await, Ok(Ok(()))) {
            tracing::error!("server for health and metrics panicked");
        }
    }
}

fn readiness(ready: Arc<AtomicBool>) -> Check {
    Arc::new(move || {
        if ready.load(Ordering::Acquire) {
            Ok(())
        } else {
            Err("the objects in the cluster are still being listed".to_owned())
        }
    })
}

/// Time when the runtime last ran a task.
struct Pulse {
    start: Instant,
    /// Milliseconds since the start.
    last: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { start: Instant::now(), last: AtomicU64::new(0) }
    }
}

impl Pulse {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn keep(self: Arc<Self>) {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            self.last.store(self.now(), Ordering::Release);
        }
    }

    fn check(self: &Arc<Self>, stuck_after: Duration) -> Check {
        let pulse = Arc::clone(self);
        Arc::new(move || {
            let silent =
                Duration::from_millis(pulse.now().saturating_sub(pulse.last.load(Ordering::Acquire)));
            if silent <= stuck_after {
                Ok(())
            } else {
                Err(format!("nothing was worked on for {} s: every thread is blocked", silent.as_secs()))
            }
        })
    }
}
