//! Commands.

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

/// What went wrong while it ran.
const FAILURE: u8 = 1;
/// Flags, variables or files that can't be used; clap ends with the same.
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
    /// Prints the custom resource definitions as YAML, ready for `kubectl apply --server-side -f -`.
    Crds(crds::Flags),
    /// Applies the PreviewClass of a Helm release; the chart runs it after an installation or upgrade.
    Apply(apply::Flags),
    /// Tears every preview down and waits until none is left; the chart runs it before it is uninstalled.
    Teardown(teardown::Flags),
    /// Sets up the way to GitHub.
    Github(github::Arguments),
    /// Tells whether an installation works, and what to do where it doesn't. Changes nothing.
    Doctor(doctor::Flags),
}

/// Runs the command that the program's arguments name.
pub fn main() -> ExitCode {
    // First of all, since whatever opens a TLS connection without it fails. An error means that one is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match Program::parse().command {
        Command::Run(flags) => match Settings::check(&flags, Path::new(SERVICE_ACCOUNT_NAMESPACE)) {
            Ok(settings) => operate(settings),
            Err(problems) => {
                eprintln!("matinee can't start with these settings:\n{problems}");
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

/// The exit code of a command that a person or a hook waits for.
fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("matinee: {error:#}");
            ExitCode::from(FAILURE)
        }
    }
}

/// Runs a command that waits for others, on this thread.
fn to_its_end(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}

/// The variable that asks for traces, where one does.
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
        // Where everything else about the run is looked for, and in the same format.
        tracing::error!("{error:#}");
    }
    observed.end(result.is_ok());
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(FAILURE) }
}

/// A runtime of which logs and traces tell.
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

    /// Ends everything, and where all went well sends what is left to be told: who leads no more has no time for that.
    fn end(self, well: bool) {
        #[cfg(feature = "otel")]
        if let Some(traces) = self.traces.filter(|_| well) {
            traces.end();
        }
        #[cfg(not(feature = "otel"))]
        let _ = well;
        // What blocks, as looking a name up does, must not hold the end.
        self.runtime.shutdown_background();
    }
}
