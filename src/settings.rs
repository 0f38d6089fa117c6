//! Checks raw flags and variables, and converts them to settings. An error names the flag, the
//! variable and the remedy.

mod flags;
mod identity;
mod secret_files;

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use url::Url;

pub use flags::Flags;
pub use secret_files::SecretFiles;

use crate::api;
use crate::controllers::Candidacy;

/// File in a pod that contains the pod's namespace.
pub const SERVICE_ACCOUNT_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// Default of the operator's namespace, if neither a flag nor a service account determines it.
pub const DEFAULT_NAMESPACE: &str = "matinee-system";

/// Format of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// [`Self::Text`] on a terminal, else [`Self::Json`].
    Auto,
    /// Readable text.
    Text,
    /// One JSON object per line.
    Json,
}

/// Settings of logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Format of the lines.
    pub format: LogFormat,
    /// Valid directives of `tracing_subscriber::EnvFilter`.
    pub filter: String,
}

/// Checked settings of `matinee run`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Address for webhooks and pages.
    pub listen: SocketAddr,
    /// Address for health and metrics.
    pub admin_listen: SocketAddr,
    /// Secrets that are valid for signatures of webhooks; at least one.
    pub webhook_secrets: SecretFiles,
    /// Size limit of a webhook, in bytes.
    pub webhook_max_bytes: usize,
    /// The operator's own namespace, which contains its Secrets.
    pub namespace: String,
    /// Identity of this cluster in data written to GitHub. `None` means the UID of the namespace
    /// `kube-system`.
    pub cluster_id: Option<String>,
    /// Base URL of the operator's own pages, without a slash at its end.
    pub public_url: Option<String>,
    /// Time between two sweeps of a repository.
    pub sweep_interval: Duration,
    /// Time for each write to one GitHub installation, see
    /// [`Pace::with_gap`](crate::adapters::github::write_order::Pace::with_gap).
    pub github_write_interval: Duration,
    /// Base URL of Slack's Web API, with a slash at its end.
    pub slack_api_url: String,
    /// Base URL of Slack's `response_url`s, with a slash at its end.
    pub slack_response_url: String,
    /// Maximum number of concurrent reconciles, 1 to 1,000.
    pub concurrency: u16,
    /// Lease of the leader election; `None` if this is the only process.
    pub election: Option<Candidacy>,
    /// ConfigMap with settings that change at run time.
    pub config_map: Option<String>,
    /// Settings of logs.
    pub log: Log,
}

/// An error in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The flag, without its hyphens.
    pub flag: &'static str,
    /// The environment variable for the same setting.
    pub variable: &'static str,
    /// Cause and remedy.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{} ({}): {}", self.flag, self.variable, self.text)
    }
}

/// All errors in the settings; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// Collects errors, so that all of them are reported at once.
#[derive(Default)]
struct Checker(Vec<Problem>);

impl Checker {
    fn ok<T>(&mut self, flag: &'static str, variable: &'static str, checked: Result<T, String>) -> Option<T> {
        checked.map_err(|text| self.0.push(Problem { flag, variable, text })).ok()
    }
}

impl Settings {
    /// Checks all flags, reads the secrets, and reads the own namespace from `namespace_file` (in a
    /// pod [`SERVICE_ACCOUNT_NAMESPACE`]).
    pub fn check(flags: &Flags, namespace_file: &Path) -> Result<Self, Problems> {
        let mut check = Checker::default();
        let listen = check.ok("listen", "MATINEE_LISTEN", address(&flags.listen, 8_080));
        let admin_listen =
            check.ok("admin-listen", "MATINEE_ADMIN_LISTEN", address(&flags.admin_listen, 8_081));
        let webhook_secrets = check.ok(
            "webhook-secret-file",
            "MATINEE_WEBHOOK_SECRET_FILES",
            SecretFiles::open(&flags.webhook_secret_files),
        );
        let webhook_max_bytes = check.ok(
            "webhook-max-bytes",
            "MATINEE_WEBHOOK_MAX_BYTES",
            number(&flags.webhook_max_bytes, 1_024, 104_857_600),
        );
        let namespace = check.ok(
            "namespace",
            "MATINEE_NAMESPACE",
            own_namespace(flags.namespace.as_deref(), namespace_file),
        );
        let cluster_id = check.ok(
            "cluster-id",
            "MATINEE_CLUSTER_ID",
            set(flags.cluster_id.as_ref()).map(cluster_id).transpose(),
        );
        let public_url = check.ok(
            "public-url",
            "MATINEE_PUBLIC_URL",
            set(flags.public_url.as_ref()).map(public_url).transpose(),
        );
        let sweep_interval = check.ok(
            "sweep-interval",
            "MATINEE_SWEEP_INTERVAL",
            duration(&flags.sweep_interval, 5, 86_400, "5s to 1d"),
        );
        let github_write_interval = check.ok(
            "github-write-interval",
            "MATINEE_GITHUB_WRITE_INTERVAL",
            duration(&flags.github_write_interval, 0, 60, "0s to 1m"),
        );
        let slack_api_url =
            check.ok("slack-api-url", "MATINEE_SLACK_API_URL", base_url(&flags.slack_api_url));
        let slack_response_url =
            check.ok("slack-response-url", "MATINEE_SLACK_RESPONSE_URL", base_url(&flags.slack_response_url));
        let concurrency =
            check.ok("concurrency", "MATINEE_CONCURRENCY", number(&flags.concurrency, 1, 1_000));
        let elects = check.ok("leader-elect", "MATINEE_LEADER_ELECT", truth(&flags.leader_elect));
        let lease = check.ok("lease-name", "MATINEE_LEASE_NAME", object_name(&flags.lease_name));
        let identity = check.ok("identity", "MATINEE_IDENTITY", identity::of(set(flags.identity.as_ref())));
        let config_map = check.ok(
            "config-map",
            "MATINEE_CONFIG_MAP",
            set(flags.config_map.as_ref()).map(object_name).transpose(),
        );
        let format = check.ok("log-format", "MATINEE_LOG_FORMAT", log_format(&flags.log_format));
        let filter = check.ok("log", "RUST_LOG", log_filter(&flags.log));

        let settings = (|| {
            Some(Self {
                listen: listen?,
                admin_listen: admin_listen?,
                webhook_secrets: webhook_secrets?,
                webhook_max_bytes: usize::try_from(webhook_max_bytes?).ok()?,
                namespace: namespace?,
                cluster_id: cluster_id?,
                public_url: public_url?,
                sweep_interval: sweep_interval?,
                github_write_interval: github_write_interval?,
                slack_api_url: slack_api_url?,
                slack_response_url: slack_response_url?,
                concurrency: u16::try_from(concurrency?).ok()?,
                election: elects?.then_some(Candidacy { lease: lease?, identity: identity? }),
                config_map: config_map?,
                log: Log { format: format?, filter: filter? },
            })
        })();
        settings.ok_or(Problems(check.0))
    }
}

