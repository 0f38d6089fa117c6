//! Limits on the requests that a registry can cause.
//!
//! The author of an image's name chooses the registry, and the registry chooses a token endpoint
//! (`realm`). So strangers choose where the operator, which is inside the cluster's network, sends
//! requests, and the registry receives the token endpoint's answer. A hostile registry could
//! collect credentials, send requests to internal services, or obtain the `token` that an internal
//! service returns, as the metadata services of clouds do. Hence these rules:
//!
//! - A token endpoint must be on the registry's own host, on a host of the same registrable domain,
//!   or on a host that the configuration allows for this registry, with or without credentials. Two
//!   hosts below a suffix that isn't in the Public Suffix List, for example `cluster.local`, never
//!   count as the same domain. A host that is allowed for one registry is not allowed for another,
//!   which could otherwise obtain the first one's tokens.
//! - A token endpoint must use HTTPS. Plain HTTP is permitted only if the registry itself uses it,
//!   and only on the registry's own host and port or on an allowed host.
//! - Matinee requests only the permission to pull ([`super::Bearer::pull_scope`]), and sends a
//!   token only to the registry that named the token endpoint (the cache in `adapters::registry`).
//! - Matinee doesn't follow redirects to another origin.
//! - Matinee doesn't connect to an address that is only meaningful on this machine or its link
//!   ([`may_connect`]), even if a host name resolves to it. Private addresses are permitted, since
//!   registries have them; over HTTPS, the certificate proves the identity.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use url::{Host, Url};

use super::Bearer;
use crate::core::{cloud_metadata, truncate};

/// For each registry (the host in the images' names, with its port if it has one), the hosts
/// outside its own domain on which its token endpoint may be.
pub type TokenHosts = BTreeMap<String, BTreeSet<String>>;

/// Most characters of a realm and of a service.
const LONGEST: usize = 2048;

/// Returns the URL to request a token from, with service and scope. `registry` is the URL of a
/// request to the registry; its scheme says whether the registry uses plain HTTP. `name` is the
/// registry's host in images' names.
///
/// # Errors
/// The reason why the token endpoint isn't permitted: its URL is too long, invalid or has
/// credentials, it is on another domain and not allowed, or it uses plain HTTP while the registry
/// doesn't.
pub fn token_url(
    bearer: &Bearer,
    registry: &Url,
    name: &str,
    repository: &str,
    allowed: &TokenHosts,
) -> Result<Url, String> {
    let service = bearer.service.as_deref().unwrap_or_default();
    if bearer.realm.len() > LONGEST || service.len() > LONGEST {
        return Err(format!(
            "the token endpoint or service that it names has more than {LONGEST} characters"
        ));
    }
    let mut url =
        Url::parse(&bearer.realm).map_err(|_| "the token endpoint that it names is not a URL".to_owned())?;
    let Some(host) = url.host() else { return Err("the token endpoint that it names has no host".into()) };
    let shown = truncate::cut(&host.to_string(), 100);
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("the URL of the token endpoint that it names, on {shown}, holds credentials"));
    }
    let is_allowed = allowed.get(name).is_some_and(|hosts| hosts.contains(&host.to_string()));
    let own = registry.host().is_some_and(|own| own == host);
    match url.scheme() {
        "https" if own || is_allowed || registry.host().is_some_and(|own| same_domain(&own, &host)) => {}
        "http" if registry.scheme() == "http" && (is_allowed || same_origin(registry, &url)) => {}
        "https" => {
            return Err(format!(
                "the token endpoint that it names is on {shown}, which is neither its own domain nor allowed"
            ));
        }
        "http" => {
            return Err(format!(
                "the token endpoint that it names, on {shown}, uses plain HTTP, which only an insecure registry itself may do"
            ));
        }
        _ => return Err("the token endpoint that it names is neither https:// nor http://".into()),
    }
    url.set_fragment(None);
    {
        let mut query = url.query_pairs_mut();
        if !service.is_empty() {
            query.append_pair("service", service);
        }
        query.append_pair("scope", &bearer.pull_scope(repository));
    }
    Ok(url)
}

