//! Commands of the `matinee` program.

mod apply;
mod crds;
mod doctor;
mod github;
pub mod log;
mod reference;
pub mod run;
mod teardown;
#[cfg(feature = "otel")]
pub mod traces;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::settings::{Flags, SERVICE_ACCOUNT_NAMESPACE, Settings};

/// Exit code of an error at run time.
const FAILURE: u8 = 1;
/// Exit code of invalid flags, variables or files; clap uses the same.
const BAD_SETTINGS: u8 = 2;

/// Ephemeral pull-request environments on Kubernetes, driven by the GitHub Deployments API.
#[derive(Parser)]
#[command(name = "matinee", version)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the operator.
    Run(Box<Flags>),
    /// Prints the custom resource definitions as YAML, for `kubectl apply --server-side -f -`.
    Crds(crds::Flags),
    /// Applies the PreviewClass of a Helm release. The chart runs it after an installation or upgrade.
    Apply(apply::Flags),
    /// Deletes all previews and waits until they are deleted. The chart runs it before an uninstall.
    Teardown(teardown::Flags),
    /// Connects Matinee to GitHub.
    Github(github::Arguments),
    /// Checks an installation, and prints a remedy for each problem. Changes nothing.
    Doctor(doctor::Flags),
}

/// Runs the command in the program's arguments.
pub fn main() -> ExitCode {
    // Do this first, because TLS connections need a provider. An error means that one is already
    // installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match Program::parse().command {
        Command::Run(flags) => match Settings::new(&flags, Path::new(SERVICE_ACCOUNT_NAMESPACE)) {
            Ok(settings) => operate(settings),
            Err(problem) => {
                eprintln!("matinee can't start with these settings:\n{problem}");
                ExitCode::from(BAD_SETTINGS)
            }
        },
        Command::Github(arguments) => github::run(&arguments),
        Command::Crds(flags) => ended(crds::run(&flags)),
        Command::Apply(flags) => ended(to_its_end(apply::run(&flags))),
        Command::Teardown(flags) => ended(to_its_end(teardown::run(&flags))),
        Command::Doctor(flags) => doctor::main(&flags),
    }
}

/// Returns the exit code of a command that a person or a hook runs.
fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("matinee: {error:#}");
            ExitCode::from(FAILURE)
        }
    }
}

/// Runs an asynchronous command on this thread.
fn to_its_end(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}

/// Returns the variable that requests traces, if one does.
#[cfg(not(feature = "otel"))]
fn asks_for_traces(variable: impl Fn(&str) -> Option<String>) -> Option<&'static str> {
    ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"]
        .into_iter()
        .find(|name| variable(name).is_some_and(|value| !value.trim().is_empty()))
}

fn operate(settings: Settings) -> ExitCode {
    let observed = match Observed::start(&settings) {
        Ok(observed) => observed,
        Err(error) => {
            eprintln!("matinee: {error:#}");
            return ExitCode::from(FAILURE);
        }
    };
    let result = observed.runtime.block_on(run::run(settings, observed.filter.clone()));
    if let Err(error) = &result {
        // Write it to the log, where the rest of the run is, in the same format.
        tracing::error!("{error:#}");
    }
    observed.end(result.is_ok());
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(FAILURE) }
}

/// A runtime with logs and traces.
struct Observed {
    runtime: tokio::runtime::Runtime,
    filter: log::Filter,
    #[cfg(feature = "otel")]
    traces: Option<traces::Traces>,
}

impl Observed {
    fn start(settings: &Settings) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        #[cfg(feature = "otel")]
        let (traces, layer) = traces::start(runtime.handle())?.unzip();
        #[cfg(not(feature = "otel"))]
        let layer = None;
        let filter = log::install(&settings.log, layer)?;
        #[cfg(not(feature = "otel"))]
        if let Some(variable) = asks_for_traces(|name| std::env::var(name).ok()) {
            tracing::warn!(
                "{variable} is set, but this program sends no traces: build it with `--features otel`, or take the released image"
            );
        }
        Ok(Self {
            runtime,
            filter,
            #[cfg(feature = "otel")]
            traces,
        })
    }

    /// Ends the runtime. Sends the remaining traces only after a success, because a replica that
    /// lost the Lease must end at once.
    fn end(self, well: bool) {
        #[cfg(feature = "otel")]
        if let Some(traces) = self.traces.filter(|_| well) {
            traces.end();
        }
        #[cfg(not(feature = "otel"))]
        let _ = well;
        // Blocking tasks such as name lookups must not delay the end.
        self.runtime.shutdown_background();
    }
}
