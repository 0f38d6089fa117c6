//! The NetworkPolicy. It allows only traffic within the preview, to DNS, from the gateway, and to
//! the destinations that the class lists.

use std::net::IpAddr;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::DynamicObject;

use super::guard_rails::{GUARD_RAIL, metadata};
use super::labels::Marks;
use super::mistake;
use super::object::typed;
use crate::api::NetworkPolicyMode;
use crate::core::environment::resolved::Target;
use crate::core::mistake::{Mistake, Reason};

/// Addresses of cluster DNS that no pod selector matches: the cluster IP that the node-local DNS
/// cache uses, its link-local address, or a resolver on the node. All ranges are private (RFC 1918,
/// RFC 6598, RFC 4193) or link-local, so port 53 gives no access to the Internet.
/// <https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/>
const RESOLVERS: [&str; 7] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
    "fe80::/10",
];
/// Addresses of the metadata services with which clouds give an instance its credentials. Matinee
/// excludes them from every range that a class allows, unless the class lists the address itself.
const INSTANCE_METADATA: [&str; 2] = ["169.254.169.254", "fd00:ec2::254"];

pub(super) fn network_policy(target: &Target, marks: &Marks) -> Result<Option<DynamicObject>, Mistake> {
    let network = &target.class.isolation.network;
    if network.policy == NetworkPolicyMode::None {
        return Ok(None);
    }
    let routing = &target.class.routing;
    let gateway_namespace = match (&routing.gateway, &routing.ingress) {
        (Some(gateway), _) => Some(&gateway.namespace),
        (None, Some(ingress)) => ingress.namespace.as_ref(),
        (None, None) => None,
    };
    let mut from = vec![own_pods()];
    from.extend(gateway_namespace.map(|name| namespace_peer(name)));
    for (index, cidr) in network.ingress_from.iter().enumerate() {
        from.push(block(cidr, &format!("isolation.network.ingressFrom[{index}]"))?);
    }
    let mut to = vec![own_pods()];
    for (index, cidr) in network.egress_to.iter().enumerate() {
        to.push(block(cidr, &format!("isolation.network.egressTo[{index}]"))?);
    }
    let policy = NetworkPolicy {
        metadata: metadata(target, GUARD_RAIL),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector::default()),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(vec![NetworkPolicyIngressRule { from: Some(from), ports: None }]),
            egress: Some(vec![NetworkPolicyEgressRule { to: Some(to), ports: None }, dns()]),
        }),
    };
    typed(&policy, marks).map(Some)
}

/// Allows port 53 of the cluster's DNS pods and of resolvers outside the pod network.
fn dns() -> NetworkPolicyEgressRule {
    let port = |protocol: &str| NetworkPolicyPort {
        port: Some(IntOrString::Int(53)),
        protocol: Some(protocol.to_owned()),
        end_port: None,
    };
    let pods = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        pod_selector: Some(LabelSelector {
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: "k8s-app".to_owned(),
                operator: "In".to_owned(),
                values: Some(vec!["kube-dns".to_owned(), "node-local-dns".to_owned()]),
            }]),
            match_labels: None,
        }),
        ip_block: None,
    };
    let resolvers = RESOLVERS.iter().map(|cidr| plain_block(cidr, None));
    NetworkPolicyEgressRule {
        to: Some(std::iter::once(pods).chain(resolvers).collect()),
        ports: Some(vec![port("UDP"), port("TCP")]),
    }
}

fn own_pods() -> NetworkPolicyPeer {
    NetworkPolicyPeer { pod_selector: Some(LabelSelector::default()), ..NetworkPolicyPeer::default() }
}

fn namespace_peer(name: &str) -> NetworkPolicyPeer {
    let labels = [("kubernetes.io/metadata.name".to_owned(), name.to_owned())];
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_labels: Some(labels.into()),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    }
}

fn plain_block(cidr: &str, except: Option<Vec<String>>) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        ip_block: Some(IPBlock { cidr: cidr.to_owned(), except }),
        ..NetworkPolicyPeer::default()
    }
}

fn block(cidr: &str, field: &str) -> Result<NetworkPolicyPeer, Mistake> {
    let wrong = || {
        let message = format!("the class's {field} \"{cidr}\" isn't a CIDR: use for example 192.0.2.0/24");
        mistake(Reason::ClassInvalid, message)
    };
    let (address, length) = cidr.split_once('/').ok_or_else(wrong)?;
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let length: u32 = length.parse().map_err(|_| wrong())?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    if length > bits {
        return Err(wrong());
    }
    let except: Vec<String> = INSTANCE_METADATA
        .into_iter()
        .filter(|_| length < bits)
        .filter_map(|metadata| Some((metadata, metadata.parse::<IpAddr>().ok()?)))
        .filter(|(_, metadata)| contains(address, length, *metadata))
        .map(|(metadata, _)| format!("{metadata}/{bits}"))
        .collect();
    Ok(plain_block(cidr, (!except.is_empty()).then_some(except)))
}

fn contains(network: IpAddr, length: u32, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let differs = network.to_bits() ^ address.to_bits();
            differs.leading_zeros() >= length
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let differs = network.to_bits() ^ address.to_bits();
            differs.leading_zeros() >= length
        }
        _ => false,
    }
}
