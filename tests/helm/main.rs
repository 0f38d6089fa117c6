//! Tests with Helm: the chart is installed in a real cluster, and two replicas of the operator run
//! as pods on its node. They cover what users do with a release, and its failures. `cargo test
//! --test helm -- replicas` runs the tests whose name contains `replicas`, one after the other in
//! their order.

#[path = "../cluster/harness.rs"]
#[allow(dead_code)] // shared with the cluster tests, which need more of it
mod harness;
mod install;
mod isolation;
mod monitoring;
mod pods;
#[path = "../cluster/quiescence.rs"]
#[allow(dead_code)] // shared with the cluster tests, which need more of it
mod quiescence;
#[path = "../cluster/reach.rs"]
mod reach;
mod replicas;
mod settings;
#[path = "../cluster/support.rs"]
#[allow(dead_code)] // shared with the cluster tests, which need more of it
mod support;
mod uninstall;
mod upgrade;

use std::process::ExitCode;
use std::time::Duration;

use harness::{Group, group};
use playground::stage::{Place, Settings};
use serde_json::json;

const GROUPS: &[Group] = &[
    group("install", install::TESTS),
    group("isolation", isolation::TESTS),
    group("settings", settings::TESTS),
    group("replicas", replicas::TESTS),
    group("monitoring", monitoring::TESTS),
    group("upgrade", upgrade::TESTS),
    group("uninstall", uninstall::TESTS),
];

fn settings() -> Settings {
    Settings {
        place: Place::Cluster { replicas: 2 },
        values: json!({"teardown": {"enabled": true, "timeout": "2m"}}),
        sweep_interval: Duration::from_secs(5),
        // The tests wait for GitHub's statuses; the write limits have tests of their own.
        github_write_interval: Duration::ZERO,
        record_writes: true,
        ..Settings::new(env!("CARGO_BIN_EXE_matinee"))
    }
}

fn main() -> ExitCode {
    // The tests share one release, so they run one at a time.
    harness::run(GROUPS, settings, 1)
}
