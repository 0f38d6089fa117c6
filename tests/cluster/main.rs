//! Tests of the operator on a real cluster with a simulated GitHub. They check what a user meets,
//! from outside only.
//!
//! All tests share one stage; each has a namespace and a GitHub repository of its own. `cargo test
//! --test cluster -- life` runs the tests whose name contains `life`, and `-- --list` lists all.
//! Both start no more than they need.

mod answers;
mod chain;
mod commands;
mod connect;
mod crash;
mod doctor;
mod github;
mod harness;
mod health;
mod holders;
mod ingress;
mod inputs;
mod life;
mod mistakes;
mod names;
mod objects;
mod people;
mod play;
mod pushes;
mod rest;
mod rights;
#[path = "../connect/run.rs"]
mod run;
mod schema;
mod slack;
mod still;
mod sweep;
mod waits;

use std::process::ExitCode;
use std::time::Duration;

use harness::{Group, group};
use playground::stage::Settings;

/// All tests in the order in which they start: long ones first, those that run alone last.
const GROUPS: &[Group] = &[
    group("life", life::TESTS),
    group("mistakes", mistakes::TESTS),
    group("inputs", inputs::TESTS),
    group("objects", objects::TESTS),
    group("answers", answers::TESTS),
    group("chain", chain::TESTS),
    group("pushes", pushes::TESTS),
    group("commands", commands::TESTS),
    group("slack", slack::TESTS),
    group("health", health::TESTS),
    group("names", names::TESTS),
    group("waits", waits::TESTS),
    group("sweep", sweep::TESTS),
    group("people", people::TESTS),
    group("holders", holders::TESTS),
    group("github", github::TESTS),
    group("connect", connect::TESTS),
    group("rights", rights::TESTS),
    group("ingress", ingress::TESTS),
    group("schema", schema::TESTS),
    group("doctor", doctor::TESTS),
    group("still", still::TESTS),
    group("crash", crash::TESTS),
];

/// Returns the settings of a stage on which the operator is a process with the rights that the
/// chart grants. A process is killed and restarted within a tenth of a second.
fn settings() -> Settings {
    Settings {
        sweep_interval: Duration::from_secs(5),
        // The tests wait for GitHub's statuses; the write limits have tests of their own.
        github_write_interval: Duration::ZERO,
        log: "info,matinee=debug".to_owned(),
        record_writes: true,
        ..Settings::new(env!("CARGO_BIN_EXE_matinee"))
    }
}

fn main() -> ExitCode {
    // The tests spend most of their time waiting.
    const AT_ONCE: usize = 6;
    harness::run(GROUPS, settings, AT_ONCE)
}
