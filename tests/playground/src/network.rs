//! The node's network: a network namespace that is connected to the machine by one pair of virtual
//! interfaces. The machine's own network doesn't change, the namespace has no route to the machine's
//! own outside, and deleting it removes everything in it. A second namespace beyond the node stands
//! for the outside.

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

/// The name of the network namespace that stands for the outside.
const OUTSIDE: &str = "matinee-playground-outside";
/// The node's interface to the outside.
const OUTSIDE_INTERFACE: &str = "matinee-outside";
/// The node's address as the outside sees it, and an address outside. Nothing on the Internet has
/// them: they are for documentation (RFC 5737).
const NODE_ADDRESS_OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub(crate) const OUTSIDE_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// The address at which clouds give an instance its credentials.
pub(crate) const METADATA_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// Returns the file by which `ip` keeps a namespace.
fn namespace_file(name: &str) -> PathBuf {
    PathBuf::from("/var/run/netns").join(name)
}

/// Returns a command that runs a program in the node's namespace. It execs the program, so the
/// process id stays.
pub(crate) fn inside(program: impl AsRef<std::ffi::OsStr>) -> Command {
    within(NAME, program)
}

/// Returns a command that runs a program in the namespace that stands for the outside.
pub(crate) fn outside(program: impl AsRef<std::ffi::OsStr>) -> Command {
    within(OUTSIDE, program)
}

/// `ip netns exec` doesn't work, because it hides /sys/fs/cgroup from the program.
fn within(namespace: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", namespace_file(namespace).display())).arg("--").arg(program);
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

/// Creates the namespaces and their connections. Nothing of their names may be left of an earlier
/// run.
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
    run(inside("sh").args(["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]))?;
    make_outside()
}

fn make_outside() -> Result<()> {
    ip(&format!("netns add {OUTSIDE}"))?;
    ip(&format!(
        "-n {NAME} link add {OUTSIDE_INTERFACE} type veth peer name {NODE_INTERFACE} netns {OUTSIDE}"
    ))?;
    ip(&format!("-n {NAME} addr add {NODE_ADDRESS_OUTSIDE}/30 dev {OUTSIDE_INTERFACE}"))?;
    ip(&format!("-n {NAME} link set {OUTSIDE_INTERFACE} up"))?;
    ip(&format!("-n {OUTSIDE} addr add {OUTSIDE_ADDRESS}/30 dev {NODE_INTERFACE}"))?;
    ip(&format!("-n {OUTSIDE} addr add {METADATA_ADDRESS}/32 dev lo"))?;
    ip(&format!("-n {OUTSIDE} link set {NODE_INTERFACE} up"))?;
    ip(&format!("-n {OUTSIDE} link set lo up"))?;
    // Pods keep their addresses outside, so the outside needs a way back.
    ip(&format!("-n {OUTSIDE} route add default via {NODE_ADDRESS_OUTSIDE}"))?;
    ip(&format!("-n {NAME} route add {METADATA_ADDRESS}/32 via {OUTSIDE_ADDRESS}")).map(drop)
}

/// Returns the processes whose network is one of the namespaces.
pub(crate) fn processes() -> Vec<i32> {
    let existing = [NAME, OUTSIDE].into_iter().filter(|name| namespace_file(name).exists());
    let pids = existing.flat_map(|name| {
        let pids = ip(&format!("netns pids {name}")).unwrap_or_default();
        pids.lines().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
    });
    pids.collect()
}

/// Removes the namespaces and the interfaces that exist.
pub(crate) fn remove() -> Result<()> {
    // The interface is removed first: a namespace, with its half of the pair, is deleted some time
    // after its name.
    if PathBuf::from("/sys/class/net").join(HOST_INTERFACE).exists() {
        ip(&format!("link del {HOST_INTERFACE}"))?;
    }
    for name in [NAME, OUTSIDE] {
        if namespace_file(name).exists() {
            ip(&format!("netns del {name}"))?;
        }
    }
    Ok(())
}
