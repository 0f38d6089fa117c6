//! Builds programs of this workspace, also from a program that cargo has started.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// Time between two lines about a build.
const PAUSE: Duration = Duration::from_secs(10);

/// Builds the binary of the package `name`, which has the same name. It needs no other file at run
/// time, like everything in this workspace (see `.cargo/config.toml`). Returns its path, and
/// reports to `say` when there is something to build.
///
/// # Errors
/// When cargo fails; the message has its output.
pub async fn build(name: &str, release: bool, say: impl Fn(&str)) -> Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = cargo();
    command
        .current_dir(workspace)
        .args(["build", "--package", name, "--bin", name])
        .arg("--message-format=json-render-diagnostics")
        .args(release.then_some("--release"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().context("cannot run cargo")?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        bail!("cargo has no output");
    };
    let progress = async {
        let mut lines = BufReader::new(stderr).lines();
        let mut wrote = Vec::new();
        let mut packages = 0;
        let mut said = None::<Instant>;
        while let Some(line) = lines.next_line().await? {
            // Nothing is reported when there is nothing to build.
            if let Some(package) = line.trim_start().strip_prefix("Compiling ") {
                packages += 1;
                if said.is_none_or(|said| said.elapsed() > PAUSE) {
                    say(&format!("building {name}: package {packages}, {package}"));
                    said = Some(Instant::now());
                }
            }
            wrote.push(line);
        }
        Ok::<_, std::io::Error>(wrote)
    };
    let artifacts = async {
        let mut lines = BufReader::new(stdout).lines();
        let mut binary = None;
        while let Some(line) = lines.next_line().await? {
            let message: Value = serde_json::from_str(&line).unwrap_or_default();
            if message["target"]["name"] == name
                && let Some(path) = message["executable"].as_str()
            {
                binary = Some(PathBuf::from(path));
            }
        }
        Ok::<_, std::io::Error>(binary)
    };
    let (wrote, binary, status) = tokio::join!(progress, artifacts, child.wait());
    if !status?.success() {
        bail!("{name} can't be built:\n{}", wrote?.join("\n"));
    }
    binary?.with_context(|| format!("cargo does not say where the binary {name} is"))
}

/// Returns a cargo command as from a shell. It removes the variables that cargo sets for the
/// package that it runs: build scripts depend on them, and cargo would rebuild half of the
/// workspace at every switch between a shell and this program.
fn cargo() -> Command {
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