/// Returns whether two URLs have the same scheme, host and port.
pub fn same_origin(a: &Url, b: &Url) -> bool {
    a.origin().is_tuple() && a.origin() == b.origin()
}

/// Returns whether two hosts have the same registrable domain by the Public Suffix List
/// (<https://publicsuffix.org>).
fn same_domain(a: &Host<&str>, b: &Host<&str>) -> bool {
    let domain = |host: &Host<&str>| match host {
        Host::Domain(name) => psl::domain(name.trim_end_matches('.').as_bytes())
            .filter(|domain| domain.suffix().is_known())
            .map(|domain| domain.as_bytes().to_ascii_lowercase()),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    };
    domain(a).is_some_and(|a| domain(b) == Some(a))
}

/// Returns whether a connection to `address` is permitted for a URL with `host`. Unspecified,
/// link-local, multicast and broadcast addresses and those of cloud metadata services are never
/// permitted. Loopback addresses are permitted only if the host is `localhost` or a loopback
/// address itself.
pub fn may_connect(host: &str, address: IpAddr) -> bool {
    let address = embedded(address);
    if address.is_loopback() {
        let host =
            host.trim_end_matches('.').trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        return host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<IpAddr>().is_ok_and(|written| embedded(written).is_loopback());
    }
    let nowhere = match address {
        // Addresses of "this network" (RFC 791, section 3.2) reach this machine too.
        IpAddr::V4(v4) => v4.octets()[0] == 0 || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_unicast_link_local() || v6.is_multicast(),
    };
    !nowhere && !cloud_metadata::is_one(address)
}

