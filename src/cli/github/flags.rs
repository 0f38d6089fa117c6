//! Flags of `matinee github connect`, and their checked values.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::adapters::github::permissions::Part;
use crate::adapters::github::registration::github_instance::check_organization;
use crate::adapters::github::registration::manifest::{check_name, check_webhook_url};
use crate::adapters::github::registration::{GithubInstance, StoredCredentials};
use crate::settings;

/// Flags of `matinee github connect`.
#[derive(Args, Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a flag
pub(super) struct Flags {
    /// Organization that owns the App. Without it, the owner is the account that you are signed in with.
    #[arg(long, value_name = "LOGIN")]
    organization: Option<String>,
    /// Name of the App, unique on GitHub; you can change it on GitHub's page. [default: Matinee and the organization]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// URL at which GitHub reaches the operator's webhooks. /webhooks/github is added to a URL without a path.
    #[arg(long, value_name = "URL", conflicts_with = "without_webhook")]
    webhook_url: Option<String>,
    /// Creates an App without a webhook: the operator finds changes with its sweeps, up to a minute later.
    #[arg(long)]
    without_webhook: bool,
    /// Leaves out the permissions and events of parts that you don't use: commands (in comments), gates (and locks), pushes (to branches).
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    without: Vec<String>,
    /// Allows other accounts than the owner to install the App.
    #[arg(long)]
    public: bool,
    /// URL of GitHub, or of an Enterprise Server, in the browser.
    #[arg(long, value_name = "URL", default_value = "https://github.com")]
    github_url: String,
    /// The operator's namespace, in which the Secrets are saved. [default: the service account's, else matinee-system]
    #[arg(long, env = "MATINEE_NAMESPACE", value_name = "NAME")]
    namespace: Option<String>,
    /// Name of the Secret for the App's id and private key, which classes name in spec.forge.github.secretName.
    #[arg(long, value_name = "NAME", default_value = "github")]
    secret: String,
    /// Name of the Secret for the webhook's secret.
    #[arg(long, value_name = "NAME", default_value = "matinee-webhook")]
    webhook_secret: String,
    /// Key of the webhook's secret in that Secret, which the operator must read.
    #[arg(long, value_name = "KEY", default_value = "secret")]
    webhook_key: String,
    /// Replaces existing Secrets; in the webhook's Secret, only its key.
    #[arg(long)]
    replace: bool,
    /// Writes the Secrets as YAML into this folder, readable by you only, instead of applying them. It then needs no cluster.
    #[arg(long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,
    /// Loopback address of the page that your browser opens.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: String,
    /// Doesn't open a browser, only prints the page's URL.
    #[arg(long)]
    no_browser: bool,
    /// How long to wait for you. GitHub allows an hour.
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    timeout: String,
    /// Prints the manifest that would be posted to GitHub, and does nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Checked values of the flags.
#[allow(clippy::struct_excessive_bools)] // each is a flag
pub(super) struct Wanted {
    pub(super) github: GithubInstance,
    pub(super) organization: Option<String>,
    pub(super) name: Option<String>,
    pub(super) parts: BTreeSet<Part>,
    pub(super) webhook_url: Option<String>,
    pub(super) public: bool,
    pub(super) credentials: StoredCredentials,
    pub(super) replace: bool,
    pub(super) output: Option<PathBuf>,
    /// A loopback address.
    pub(super) listen: SocketAddr,
    pub(super) browser: bool,
    pub(super) timeout: Duration,
    pub(super) dry_run: bool,
}

/// Collects errors, so that all of them are reported at once.
#[derive(Default)]
struct Checker(Vec<String>);

impl Checker {
    fn ok<T>(&mut self, flag: &str, checked: Result<T, String>) -> Option<T> {
        checked.map_err(|text| self.0.push(format!("--{flag}: {text}"))).ok()
    }
}

impl Wanted {
    /// Checks all flags. `namespace_file` is the file in a pod that contains its namespace.
    pub(super) fn check(flags: &Flags, namespace_file: &Path) -> Result<Self, Vec<String>> {
        let mut check = Checker::default();
        let github = check.ok("github-url", GithubInstance::parse(&flags.github_url));
        let organization =
            check.ok("organization", flags.organization.as_deref().map(check_organization).transpose());
        let name = check.ok("name", flags.name.as_deref().map(check_name).transpose());
        let webhook_url = check.ok("webhook-url", webhook_url(flags));
        let without: Option<BTreeSet<Part>> =
            check.ok("without", flags.without.iter().map(|word| word.trim().parse()).collect());
        let namespace =
            check.ok("namespace", settings::own_namespace(flags.namespace.as_deref(), namespace_file));
        let credentials = check.ok("secret", settings::object_name(&flags.secret));
        let webhook = check.ok("webhook-secret", webhook_secret(flags));
        let webhook_key = check.ok("webhook-key", secret_key(&flags.webhook_key));
        let listen = check.ok("listen", loopback(&flags.listen));
        let timeout = check.ok("timeout", settings::duration(&flags.timeout, 1, 3_600, "1s to 1h"));
        let wanted = (|| {
            let (without, webhook_url) = (without?, webhook_url?);
            Some(Self {
                github: github?,
                organization: organization?,
                name: name?,
                parts: Part::ALL.into_iter().filter(|part| !without.contains(part)).collect(),
                public: flags.public,
                credentials: StoredCredentials {
                    namespace: namespace?,
                    credentials: credentials?,
                    webhook: webhook_url.is_some().then_some(webhook?),
                    webhook_key: webhook_key?,
                },
                webhook_url,
                replace: flags.replace,
                output: flags.output_dir.clone(),
                listen: listen?,
                browser: !flags.no_browser,
                timeout: timeout?,
                dry_run: flags.dry_run,
            })
        })();
        wanted.ok_or(check.0)
    }
}

fn webhook_url(flags: &Flags) -> Result<Option<String>, String> {
    match &flags.webhook_url {
        Some(url) => check_webhook_url(url).map(Some),
        None if flags.without_webhook => Ok(None),
        None => Err("missing: write the URL at which GitHub reaches the operator, like https://matinee.example.com, or use \
                     --without-webhook: sweeps then find changes, up to a minute later"
            .to_owned()),
    }
}

fn webhook_secret(flags: &Flags) -> Result<String, String> {
    if flags.secret == flags.webhook_secret {
        return Err(format!("\"{}\" is the name of --secret already: write another name", flags.secret));
    }
    settings::object_name(&flags.webhook_secret)
}

/// Checks a key of a Secret by Kubernetes' rules.
fn secret_key(text: &str) -> Result<String, String> {
    let good = (1..=253).contains(&text.len())
        && !text.starts_with("..")
        && text != "."
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if good {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "\"{text}\" is not a key of a Secret: write letters, digits, hyphens, underscores and dots, 253 at most"
        ))
    }
}

