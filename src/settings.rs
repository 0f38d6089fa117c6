//! Flags and variables of `matinee run`, checked and converted to settings. An error names the flag
//! and the remedy.

mod flags;
mod identity;
mod secret_files;

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
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

impl Settings {
    /// Converts the flags, reads the secrets, and reads the own namespace from `namespace_file` (in a
    /// pod [`SERVICE_ACCOUNT_NAMESPACE`]).
    ///
    /// # Errors
    /// A file can't be read, or a URL isn't usable. clap has checked everything else; it would repeat
    /// a URL, which may contain a password.
    pub fn new(flags: &Flags, namespace_file: &Path) -> Result<Self, String> {
        let of = |flag: &'static str, variable: &'static str| {
            move |problem: String| format!("--{flag} ({variable}): {problem}")
        };
        let webhook_secrets = SecretFiles::open(&flags.webhook_secret_files)
            .map_err(of("webhook-secret-file", "MATINEE_WEBHOOK_SECRET_FILES"))?;
        let namespace = own_namespace(flags.namespace.as_deref(), namespace_file)
            .map_err(of("namespace", "MATINEE_NAMESPACE"))?;
        let public_url = set(flags.public_url.as_ref()).map(public_url).transpose();
        let identity = set(flags.identity.as_ref()).map_or_else(identity::generated, str::to_owned);
        Ok(Self {
            listen: flags.listen,
            admin_listen: flags.admin_listen,
            webhook_secrets,
            webhook_max_bytes: flags.webhook_max_bytes,
            namespace,
            cluster_id: set(flags.cluster_id.as_ref()).map(str::to_owned),
            public_url: public_url.map_err(of("public-url", "MATINEE_PUBLIC_URL"))?,
            sweep_interval: flags.sweep_interval,
            github_write_interval: flags.github_write_interval,
            slack_api_url: base_url(&flags.slack_api_url)
                .map_err(of("slack-api-url", "MATINEE_SLACK_API_URL"))?,
            slack_response_url: base_url(&flags.slack_response_url)
                .map_err(of("slack-response-url", "MATINEE_SLACK_RESPONSE_URL"))?,
            concurrency: flags.concurrency,
            election: flags.leader_elect.then(|| Candidacy { lease: flags.lease_name.clone(), identity }),
            config_map: set(flags.config_map.as_ref()).map(str::to_owned),
            log: Log { format: flags.log_format, filter: flags.log.clone() },
        })
    }
}

/// Returns a value that is set. An empty one counts as unset, because manifests pass it for an
/// omitted value.
pub(crate) fn set(value: Option<&String>) -> Option<&str> {
    value.map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// Checks a value with `check`, unless it is empty.
fn unless_empty(
    check: fn(&str) -> Result<String, String>,
) -> impl Fn(&str) -> Result<String, String> + Clone + Send + Sync + 'static {
    move |text| if text.trim().is_empty() { Ok(String::new()) } else { check(text.trim()) }
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "write an address with a port, like 0.0.0.0:8080 or [::]:8080")
}

/// Returns a parser of whole numbers.
fn number<N>(range: RangeInclusive<N>) -> impl Fn(&str) -> Result<N, String> + Clone + Send + Sync + 'static
where
    N: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("write a whole number from {} to {}", range.start(), range.end()))
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

/// Checks that a log filter can be parsed.
pub(crate) fn log_filter(text: &str) -> Result<String, String> {
    EnvFilter::builder().parse(text).map(|_| text.to_owned()).map_err(|error| {
        format!("\"{text}\" is not a filter ({error}): write it like info or matinee=debug,info")
    })
}

#[cfg(test)]
mod tests;
