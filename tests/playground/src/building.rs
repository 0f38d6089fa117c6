//! Builds a program with the ordinary Go client into the cache, once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::processes::last_lines;
use crate::programs::Family;
use crate::progress::Progress;

/// Interval at which a long build reports that it is still running.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// Returns the program in the cache, and builds it first if it is missing. A second run that needs
/// it at the same time waits.
///
/// # Errors
/// When Go is missing or the build fails; the message has the end of its output.
pub(crate) async fn program(
    family: &Family,
    program: &str,
    package: &str,
    cache: &Path,
    progress: &Progress,
) -> Result<PathBuf> {
    let path = cache.join(program);
    if path.is_file() {
        return Ok(path);
    }
    let _lock = lock(cache, program, progress).await?;
    if path.is_file() {
        return Ok(path);
    }
    let version = family.version()?;
    progress.say(&format!("building {program} {version}, once; it stays in {}", cache.display()));
    let began = Instant::now();
    // The build goes to another place and is moved when it is complete, so an interrupted build
    // never looks finished.
    let unfinished = cache.join(format!(".{program}.unfinished"));
    let log = cache.join(format!("{program}.log"));
    let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = go(family);
    command.args(["build", "-buildvcs=false", "-trimpath", "-ldflags", &linker_flags(family, &version)]);
    if !family.tags.is_empty() {
        command.args(["-tags", family.tags]);
    }
    command.arg("-o").arg(&unfinished).arg(package).stdout(output.try_clone()?).stderr(output);
    let mut build = command.spawn().context(NO_GO)?;
    let status = loop {
        match tokio::time::timeout(SIGN_OF_LIFE, build.wait()).await {
            Ok(status) => break status?,
            Err(_) => progress.say(&format!("building {program}: {} s so far", began.elapsed().as_secs())),
        }
    };
    if !status.success() {
        bail!("building {program} failed ({status}); the end of {}:\n{}", log.display(), last_lines(&log));
    }
    fs::rename(&unfinished, &path).with_context(|| format!("cannot make {}", path.display()))?;
    progress.say(&format!("built {program} in {} s", began.elapsed().as_secs()));
    progress.took(&format!("build {program}"), began);
    Ok(path)
}

const NO_GO: &str = "cannot run `go`: the cluster's programs are built with Go 1.26 or later; install it, or put them on PATH";

/// Returns `go` in the family's module, without environment variables that would change the build.
fn go(family: &Family) -> Command {
    let mut command = Command::new("go");
    command
        .current_dir(family.folder())
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .env_remove("GOOS")
        .env_remove("GOARCH")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Returns flags that strip debug information. For Kubernetes and Helm they also set the version,
/// which their clients would misread otherwise; commit and date keep the values of the source.
fn linker_flags(family: &Family, version: &str) -> String {
    let mut flags = "-s -w".to_owned();
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    for package in family.stamped {
        for (variable, value) in [
            ("gitVersion", version),
            ("gitMajor", major),
            ("gitMinor", minor),
            ("gitCommit", "unknown"),
            ("gitTreeState", "clean"),
            ("buildDate", "1970-01-01T00:00:00Z"),
        ] {
            flags.extend([" -X ", package, ".", variable, "=", value]);
        }
    }
    if !family.version_variable.is_empty() {
        flags.extend([" -X ", family.version_variable, "=", version]);
    }
    flags
}

/// Locks a folder of the cache for a build.
async fn lock(cache: &Path, program: &str, progress: &Progress) -> Result<File> {
    fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let lock = File::create(cache.join(".lock"))?;
    let mut said = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(fs::TryLockError::Error(problem)) => return Err(problem).context("cannot lock the cache"),
            Err(fs::TryLockError::WouldBlock) => {}
        }
        if !said {
            progress.say(&format!("waiting for {program}, which another run builds"));
            said = true;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Returns a folder of the cache with the YAML files from some folders of a Go module, which it
/// copies once. The module has the version with which the family's programs are built, so the two
/// always match.
pub(crate) async fn data(
    family: &Family,
    cache: &Path,
    name: &str,
    module: &str,
    folders: &[&str],
) -> Result<PathBuf> {
    let copy = cache.join(name);
    if copy.is_dir() {
        return Ok(copy);
    }
    let output = go(family)
        .args(["mod", "download", "-json", module])
        .stderr(Stdio::piped())
        .output()
        .await
        .context(NO_GO)?;
    if !output.status.success() {
        bail!("cannot download {module}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let found: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let source = Path::new(found["Dir"].as_str().with_context(|| format!("{module} has no folder"))?);
    let unfinished = cache.join(format!(".{name}.{}", std::process::id()));
    fs::create_dir_all(&unfinished)?;
    for folder in folders {
        let folder = source.join(folder);
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "yaml") {
                fs::write(unfinished.join(entry.file_name()), fs::read(entry.path())?)?;
            }
        }
    }
    // Another run may have been faster; its files are the same.
    if fs::rename(&unfinished, &copy).is_err() {
        fs::remove_dir_all(&unfinished)?;
    }
    Ok(copy)
}

/// Returns the packages that a `go.mod` names as tools.
#[cfg(test)]
pub(crate) fn tools_in(go_mod: &str) -> Vec<&str> {
    let mut in_block = false;
    let mut tools = Vec::new();
    for line in go_mod.lines() {
        let line = line.trim();
        match line.strip_prefix("tool ") {
            Some("(") => in_block = true,
            Some(package) => tools.push(package),
            None if line == ")" => in_block = false,
            None if in_block => tools.push(line),
            None => {}
        }
    }
    tools
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_read_from_a_line_and_from_a_block() {
        assert_eq!(
            tools_in("module a\ntool b/c\ntool (\n\td\n\te/f\n)\nrequire (\n\tg v1\n)\n"),
            ["b/c", "d", "e/f"]
        );
    }
}
