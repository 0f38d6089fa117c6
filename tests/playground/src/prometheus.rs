//! Prometheus, for tests of alerts and of scraping. It is Debian's package, extracted and not
//! installed, because an installed one would start its service and listen. Downloaded on first use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::machine::on_path;
use crate::processes::run;
use crate::programs::cache_root;
use crate::progress::Progress;

/// Oldest usable version: major and minor.
const OLDEST: (u32, u32) = (2, 40);
const PACKAGE: &str = "prometheus";

/// Returns the path of promtool: version 2.40 or later on `PATH`, else from the system's package
/// `prometheus`, which is downloaded once and never installed. Needs no cluster.
///
/// # Errors
/// When it is neither found nor can be downloaded.
pub async fn promtool(progress: impl Fn(&str) + Send + Sync + 'static) -> Result<PathBuf> {
    let progress = Progress::new(progress);
    tokio::task::spawn_blocking(move || find("promtool", &progress)).await?
}

/// Returns the path of Prometheus, like [`promtool`].
///
/// # Errors
/// As [`promtool`].
pub async fn prometheus(progress: impl Fn(&str) + Send + Sync + 'static) -> Result<PathBuf> {
    let progress = Progress::new(progress);
    tokio::task::spawn_blocking(move || find("prometheus", &progress)).await?
}

fn find(name: &str, progress: &Progress) -> Result<PathBuf> {
    if let Some(path) = on_path(name)
        && says(&path).is_some_and(|version| version >= OLDEST)
    {
        return Ok(path);
    }
    let folder = cache_root()?.join("prometheus-debian");
    let path = folder.join(name);
    if !path.is_file() {
        progress
            .say(&format!("fetching the system's package {PACKAGE}, once; it stays in {}", folder.display()));
        fetch(&folder).with_context(|| format!("install {PACKAGE} {}.{} or later", OLDEST.0, OLDEST.1))?;
    }
    match says(&path) {
        Some(version) if version >= OLDEST => Ok(path),
        other => bail!("{} is of version {other:?}, and {OLDEST:?} or later is needed", path.display()),
    }
}

/// Puts the package's programs into a folder. It is prepared beside its place and then moved;
/// another run may be faster.
fn fetch(folder: &Path) -> Result<()> {
    let unfinished = folder.with_extension(format!("{}.unfinished", std::process::id()));
    fs::create_dir_all(&unfinished).with_context(|| format!("cannot make {}", unfinished.display()))?;
    let taken_apart = take_apart(&unfinished);
    let moved = taken_apart.and_then(|programs| match fs::rename(&programs, folder) {
        Err(problem) if !folder.is_dir() => {
            Err(problem).with_context(|| format!("cannot make {}", folder.display()))
        }
        _ => Ok(()),
    });
    fs::remove_dir_all(&unfinished)?;
    moved
}

/// Downloads and extracts the package. Returns the folder with its programs.
fn take_apart(folder: &Path) -> Result<PathBuf> {
    let download = || run(Command::new("apt-get").current_dir(folder).args(["-qq", "download", PACKAGE]));
    if download().is_err() {
        // The package lists are missing or outdated.
        run(Command::new("apt-get").args(["-qq", "update"]))?;
        download()?;
    }
    let package = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .with_context(|| format!("apt-get left no package in {}", folder.display()))?;
    let parts = folder.join("parts");
    run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&parts))?;
    Ok(parts.join("usr/bin"))
}

fn says(program: &Path) -> Option<(u32, u32)> {
    version_in(&run(Command::new(program).arg("--version")).ok()?)
}

/// Parses major and minor from `promtool, version 2.42.0+ds (branch: …`.
fn version_in(text: &str) -> Option<(u32, u32)> {
    let version = text.split_once("version ")?.1;
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_it_prints() {
        let text = "promtool, version 2.42.0+ds (branch: debian/sid, revision: 2.42.0+ds-5+deb12u1)\n  go version: go1.19\n";
        assert_eq!(version_in(text), Some((2, 42)));
        assert_eq!(version_in("prometheus, version 3.1.0 (branch: HEAD)"), Some((3, 1)));
        assert_eq!(version_in("unknown"), None);
    }
}
