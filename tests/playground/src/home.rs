//! The directory of a run, and the lock that admits one run at a time.
//!
//! Addresses, names and cgroups of a run are fixed, so that the leftovers of a killed run are easy
//! to find. Therefore there can be one run on a machine (as root) or per user (without).

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::progress::Progress;

/// The locked directory of runs.
pub(crate) struct Home {
    directory: PathBuf,
    /// Locked while it is open; the kernel releases it however the process ends.
    _lock: File,
}

impl Home {
    /// Locks the directory. Waits up to `patience` for another run to end.
    ///
    /// # Errors
    /// When the directory can't be created, belongs to another user, or another run still has it;
    /// then the message names that run's process.
    pub(crate) async fn claim(patience: Duration, progress: &Progress) -> Result<Self> {
        let directory = directory();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        if fs::metadata(&directory)?.uid() != rustix::process::geteuid().as_raw() {
            bail!("{} belongs to another user: remove it", directory.display());
        }
        let lock = directory.join("lock");
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock)
            .with_context(|| format!("cannot open {}", lock.display()))?;
        let deadline = Instant::now() + patience;
        let mut said = false;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(fs::TryLockError::Error(problem)) => {
                    return Err(problem).context("cannot lock the playground");
                }
                Err(fs::TryLockError::WouldBlock) => {}
            }
            let mut holder = String::new();
            lock.rewind()?;
            lock.read_to_string(&mut holder)?;
            if Instant::now() >= deadline {
                bail!(
                    "another playground is running (process {}) and did not end in {} s: end it and try again",
                    holder.trim(),
                    patience.as_secs()
                );
            }
            if !said {
                progress.say(&format!(
                    "another playground is running (process {}); waiting up to {} s for it to end",
                    holder.trim(),
                    patience.as_secs()
                ));
                said = true;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        lock.set_len(0)?;
        lock.rewind()?;
        write!(lock, "{}", std::process::id())?;
        Ok(Self { directory, _lock: lock })
    }

    /// Returns the directory itself.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the folder with the run's state, which is removed at the end of the run.
    pub(crate) fn run(&self) -> PathBuf {
        self.directory.join("run")
    }

    /// Returns the folder with the programs' logs, which stay until the next run.
    pub(crate) fn logs(&self) -> PathBuf {
        self.directory.join("logs")
    }

    /// Creates an empty folder in the run's state.
    pub(crate) fn make(&self, name: &str) -> Result<PathBuf> {
        let path = self.run().join(name);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }
}

fn directory() -> PathBuf {
    let user = rustix::process::geteuid();
    if user.is_root() {
        return PathBuf::from("/var/lib/matinee-playground");
    }
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(runtime) if !runtime.is_empty() => PathBuf::from(runtime).join("matinee-playground"),
        _ => std::env::temp_dir().join(format!("matinee-playground-{}", user.as_raw())),
    }
}
