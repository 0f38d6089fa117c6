//! Raw flags and variables. All are texts, so that errors in them have the same format.

use clap::Args;

/// Flags of `matinee run`.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// Address to serve webhooks and pages on.
    #[arg(long, env = "MATINEE_LISTEN", value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8080")]
    pub listen: String,
    /// Address to serve health and metrics on, which needn't be reached from outside of the cluster.
    #[arg(long, env = "MATINEE_ADMIN_LISTEN", value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8081")]
    pub admin_listen: String,
    /// File with a secret of the webhook; may be given several times, as when a secret is exchanged. Read again when it changes.
    #[arg(
        long = "webhook-secret-file",
        env = "MATINEE_WEBHOOK_SECRET_FILES",
        value_name = "PATH",
        value_delimiter = ','
    )]
    pub webhook_secret_files: Vec<String>,
    /// Largest webhook that is read, in bytes. GitHub sends at most 25 MiB.
    #[arg(long, env = "MATINEE_WEBHOOK_MAX_BYTES", value_name = "BYTES", default_value = "26214400")]
    pub webhook_max_bytes: String,
    /// The operator's own namespace, where the Secrets with GitHub's credentials are. [default: the service account's, else matinee-system]
    #[arg(long, env = "MATINEE_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,
    /// Tells this cluster from others that serve the same repositories. [default: the UID of the namespace kube-system]
    #[arg(long, env = "MATINEE_CLUSTER_ID", value_name = "ID")]
    pub cluster_id: Option<String>,
    /// URL under which people reach the operator's own pages, which statuses on GitHub then link to.
    #[arg(long, env = "MATINEE_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Time between two looks at a repository's pull requests and deployments.
    #[arg(long, env = "MATINEE_SWEEP_INTERVAL", value_name = "DURATION", default_value = "60s")]
    pub sweep_interval: String,
    /// Least time between two writes to one GitHub installation. GitHub asks for at least one second. 0s lifts the budgets of 80 writes a minute and
    /// 500 an hour too: for a GitHub Enterprise Server without rate limits.
    #[arg(long, env = "MATINEE_GITHUB_WRITE_INTERVAL", value_name = "DURATION", default_value = "1s")]
    pub github_write_interval: String,
    /// Base URL of Slack's Web API, where bot tokens are sent.
    #[arg(long, env = "MATINEE_SLACK_API_URL", value_name = "URL", default_value = "https://slack.com/api/")]
    pub slack_api_url: String,
    /// Base URL below which Slack's `response_url`s are. A command that names another one isn't answered there.
    #[arg(
        long,
        env = "MATINEE_SLACK_RESPONSE_URL",
        value_name = "URL",
        default_value = "https://hooks.slack.com/"
    )]
    pub slack_response_url: String,
    /// Most reconciles at the same time.
    #[arg(long, env = "MATINEE_CONCURRENCY", value_name = "NUMBER", default_value = "16")]
    pub concurrency: String,
    /// Whether replicas elect one that leads: all take in webhooks, one reconciles. Only for a single process may it be switched off.
    #[arg(
        long,
        env = "MATINEE_LEADER_ELECT",
        value_name = "BOOL",
        default_value = "true",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub leader_elect: String,
    /// Name of the Lease in the operator's namespace that the leader holds.
    #[arg(long, env = "MATINEE_LEASE_NAME", value_name = "NAME", default_value = "matinee")]
    pub lease_name: String,
    /// Name of this process in the Lease, which no other may have; after a restart it takes its own Lease over at once. [default: the host's
    /// name and a random number]
    #[arg(long, env = "MATINEE_IDENTITY", value_name = "NAME")]
    pub identity: Option<String>,
    /// Name of a ConfigMap in the operator's namespace with settings that count at once when they change: `log` (in place of --log), `logOverride` (in place of
    /// both) and `drain`.
    #[arg(long, env = "MATINEE_CONFIG_MAP", value_name = "NAME")]
    pub config_map: Option<String>,
    /// How logs are written: text, json, or auto, which is text on a terminal and json else.
    #[arg(long, env = "MATINEE_LOG_FORMAT", value_name = "FORMAT", default_value = "auto")]
    pub log_format: String,
    /// What is logged: a level, or levels by module.
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
}
