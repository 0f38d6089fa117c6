//! All metrics with their names, help texts and labels. No metric exists outside of this catalog.

/// Type of a metric.
/// <https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md#metric-types>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only increases, and starts at zero with the process.
    Counter,
    /// Increases and decreases.
    Gauge,
    /// Counts observations in buckets. `_bucket`, `_sum` and `_count` are added to its name.
    Histogram,
    /// Always 1. Its labels contain the information.
    Info,
}

impl Kind {
    /// Returns the type's name in the text format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Name in queries; for a histogram without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// Type of the metric.
    pub kind: Kind,
    /// Help text: one sentence without a full stop.
    pub help: &'static str,
    /// Its labels, without the `le` of buckets.
    pub labels: &'static [&'static str],
}

impl Metric {
    /// Returns the name without the suffix that the format adds.
    pub fn family(&self) -> &'static str {
        let ending = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        self.name.strip_suffix(ending).unwrap_or(self.name)
    }
}

macro_rules! catalog {
    ($($(#[$about:meta])* $id:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $($(#[$about])* pub(super) const $id: Metric =
            Metric { name: $name, kind: Kind::$kind, help: $help, labels: &[$($label),*] };)+
        /// All metrics that `/metrics` shows.
        pub const CATALOG: &[Metric] = &[$($id),+];
    };
}

catalog! {
    BUILD_INFO: Info "matinee_build_info" ["version"]
        "The version that runs";
    LEADER: Gauge "matinee_leader" []
        "Whether this replica reconciles (1) or stands by (0)";
    DRAINING: Gauge "matinee_draining" []
        "Whether nothing new is made because an uninstall is under way (1)";
    PREVIEW_INFO: Info "matinee_preview_info" ["namespace", "name", "repository", "environment", "pull_request"]
        "One series for each PreviewEnvironment, 5000 at most, on the leader";
    PREVIEWS: Gauge "matinee_previews" ["state"]
        "PreviewEnvironments by state: pending, progressing, ready, stalled or deleting, on the leader";
    PUSH_TO_READY: Histogram "matinee_push_to_ready_seconds" []
        "Time from a change becoming known until its environment was ready for the first time, once for each revision";
    WEBHOOKS: Counter "matinee_webhooks_total" ["event", "result"]
        "Deliveries from GitHub and commands from Slack (event slack) by result: applied, ignored, refused (a mistake of the sender's) or failed";
    WEBHOOK_DURATION: Histogram "matinee_webhook_duration_seconds" []
        "Time from the end of a delivery's header until it was answered";
    WEBHOOK_LAG: Histogram "matinee_webhook_lag_seconds" []
        "Time from when GitHub says that something happened until the delivery about it was applied";
    GITHUB_REQUESTS: Counter "matinee_github_requests_total" ["method", "code"]
        "Requests to GitHub by status code; code none stands for no answer";
    GITHUB_REQUEST_DURATION: Histogram "matinee_github_request_duration_seconds" ["method"]
        "Time from sending a request to GitHub until its answer was read whole, or given up";
    GITHUB_RATE_LIMIT_REMAINING: Gauge "matinee_github_rate_limit_remaining" ["credentials"]
        "Requests that GitHub allows before its rate limit is reset, as it said last; of several installations the one that has the least share left";
    GITHUB_RATE_LIMIT_LIMIT: Gauge "matinee_github_rate_limit_limit" ["credentials"]
        "Requests that GitHub allows in each hour to the installation that the remaining ones are shown of";
    GITHUB_WRITES_QUEUED: Gauge "matinee_github_writes_queued" ["credentials"]
        "Writes to GitHub that wait for their turn";
    GITHUB_WRITE_WAIT: Histogram "matinee_github_write_wait_seconds" []
        "Time that a write to GitHub waited for its turn before it was sent";
    RECONCILES: Counter "matinee_reconciles_total" ["controller", "result"]
        "Reconciles by controller and result: ok or error";
    RECONCILE_DURATION: Histogram "matinee_reconcile_duration_seconds" ["controller"]
        "Time that a reconcile took";
    RECONCILE_QUEUE_DEPTH: Gauge "matinee_reconcile_queue_depth" ["controller"]
        "Objects whose reconcile was asked for and has not begun";
    DEPLOYMENT_LOOPS: Counter "matinee_deployment_loops_total" []
        "Deployments that were held back because too many to their environment repeated what was deployed there";
    SWEEPS: Counter "matinee_sweeps_total" ["result"]
        "Sweeps of a PreviewRepository by result: ok or error";
    SWEEP_LAST_SUCCESS: Gauge "matinee_sweep_last_success_timestamp_seconds" []
        "When a sweep of any PreviewRepository last succeeded, in Unix time; missing before the first";
    DRIFT: Counter "matinee_drift_total" ["result"]
        "Objects of previews that somebody else changed: corrected, or left, since putting them back has no end";
    RESIDENT_MEMORY: Gauge "process_resident_memory_bytes" []
        "Resident memory of the process";
    CPU: Counter "process_cpu_seconds_total" []
        "Processor time of the process, user and system";
    OPEN_FDS: Gauge "process_open_fds" []
        "File descriptors that the process has open";
    START_TIME: Gauge "process_start_time_seconds" []
        "When the process started, in Unix time";
}
