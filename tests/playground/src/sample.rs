//! Rust programs of this workspace as the only file of an image: built static, because from scratch means no C library.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use crate::cargo;
use crate::progress::Progress;
use anyhow::{Context as _, Result, bail};

/// The image of package `sample`.
pub(crate) const SAMPLE_IMAGE: &str = "localhost/matinee/sample:1";
/// The same program as what holds a pod's namespaces.
pub(crate) const PAUSE_IMAGE: &str = "localhost/matinee/pause:1";

/// Builds package `sample`.
pub(crate) async fn build(progress: &Progress) -> Result<PathBuf> {
    build_static("sample", "sample", progress).await
}

/// Builds a binary of this workspace so that it needs no file but itself, and returns where it is.
pub(crate) async fn build_static(package: &str, binary: &str, progress: &Progress) -> Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target_directory =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    // Apart from the ordinary build, whose flags differ: they would take turns in invalidating each other.
    let target_directory = target_directory.join("static");
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let path = target_directory.join(&target).join("debug").join(binary);
    if !path.exists() {
        progress.say(&format!("building {binary} for an image, once"));
    }
    let began = Instant::now();
    let output = cargo()
        .current_dir(&workspace)
        .args(["build", "--quiet", "--package", package, "--bin", binary, "--target", &target])
        .arg("--target-dir")
        .arg(&target_directory)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("building {binary} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    progress.took(&format!("build {binary}"), began);
    Ok(path)
}
