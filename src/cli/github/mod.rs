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
    /// Creates a GitHub App for this operator, and saves its credentials as Secrets.
    ///
    /// Opens a page on this machine that leads to GitHub, where you confirm the App's permissions. Saves the App's credentials as Secrets in the
    /// operator's namespace. Then you install the App on the repositories that should have previews.
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
