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
        pub const ALL: &[Metric] = &[$($id),+];
    };
}

catalog! {
    BUILD_INFO: Info "matinee_build_info" ["version"]
        "The running version";
    LEADER: Gauge "matinee_leader" []
        "1 on the leader, which reconciles; 0 on other replicas";
    DRAINING: Gauge "matinee_draining" []
        "1 in drain mode, in which Matinee creates nothing new, for example before an uninstall";
    PREVIEW_INFO: Info "matinee_preview_info" ["namespace", "name", "repository", "environment", "pull_request"]
        "One series for each PreviewEnvironment, 5000 at most, on the leader";
    PREVIEWS: Gauge "matinee_previews" ["state"]
        "PreviewEnvironments by state: pending, progressing, ready, stalled or deleting, on the leader";
    PUSH_TO_READY: Histogram "matinee_push_to_ready_seconds" []
        "Time from the detection of a change until its environment was ready for the first time, once for each revision";
    WEBHOOKS: Counter "matinee_webhooks_total" ["event", "result"]
        "Deliveries from GitHub and commands from Slack (event slack) by result: applied, ignored, refused (invalid, or not signed with the secret) or failed";
    WEBHOOK_DURATION: Histogram "matinee_webhook_duration_seconds" []
        "Time from the end of a delivery's header until its response";
    WEBHOOK_LAG: Histogram "matinee_webhook_lag_seconds" []
        "Time from an event on GitHub, by GitHub's clock, until its delivery was applied";
    GITHUB_REQUESTS: Counter "matinee_github_requests_total" ["method", "code"]
        "Requests to GitHub by status code; code none stands for no response";
    GITHUB_REQUEST_DURATION: Histogram "matinee_github_request_duration_seconds" ["method"]
        "Time from sending a request to GitHub until its response was read completely, or the request failed";
    GITHUB_RATE_LIMIT_REMAINING: Gauge "matinee_github_rate_limit_remaining" ["credentials"]
        "Requests that remain until GitHub resets the rate limit, as last reported; of several installations, the one with the smallest remaining share";
    GITHUB_RATE_LIMIT_LIMIT: Gauge "matinee_github_rate_limit_limit" ["credentials"]
        "Requests per hour of the same installation";
    GITHUB_WRITES_QUEUED: Gauge "matinee_github_writes_queued" ["credentials"]
        "Queued writes to GitHub";
    GITHUB_WRITE_WAIT: Histogram "matinee_github_write_wait_seconds" []
        "Time that a write to GitHub was queued";
    RECONCILES: Counter "matinee_reconciles_total" ["controller", "result"]
        "Reconciles by controller and result: ok or error";
    RECONCILE_DURATION: Histogram "matinee_reconcile_duration_seconds" ["controller"]
        "Duration of a reconcile";
    RECONCILE_QUEUE_DEPTH: Gauge "matinee_reconcile_queue_depth" ["controller"]
        "Objects that wait for a reconcile";
    DEPLOYMENT_LOOPS: Counter "matinee_deployment_loops_total" []
        "Deployments that were held back because too many to the same environment repeated commits that had been deployed there";
    SWEEPS: Counter "matinee_sweeps_total" ["result"]
        "Sweeps of a PreviewRepository by result: ok or error";
    SWEEP_LAST_SUCCESS: Gauge "matinee_sweep_last_success_timestamp_seconds" []
        "Unix time of the last successful sweep of any PreviewRepository; missing before the first";
    DRIFT: Counter "matinee_drift_total" ["result"]
        "Objects of previews that another field manager changed, by result: corrected, or left unchanged because it keeps changing them";
    RESIDENT_MEMORY: Gauge "process_resident_memory_bytes" []
        "Resident memory of the process";
    CPU: Counter "process_cpu_seconds_total" []
        "Processor time of the process, user and system";
    OPEN_FDS: Gauge "process_open_fds" []
        "Open file descriptors of the process";
    START_TIME: Gauge "process_start_time_seconds" []
        "Unix time of the start of the process";
}