/// Parses a loopback address. The page must not be reachable from other machines, because anybody
/// who reaches it can create the App.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| format!("\"{text}\" is not an address with a port: write it like 127.0.0.1:8085"))?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!(
            "{} can be reached by other machines: write it like 127.0.0.1:8085, and forward the port to your browser with ssh -L",
            address.ip()
        ))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        flags: Flags,
    }

    fn check(arguments: &[&str]) -> Result<Wanted, Vec<String>> {
        let flags = Program::try_parse_from([&["connect"], arguments].concat()).unwrap().flags;
        Wanted::check(&flags, Path::new("/nowhere"))
    }

    #[test]
    fn little_has_to_be_said() {
        let wanted = check(&["--webhook-url", "https://matinee.example.com"]).ok().unwrap();
        assert_eq!(wanted.webhook_url.as_deref(), Some("https://matinee.example.com/webhooks/github"));
        assert_eq!(wanted.parts.len(), 3);
        assert_eq!(wanted.credentials.namespace, "matinee-system");
        assert_eq!(wanted.credentials.names().collect::<Vec<_>>(), ["github", "matinee-webhook"]);
        assert_eq!((wanted.timeout, wanted.public), (Duration::from_hours(1), false));
        let wanted = check(&["--without-webhook", "--without", "commands,gates"]).ok().unwrap();
        assert_eq!(wanted.credentials.names().collect::<Vec<_>>(), ["github"]);
        assert_eq!(wanted.parts, BTreeSet::from([Part::Pushes]));
    }

    #[test]
    fn every_mistake_is_told_with_its_flag() {
        let problems = check(&[
            "--organization=a/b",
            "--name= ",
            "--without=everything",
            "--github-url=https://api.github.com",
            "--namespace=A",
            "--secret=same",
            "--webhook-secret=same",
            "--webhook-key=a/b",
            "--listen=0.0.0.0:1",
            "--timeout=2h",
        ]);
        let problems = problems.err().unwrap();
        let flags: Vec<&str> = problems.iter().filter_map(|line| line.split(':').next()).collect();
        assert_eq!(
            flags,
            [
                "--github-url",
                "--organization",
                "--name",
                "--webhook-url",
                "--without",
                "--namespace",
                "--webhook-secret",
                "--webhook-key",
                "--listen",
                "--timeout"
            ]
        );
    }
}
