//! The stand-in as a program.

use std::net::SocketAddr;

use clap::Parser;
use github_stand_in::{Settings, StandIn};

/// A stand-in for GitHub: REST API, webhooks and pages, all in memory.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Where the REST API begins, such as `/api/v3` as on Enterprise Server.
    #[arg(long, default_value = "")]
    base_path: String,
    /// How others reach it, when it isn't the address it listens on.
    #[arg(long)]
    public_url: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).init();
    let Arguments { listen, base_path, public_url } = Arguments::parse();
    let stand_in = StandIn::start(Settings { listen, base_path, public_url, ..Settings::default() }).await?;
    tracing::info!(
        api = stand_in.api_url(),
        pages = stand_in.html_url(),
        control = stand_in.control_url(),
        "listening"
    );
    tokio::signal::ctrl_c().await?;
    stand_in.stop().await;
    Ok(())
}
