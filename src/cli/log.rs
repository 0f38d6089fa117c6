//! Logs go to standard error.

use std::io::{IsTerminal as _, stderr};

use anyhow::anyhow;
use tracing_subscriber::EnvFilter;

use crate::settings::{Log, LogFormat};

/// From here on, what is logged is written.
pub(super) fn install(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::builder().parse(&log.filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    match log.format {
        LogFormat::Text => builder.with_ansi(stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(true).try_init(),
    }
    .map_err(|error| anyhow!("logs can't be set up: {error}"))
}
