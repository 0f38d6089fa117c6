//! Metrics of the process, and their text for `/metrics`. They are counters in memory, without a
//! client or a clock. The code that performs an action reports it here, and the code that waits for
//! the action measures its duration.

mod catalog;
mod labels;
mod scrape;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric as Registered, Registry};

pub use self::catalog::{ALL, Kind, Metric};
pub use self::labels::{Controller, WebhookResult};
pub use self::scrape::{MOST_PREVIEWS, Previews, Process, ProcessFacts};

use self::labels::{Credentials, Method, Of, Outcome, Reconcile, Request, Version, Webhook};
use self::scrape::{PreviewCollector, ProcessCollector, Source};

/// Content type of [`Metrics::encode`]. <https://github.com/prometheus/OpenMetrics>
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of buckets, in seconds.
#[derive(Clone, Copy, Debug)]
struct Buckets(&'static [f64]);

impl Buckets {
    /// Up to the time that people wait for an environment.
    const READY: Self =
        Self(&[1., 2., 3., 5., 8., 13., 20., 30., 45., 60., 90., 120., 180., 300., 600., 1_200.]);
    /// From immediate responses up to GitHub's timeout.
    const REQUEST: Self = Self(&[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 5., 10., 20.]);
    /// GitHub's times are in whole seconds. A redelivered event may be days old.
    const LAG: Self = Self(&[1., 2., 3., 5., 10., 20., 30., 60., 120., 300., 900., 3_600.]);
    /// Writes are at least a second apart, and at most 80 per minute.
    const WAIT: Self = Self(&[0.1, 0.5, 1., 2., 3., 5., 10., 20., 30., 60., 120., 300., 900.]);
    /// Up to the timeout of a reconcile.
    const RECONCILE: Self =
        Self(&[0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 5., 10., 30., 60., 120.]);

    fn histogram(self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        self.histogram()
    }
}

/// All metrics. Clones share their values.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    leader: Gauge,
    draining: Gauge,
    previews: Arc<Source<Previews>>,
    process: Arc<Source<Process>>,
    push_to_ready: Histogram,
    webhooks: Family<Webhook, Counter>,
    webhook_duration: Histogram,
    webhook_lag: Histogram,
    requests: Family<Request, Counter>,
    request_duration: Family<Method, Histogram, Buckets>,
    remaining: Family<Credentials, Gauge>,
    limit: Family<Credentials, Gauge>,
    queued: Family<Credentials, Gauge>,
    write_wait: Histogram,
    reconciles: Family<Reconcile, Counter>,
    reconcile_duration: Family<Of, Histogram, Buckets>,
    queue_depth: Family<Of, Gauge>,
    deployment_loops: Counter,
    sweeps: Family<Outcome, Counter>,
    last_sweep: Family<labels::None, Gauge<f64, AtomicU64>>,
    drift: Family<Outcome, Counter>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn register<M: Registered + Clone>(registry: &mut Registry, metric: &Metric, counts: M) -> M {
    registry.register(metric.family(), metric.help, counts.clone());
    counts
}

/// Converts a number for a gauge.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Metrics {
    /// Creates the metrics. Series whose increase triggers alerts start at zero, so that the first
    /// event counts as an increase.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let r = &mut registry;
        let version = Version { version: env!("CARGO_PKG_VERSION") };
        r.register(catalog::BUILD_INFO.family(), catalog::BUILD_INFO.help, Info::new(version));
        let leader = register(r, &catalog::LEADER, Gauge::default());
        let (previews, process) = (Arc::<Source<Previews>>::default(), Arc::<Source<Process>>::default());
        let collector = PreviewCollector { source: Arc::clone(&previews), leader: leader.clone() };
        r.register_collector(Box::new(collector));
        r.register_collector(Box::new(ProcessCollector(Arc::clone(&process))));
        let inner = Inner {
            leader,
            draining: register(r, &catalog::DRAINING, Gauge::default()),
            push_to_ready: register(r, &catalog::PUSH_TO_READY, Buckets::READY.histogram()),
            webhooks: register(r, &catalog::WEBHOOKS, Family::default()),
            webhook_duration: register(r, &catalog::WEBHOOK_DURATION, Buckets::REQUEST.histogram()),
            webhook_lag: register(r, &catalog::WEBHOOK_LAG, Buckets::LAG.histogram()),
            requests: register(r, &catalog::GITHUB_REQUESTS, Family::default()),
            request_duration: register(
                r,
                &catalog::GITHUB_REQUEST_DURATION,
                Family::new_with_constructor(Buckets::REQUEST),
            ),
            remaining: register(r, &catalog::GITHUB_RATE_LIMIT_REMAINING, Family::default()),
            limit: register(r, &catalog::GITHUB_RATE_LIMIT_LIMIT, Family::default()),
            queued: register(r, &catalog::GITHUB_WRITES_QUEUED, Family::default()),
            write_wait: register(r, &catalog::GITHUB_WRITE_WAIT, Buckets::WAIT.histogram()),
            reconciles: register(r, &catalog::RECONCILES, Family::default()),
            reconcile_duration: register(
                r,
                &catalog::RECONCILE_DURATION,
                Family::new_with_constructor(Buckets::RECONCILE),
            ),
            queue_depth: register(r, &catalog::RECONCILE_QUEUE_DEPTH, Family::default()),
            deployment_loops: register(r, &catalog::DEPLOYMENT_LOOPS, Counter::default()),
            sweeps: register(r, &catalog::SWEEPS, Family::default()),
            last_sweep: register(r, &catalog::SWEEP_LAST_SUCCESS, Family::default()),
            drift: register(r, &catalog::DRIFT, Family::default()),
            previews,
            process,
            registry,
        };
        for event in labels::EVENTS {
            for result in WebhookResult::ALL {
                drop(inner.webhooks.get_or_create(&Webhook { event, result: result.as_str() }));
            }
        }
        for ok in [true, false] {
            let result = labels::outcome(ok);
            drop(inner.sweeps.get_or_create(&Outcome { result }));
            for controller in Controller::ALL {
                let labels = Reconcile { controller: controller.as_str(), result };
                drop(inner.reconciles.get_or_create(&labels));
            }
        }
        for corrected in [true, false] {
            drop(inner.drift.get_or_create(&Outcome { result: labels::drift(corrected) }));
        }
        Self(Arc::new(inner))
    }

    /// Returns all metrics in Prometheus' text format.
    ///
    /// # Errors
    /// None in practice: it writes text into memory.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.0.registry)?;
        Ok(text)
    }

    /// Records whether this replica reconciles.
    pub fn leader(&self, leads: bool) {
        self.0.leader.set(i64::from(leads));
    }

    /// Records whether the operator drains.
    pub fn draining(&self, drains: bool) {
        self.0.draining.set(i64::from(drains));
    }

    /// Shows these environments from now on, while this replica leads.
    pub fn previews(&self, source: Previews) {
        self.0.previews.set(source);
    }

    /// Shows the usage of the process from now on.
    pub fn process(&self, source: Process) {
        self.0.process.set(source);
    }

    /// Records that an environment became ready with a revision for the first time.
    pub fn push_to_ready(&self, took: Duration) {
        self.0.push_to_ready.observe(took.as_secs_f64());
    }

    /// Records the response to a webhook or a command from Slack.
    pub fn webhook(&self, event: &str, result: WebhookResult, took: Duration) {
        let labels = Webhook { event: labels::event(event), result: result.as_str() };
        self.0.webhooks.get_or_create(&labels).inc();
        self.0.webhook_duration.observe(took.as_secs_f64());
    }

    /// Records the time from an event to its effect in the cluster.
    pub fn webhook_lag(&self, lag: Duration) {
        self.0.webhook_lag.observe(lag.as_secs_f64());
    }

    /// Records a request to GitHub. `code` is `None` without a response.
    pub fn github_request(&self, method: &str, code: Option<u16>, took: Duration) {
        let method = labels::method(method);
        let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        self.0.requests.get_or_create(&Request { method, code }).inc();
        self.0.request_duration.get_or_create(&Method { method }).observe(took.as_secs_f64());
    }

    /// Records the rate limit that GitHub reported for some credentials.
    pub fn github_rate_limit(&self, credentials: &str, remaining: u64, limit: u64) {
        let labels = Credentials { credentials: credentials.to_owned() };
        self.0.remaining.get_or_create(&labels).set(whole(remaining));
        self.0.limit.get_or_create(&labels).set(whole(limit));
    }

    /// Changes the number of waiting writes of some credentials.
    pub fn github_writes_queued(&self, credentials: &str, change: i64) {
        let labels = Credentials { credentials: credentials.to_owned() };
        self.0.queued.get_or_create(&labels).inc_by(change);
    }

    /// Records how long a write waited in the queue.
    pub fn github_write_waited(&self, waited: Duration) {
        self.0.write_wait.observe(waited.as_secs_f64());
    }

    /// Records the end of a reconcile.
    pub fn reconcile(&self, controller: Controller, ok: bool, took: Duration) {
        let controller = controller.as_str();
        self.0.reconciles.get_or_create(&Reconcile { controller, result: labels::outcome(ok) }).inc();
        self.0.reconcile_duration.get_or_create(&Of { controller }).observe(took.as_secs_f64());
    }

    /// Sets the number of objects in a controller's queue.
    pub fn reconcile_queue(&self, controller: Controller, depth: usize) {
        let labels = Of { controller: controller.as_str() };
        self.0.queue_depth.get_or_create(&labels).set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// Records a deployment that was held because too many repeated the same commit.
    pub fn deployment_loop(&self) {
        self.0.deployment_loops.inc();
    }

    /// Records that Matinee restored an object that another field manager had changed, or left it
    /// as it is.
    pub fn drift(&self, corrected: bool) {
        self.0.drift.get_or_create(&Outcome { result: labels::drift(corrected) }).inc();
    }

    /// Records the end of a sweep of a PreviewRepository.
    pub fn sweep(&self, ok: bool, now: Timestamp) {
        self.0.sweeps.get_or_create(&Outcome { result: labels::outcome(ok) }).inc();
        if ok {
            #[allow(clippy::cast_precision_loss)] // exact for some hundred million years
            self.0.last_sweep.get_or_create(&labels::None {}).set(now.as_second() as f64);
        }
    }
}

#[cfg(test)]
mod tests;
