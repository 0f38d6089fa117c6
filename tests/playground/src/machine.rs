//! Checks that this machine can run a real node, and finds the system programs that it needs.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, anyhow};

use crate::cgroups::Cgroups;
use crate::network;
use crate::processes::run;
use crate::progress::Progress;

/// Programs that the Go client alone can't build, and their packages: runc needs libseccomp, the
/// others are written in C.
const SYSTEM: &[(&str, &str)] = &[
    ("runc", "runc"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("ipset", "ipset"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
];

/// Returns the path of a program on `PATH`, or in the folders of administrators' programs.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// Checks that a real node can run here, and returns its cgroups.
///
/// # Errors
/// When it can't, with the reason in words for the user.
pub(crate) fn prepare(progress: &Progress) -> Result<Cgroups> {
    if !rustix::process::geteuid().is_root() {
        return Err(anyhow!("a real node needs root"));
    }
    let cgroups = Cgroups::find()?;
    install_missing(progress)?;
    network::possible()?;
    Ok(cgroups)
}

fn install_missing(progress: &Progress) -> Result<()> {
    let missing: Vec<_> = SYSTEM.iter().filter(|(program, _)| on_path(program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    let list = packages.join(" ");
    if on_path("apt-get").is_none() {
        return Err(anyhow!("a real node needs the system's packages {list}: install them"));
    }
    progress.say(&format!("installing the system's packages {list}, which the node needs"));
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-qq", "-o", "DPkg::Lock::Timeout=300"]);
        command
    };
    run(apt().arg("update"))
        .and_then(|_| run(apt().args(["install", "--yes", "--no-install-recommends"]).args(&packages)))
        .map_err(|problem| problem.context(format!("a real node needs the system's packages {list}")))?;
    match missing.iter().find(|(program, _)| on_path(program).is_none()) {
        None => Ok(()),
        Some((program, package)) => Err(anyhow!("the package {package} brought no {program}")),
    }
}
