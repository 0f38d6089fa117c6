//! Logs go to standard error.

use std::io::{IsTerminal as _, stderr};

use anyhow::anyhow;
use tracing_subscriber::EnvFilter;

use crate::settings::{Log, LogFormat};

/// The library's own words about watches that fail: Matinee says the same with the kind, and once.
const REPEATED: &str = "kube_runtime::watcher=error";

/// From here on, what is logged is written.
pub(super) fn install(log: &Log) -> anyhow::Result<()> {
    // What the user says comes later, and so wins.
    let filter = EnvFilter::builder().parse(format!("{REPEATED},{}", log.filter))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    match log.format {
        LogFormat::Text => builder.with_ansi(stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(true).try_init(),
    }
    .map_err(|error| anyhow!("logs can't be set up: {error}"))
}
