//! Flags and variables, which clap parses and checks.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::{
    LogFormat, address, cluster_id, duration, identity, log_filter, number, object_name, unless_empty,
};

/// Flags of `matinee run`.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// Address to serve webhooks and pages on.
    #[arg(long, env = "MATINEE_LISTEN", value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8080", value_parser = address)]
    pub listen: SocketAddr,
    /// Address to serve health and metrics on. Nothing outside of the cluster needs to reach it.
    #[arg(long, env = "MATINEE_ADMIN_LISTEN", value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8081", value_parser = address)]
    pub admin_listen: SocketAddr,
    /// File with a webhook secret. Repeat the flag while you rotate a secret. Matinee reads the file again when it changes.
    #[arg(
        long = "webhook-secret-file",
        env = "MATINEE_WEBHOOK_SECRET_FILES",
        value_name = "PATH",
        value_delimiter = ','
    )]
    pub webhook_secret_files: Vec<String>,
    /// Maximum size of a webhook, in bytes. GitHub sends at most 25 MiB.
    #[arg(long, env = "MATINEE_WEBHOOK_MAX_BYTES", value_name = "BYTES", default_value = "26214400", value_parser = number::<usize>(1_024..=104_857_600))]
    pub webhook_max_bytes: usize,
    /// The operator's own namespace, which contains the Secrets with GitHub's credentials. [default: the service account's, else matinee-system]
    #[arg(long, env = "MATINEE_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,
    /// Distinguishes this cluster from others that serve the same repositories. [default: the UID of the namespace kube-system]
    #[arg(long, env = "MATINEE_CLUSTER_ID", value_name = "ID", value_parser = unless_empty(cluster_id))]
    pub cluster_id: Option<String>,
    /// URL of the operator's pages for people. Deployment statuses on GitHub link to them.
    #[arg(long, env = "MATINEE_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Time between two sweeps of a repository's pull requests and deployments.
    #[arg(long, env = "MATINEE_SWEEP_INTERVAL", value_name = "DURATION", default_value = "60s", value_parser = |text: &str| duration(text, 5, 86_400, "5s to 1d"))]
    pub sweep_interval: Duration,
    /// Least time between two writes to one GitHub installation. GitHub asks for at least one second. 0s lifts the budgets of 80 writes a minute and
    /// 500 an hour too: for a GitHub Enterprise Server without rate limits.
    #[arg(long, env = "MATINEE_GITHUB_WRITE_INTERVAL", value_name = "DURATION", default_value = "1s", value_parser = |text: &str| duration(text, 0, 60, "0s to 1m"))]
    pub github_write_interval: Duration,
    /// Base URL of Slack's Web API, where bot tokens are sent.
    #[arg(long, env = "MATINEE_SLACK_API_URL", value_name = "URL", default_value = "https://slack.com/api/")]
    pub slack_api_url: String,
    /// Base URL of Slack's `response_url`s. Matinee sends answers to commands to no other address.
    #[arg(
        long,
        env = "MATINEE_SLACK_RESPONSE_URL",
        value_name = "URL",
        default_value = "https://hooks.slack.com/"
    )]
    pub slack_response_url: String,
    /// Maximum number of concurrent reconciles for each kind.
    #[arg(long, env = "MATINEE_CONCURRENCY", value_name = "NUMBER", default_value = "16", value_parser = number::<u16>(1..=1_000))]
    pub concurrency: u16,
    /// Whether replicas elect a leader: all accept webhooks, and the leader reconciles. Set it to false only for a single process.
    #[arg(
        long,
        env = "MATINEE_LEADER_ELECT",
        value_name = "BOOL",
        action = ArgAction::Set,
        default_value = "true",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub leader_elect: bool,
    /// Name of the Lease in the operator's namespace that the leader holds.
    #[arg(long, env = "MATINEE_LEASE_NAME", value_name = "NAME", default_value = "matinee", value_parser = object_name)]
    pub lease_name: String,
    /// Unique name of this process in the Lease. After a restart, the process takes its own Lease over at once. [default: the host's
    /// name and a random number]
    #[arg(long, env = "MATINEE_IDENTITY", value_name = "NAME", value_parser = unless_empty(identity::check))]
    pub identity: Option<String>,
    /// Name of a ConfigMap in the operator's namespace whose keys take effect at once when they change: `log` (instead of --log), `logOverride` (instead of
    /// both) and `drain`.
    #[arg(long, env = "MATINEE_CONFIG_MAP", value_name = "NAME", value_parser = unless_empty(object_name))]
    pub config_map: Option<String>,
    /// Format of the log: text, json, or auto, which means text on a terminal and json otherwise.
    #[arg(long, env = "MATINEE_LOG_FORMAT", value_name = "FORMAT", default_value = "auto")]
    pub log_format: LogFormat,
    /// Log filter: a level, or levels by module.
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", default_value = "info", value_parser = log_filter)]
    pub log: String,
}
