//! Starts the cluster for work by hand, and stops it on Ctrl-C.

use std::io::Write as _;

use playground::{Playground, Settings};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let start = Playground::start(Settings::default(), say);
    let playground = tokio::select! {
        playground = start => playground?,
        _ = tokio::signal::ctrl_c() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    for (part, duration) in playground.timings() {
        say(&format!("{:>8.2} s  {part}", duration.as_secs_f64()));
    }
    say(&format!("export KUBECONFIG={}", playground.kubeconfig().display()));
    say(&format!("routes answer at http://<name>.preview.localhost:{}", playground.gateway_port()));
    say(&format!("the image {} can be used", playground.sample_image().await?));
    say(&format!("logs are in {}; Ctrl-C ends it", playground.directory().display()));
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    playground.stop().await
}

/// Prints a line. A closed output is no error.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
