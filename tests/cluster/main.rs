//! Tests of the operator on a real cluster with a simulated GitHub. They check what a user meets,
//! from outside only.
//!
//! All tests share one stage; each has a namespace and a GitHub repository of its own. `cargo test
//! --test cluster -- lifecycle` runs the tests whose name contains `lifecycle`, and `-- --list`
//! lists all. Both start no more than they need.

mod api_errors;
mod commands;
mod conflicts;
mod connect;
mod contributors;
mod crash;
mod doctor;
mod github_faults;
mod harness;
mod health;
mod idempotence;
mod ingress;
mod invalid_config;
mod isolation;
mod lifecycle;
mod long_names;
mod pending;
mod promotion;
mod pushes;
mod quiescence;
mod rbac;
mod reach;
#[path = "../cli/connect/run.rs"]
mod run;
mod schema;
mod slack;
mod support;
mod sweep;
mod template_objects;
mod user_input;

use std::process::ExitCode;
use std::time::Duration;

use harness::{Group, group};
use playground::stage::Settings;

/// All tests in the order in which they start: long ones first, those that run alone last.
const GROUPS: &[Group] = &[
    group("lifecycle", lifecycle::TESTS),
    group("invalid_config", invalid_config::TESTS),
    group("user_input", user_input::TESTS),
    group("template_objects", template_objects::TESTS),
    group("api_errors", api_errors::TESTS),
    group("promotion", promotion::TESTS),
    group("pushes", pushes::TESTS),
    group("commands", commands::TESTS),
    group("slack", slack::TESTS),
    group("health", health::TESTS),
    group("isolation", isolation::TESTS),
    group("long_names", long_names::TESTS),
    group("pending", pending::TESTS),
    group("sweep", sweep::TESTS),
    group("contributors", contributors::TESTS),
    group("conflicts", conflicts::TESTS),
    group("github_faults", github_faults::TESTS),
    group("connect", connect::TESTS),
    group("rbac", rbac::TESTS),
    group("ingress", ingress::TESTS),
    group("schema", schema::TESTS),
    group("doctor", doctor::TESTS),
    group("idempotence", idempotence::TESTS),
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