/// Returns a value that is set. An empty one counts as unset, because manifests pass it for an
/// omitted value.
pub(crate) fn set(value: Option<&String>) -> Option<&str> {
    value.map(|text| text.trim()).filter(|text| !text.is_empty())
}

fn address(text: &str, port: u16) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("\"{text}\" is not an address with a port: write it like 0.0.0.0:{port} or [::]:{port}")
    })
}

fn number(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let range = format!("write a whole number from {least} to {most}");
    let number: u64 = text.parse().map_err(|_| format!("\"{text}\" is not a number: {range}"))?;
    if (least..=most).contains(&number) {
        Ok(number)
    } else {
        Err(format!("{number} is out of range: {range}"))
    }
}

/// Parses a duration with limits in seconds. `range` describes them in the error.
pub(crate) fn duration(text: &str, least: u64, most: u64, range: &str) -> Result<Duration, String> {
    let duration = text.parse::<api::Duration>()?.as_std();
    if (least..=most).contains(&duration.as_secs()) {
        Ok(duration)
    } else {
        Err(format!("\"{text}\" is out of range: write a duration from {range}"))
    }
}

fn truth(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("\"{text}\" is neither: write true or false"))
}

/// Checks the name of an object (a DNS subdomain name).
pub(crate) fn object_name(text: &str) -> Result<String, String> {
    let good = (1..=253).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
        && text.split('.').all(|part| !part.is_empty() && !part.starts_with('-') && !part.ends_with('-'));
    if good {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "\"{text}\" is not the name of an object: write lower case letters, digits, hyphens and dots, 253 at most"
        ))
    }
}

/// Returns the operator's own namespace: the given one, else the one in `file` (in a pod
/// [`SERVICE_ACCOUNT_NAMESPACE`]), else [`DEFAULT_NAMESPACE`].
///
/// # Errors
/// The name is invalid. The error contains the remedy.
pub fn own_namespace(given: Option<&str>, file: &Path) -> Result<String, String> {
    let found = match given.map(str::trim).filter(|given| !given.is_empty()) {
        Some(given) => given.to_owned(),
        None => match std::fs::read_to_string(file) {
            Ok(content) => content.trim().to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => DEFAULT_NAMESPACE.to_owned(),
            Err(error) => {
                return Err(format!(
                    "{} can't be read ({error}): name the operator's namespace",
                    file.display()
                ));
            }
        },
    };
    let is_label = (1..=63).contains(&found.len())
        && found.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !found.starts_with('-')
        && !found.ends_with('-');
    if is_label {
        Ok(found)
    } else {
        Err(format!(
            "\"{found}\" is not the name of a namespace: write lower case letters, digits and hyphens, 63 at most"
        ))
    }
}

fn cluster_id(text: &str) -> Result<String, String> {
    let good = text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if good {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "\"{text}\" is not an id: write letters, digits, hyphens, underscores and dots, 64 at most"
        ))
    }
}

fn public_url(text: &str) -> Result<String, String> {
    const REMEDY: &str = "write it like https://matinee.example.com or https://example.com/matinee";
    // The error doesn't repeat the value, which may contain a password.
    let url = Url::parse(text).map_err(|error| format!("not a URL ({error}): {REMEDY}"))?;
    let problem = if !matches!(url.scheme(), "http" | "https") {
        "its scheme is neither https nor http"
    } else if !url.username().is_empty() || url.password().is_some() {
        "it holds a user name or a password, which everybody would see"
    } else if url.query().is_some() || url.fragment().is_some() {
        "it has a query or a fragment"
    } else {
        return Ok(url.as_str().trim_end_matches('/').to_owned());
    };
    Err(format!("{problem}: {REMEDY}"))
}

/// Parses a base URL, and adds a slash to its end.
fn base_url(text: &str) -> Result<String, String> {
    public_url(text).map(|url| format!("{url}/"))
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(format!("\"{other}\" is not a format: write auto, text or json")),
    }
}

/// Checks that a log filter can be parsed.
pub(crate) fn log_filter(text: &str) -> Result<String, String> {
    EnvFilter::builder().parse(text).map(|_| text.to_owned()).map_err(|error| {
        format!("\"{text}\" is not a filter ({error}): write it like info or matinee=debug,info")
    })
}

#[cfg(test)]
mod tests;
