//! Building the operator, and finding where cargo put it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::screen::Screen;

/// Time between two lines on a build.
const PAUSE: Duration = Duration::from_secs(10);

/// Builds the package `matinee` of this workspace, and returns where its binary is.
pub(crate) async fn operator(release: bool, screen: &Screen) -> Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = playground::cargo();
    command
        .current_dir(workspace)
        .args(["build", "--package", "matinee", "--bin", "matinee"])
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
        let mut last = Vec::new();
        let mut packages = 0;
        let mut said = None::<Instant>;
        while let Some(line) = lines.next_line().await? {
            // Silent when there is nothing to build.
            if let Some(package) = line.trim_start().strip_prefix("Compiling ") {
                packages += 1;
                if said.is_none_or(|said| said.elapsed() > PAUSE) {
                    screen.aside(&format!("building the operator: package {packages}, {package}"));
                    said = Some(Instant::now());
                }
            }
            last.push(line);
        }
        Ok::<_, std::io::Error>(last)
    };
    let artifacts = async {
        let mut lines = BufReader::new(stdout).lines();
        let mut binary = None;
        while let Some(line) = lines.next_line().await? {
            let message: Value = serde_json::from_str(&line).unwrap_or_default();
            if message["target"]["name"] == "matinee"
                && let Some(path) = message["executable"].as_str()
            {
                binary = Some(PathBuf::from(path));
            }
        }
        Ok::<_, std::io::Error>(binary)
    };
    let (wrote, binary, status) = tokio::join!(progress, artifacts, child.wait());
    if !status?.success() {
        bail!("the operator can't be built:\n{}", wrote?.join("\n"));
    }
    binary?.context("cargo does not say where the operator's binary is")
}
