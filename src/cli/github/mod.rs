//! `matinee github`.

mod callback_server;
mod connect;
mod flags;
mod secret_output;

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{BAD_SETTINGS, ended, to_its_end};
use crate::settings::SERVICE_ACCOUNT_NAMESPACE;
use flags::Wanted;

/// Arguments of `matinee github`.
#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a GitHub App for this operator, and keeps its credentials as Secrets.
    ///
    /// Opens a page on this machine that leads to GitHub, where you confirm what the App may do. What GitHub answers goes into Secrets in the
    /// operator's namespace. Then you install the App on the repositories that shall have previews.
    Connect(Box<flags::Flags>),
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let Command::Connect(flags) = &arguments.command;
    let wanted = match Wanted::check(flags, Path::new(SERVICE_ACCOUNT_NAMESPACE)) {
        Ok(wanted) => wanted,
        Err(problems) => {
            eprintln!("matinee can't connect with these settings:\n{}", problems.join("\n"));
            return ExitCode::from(BAD_SETTINGS);
        }
    };
    ended(to_its_end(connect::connect(&wanted)))
}
