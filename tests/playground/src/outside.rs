//! Listeners outside the cluster, which show what pods reach: one at the address at which clouds
//! give an instance its credentials, one at an address that stands for the Internet. Both are one
//! process of the sample application, in a network namespace beyond the node.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::Result;

use crate::network;
use crate::processes::Processes;

const PORT: u16 = 80;
/// The listener that stands for the Internet.
pub(crate) const INTERNET: SocketAddr = SocketAddr::new(IpAddr::V4(network::OUTSIDE_ADDRESS), PORT);
/// The listener that stands for a cloud's metadata service.
pub(crate) const METADATA: SocketAddr = SocketAddr::new(IpAddr::V4(network::METADATA_ADDRESS), PORT);

/// Starts the listeners.
pub(crate) fn start(sample: &Path, processes: &mut Processes) -> Result<()> {
    let mut command = network::outside(sample);
    command.env("PORT", PORT.to_string()).env("REVISION", "outside");
    processes.start("outside", command)
}
