//! Removes everything that a run leaves behind. A run that ends and the next run after a killed one
//! do it the same way: they recognize leftovers by what they are, not by a file that a kill could
//! have left unwritten.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, kill_process};

use crate::processes::MARK;
use crate::{cgroups, network, tunables};

/// Folder in which containerd's network library keeps its results, by the name of the network.
const NETWORK_RESULTS: &str = "/var/lib/cni/results";

/// Folder in which kubelet links the log of every container. The links stay when kubelet ends
/// before the pod.
const CONTAINER_LOGS: &str = "/var/log/containers";

/// Longest time until the kernel releases what a killed process held.
const PATIENCE: Duration = Duration::from_secs(10);

/// Kills the remaining processes of a run in `home` and removes everything but its logs. Does
/// nothing when nothing is left.
///
/// # Errors
/// When something can't be removed; the next start would fail because of it.
pub(crate) fn clear(home: &Path) -> Result<()> {
    let root = rustix::process::geteuid().is_root();
    kill(home, root)?;
    let run = home.join("run");
    remove_shim_sockets(&run);
    unmount_below(&run)?;
    if root {
        network::remove()?;
        cgroups::remove()?;
        tunables::restore(&run)?;
        remove_elsewhere();
        remove_links(Path::new(CONTAINER_LOGS), home);
    }
    match fs::remove_dir_all(&run) {
        Err(problem) if problem.kind() != ErrorKind::NotFound => {
            Err(problem).with_context(|| format!("cannot remove {}", run.display()))
        }
        _ => Ok(()),
    }
}

/// Kills processes until none is left, because a killed process may have started another one
/// before.
fn kill(home: &Path, root: bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut pids = marked(home);
        if root {
            pids.extend(network::processes());
            pids.extend(cgroups::processes());
        }
        pids.retain(|&pid| !is_zombie(pid));
        if pids.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!("processes {pids:?} of an earlier playground can't be killed");
        }
        for pid in pids {
            if let Some(pid) = Pid::from_raw(pid) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the processes that were started for runs in `home`, which have a mark in their
/// environment.
fn marked(home: &Path) -> Vec<i32> {
    let mark = format!("{MARK}={}", home.display());
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|&pid| pid != own)
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes())
        })
        .collect()
}

/// Returns whether a process is a zombie: it is dead and holds nothing, but its parent hasn't
/// waited for it.
fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_none_or(|rest| matches!(rest.trim_start().chars().next(), Some('Z' | 'X') | None))
}

/// Removes the sockets of containerd's shims, which are outside its own folders. Sockets of an
/// ordinary containerd may be beside them, so each one is looked up.
fn remove_shim_sockets(run: &Path) {
    let tasks = run.join("containerd/state/io.containerd.runtime.v2.task/k8s.io");
    for task in fs::read_dir(tasks).into_iter().flatten().flatten() {
        let bootstrap = fs::read(task.path().join("bootstrap.json")).unwrap_or_default();
        let bootstrap: serde_json::Value = serde_json::from_slice(&bootstrap).unwrap_or_default();
        if let Some(socket) =
            bootstrap["address"].as_str().and_then(|address| address.strip_prefix("unix://"))
        {
            let _ = fs::remove_file(socket);
        }
    }
}

/// Removes what containerd and kubelet write to fixed places. An ordinary node may use them too, so
/// this removes only the run's own files, and only empty folders.
fn remove_elsewhere() {
    for result in fs::read_dir(NETWORK_RESULTS).into_iter().flatten().flatten() {
        if result.file_name().to_string_lossy().starts_with(network::NAME) {
            let _ = fs::remove_file(result.path());
        }
    }
    // A new kubelet takes the socket over, so if nothing listens on it, this run's kubelet was the
    // last one.
    let socket = Path::new("/var/lib/kubelet/device-plugins/kubelet.sock");
    if UnixStream::connect(socket).is_err_and(|problem| problem.kind() == ErrorKind::ConnectionRefused) {
        let _ = fs::remove_file(socket);
    }
    for folder in [
        NETWORK_RESULTS,
        "/var/lib/cni",
        "/var/lib/kubelet/device-plugins",
        "/var/lib/kubelet",
        "/run/containerd/s",
        "/run/containerd",
    ] {
        let _ = fs::remove_dir(folder);
    }
}

/// Removes the links in a folder that lead into `home`, also broken ones, and then the folder if it
/// is empty.
fn remove_links(folder: &Path, home: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(home)) {
            let _ = fs::remove_file(entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}

/// Unmounts everything below a folder, the last mounted first.
fn unmount_below(folder: &Path) -> Result<()> {
    // Repeatedly, because mounts can be stacked.
    for _ in 0..3 {
        let table = fs::read_to_string("/proc/self/mountinfo")?;
        let mounts: Vec<PathBuf> = mounts_below(&table, folder);
        if mounts.is_empty() {
            return Ok(());
        }
        for mount in mounts.iter().rev() {
            // Lazily: the processes that used it have been killed.
            unmount(mount, UnmountFlags::DETACH)
                .with_context(|| format!("cannot unmount {}", mount.display()))?;
        }
    }
    bail!("something keeps mounting below {}", folder.display())
}

fn mounts_below(table: &str, folder: &Path) -> Vec<PathBuf> {
    table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        // The kernel writes a space in a path as `\040`; kubelet and containerd create no such
        // paths.
        .map(PathBuf::from)
        .filter(|mount| mount.starts_with(folder))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_below_the_folder_are_found() {
        let table = "1 0 8:1 / / rw - ext4 a rw\n2 1 0:5 / /x/run rw - tmpfs b rw\n3 2 0:6 / /x/run/deep rw - tmpfs c rw\n\
                     4 1 0:7 / /x/runner rw - tmpfs d rw\n";
        assert_eq!(mounts_below(table, Path::new("/x/run")), [Path::new("/x/run"), Path::new("/x/run/deep")]);
    }

    #[test]
    fn links_into_a_run_are_removed_and_no_others() {
        let folder = std::env::temp_dir().join(format!("playground-links-{}", std::process::id()));
        let home = folder.join("home");
        fs::create_dir_all(&home).unwrap();
        let logs = folder.join("containers");
        fs::create_dir(&logs).unwrap();
        for (link, target) in [("ours", home.join("logs/gone.log")), ("other", folder.join("homes/0.log"))] {
            std::os::unix::fs::symlink(target, logs.join(link)).unwrap();
        }
        remove_links(&logs, &home);
        let left: Vec<_> = fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["other"]);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_marked_process_is_found_and_killed_and_no_other() {
        let home = std::env::temp_dir().join(format!("playground-mark-{}", std::process::id()));
        let start =
            |mark: &Path| std::process::Command::new("sleep").arg("60").env(MARK, mark).spawn().unwrap();
        let (mut ours, mut other) = (start(&home), start(Path::new("/elsewhere")));
        // A process exists a moment before its environment can be read.
        while fs::read(format!("/proc/{}/environ", ours.id())).unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        kill(&home, false).unwrap();
        assert!(!ours.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
