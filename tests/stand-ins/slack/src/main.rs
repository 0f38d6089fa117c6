//! The stand-in as a program.

use std::net::SocketAddr;

use clap::Parser;
use slack_stand_in::{Settings, StandIn};

/// A stand-in for Slack: slash commands, response URLs and the Web API, all in memory.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:3001")]
    listen: SocketAddr,
    /// How others reach it, when it isn't the address it listens on.
    #[arg(long)]
    public_url: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).init();
    let Arguments { listen, public_url } = Arguments::parse();
    let stand_in = StandIn::start(Settings { listen, public_url, ..Settings::default() }).await?;
    tracing::info!(
        responses = stand_in.response_url(),
        api = stand_in.api_url(),
        control = stand_in.control_url(),
        "listening"
    );
    tokio::signal::ctrl_c().await?;
    stand_in.stop().await;
    Ok(())
}