/// Returns the IPv4 address that an IPv6 address contains: an IPv4-mapped one (RFC 4291, section
/// 2.5.5) or a translated one (RFC 6052, section 2.1). Other addresses are returned unchanged.
fn embedded(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] => {
            let [.., a, b, c, d] = v6.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(registry: &str, realm: &str) -> Result<Url, String> {
        let bearer = Bearer { realm: realm.to_owned(), service: Some("a&b".to_owned()), scope: None };
        let registry = Url::parse(registry).unwrap();
        let allowed = TokenHosts::from([(
            "registry.corp".to_owned(),
            BTreeSet::from(["auth.corp".to_owned(), "10.0.0.7".to_owned()]),
        )]);
        token_url(&bearer, &registry, registry.host_str().unwrap(), "acme/shop", &allowed)
    }

    #[test]
    fn token_endpoints_near_the_registry_are_asked() {
        for (registry, realm) in [
            ("https://registry-1.docker.io/v2/", "https://auth.docker.io/token"),
            ("https://ghcr.io/v2/", "https://ghcr.io/token"),
            ("https://registry.example.co.uk/", "https://gitlab.example.co.uk:8443/jwt/auth"),
            ("https://registry.corp/", "https://auth.corp/token"),
            ("https://registry.corp/", "https://10.0.0.7/token"),
            ("https://10.0.0.5:5000/", "https://10.0.0.5:5001/token"),
            ("http://registry.test:5000/", "http://registry.test:5000/token"),
            ("http://registry.corp/", "http://auth.corp:5001/token"),
            ("http://registry.example.com/", "https://auth.example.com/token"),
        ] {
            assert!(ask(registry, realm).is_ok(), "{registry} {realm}: {:?}", ask(registry, realm));
        }
        let url = ask("https://ghcr.io/", "https://ghcr.io/token?account=x#y").unwrap();
        assert_eq!(
            url.as_str(),
            "https://ghcr.io/token?account=x&service=a%26b&scope=repository%3Aacme%2Fshop%3Apull"
        );
    }

    #[test]
    fn token_endpoints_elsewhere_are_not() {
        for (registry, realm, why) in [
            ("https://evil.example/", "https://auth.docker.io/token", "neither its own domain nor allowed"),
            ("https://evil.co.uk/", "https://bank.co.uk/", "neither"),
            ("https://evil.github.io/", "https://good.github.io/", "neither"),
            ("https://evil.ns.svc.cluster.local/", "https://vault.ns.svc.cluster.local/", "neither"),
            ("https://evil.corp/", "https://auth.corp/", "neither"),
            ("https://10.0.0.5/", "https://10.0.0.6/", "neither"),
            ("https://1.2.3.4/", "https://9.2.3.4/", "neither"),
            ("https://evil.example/", "https://kubernetes.default.svc/", "neither"),
            ("https://evil.example/", "https://evil.example@10.0.0.1/", "holds credentials"),
            ("https://evil.example/", "https://10.0.0.1\\@evil.example/", "neither"),
            ("https://evil.example/", "http://evil.example/token", "plain HTTP"),
            ("https://registry.corp/", "http://auth.corp/token", "plain HTTP"),
            ("http://evil.example:5000/", "http://evil.example:8080/", "plain HTTP"),
            ("http://evil.example:5000/", "http://169.254.169.254/latest", "plain HTTP"),
            ("https://evil.example/", "file:///etc/passwd", "no host"),
            ("https://evil.example/", "gopher://evil.example/", "neither https:// nor http://"),
            ("https://evil.example/", "/token", "not a URL"),
            ("https://evil.example/", "https://", "not a URL"),
        ] {
            let error = ask(registry, realm).unwrap_err();
            assert!(error.contains(why), "{registry} {realm}: {error}");
        }
        assert!(ask("https://a.example/", &format!("https://a.example/{}", "x".repeat(2048))).is_err());
    }

    #[test]
    fn addresses_of_this_machine_and_its_link_are_not_connected_to() {
        for (host, address) in [
            ("ghcr.io", "140.82.112.34"),
            ("registry.corp", "10.0.0.5"),
            ("registry.corp", "fd00::5"),
            ("localhost", "127.0.0.1"),
            ("registry.localhost", "::1"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "::1"),
        ] {
            assert!(may_connect(host, address.parse().unwrap()), "{host} {address}");
        }
        for (host, address) in [
            ("evil.example", "127.0.0.1"),
            ("evil.example", "::1"),
            ("evil.example", "::ffff:127.0.0.1"),
            ("evil.example", "64:ff9b::7f00:1"),
            ("10.0.0.1", "127.0.0.1"),
            ("evil.example", "169.254.169.254"),
            ("169.254.169.254", "169.254.169.254"),
            ("evil.example", "::ffff:169.254.169.254"),
            ("evil.example", "64:ff9b::a9fe:a9fe"),
            ("evil.example", "fe80::1"),
            ("evil.example", "fd00:ec2::254"),
            ("evil.example", "100.100.100.200"),
            ("evil.example", "0.0.0.0"),
            ("evil.example", "0.1.2.3"),
            ("evil.example", "::"),
            ("evil.example", "224.0.0.1"),
            ("evil.example", "255.255.255.255"),
        ] {
            assert!(!may_connect(host, address.parse().unwrap()), "{host} {address}");
        }
    }

    proptest! {
        #[test]
        fn no_realm_leads_away_from_a_registry_that_has_only_an_address(realm in "(https?://|//|\\\\)?[ -~é]{0,40}", authority in "[a-z0-9.@:#?/\\\\-]{0,20}") {
            for realm in [realm, format!("https://{authority}"), format!("https://{authority}@10.0.0.5"), format!("https://10.0.0.5{authority}")] {
                if let Ok(url) = ask("https://10.0.0.5/", &realm) {
                    prop_assert_eq!((url.scheme(), url.host_str(), url.username()), ("https", Some("10.0.0.5"), ""), "{}", realm);
                }
            }
        }
    }
}
