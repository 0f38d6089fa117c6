//! The pods' control groups: a folder of the run's own in every mounted hierarchy.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// The folder, as in the kubelet's setting `cgroupRoot`.
pub(crate) const ROOT: &str = "matinee-playground";

/// Controllers that kubelet and runc need.
const NEEDED: &[&str] = &["cpu", "cpuacct", "cpuset", "devices", "memory", "pids"];
/// The same for version 2, in which the others are not controllers.
const NEEDED_V2: &[&str] = &["cpu", "cpuset", "memory", "pids"];

/// Control group hierarchies of this machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cgroups {
    /// Version 1: the mount point of every hierarchy.
    One(Vec<PathBuf>),
    /// Version 2: the one mount point.
    Two(PathBuf),
}

impl Cgroups {
    /// Finds the hierarchies.
    ///
    /// # Errors
    /// When controllers are missing or can't be written.
    pub(crate) fn find() -> Result<Self> {
        let cgroups = Self::in_mounts(&fs::read_to_string("/proc/self/mountinfo")?)?;
        let trial = |mount: &Path| -> std::io::Result<()> {
            let folder = mount.join(format!("{ROOT}-trial-{}", std::process::id()));
            fs::create_dir(&folder)?;
            fs::remove_dir(&folder)
        };
        for mount in cgroups.mounts() {
            trial(mount).with_context(|| {
                format!("a real node needs cgroups, but {} can't be written", mount.display())
            })?;
        }
        if let Self::Two(mount) = &cgroups {
            // Most systems have enabled them already; in a container, processes in the root can
            // prevent it.
            enable(mount).context("a real node needs cgroup controllers")?;
        }
        Ok(cgroups)
    }

    fn in_mounts(table: &str) -> Result<Self> {
        let mut version_one = Vec::new();
        let mut controllers = Vec::new();
        let mut version_two = None;
        for (version, of, mount) in hierarchies(table) {
            if version == 1 {
                controllers.extend(of.split(','));
                version_one.push(mount);
            } else {
                version_two = version_two.or(Some(mount));
            }
        }
        if version_one.is_empty() {
            return version_two.map(Self::Two).context("a real node needs cgroups, and none are mounted");
        }
        match NEEDED.iter().find(|needed| !controllers.contains(needed)) {
            None => Ok(Self::One(version_one)),
            Some(missing) => bail!("a real node needs the cgroup controller {missing}, which is not mounted"),
        }
    }

    fn mounts(&self) -> &[PathBuf] {
        match self {
            Self::One(mounts) => mounts,
            Self::Two(mount) => std::slice::from_ref(mount),
        }
    }

    /// Creates the folders.
    pub(crate) fn make(&self) -> Result<()> {
        for mount in self.mounts() {
            let folder = mount.join(ROOT);
            fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            // In version 1, a new folder of cpuset has no processors and no memory, and accepts no
            // process.
            for name in ["cpuset.mems", "cpuset.cpus"] {
                if matches!(self, Self::One(_)) && mount.join(name).exists() {
                    let value = fs::read_to_string(mount.join(name))?;
                    fs::write(folder.join(name), value)
                        .with_context(|| format!("cannot set {name} of {}", folder.display()))?;
                }
            }
        }
        if let Self::Two(mount) = self {
            enable(&mount.join(ROOT))?;
        }
        Ok(())
    }
}

/// Enables the controllers that a node needs for the folders in a folder of version 2.
fn enable(folder: &Path) -> Result<()> {
    for controller in NEEDED_V2 {
        fs::write(folder.join("cgroup.subtree_control"), format!("+{controller}"))
            .with_context(|| format!("cannot enable {controller} in {}", folder.display()))?;
    }
    Ok(())
}

/// Returns the run's folders in all hierarchies, including those that a node doesn't need.
fn folders() -> Vec<PathBuf> {
    // runc also creates its folder in hierarchies that a node doesn't need.
    hierarchies(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
        .map(|(_, _, mount)| mount.join(ROOT))
        .filter(|folder| folder.is_dir())
        .collect()
}

/// Parses the mounted hierarchies from a table in the form of /proc/self/mountinfo (proc(5)):
/// version, controllers (of version 1, comma-separated) and mount point.
fn hierarchies(table: &str) -> impl Iterator<Item = (u8, &str, PathBuf)> {
    table.lines().filter_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let mount = PathBuf::from(place.split(' ').nth(4)?);
        let mut kind = kind.split(' ');
        let version = match kind.next()? {
            "cgroup" => 1,
            "cgroup2" => 2,
            _ => return None,
        };
        Some((version, kind.nth(1).unwrap_or_default(), mount))
    })
}

/// Returns the folder and all below it, deepest first.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(tree(&entry.path()));
        }
    }
    found.push(folder.to_owned());
    found
}

/// Returns the processes in the run's folders.
pub(crate) fn processes() -> Vec<i32> {
    let mut pids: Vec<i32> = folders()
        .iter()
        .flat_map(|folder| tree(folder))
        .filter_map(|folder| fs::read_to_string(folder.join("cgroup.procs")).ok())
        .flat_map(|list| list.lines().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// Removes the run's folders. Their processes must have been killed; the kernel may need a moment
/// to release them.
pub(crate) fn remove() -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(5);
    for folder in folders() {
        loop {
            let mut last = Ok(());
            for folder in tree(&folder) {
                if let Err(problem) = fs::remove_dir(&folder) {
                    last = Err(problem).with_context(|| format!("cannot remove {}", folder.display()));
                }
            }
            if last.is_ok() {
                break;
            }
            if Instant::now() >= deadline {
                return last;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION_TWO: &str =
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

    fn version_one(controllers: &[&str]) -> String {
        controllers
            .iter()
            .map(|name| format!("33 32 0:29 / /sys/fs/cgroup/{name} rw shared:10 - cgroup cgroup rw,{name}"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn the_second_version_is_found() {
        assert_eq!(Cgroups::in_mounts(VERSION_TWO).unwrap(), Cgroups::Two(PathBuf::from("/sys/fs/cgroup")));
    }

    #[test]
    fn the_first_version_wins_on_a_machine_with_both_mounted() {
        let both = format!("{}\n{VERSION_TWO}", version_one(NEEDED));
        let Cgroups::One(mounts) = Cgroups::in_mounts(&both).unwrap() else {
            panic!("not the first version")
        };
        assert_eq!(mounts.len(), NEEDED.len());
        assert_eq!(mounts[0], Path::new("/sys/fs/cgroup/cpu"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let problem = Cgroups::in_mounts(&version_one(&NEEDED[..5])).unwrap_err().to_string();
        assert_eq!(problem, "a real node needs the cgroup controller pids, which is not mounted");
        let problem = Cgroups::in_mounts("22 1 8:1 / / rw - ext4 /dev/root rw\n").unwrap_err().to_string();
        assert_eq!(problem, "a real node needs cgroups, and none are mounted");
    }
}
