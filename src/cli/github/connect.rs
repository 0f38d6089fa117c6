//! `matinee github connect`: creates an App and its Secrets.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _, stdout};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::Secret;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::flags::Wanted;
use crate::adapters::github::registration::github_instance::is_slug;
use crate::adapters::github::registration::manifest::default_name;
use crate::adapters::github::registration::{Manifest, class_snippet};
use crate::adapters::github::{GithubApp, GithubSettings, Installed, NewApp, fetch_new_app};
use crate::api::GithubConnection;
use crate::cli::github::callback_server::{self, Back, CALLBACK, Ending, Offer};
use crate::cli::github::secret_output::{Keeper, rescue};
use crate::ports::{ClusterError, ForgeError, Secrets};
use crate::server;

/// Maximum number of attempts to get the credentials. If a response was lost, the code may still be
/// valid.
const ATTEMPTS: u32 = 3;
/// Delay between two attempts, and between two reads of the App's installations.
const PAUSE: Duration = Duration::from_secs(2);

/// Prints a line. A closed output is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(stdout(), "{line}");
}

/// Returns random hexadecimal digits that can't be guessed.
fn random<const BYTES: usize>() -> anyhow::Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).context("the system has no random numbers")?;
    Ok(hex::encode(bytes))
}

/// Signals to end. They no longer end the process, because a new App's key exists only in this
/// process.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn new() -> anyhow::Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate })
    }

    async fn come(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Runs all steps. The error says what remains to be done.
pub(super) async fn connect(wanted: &Wanted) -> anyhow::Result<()> {
    let organization = wanted.organization.as_deref();
    let name = match &wanted.name {
        Some(name) => name.clone(),
        None => default_name(organization, &random::<3>()?),
    };
    let manifest = |address: &str| {
        let back = format!("http://{address}{CALLBACK}");
        Manifest::new(name.clone(), &wanted.parts, wanted.webhook_url.clone(), back, wanted.public)
    };
    if wanted.dry_run {
        say(&serde_json::to_string_pretty(&manifest(&wanted.listen.to_string()))?);
        return Ok(());
    }
    let keeper = Keeper::new(wanted.output.as_deref(), &wanted.credentials.namespace).await?;
    let webhook_secret = keeper.check(&wanted.credentials, wanted.replace).await?;

    let mut interrupts = Interrupts::new()?;
    let deadline = Instant::now() + wanted.timeout;
    let listener = TcpListener::bind(wanted.listen)
        .await
        .with_context(|| format!("--listen: can't listen on {}", wanted.listen))?;
    let address = listener.local_addr()?;
    let (key, state) = (random::<16>()?, random::<32>()?);
    let offer = Offer {
        action: &wanted.github.new_app(organization, &state),
        manifest: &serde_json::to_string(&manifest(&address.to_string()))?,
        owner: organization.unwrap_or("the account you are signed in with"),
    };
    let (router, mut coming) = callback_server::open(address, &key, state.clone(), &offer);
    let shutdown = CancellationToken::new();
    let served = server::serve(listener, router, server::Limits::default(), shutdown.clone());
    let served = AbortOnDropHandle::new(tokio::spawn(served));

    let url = format!("http://{address}/{key}");
    say(&format!("Open this page to create the App:\n\n    {url}\n"));
    say(&format!(
        "If your browser is on another machine, forward the port from there: ssh -L {port}:{address} <this machine>",
        port = address.port()
    ));
    if wanted.browser {
        open_browser(&url);
    }
    let Back { code, answer } = tokio::select! {
        back = timeout_at(deadline, coming.recv()) => back
            .ok()
            .flatten()
            .context("timed out (--timeout): GitHub didn't redirect back to this page, and nothing was saved; if you created an App, delete it on GitHub")?,
        () = interrupts.come() => bail!("interrupted: no App was created"),
    };
    let made = keep_new_app(wanted, &keeper, &code, webhook_secret).await;
    let install = made.as_ref().ok().map(|(app, _)| wanted.github.install(&app.slug));
    // The browser may have closed the connection.
    let _ = answer.send(install.clone().map_or(Ending::Failed, Ending::Install));
    shutdown.cancel();
    let _ = served.await;
    let (app, itself) = made?;

    say(&format!(
        "Install it on the repositories that should have previews:\n\n    {}\n",
        install.unwrap_or_default()
    ));
    say("Waiting until it is installed. Ctrl-C skips this step.");
    let installed = tokio::select! {
        installed = timeout_at(deadline, installed(&itself)) => installed.ok(),
        () = interrupts.come() => None,
    };
    tell_installed(&app, installed.as_deref());
    let accounts: Vec<&str> = installed.iter().flatten().map(|one| one.account.as_str()).collect();
    say(
        "\nNext, create a class that uses it. Replace the namespaces, the domain and the Gateway or ingress class by your own:\n",
    );
    say(&class_snippet(&wanted.github, &wanted.credentials.credentials, &accounts));
    Ok(())
}

/// Gets the App's credentials and saves them. Returns the App, and a client that authenticates as
/// it. If the webhook's secret already exists, the App is set to use it.
async fn keep_new_app(
    wanted: &Wanted,
    keeper: &Keeper,
    code: &str,
    there: Option<SecretString>,
) -> anyhow::Result<(NewApp, GithubApp)> {
    let apps = wanted.github.apps(wanted.organization.as_deref());
    let app = fetch(wanted.github.api(), code).await.with_context(|| {
        format!("GitHub created the App, but returned no credentials: delete it at {apps} and run this command again")
    })?;
    say(&format!("GitHub created the App \"{}\" with the id {}.", app.name, app.id));
    let made = app.webhook_secret.as_ref().filter(|_| there.is_none()).map(ExposeSecret::expose_secret);
    let secrets = wanted.credentials.secrets(app.id, app.pem.expose_secret(), made);
    match keeper.keep(&secrets, wanted.replace, &wanted.credentials).await {
        Ok(places) => places.iter().for_each(|place| say(&format!("Saved its credentials in {place}."))),
        Err(error) => return Err(saved(&app, &secrets, error)),
    }
    if !is_slug(&app.slug) {
        bail!("GitHub returned an invalid name of the App: open {apps}, and install it there");
    }
    let held = secrets.into_iter().next().and_then(|secret| secret.data).unwrap_or_default();
    let held = Held(held.into_iter().map(|(key, value)| (key, value.0)).collect());
    let connection = GithubConnection {
        url: wanted.github.api().to_owned(),
        secret_name: wanted.credentials.credentials.clone(),
    };
    let itself = GithubApp::new(&connection, Arc::new(held), GithubSettings::default())
        .map_err(|error| anyhow!(error))?;
    match (&wanted.credentials.webhook, there) {
        (Some(name), Some(secret)) => {
            share(&itself, &secret).await.with_context(|| {
                format!(
                    "the App signs its webhooks with another secret than the operator's: set it in the App's settings at {apps} to \
                     the one in Secret {}/{name}",
                    wanted.credentials.namespace
                )
            })?;
            say(&format!(
                "It signs webhooks with the existing secret in Secret {}/{name}.",
                wanted.credentials.namespace
            ));
        }
        (Some(name), None) if app.webhook_secret.is_none() => bail!(
            "GitHub returned no secret for the webhook: set one in the App's settings at {apps}, and put it into Secret {}/{name} as \
             \"{}\"",
            wanted.credentials.namespace,
            wanted.credentials.webhook_key
        ),
        _ => {}
    }
    Ok((app, itself))
}

/// Sets the webhook's secret of the App on GitHub. Retries, because a new App may not be known to
/// all of GitHub's servers yet. This is idempotent.
async fn share(app: &GithubApp, secret: &SecretString) -> Result<(), ForgeError> {
    let mut attempt = 1;
    loop {
        match app.set_webhook_secret(secret).await {
            Err(_) if attempt < ATTEMPTS => {
                attempt += 1;
                sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}

/// Saves the credentials to a file after the Secrets could not be saved, so that nothing is lost.
fn saved(app: &NewApp, secrets: &[Secret], error: anyhow::Error) -> anyhow::Error {
    let slug = if is_slug(&app.slug) { app.slug.as_str() } else { "new" };
    match rescue(Path::new("."), slug, secrets) {
        Ok(path) => error.context(format!(
            "the App's credentials are in {0}, readable by you only: apply them with kubectl apply --server-side -f {0}, then \
             delete the file; they could not be saved as Secrets",
            path.display()
        )),
        Err(other) => error.context(format!(
            "the App's private key is lost, and could not be saved either ({other:#}): generate a new one in the App's settings"
        )),
    }
}

async fn fetch(api: &str, code: &str) -> Result<NewApp, ForgeError> {
    let mut attempt = 1;
    loop {
        match fetch_new_app(api, code, &GithubSettings::default()).await {
            Err(ForgeError::Unknown(why)) if attempt < ATTEMPTS => {
                say(&format!("Unexpected response from GitHub ({why}); trying again."));
                attempt += 1;
                sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}

/// Data of a Secret that needn't exist in a cluster.
struct Held(BTreeMap<String, Vec<u8>>);

#[async_trait]
impl Secrets for Held {
    async fn secret(&self, _: &str) -> Result<Option<BTreeMap<String, Vec<u8>>>, ClusterError> {
        Ok(Some(self.0.clone()))
    }
}

/// Waits until the App is installed somewhere.
async fn installed(app: &GithubApp) -> Vec<Installed> {
    let mut problem = None;
    loop {
        match app.installed().await {
            Ok(found) if !found.is_empty() => return found,
            Ok(_) => problem = None,
            Err(error) => {
                // A new App may not be known to all of GitHub's servers yet, so any error may be
                // temporary.
                let text = error.to_string();
                if problem.as_ref() != Some(&text) {
                    say(&format!("Can't list its installations yet: {text}"));
                    problem = Some(text);
                }
            }
        }
        sleep(PAUSE).await;
    }
}

fn tell_installed(app: &NewApp, installed: Option<&[Installed]>) {
    let Some(installed) = installed else {
        say(&format!(
            "\"{}\" is not installed yet. Once you install it, Matinee uses it without another step here.",
            app.name
        ));
        return;
    };
    for Installed { account, repositories, all } in installed {
        let plural = if *repositories == 1 { "repository" } else { "repositories" };
        let later = if *all { ", and on all new ones" } else { "" };
        say(&format!("Installed on {account}: on {repositories} {plural}{later}."));
    }
}

/// Opens the page if there is a desktop. The URL was printed in any case.
fn open_browser(url: &str) {
    let desktop = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    if !stdout().is_terminal() || !(desktop || cfg!(target_os = "macos")) {
        return;
    }
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = tokio::process::Command::new(program);
    let _ = command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}
