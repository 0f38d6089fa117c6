//! Addresses at which clouds serve the credentials and settings of an instance. Nothing that strangers
//! control may connect to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses.
pub const ADDRESSES: [IpAddr; 7] = [
    // Amazon, Azure, Google and most others.
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    // Tasks of Amazon ECS.
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    // Alibaba Cloud.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    // Oracle Cloud.
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    // Azure's WireServer.
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    // Amazon, `fd00:ec2::254`.
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    // Google, `fd20:ce::254`.
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Whether a cloud serves an instance's credentials at this address.
pub fn is_one(address: IpAddr) -> bool {
    ADDRESSES.contains(&address)
}
