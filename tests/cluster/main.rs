//! The operator on a real cluster, with a stand-in for GitHub: everything a user meets, seen from outside only.
//!
//! All tests share one stage; each has a namespace and a repository of its own. `cargo test --test cluster -- life` runs
//! those whose name contains `life`, `-- --list` names all; neither starts more than it needs.

mod harness;
mod life;
mod play;
mod schema;

use std::process::ExitCode;

use harness::{Group, group};

/// Every test, in the order in which they are begun: those that take long come first, those that run alone last.
const GROUPS: &[Group] = &[group("life", life::TESTS), group("schema", schema::TESTS)];

fn main() -> ExitCode {
    harness::run(GROUPS)
}
