//! Calling cargo from a program that cargo may have started.

use std::env;

use tokio::process::Command;

/// Cargo, as from a shell. What it told this program of the package it runs is not passed on: build scripts look at it,
/// and half of what there is would be built anew with every change between a shell and here.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let of_the_package = name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || name.starts_with("CARGO_BIN_")
            || ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "CARGO_TARGET_TMPDIR", "OUT_DIR"]
                .contains(&name);
        if of_the_package {
            command.env_remove(name);
        }
    }
    command
}
