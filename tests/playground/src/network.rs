//! The node's network: a network namespace that is connected to the machine by one pair of virtual
//! interfaces. The machine's own network doesn't change, the namespace has no route to the outside,
//! and deleting it removes everything in it.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::processes::run;

/// The name of the network namespace and of the pods' network; a machine has only one.
pub(crate) const NAME: &str = "matinee-playground";
const HOST_INTERFACE: &str = "matinee-host";
const NODE_INTERFACE: &str = "matinee-node";
/// The machine's address as the node sees it.
pub(crate) const HOST_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 1);
/// The node's address; the API server listens there too.
pub(crate) const NODE_ADDRESS: &str = "10.88.0.2";
/// Addresses that the controller-manager assigns to nodes.
pub(crate) const CLUSTER_NETWORK: &str = "10.244.0.0/16";
/// The node's part of them.
pub(crate) const POD_NETWORK: &str = "10.244.0.0/24";
/// Addresses of services. A /24 would end at about 250 of them.
pub(crate) const SERVICE_NETWORK: &str = "10.96.0.0/16";

/// Returns the file by which `ip` keeps the namespace.
fn namespace_file() -> PathBuf {
    PathBuf::from("/var/run/netns").join(NAME)
}

/// Returns a command that runs a program in the namespace. It execs the program, so the process id
/// stays.
///
/// `ip netns exec` doesn't work, because it hides /sys/fs/cgroup from the program.
pub(crate) fn inside(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", namespace_file().display())).arg("--").arg(program);
    command
}

fn ip(arguments: &str) -> Result<String> {
    run(Command::new("ip").args(arguments.split_whitespace()))
}

/// Checks whether namespaces and interfaces can be created here; root in some containers may not.
///
/// # Errors
/// When one could not be created.
pub(crate) fn possible() -> Result<()> {
    let trial = format!("{NAME}-trial-{}", std::process::id());
    ip(&format!("netns add {trial}"))
        .context("a real node needs a network namespace, which can't be made here")?;
    let made = ip(&format!("-n {trial} link add {NODE_INTERFACE} type veth peer name {HOST_INTERFACE}"));
    ip(&format!("netns del {trial}"))?;
    made.context("a real node needs virtual interfaces, which can't be made here").map(drop)
}

/// Creates the namespace and its connection. Nothing of that name may be left of an earlier run.
pub(crate) fn make() -> Result<()> {
    ip(&format!("netns add {NAME}"))?;
    ip(&format!("link add {HOST_INTERFACE} type veth peer name {NODE_INTERFACE} netns {NAME}"))?;
    ip(&format!("addr add {HOST_ADDRESS}/30 dev {HOST_INTERFACE}"))?;
    ip(&format!("link set {HOST_INTERFACE} up"))?;
    ip(&format!("-n {NAME} addr add {NODE_ADDRESS}/30 dev {NODE_INTERFACE}"))?;
    ip(&format!("-n {NAME} link set {NODE_INTERFACE} up"))?;
    ip(&format!("-n {NAME} link set lo up"))?;
    // The gateway and people on this machine reach pods and services by these routes.
    for network in [POD_NETWORK, SERVICE_NETWORK] {
        ip(&format!("route add {network} via {NODE_ADDRESS} dev {HOST_INTERFACE}"))?;
    }
    // Within the namespace the kernel needs a route to a service's address before it translates the
    // address.
    ip(&format!("-n {NAME} route add {SERVICE_NETWORK} dev lo"))?;
    run(inside("sh").args(["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])).map(drop)
}

/// Returns the processes whose network is the namespace.
pub(crate) fn processes() -> Vec<i32> {
    if !namespace_file().exists() {
        return Vec::new();
    }
    ip(&format!("netns pids {NAME}")).unwrap_or_default().lines().filter_map(|pid| pid.parse().ok()).collect()
}

/// Removes the namespace and the interfaces that exist.
pub(crate) fn remove() -> Result<()> {
    // The interface is removed first: a namespace, with its half of the pair, is deleted some time
    // after its name.
    if PathBuf::from("/sys/class/net").join(HOST_INTERFACE).exists() {
        ip(&format!("link del {HOST_INTERFACE}"))?;
    }
    if namespace_file().exists() {
        ip(&format!("netns del {NAME}"))?;
    }
    Ok(())
}
