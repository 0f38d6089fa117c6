//! The operator on a real cluster, with a stand-in for GitHub: everything a user meets, seen from outside only.
//!
//! All tests share one stage; each has a namespace and a repository of its own. `cargo test --test cluster -- life` runs
//! those whose name contains `life`, `-- --list` names all; neither starts more than it needs.

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

/// Every test, in the order in which they are begun: those that take long come first, those that run alone last.
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

/// A process, which is killed and started within a tenth of a second, with the rights that the chart gives it.
fn settings() -> Settings {
    Settings {
        sweep_interval: Duration::from_secs(5),
        // Tests wait for what is told to GitHub; its limits have tests of their own.
        github_write_interval: Duration::ZERO,
        log: "info,matinee=debug".to_owned(),
        record_writes: true,
        ..Settings::new(env!("CARGO_BIN_EXE_matinee"))
    }
}

fn main() -> ExitCode {
    // They mostly wait.
    const AT_ONCE: usize = 6;
    harness::run(GROUPS, settings, AT_ONCE)
}
