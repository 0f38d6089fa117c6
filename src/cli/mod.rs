//! Commands.

mod apply;
mod crds;
mod github;
mod log;
mod reference;
pub mod run;
mod teardown;

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
    /// Sets up the way to GitHub.
    Github(github::Arguments),
    /// Applies the PreviewClass of a Helm release; the chart runs it after an installation or upgrade.
    Apply(apply::Flags),
    /// Tears every preview down and waits until none is left; the chart runs it before it is uninstalled.
    Teardown(teardown::Flags),
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

fn operate(settings: Settings) -> ExitCode {
    if let Err(error) = log::install(&settings.log) {
        eprintln!("matinee: {error:#}");
        return ExitCode::from(FAILURE);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result =
        runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run::run(settings)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Where everything else about the run is looked for, and in the same format.
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(FAILURE)
        }
    }
}
