//! The program that pods run: the package `sample`, as the only file of an image.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;

use crate::cargo;
use crate::progress::Progress;

/// The image of package `sample`, once [`crate::Playground::sample_image`] has loaded it.
pub const SAMPLE_IMAGE: &str = "localhost/matinee/sample:1";
/// The same program as the pause container, which holds a pod's namespaces.
pub(crate) const PAUSE_IMAGE: &str = "localhost/matinee/pause:1";

/// Builds the program.
pub(crate) async fn build(progress: &Progress) -> Result<PathBuf> {
    let began = Instant::now();
    let binary = cargo::build("sample", false, |line| progress.say(line)).await?;
    progress.took("build sample", began);
    Ok(binary)
}
