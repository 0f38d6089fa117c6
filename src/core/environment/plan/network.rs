//! The NetworkPolicy. It allows only traffic within the preview, to DNS, from the gateway, and to
//! the destinations that the class lists.

use std::fmt;
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
use crate::core::cloud_metadata;
use crate::core::environment::resolved::Confinement;
use crate::core::mistake::{Mistake, Reason};

/// Private (RFC 1918, RFC 6598, RFC 4193) and link-local addresses. They have two uses:
///
/// - Cluster DNS has one of them where no pod selector matches it: the cluster IP that the
///   node-local DNS cache uses, its link-local address, or a resolver on the node. Port 53 of them
///   gives no access to the Internet.
///   <https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/>
/// - The cluster's own parts have them: nodes, pods and usually the API server. Matinee excludes
///   them from a wider range that a class opens, such as the whole Internet. A class opens them by
///   listing them.
const PRIVATE: [&str; 7] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
    "fe80::/10",
];
/// All addresses of the Internet, before the private ones are excluded.
const INTERNET: [&str; 2] = ["0.0.0.0/0", "::/0"];

pub(super) fn network_policy(
    confinement: &Confinement<'_>,
    marks: &Marks,
) -> Result<Option<DynamicObject>, Mistake> {
    let network = &confinement.class.isolation.network;
    if network.policy == NetworkPolicyMode::None {
        return Ok(None);
    }
    let routing = &confinement.class.routing;
    let gateway_namespace = match (&routing.gateway, &routing.ingress) {
        (Some(gateway), _) => Some(&gateway.namespace),
        (None, Some(ingress)) => ingress.namespace.as_ref(),
        (None, None) => None,
    };
    let mut from = vec![own_pods()];
    from.extend(gateway_namespace.map(|name| namespace_peer(name)));
    for (index, cidr) in network.ingress_from.iter().enumerate() {
        from.push(block(cidr, &[], &format!("isolation.network.ingressFrom[{index}]"))?);
    }
    let mut to = vec![own_pods()];
    if network.internet {
        for cidr in INTERNET {
            to.push(block(cidr, &PRIVATE, "isolation.network.internet")?);
        }
    }
    for (index, cidr) in network.egress_to.iter().enumerate() {
        to.push(block(cidr, &PRIVATE, &format!("isolation.network.egressTo[{index}]"))?);
    }
    let policy = NetworkPolicy {
        metadata: metadata(confinement.namespace, GUARD_RAIL),
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
    let resolvers = PRIVATE.iter().map(|cidr| plain_block(cidr, None));
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

/// Returns a range that a class opens, without the ranges `closed` that are narrower, and without
/// the addresses at which clouds serve an instance's credentials. A class opens one of those by
/// listing the address itself.
fn block(cidr: &str, closed: &[&str], field: &str) -> Result<NetworkPolicyPeer, Mistake> {
    let Some(range) = Range::parse(cidr) else {
        let message = format!("the class's {field} \"{cidr}\" isn't a CIDR: use for example 192.0.2.0/24");
        return Err(mistake(Reason::ClassInvalid, message));
    };
    let metadata = cloud_metadata::ADDRESSES.iter().map(Range::of);
    let mut except: Vec<Range> = Vec::new();
    for narrower in closed.iter().filter_map(|cidr| Range::parse(cidr)).chain(metadata) {
        let is_closed = except.iter().any(|other| other.contains(narrower));
        if range.length < narrower.length && range.contains(narrower) && !is_closed {
            except.push(narrower);
        }
    }
    let except = except.iter().map(ToString::to_string).collect::<Vec<_>>();
    Ok(plain_block(cidr, (!except.is_empty()).then_some(except)))
}

/// A range of addresses in CIDR notation.
#[derive(Clone, Copy)]
struct Range {
    network: IpAddr,
    length: u32,
}

impl Range {
    fn parse(cidr: &str) -> Option<Self> {
        let (network, length) = cidr.split_once('/')?;
        let (network, length): (IpAddr, u32) = (network.parse().ok()?, length.parse().ok()?);
        let bits = if network.is_ipv4() { 32 } else { 128 };
        (length <= bits).then_some(Self { network, length })
    }

    /// Returns the range with this address only.
    fn of(address: &IpAddr) -> Self {
        Self { network: *address, length: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Returns whether all addresses of another range are in this one.
    fn contains(self, other: Self) -> bool {
        let same = match (self.network, other.network) {
            (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
            _ => return false,
        };
        self.length <= other.length && same >= self.length
    }
}

impl fmt::Display for Range {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.network, self.length)
    }
}
